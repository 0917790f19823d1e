// Package rtmp takes what encoders push by RTMP, such as OBS Studio: H.264 with AAC or
// MP3, and by Enhanced RTMP also H.265 and Opus.
//
//	encoder ─> conn.go (handshake, token) ─> input.go (messages to frames) ─> push/{channel}
//
// The address is rtmp://host/channels/{id}?token=…; in OBS the server is
// rtmp://host/channels and the stream key {id}?token=….
//
// Each connection has one goroutine, which reads, demuxes and writes its tracks. The
// [Server] starts them and waits for them in Close.
package rtmp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"tongxiang/internal/media"
	"tongxiang/internal/push"
	"tongxiang/internal/stream"
)

// Config is set once.
type Config struct {
	// Listen is the TCP address, ":1935" when empty.
	Listen string
	// MaxConnections bounds connections; 0: 100.
	MaxConnections int
	// Publish returns who the holder of a token is, when he may send to name, a
	// channel that takes it. The error is an apierr. Required.
	Publish func(ctx context.Context, token string, name stream.Name) (subject string, err error)
	// Desk gives encoders their streams. Required.
	Desk *push.Desk
}

// Server takes encoders. Create it with [New]; it is safe for concurrent use.
type Server struct {
	cfg      Config
	clock    media.Clock
	log      *slog.Logger
	listener net.Listener
	drops    stream.Drops

	encoders, refused atomic.Int64
	running           sync.WaitGroup

	mu     sync.Mutex // guards what follows
	conns  map[net.Conn]struct{}
	closed bool
}

// New opens the port and serves. The caller closes the server, before the hub.
func New(cfg Config, clock media.Clock, log *slog.Logger) (*Server, error) {
	if cfg.Publish == nil || cfg.Desk == nil {
		return nil, errors.New("rtmp: Config.Publish or Config.Desk is missing")
	}
	if cfg.Listen == "" {
		cfg.Listen = ":1935"
	}
	if cfg.MaxConnections <= 0 {
		cfg.MaxConnections = 100
	}
	l, err := net.Listen("tcp", cfg.Listen)
	if err != nil {
		return nil, fmt.Errorf("serve rtmp at %s: %w", cfg.Listen, err)
	}
	s := &Server{cfg: cfg, clock: clock, log: log, listener: l, conns: make(map[net.Conn]struct{})}
	s.running.Go(s.accept)
	return s, nil
}

// Addr returns where the server listens.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// Close ends all connections and waits for them.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	_ = s.listener.Close()
	for c := range s.conns {
		_ = c.Close()
	}
	s.mu.Unlock()
	s.running.Wait()
}

func (s *Server) accept() {
	for {
		c, err := s.listener.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil: // such as too many open files: it passes
			s.log.Warn("rtmp accept", "err", err)
			time.Sleep(100 * time.Millisecond)
			continue
		}
		s.mu.Lock()
		if s.closed || len(s.conns) >= s.cfg.MaxConnections {
			s.mu.Unlock()
			s.refused.Add(1)
			_ = c.Close()
			continue
		}
		s.conns[c] = struct{}{}
		s.running.Go(func() {
			s.serve(c)
			_ = c.Close()
			s.mu.Lock()
			defer s.mu.Unlock()
			delete(s.conns, c)
		})
		s.mu.Unlock()
	}
}

// Stats is how a server is at a moment.
type Stats struct {
	Connections int
	Encoders    int64
	Refused     int64             // connections too many
	Drops       map[string]uint64 // frames not passed on, by reason
}

// Stats returns the present values.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	n := len(s.conns)
	s.mu.Unlock()
	return Stats{Connections: n, Encoders: s.encoders.Load(), Refused: s.refused.Load(), Drops: s.drops.Snapshot()}
}
