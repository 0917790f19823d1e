package hls

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"tongxiang/internal/apierr"
	"tongxiang/internal/stream"
)

// Errors for the player.
var (
	errNotFound = apierr.New(http.StatusNotFound, "hls_not_found",
		"There is no such playlist or segment; reload the playlist.", "没有该播放列表或分片，请重新加载。")
	errNotLive = apierr.New(http.StatusNotFound, "stream_not_live",
		"The stream is not on air at the moment.", "该节目当前没有信号。")
	errStarting = apierr.New(http.StatusServiceUnavailable, "stream_starting",
		"The stream is on air but has no picture yet; try again.", "节目正在启动，请稍后重试。")
	errBadQuery = apierr.New(http.StatusBadRequest, "hls_bad_request",
		"The playlist request asks for a part that cannot exist.", "播放列表请求参数有误。")
	errBusy = apierr.New(http.StatusServiceUnavailable, "hls_busy",
		"Too many streams are being played; try again later.", "同时播放的节目过多，请稍后重试。")
	errMethod = apierr.New(http.StatusMethodNotAllowed, "method_not_allowed",
		"Playlists and segments can only be read.", "播放列表和分片只能读取。")
)

// errTimeout is the cause of a wait that took too long.
var errTimeout = errors.New("waited too long")

// ServeHTTP answers GET {prefix}{stream…}/{file}.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := s.serve(w, r); err != nil && r.Context().Err() == nil {
		apierr.Write(w, r, s.log, err)
	}
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) error {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		return errMethod
	}
	path, ok := strings.CutPrefix(r.URL.Path, s.cfg.Prefix)
	slash := strings.LastIndexByte(path, '/')
	if !ok || slash < 0 {
		return errNotFound
	}
	name, err := stream.ParseName(path[:slash])
	if err != nil {
		return errNotFound.Because(err)
	}
	f, ok := parseFile(path[slash+1:])
	if !ok {
		return errNotFound
	}
	if err := s.cfg.Authorize(r, name); err != nil {
		return err
	}
	x, err := s.session(name, f.kind == fileMaster || f.kind == fileMedia || f.kind == fileOldMedia)
	if err != nil {
		return err
	}
	defer x.touch()
	switch f.kind {
	case fileMaster:
		return x.serveMaster(w, r)
	case fileMedia:
		return x.serveMedia(w, r, f.list)
	case fileOldMedia:
		return x.serveOldMedia(w, r)
	case fileTS:
		return x.serveOld(w, r, f)
	case fileInit, fileSegment, filePart:
	}
	return x.serveFile(w, r, f)
}

// await waits for ready no longer than d and translates what went wrong.
func (x *session) await(ctx context.Context, d time.Duration, ready func() bool) error {
	ctx, cancel := context.WithTimeoutCause(ctx, d, errTimeout)
	defer cancel()
	err := x.wait(ctx, ready)
	var coded *apierr.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &coded):
		return coded
	case errors.Is(err, errIdle), errors.Is(err, errLayout), errors.Is(err, context.Canceled):
		return errNotFound.Because(err)
	case !errors.Is(err, errTimeout):
		return err
	}
	x.mu.RLock()
	defer x.mu.RUnlock()
	if !x.live {
		return errNotLive.Because(err)
	}
	return errStarting.Because(err)
}

func (x *session) serveMaster(w http.ResponseWriter, r *http.Request) error {
	if err := x.await(r.Context(), x.server.cfg.StartTimeout, x.started); err != nil {
		return err
	}
	var low []Low
	if x.server.cfg.Low != nil {
		low = x.server.cfg.Low(x.name)
	}
	return x.server.list(w, r, newListing(x.master(low)))
}

// list sends a playlist and counts it.
func (s *Server) list(w http.ResponseWriter, r *http.Request, l *listing) error {
	s.stats.playlists.Add(1)
	return l.send(w, r)
}

func (x *session) serveMedia(w http.ResponseWriter, r *http.Request, name string) error {
	number, part, block, err := parseDirectives(r.URL.Query())
	if err != nil {
		return errBadQuery.Because(err)
	}
	if err := x.await(r.Context(), x.server.cfg.StartTimeout, x.started); err != nil {
		return err
	}
	x.mu.RLock()
	out := x.mux.find(name)
	if out == nil {
		x.mu.RUnlock()
		return errNotFound
	}
	next, _ := out.win.next()
	patience := 3 * out.win.target()
	x.mu.RUnlock()
	if block {
		if number > next+2 {
			return errBadQuery
		}
		// A source that pauses is not the player's fault: it gets the list as it is.
		err := x.await(r.Context(), patience, func() bool { return out.win.has(number, part) })
		if err != nil && !errors.Is(err, errTimeout) {
			return err
		}
	}
	return x.server.list(w, r, x.listing(out))
}
