package sfu

import (
	"sync/atomic"

	"tongxiang/internal/stream"
)

// counters are what an engine has done. All are safe for concurrent use.
type counters struct {
	in, out      traffic
	drops        stream.Drops
	nacks        atomic.Uint64 // packets asked of publishers
	plis         atomic.Uint64 // key frames asked of publishers
	nacked       atomic.Uint64 // packets that viewers asked for
	resent       atomic.Uint64
	overBudget   atomic.Uint64
	overFeedback atomic.Uint64
	unknown      atomic.Uint64 // RTP of streams that nobody negotiated
	forged       atomic.Uint64 // RTP that is not authentic
}

type traffic struct{ packets, bytes atomic.Uint64 }

// Stats is a snapshot of an engine's counters since its start.
type Stats struct {
	Publishers, Viewers, Rooms int
	// PacketsIn and BytesIn are media received and kept; PacketsOut and BytesOut
	// media sent to viewers, payload bytes without headers.
	PacketsIn, BytesIn, PacketsOut, BytesOut uint64
	// NACKsSent counts packets asked of publishers, NACKsReceived those that
	// viewers asked for, Retransmitted those sent again.
	NACKsSent, NACKsReceived, Retransmitted uint64
	// PLIsSent counts key frames asked of publishers.
	PLIsSent uint64
	// Drops counts packets not passed on, by reason: the hub's reasons, and
	// retransmission_budget, feedback_flood, unknown_ssrc, not_authentic, send_failed.
	Drops map[string]uint64
}

// Stats returns what the engine has done so far.
func (e *Engine) Stats() Stats {
	s := Stats{
		PacketsIn: e.in.packets.Load(), BytesIn: e.in.bytes.Load(),
		PacketsOut: e.out.packets.Load(), BytesOut: e.out.bytes.Load(),
		NACKsSent: e.nacks.Load(), NACKsReceived: e.nacked.Load(), Retransmitted: e.resent.Load(),
		PLIsSent: e.plis.Load(), Drops: e.drops.Snapshot(),
	}
	net := e.net.Stats()
	for name, n := range map[string]uint64{
		"retransmission_budget": e.overBudget.Load(), "feedback_flood": e.overFeedback.Load(),
		"unknown_ssrc": e.unknown.Load(), "not_authentic": e.forged.Load() + net.Refused, "send_failed": net.Failed,
	} {
		if n > 0 {
			s.Drops[name] = n
		}
	}
	if net.Full > 0 {
		s.Drops[stream.DropSocketFull.String()] += net.Full
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	s.Rooms = len(e.rooms)
	for _, x := range e.sessions {
		switch x.(type) {
		case *publication:
			s.Publishers++
		case *viewer:
			s.Viewers++
		}
	}
	return s
}
