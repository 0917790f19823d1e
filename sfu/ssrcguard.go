package sfu

import (
	"encoding/binary"
	"net/netip"
	"sync"
)

// Bounds of ssrcGuard. A page publishes at most 3 + 1 + 1 streams and as many
// for retransmission; a camera restart in mid-session adds a few.
const (
	maxSSRCs      = 64
	maxGuarded    = 8192
	guardForgets  = int64(60e9)
	ssrcForgotten = int64(30e9)
	guardSweep    = int64(1e9)
)

// ssrcGuard bounds how many RTP streams one address can make the layers below
// allocate for: pion keeps state for each SSRC it ever saw. It also refuses SSRC 0,
// with which browsers probe bandwidth before media flows.
type ssrcGuard struct {
	mu    sync.Mutex
	peers map[netip.AddrPort]*ssrcSet
	sweep int64 // when the table may be swept next
}

type ssrcSet struct {
	last  int64
	ssrcs map[uint32]int64 // when it was last seen
}

func newSSRCGuard() *ssrcGuard { return &ssrcGuard{peers: make(map[netip.AddrPort]*ssrcSet)} }

// admit reports whether RTP of ssrc from an address may pass at now.
func (g *ssrcGuard) admit(from netip.AddrPort, ssrc uint32, now int64) bool {
	if ssrc == 0 {
		return false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	set := g.peers[from]
	if set == nil {
		if len(g.peers) >= maxGuarded && now >= g.sweep {
			g.sweep = now + guardSweep
			g.forget(now)
		}
		if len(g.peers) >= maxGuarded {
			// Forged senders fill the table, real ones are never so many. RTP of
			// an address that completed no ICE check is dropped by the ICE layer
			// without a trace, so nothing is lost by not counting it.
			return true
		}
		set = &ssrcSet{ssrcs: make(map[uint32]int64)}
		g.peers[from] = set
	}
	set.last = now
	if _, known := set.ssrcs[ssrc]; !known && len(set.ssrcs) >= maxSSRCs {
		// An SSRC that was admitted is never re-admitted for free: pion still
		// holds it. Only one unheard for long makes room, so a flood gains
		// maxSSRCs streams per ssrcForgotten and no more.
		for old, seen := range set.ssrcs {
			if now-seen > ssrcForgotten {
				delete(set.ssrcs, old)
			}
		}
		if len(set.ssrcs) >= maxSSRCs {
			return false
		}
	}
	set.ssrcs[ssrc] = now
	return true
}

// forget drops addresses that have been silent. The caller holds mu.
func (g *ssrcGuard) forget(now int64) {
	for a, set := range g.peers {
		if now-set.last > guardForgets {
			delete(g.peers, a)
		}
	}
}

// rtpSSRC returns the SSRC when b looks like RTP by RFC 7983 (first byte 128 to
// 191) and is not RTCP by RFC 5761 (second byte 192 to 223).
func rtpSSRC(b []byte) (uint32, bool) {
	if len(b) < 12 || b[0] < 128 || b[0] > 191 || (b[1] >= 192 && b[1] <= 223) {
		return 0, false
	}
	return binary.BigEndian.Uint32(b[8:12]), true
}
