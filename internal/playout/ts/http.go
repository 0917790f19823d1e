package ts

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"tongxiang/internal/apierr"
	"tongxiang/internal/media"
	"tongxiang/internal/stream"
)

// ServerConfig says who may read streams over HTTP and what is read.
type ServerConfig struct {
	// Prefix is the path in front of the stream's name; empty: "/ts/".
	Prefix string
	// Authorize returns nil when the request may watch the stream, else an
	// [apierr.Error]. Required.
	Authorize func(r *http.Request, name stream.Name) error
	// Resolve returns the stream to send for name: itself, or a rendition. Nil: itself.
	Resolve func(ctx context.Context, name stream.Name) (stream.Name, error)
	// Describe returns what the tables call the stream. Nil: its name.
	Describe func(name stream.Name) (title, provider string)
	// StartTimeout is how long the first request waits for a source; 0: 8 s.
	StartTimeout time.Duration
	// MaxReaders bounds the connections; 0: 1000.
	MaxReaders int
}

const (
	maxSessions = 256
	// lonely is how long a session goes on without readers: a player that reconnects
	// finds it running.
	lonely = 10 * time.Second
	// sourceGone is how long readers wait for a source that went away.
	sourceGone = 30 * time.Second
	// writeTime is how long a reader's connection may take nothing.
	writeTime = 15 * time.Second
	// maxLags is how often a reader may fall behind in lagWindow before it is sent away.
	maxLags   = 8
	lagWindow = time.Minute
	// keepChunks is how many frames a session keeps: about ten seconds of a picture
	// and two sounds.
	keepChunks = 1024
)

// Errors for the player.
var (
	errNotFound = apierr.New(http.StatusNotFound, "stream_not_found",
		"There is no such channel or meeting.", "没有这个频道或会议。")
	errNotLive = apierr.New(http.StatusNotFound, "stream_not_live",
		"The stream is not on air at the moment.", "该节目当前没有信号。")
	errStarting = apierr.New(http.StatusServiceUnavailable, "stream_starting",
		"The stream is on air but has no picture yet; try again.", "节目正在启动，请稍后重试。")
	errBusy = apierr.New(http.StatusServiceUnavailable, "ts_busy",
		"As many streams are being read as may; try again later.", "当前读取的连接过多，请稍后重试。")
	errMethod = apierr.New(http.StatusMethodNotAllowed, "method_not_allowed",
		"Streams can only be read.", "节目流只能读取。")
)

// Server sends streams over HTTP, each multiplexed once for all its readers. Create
// it with [NewServer]; it is safe for concurrent use.
type Server struct {
	cfg   ServerConfig
	hub   *stream.Hub
	clock media.Clock
	log   *slog.Logger

	ctx    context.Context // of the sessions; ended by Close
	stop   context.CancelFunc
	groups sync.WaitGroup

	mu       sync.Mutex
	sessions map[stream.Name]*session

	readers  atomic.Int64
	bytes    atomic.Uint64
	sentAway atomic.Uint64
	drops    stream.Drops // what slow readers lost, and what was lost before the multiplexers
	frames   [reasons]atomic.Uint64
}

// NewServer returns a server for the streams of hub.
func NewServer(cfg ServerConfig, hub *stream.Hub, clock media.Clock, log *slog.Logger) *Server {
	if cfg.Prefix == "" {
		cfg.Prefix = "/ts/"
	}
	if cfg.StartTimeout == 0 {
		cfg.StartTimeout = 8 * time.Second
	}
	if cfg.MaxReaders == 0 {
		cfg.MaxReaders = 1000
	}
	ctx, stop := context.WithCancel(context.Background())
	return &Server{cfg: cfg, hub: hub, clock: clock, log: log, ctx: ctx, stop: stop, sessions: make(map[stream.Name]*session)}
}

// Close ends all sessions, and with them the answers to their readers, and waits for
// the sessions. It is safe to call twice.
func (s *Server) Close() {
	s.mu.Lock()
	s.stop()
	s.mu.Unlock()
	s.groups.Wait()
}

// ServerStats are counters since the start.
type ServerStats struct {
	Sessions, Readers int // now
	Bytes             uint64
	SentAway          uint64            // readers that were too slow
	Drops             map[string]uint64 // items lost, by name
}

// Stats returns the counters.
func (s *Server) Stats() ServerStats {
	s.mu.Lock()
	sessions := len(s.sessions)
	s.mu.Unlock()
	st := ServerStats{
		Sessions: sessions, Readers: int(s.readers.Load()), Bytes: s.bytes.Load(), SentAway: s.sentAway.Load(),
		Drops: s.drops.Snapshot(),
	}
	for r := range s.frames {
		if n := s.frames[r].Load(); n > 0 {
			st.Drops[Reason(r).String()] += n
		}
	}
	return st
}

// session returns the session of a stream with one more reader, starting it when there is none.
func (s *Server) session(name stream.Name) (*session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if x := s.sessions[name]; x != nil {
		x.readers++
		return x, nil
	}
	if s.ctx.Err() != nil || len(s.sessions) >= maxSessions {
		return nil, errBusy
	}
	x := newSession(s, name)
	x.readers = 1
	s.sessions[name] = x
	s.groups.Go(func() {
		s.log.Info("ts session began", "stream", name)
		err := x.run(s.ctx)
		s.mu.Lock()
		if s.sessions[name] == x {
			delete(s.sessions, name)
		}
		s.mu.Unlock()
		x.end(err)
		s.log.Info("ts session ended", "stream", name, "err", err)
	})
	return x, nil
}

// release takes a reader off.
func (s *Server) release(x *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if x.readers--; x.readers == 0 {
		x.alone.Store(s.clock.Now())
	}
}

// deserted reports whether a session has had no reader for a while, and takes it out
// then, so that nobody enters it any more.
func (s *Server) deserted(x *session) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if x.readers > 0 || s.clock.Now()-x.alone.Load() < int64(lonely) {
		return false
	}
	delete(s.sessions, x.name)
	return true
}

// ServeHTTP answers GET {prefix}{stream…} with an endless transport stream.
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
	if !ok {
		return errNotFound
	}
	name, err := stream.ParseName(path)
	if err != nil {
		return errNotFound.Because(err)
	}
	if err := s.cfg.Authorize(r, name); err != nil {
		return err
	}
	if r.Method == http.MethodHead {
		head(w)
		return nil
	}
	if n := s.readers.Add(1); n > int64(s.cfg.MaxReaders) {
		s.readers.Add(-1)
		return errBusy
	}
	defer s.readers.Add(-1)
	x, err := s.session(name)
	if err != nil {
		return err
	}
	defer s.release(x)
	return x.serve(w, r)
}

func head(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Content-Type", "video/mp2t")
	h.Set("Cache-Control", "no-store")
	h.Set("Accept-Ranges", "none")
}

// serve sends the stream to one reader until it leaves, the session ends, or the
// reader is too slow. Before the first byte errors are answered, after it the answer ends.
func (x *session) serve(w http.ResponseWriter, r *http.Request) error {
	s := x.server
	rd := stream.NewReader(&s.drops)
	c := x.ring.Follow(rd, stream.AtSync)
	defer c.Close()
	patience := time.NewTimer(s.cfg.StartTimeout)
	defer patience.Stop()
	first := c.Next()
	for first == nil {
		select {
		case <-r.Context().Done():
			return nil
		case <-x.ended:
			return x.why()
		case <-patience.C:
			return x.why()
		case <-rd.Wake():
			first = c.Next()
		}
	}
	head(w)
	out := &answer{w: w, control: http.NewResponseController(w)}
	lags, since := 0, time.Now()
	for item := first; ; {
		for ; item != nil; item = c.Next() {
			if c.Gap() {
				// The ring has overtaken this reader: it goes on at a sync point.
				if now := time.Now(); now.Sub(since) > lagWindow {
					lags, since = 0, now
				}
				if lags++; lags > maxLags {
					s.sentAway.Add(1)
					s.log.Info("ts reader is too slow", "stream", x.name, "from", r.RemoteAddr)
					return nil
				}
			}
			if !out.write(item.data) {
				if r.Context().Err() == nil {
					s.sentAway.Add(1)
				}
				return nil
			}
			s.bytes.Add(uint64(len(item.data)))
		}
		if !out.flush() {
			return nil
		}
		select {
		case <-r.Context().Done():
			return nil
		case <-x.ended:
			return nil
		case <-rd.Wake():
		}
		item = c.Next()
	}
}

// answer writes to a reader whose connection may stand still for a while.
type answer struct {
	w       http.ResponseWriter
	control *http.ResponseController
}

func (a *answer) write(b []byte) bool {
	// A connection that cannot have deadlines is one of tests.
	if err := a.control.SetWriteDeadline(time.Now().Add(writeTime)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return false
	}
	_, err := a.w.Write(b)
	return err == nil
}

func (a *answer) flush() bool {
	err := a.control.Flush()
	return err == nil || errors.Is(err, http.ErrNotSupported)
}
