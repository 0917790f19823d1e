package rtsp

import (
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"

	"github.com/bluenviron/gortsplib/v4/pkg/liberrors"

	"tongxiang/internal/stream"
)

// counters are what a server counts.
type counters struct {
	players, encoders atomic.Int64
	packets, bytes    atomic.Uint64
	lost              atomic.Uint64
	drops             stream.Drops

	endsMu sync.Mutex
	ends   map[string]uint64
}

// ended counts the end of a session by its reason.
func (c *counters) ended(why string) {
	c.endsMu.Lock()
	defer c.endsMu.Unlock()
	if c.ends == nil {
		c.ends = make(map[string]uint64)
	}
	c.ends[why]++
}

// Stats is how a server is at a moment.
type Stats struct {
	Connections       int64
	Refused           uint64 // connections too many
	Players, Encoders int64
	Packets, Bytes    uint64            // sent to players
	Lost              uint64            // packets of encoders that the network lost
	Drops             map[string]uint64 // packets not sent, by reason
	Ends              map[string]uint64 // sessions that ended, by reason
}

// Stats returns the present values.
func (s *Server) Stats() Stats {
	out := Stats{
		Connections: s.listener.open.Load(), Refused: s.listener.refused.Load(),
		Players: s.players.Load(), Encoders: s.encoders.Load(),
		Packets: s.packets.Load(), Bytes: s.bytes.Load(), Lost: s.lost.Load(), Drops: s.drops.Snapshot(), Ends: make(map[string]uint64),
	}
	s.endsMu.Lock()
	defer s.endsMu.Unlock()
	for why, n := range s.ends {
		out.Ends[why] = n
	}
	return out
}

// Reasons of an end.
const (
	endLeft     = "left"           // the other side said so, or hung up
	endSlow     = "too_slow"       // a player took nothing for ten seconds
	endSilent   = "silent"         // no keep-alive, or an encoder's media stopped
	endTaken    = "taken_over"     // a newer encoder
	endStream   = "stream_ended"   // what a player watched is gone
	endChanged  = "stream_changed" // what a player watched became another format
	endMismatch = "mismatch"       // an encoder sends something else than it announced
	endServer   = "server_closing"
)

// reason names why a session ended by the library's error.
func reason(err error) string {
	var torn liberrors.ErrServerSessionTornDown
	var unused liberrors.ErrServerSessionNotInUse
	var timed liberrors.ErrServerSessionTimedOut
	var over liberrors.ErrServerTerminated
	var op *net.OpError
	switch {
	case errors.As(err, &torn), errors.As(err, &unused):
		return endLeft
	case errors.As(err, &timed):
		return endSilent
	case errors.As(err, &op) && op.Op == "write" && errors.Is(err, os.ErrDeadlineExceeded):
		return endSlow
	case errors.As(err, &over):
		return endServer
	}
	return endLeft
}
