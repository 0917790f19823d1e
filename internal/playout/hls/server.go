// Package hls plays streams of the hub to browsers as Low-Latency HLS
// (draft-pantos-hls-rfc8216bis) with fragmented MP4.
//
//	hub ─> feed (frames in decode order) ─> muxer (parts, segments) ─> playlist, files
//
// Each stream has one session, which starts with the first request for it from
// what the rings still hold, so that the first playlist answers at once, and ends
// when nobody has asked for half a minute. A session has one goroutine; the
// [Server] starts it and waits for it in Close.
package hls

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"tongxiang/internal/apierr"
	"tongxiang/internal/media"
	"tongxiang/internal/playout/fmp4"
	"tongxiang/internal/stream"
)

// Config says who may watch and what is played.
type Config struct {
	// Prefix is the path in front of the stream's name; empty: "/hls/".
	Prefix string
	// Authorize returns nil when the request may watch the stream, else an
	// [apierr.Error]. Required.
	Authorize func(r *http.Request, name stream.Name) error
	// Resolve returns the stream to play for name: itself, or a rendition
	// whose codecs browsers can play. It is asked again when tracks change.
	// Nil: the stream itself.
	Resolve func(ctx context.Context, name stream.Name) (stream.Name, error)
	// Low returns the low-rate renditions that may be offered beside a stream, the
	// highest first. Nil: none.
	Low func(name stream.Name) []Low
	// StartTimeout is how long the first request waits for a source; 0: 8 s.
	StartTimeout time.Duration
}

const (
	// idleAfter: a session ends when nobody has asked for this long.
	idleAfter = 30 * time.Second
	idleCheck = 2 * time.Second
	// maxSessions bounds memory: a session holds some 15 s of its stream.
	maxSessions = 256
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

// errIdle ends a session; nobody is there to see it.
var errIdle = errors.New("nobody asks for the stream")

// errTimeout is the cause of a wait that took too long.
var errTimeout = errors.New("waited too long")

// Playable returns nil when Media Source Extensions of current browsers play the
// format in fragmented MP4, else the reason.
func Playable(f media.Format) error {
	switch f.Codec {
	case media.H264, media.AAC, media.Opus:
		return nil
	case media.H265, media.VP8, media.MPEG2Video, media.MPEG4Video, media.AVS, media.MPEGAudio,
		media.AC3, media.EAC3, media.PCMA, media.PCMU, media.Unknown:
	}
	return fmt.Errorf("browsers do not play %s in fragmented MP4: %w", f.Codec, fmp4.ErrUnsupported)
}

// Server serves HLS. Create it with [New]; it is safe for concurrent use.
type Server struct {
	cfg   Config
	hub   *stream.Hub
	clock media.Clock
	log   *slog.Logger

	ctx    context.Context // of the sessions; ended by Close
	stop   context.CancelFunc
	groups sync.WaitGroup
	stats  counters

	mu       sync.Mutex
	sessions map[stream.Name]*session
	lines    map[stream.Name]*timeline // of the streams that have sessions
	epoch    uint64                    // the discontinuity number of the next timeline's first segment
}

// counters are what a server has done.
type counters struct{ sessions, playlists, files, bytes atomic.Uint64 }

// Stats are counters since the start, and what there is now.
type Stats struct {
	Sessions  int    // streams being segmented, each once however many watch
	Began     uint64 // sessions that were ever begun
	Playlists uint64 // sent
	Files     uint64 // parts, segments and initialisation segments sent
	Bytes     uint64 // of them
	// Held is the bytes that the sessions keep for all their players together.
	Held int
}

// Stats returns the counters.
func (s *Server) Stats() Stats {
	st := Stats{
		Began: s.stats.sessions.Load(), Playlists: s.stats.playlists.Load(), Files: s.stats.files.Load(), Bytes: s.stats.bytes.Load(),
	}
	s.mu.Lock()
	list := make([]*session, 0, len(s.sessions))
	for _, x := range s.sessions {
		list = append(list, x)
	}
	s.mu.Unlock()
	st.Sessions = len(list)
	for _, x := range list {
		st.Held += x.held()
	}
	return st
}

// New returns a server for the streams of hub.
func New(cfg Config, hub *stream.Hub, clock media.Clock, log *slog.Logger) *Server {
	if cfg.Prefix == "" {
		cfg.Prefix = "/hls/"
	}
	if cfg.StartTimeout == 0 {
		cfg.StartTimeout = 8 * time.Second
	}
	ctx, stop := context.WithCancel(context.Background())
	return &Server{
		cfg: cfg, hub: hub, clock: clock, log: log, ctx: ctx, stop: stop,
		sessions: make(map[stream.Name]*session), lines: make(map[stream.Name]*timeline), epoch: firstEpoch(time.Now()),
	}
}

// Close ends all sessions and waits for them. Requests that wait are answered.
func (s *Server) Close() {
	s.mu.Lock()
	s.stop()
	s.mu.Unlock()
	s.groups.Wait()
}

func (s *Server) resolve(ctx context.Context, name stream.Name) (stream.Name, error) {
	if s.cfg.Resolve == nil {
		return name, nil
	}
	return s.cfg.Resolve(ctx, name)
}

// session returns the session of a stream, starting it when create is set.
func (s *Server) session(name stream.Name, create bool) (*session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if x := s.sessions[name]; x != nil {
		x.touch()
		return x, nil
	}
	if !create || s.ctx.Err() != nil {
		return nil, errNotFound
	}
	if len(s.sessions) >= maxSessions {
		return nil, errBusy
	}
	line := s.enter(name)
	x := newSession(s, name, line)
	ctx, cancel := context.WithCancel(s.ctx)
	x.cancel = cancel
	s.sessions[name] = x
	s.stats.sessions.Add(1)
	s.groups.Go(func() {
		defer cancel()
		s.log.Info("hls session began", "stream", name)
		err := x.run(ctx)
		s.mu.Lock()
		delete(s.sessions, name)
		s.leave(name, line, x.lastEpoch())
		s.mu.Unlock()
		x.end(err)
		s.log.Info("hls session ended", "stream", name, "err", err, "drops", x.drops.Snapshot())
	})
	return x, nil
}

// family returns the stream of which a name is, or has, a rendition.
func family(name stream.Name) stream.Name {
	segs := name.Segments()
	n := 2
	if segs[0] == "meetings" {
		n = 3
	}
	return stream.Name(strings.Join(segs[:min(n, len(segs))], "/"))
}

// enter returns the timeline of a stream for one more session. The caller holds mu.
func (s *Server) enter(name stream.Name) *timeline {
	of := family(name)
	line := s.lines[of]
	if line == nil {
		line = &timeline{epoch: s.epoch}
		s.epoch++
		s.lines[of] = line
	}
	line.users++
	return line
}

// leave undoes enter; epoch is the discontinuity number that the session came to.
// While a timeline goes on so do its numbers: its times continue. The caller holds mu.
func (s *Server) leave(name stream.Name, line *timeline, epoch uint64) {
	line.epoch = max(line.epoch, epoch)
	s.epoch = max(s.epoch, epoch+1)
	if line.users--; line.users == 0 {
		delete(s.lines, family(name))
	}
}

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

// listing returns a media playlist as it is now, made once for all who ask for it.
func (x *session) listing(o *output) *listing {
	x.mu.RLock()
	defer x.mu.RUnlock()
	l := x.lists[o]
	if l == nil { // the output is being replaced
		return newListing(playlist(&o.win))
	}
	l.once.Do(func() { l.text = []byte(playlist(&o.win)) })
	return l
}

func (x *session) serveFile(w http.ResponseWriter, r *http.Request, f file) error {
	out, patience, ok := x.output(f)
	if !ok {
		return errNotFound
	}
	switch f.kind {
	case filePart:
		// The hinted part is asked for before it exists.
		if err := x.await(r.Context(), patience, func() bool { return out.win.has(f.number, f.part) }); err != nil {
			return errNotFound.Because(err)
		}
	case fileSegment:
		if err := x.await(r.Context(), patience, func() bool { return out.win.has(f.number, -1) }); err != nil {
			return errNotFound.Because(err)
		}
	case fileMaster, fileMedia, fileOldMedia, fileTS, fileInit:
	}
	pieces := x.pieces(out, f)
	if len(pieces) == 0 {
		return errNotFound
	}
	return x.server.sendFile(w, r, "video/mp4", pieces)
}

// output finds the output of which a file is, and how long to wait for what it does
// not have yet; ok is false when it will not have it soon.
func (x *session) output(f file) (o *output, patience time.Duration, ok bool) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if f.session != x.mux.session || len(x.mux.outs) == 0 {
		return nil, 0, false
	}
	o = x.mux.outs[0]
	if f.out != "" {
		if o = x.mux.find(f.out); o == nil {
			return nil, 0, false
		}
	}
	next, _ := o.win.next()
	return o, 3 * o.win.target(), f.number <= next+1
}

func (s *Server) sendFile(w http.ResponseWriter, r *http.Request, kind string, pieces [][]byte) error {
	h := w.Header()
	h.Set("Content-Type", kind)
	// Names are never used twice, so what has one never changes. Private: who
	// may watch is decided per request.
	h.Set("Cache-Control", "private, max-age=120, immutable")
	s.stats.files.Add(1)
	for _, p := range pieces {
		s.stats.bytes.Add(uint64(len(p)))
	}
	if len(pieces) == 1 {
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(pieces[0]))
		return nil
	}
	size := 0
	for _, p := range pieces {
		size += len(p)
	}
	h.Set("Content-Length", strconv.Itoa(size))
	if r.Method == http.MethodHead {
		return nil
	}
	for _, p := range pieces {
		if _, err := w.Write(p); err != nil {
			return nil // the player went away
		}
	}
	return nil
}

// pieces returns the bytes of a file; empty when it is not there.
func (x *session) pieces(o *output, f file) [][]byte {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if f.kind == fileInit {
		if f.init < len(o.inits) && o.inits[f.init] != nil {
			return [][]byte{o.inits[f.init]}
		}
		return nil
	}
	s := o.find(f.number)
	if s == nil {
		return nil
	}
	if f.kind == filePart {
		if f.part < len(s.parts) {
			return [][]byte{s.parts[f.part].data}
		}
		return nil
	}
	return s.pieces()
}
