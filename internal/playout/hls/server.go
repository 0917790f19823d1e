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
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

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

// errIdle ends a session; nobody is there to see it.
var errIdle = errors.New("nobody asks for the stream")

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
