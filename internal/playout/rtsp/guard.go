package rtsp

import (
	"errors"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// handshake is how long a connection may take from its beginning to its first
	// request that is allowed. Who sends nothing, rubbish, or a byte now and then
	// is gone after it.
	handshake = 10 * time.Second
	// idle is how long a connection that does not carry media may be silent. A UDP
	// player says something every half of the session's timeout, 30 s.
	idle = 150 * time.Second
)

// listener bounds the connections of a server and gives each its deadlines, which
// the library does not set.
type listener struct {
	net.Listener
	log     *slog.Logger
	max     int64
	open    atomic.Int64
	refused atomic.Uint64
}

// Accept implements [net.Listener]. One connection too many is closed at once. An
// error other than the listener's end is waited out: for the library any ends the
// server, also one that passes, such as too many open files.
func (l *listener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return nil, err
		case err != nil:
			l.log.Warn("rtsp accept", "err", err)
			time.Sleep(100 * time.Millisecond)
			continue
		}
		if l.open.Add(1) > l.max {
			l.open.Add(-1)
			l.refused.Add(1)
			_ = c.Close() // nothing was said on it
			continue
		}
		return &guard{Conn: c, of: l, born: time.Now()}, nil
	}
}

// phase is how far a connection has come.
type phase int32

const (
	fresh  phase = iota // no request was allowed yet
	known               // it may be here
	worked              // it carries media, whose writer notices when the other side is gone
)

// guard is one connection.
type guard struct {
	net.Conn
	of    *listener
	born  time.Time
	phase atomic.Int32
	timed atomic.Bool // the library set a deadline of its own
	once  sync.Once
}

// Read implements [net.Conn]. The library reads from one goroutine.
func (g *guard) Read(b []byte) (int, error) {
	if !g.timed.Load() {
		var until time.Time
		switch phase(g.phase.Load()) {
		case fresh:
			until = g.born.Add(handshake)
		case known:
			until = time.Now().Add(idle)
		case worked:
		}
		if err := g.Conn.SetReadDeadline(until); err != nil {
			return 0, err
		}
	}
	return g.Conn.Read(b)
}

// SetReadDeadline implements [net.Conn]. The library takes its deadlines away with a
// zero time; then ours count.
func (g *guard) SetReadDeadline(t time.Time) error {
	g.timed.Store(!t.IsZero())
	if t.IsZero() {
		return nil
	}
	return g.Conn.SetReadDeadline(t)
}

// Close implements [net.Conn].
func (g *guard) Close() error {
	g.once.Do(func() { g.of.open.Add(-1) })
	return g.Conn.Close()
}

// enter notes how far a connection has come.
func enter(c net.Conn, p phase) {
	if g, ok := c.(*guard); ok {
		g.phase.Store(int32(p))
	}
}
