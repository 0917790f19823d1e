package transport

import (
	"encoding/binary"
	"fmt"
	"iter"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

const (
	// ignoreSoon is how long entries are collected before the kernel is told: a
	// chair who mutes a hundred sites makes one new filter of it.
	ignoreSoon = 50 * time.Millisecond
	// maxIgnored bounds the filter: the kernel takes 4096 instructions, and the
	// default net.core.optmem_max has room for about 300 entries.
	maxIgnored = 250
)

// ignored is what the kernel drops at the socket: the RTP of sites that were muted
// and go on sending, as pages do, and the RTCP of who sends a flood of it. Both would
// otherwise cost a wake-up for each packet. It is safe for concurrent use.
type ignored struct {
	soon chan struct{} // asks for a new filter

	mu      sync.Mutex // guards what follows
	entries map[ignoredStream]ignoredBy
	on      bool // a filter is attached
}

// ignoredStream is one stream as the kernel sees it. The address is part of it, so
// that nobody can have another's packets dropped by using its SSRC.
type ignoredStream struct {
	from netip.AddrPort
	ssrc uint32 // of RTP
	rtcp bool   // all RTCP of the address instead
}

// ignoredBy is whose stream it is, and until when; zero: until Heed.
type ignoredBy struct {
	peer  *Peer
	until time.Time
}

// Ignore has the kernel drop the RTP of one SSRC of the peer, as soon as may be and
// as long as the peer stays where it is. Receiver reports and transport-wide
// feedback will count it as lost. By TCP it does nothing.
func (p *Peer) Ignore(ssrc uint32) { p.ignore(ignoredStream{ssrc: ssrc}, time.Time{}) }

// IgnoreRTCP has the kernel drop all RTCP of the peer for a while, as soon as may be.
// By TCP it does nothing.
func (p *Peer) IgnoreRTCP(d time.Duration) { p.ignore(ignoredStream{rtcp: true}, time.Now().Add(d)) }

func (p *Peer) ignore(key ignoredStream, until time.Time) {
	r := p.route.Load()
	if r == nil || r.tcp != nil {
		return
	}
	g := &p.t.ignored
	g.mu.Lock()
	key.from = r.from
	_, known := g.entries[key]
	fresh := !known && len(g.entries) < maxIgnored
	if fresh {
		g.entries[key] = ignoredBy{p, until}
	}
	g.mu.Unlock()
	if fresh {
		select {
		case g.soon <- struct{}{}:
		default:
		}
	}
}

// Heed undoes all of the peer's Ignore and IgnoreRTCP, at once.
func (p *Peer) Heed() {
	g := &p.t.ignored
	g.mu.Lock()
	defer g.mu.Unlock()
	found := false
	for key, of := range g.entries {
		if of.peer == p {
			delete(g.entries, key)
			found = true
		}
	}
	if found {
		p.t.refilter()
	}
}

// ignoring makes new filters when asked to and when a time is over, until the
// transport is closed.
func (t *Transport) ignoring() {
	over := time.NewTimer(0)
	defer over.Stop()
	for {
		select {
		case <-t.ignored.soon:
			select {
			case <-time.After(ignoreSoon):
			case <-t.done:
				return
			}
		case <-over.C:
		case <-t.done:
			return
		}
		t.ignored.mu.Lock()
		next := t.ignored.pardon(time.Now())
		t.refilter()
		t.ignored.mu.Unlock()
		over.Reset(next)
	}
}

// nothingDue is how long to wait when no entry has an end.
const nothingDue = time.Hour

// pardon drops entries whose time is over and returns how long the next one has. The
// caller holds mu.
func (g *ignored) pardon(now time.Time) time.Duration {
	next := nothingDue
	for key, of := range g.entries {
		if of.until.IsZero() {
			continue
		}
		left := of.until.Sub(now)
		if left <= 0 {
			delete(g.entries, key)
			continue
		}
		next = min(next, left)
	}
	return next
}

// refilter gives the kernel the filter for the entries as they are. Without one all
// packets come in, which only costs more. The caller holds t.ignored.mu.
func (t *Transport) refilter() {
	g := &t.ignored
	if len(g.entries) == 0 {
		if g.on {
			g.on = false
			t.udp.detachFilter()
		}
		return
	}
	if err := t.udp.attachFilter(ignoreProgram(maps.Keys(g.entries))); err != nil {
		t.log.Debug("what is ignored is not dropped by the kernel", "streams", len(g.entries), "err", err)
		return
	}
	g.on = true
}

// A filter of a UDP socket sees the datagram from its UDP header on; the IP header
// is at ipHeader.
const (
	udpHeader = 8
	ipHeader  = 0xfff00000 // SKF_NET_OFF
	keep      = 1 << 16
	drop      = 0
)

// What the filter remembers of a packet, by scratch cell.
const (
	scratchPort = iota
	scratchSSRC
	scratchIP4
	scratchIP6
)

// ignoreProgram drops what entries say and keeps everything else.
func ignoreProgram(entries iter.Seq[ignoredStream]) []bpf.Instruction {
	rtp := []bpf.Instruction{
		bpf.LoadAbsolute{Off: udpHeader + 8, Size: 4},
		bpf.StoreScratch{Src: bpf.RegA, N: scratchSSRC},
	}
	var rtcp []bpf.Instruction
	for key := range entries {
		if key.rtcp {
			rtcp = append(rtcp, dropFrom(key.from)...)
			continue
		}
		all := dropFrom(key.from)
		rtp = append(rtp,
			bpf.LoadScratch{Dst: bpf.RegA, N: scratchSSRC},
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: key.ssrc, SkipFalse: uint8(len(all))},
		)
		rtp = append(rtp, all...)
	}
	rtp, rtcp = append(rtp, bpf.RetConstant{Val: keep}), append(rtcp, bpf.RetConstant{Val: keep})
	out := []bpf.Instruction{
		// A load behind the end would drop the packet.
		bpf.LoadExtension{Num: bpf.ExtLen},
		bpf.JumpIf{Cond: bpf.JumpGreaterOrEqual, Val: udpHeader + 12, SkipTrue: 1},
		bpf.RetConstant{Val: keep},
		bpf.LoadAbsolute{Off: udpHeader, Size: 1},
		bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: 0xc0},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: 0x80, SkipTrue: 1}, // else it is neither RTP nor RTCP (RFC 7983)
		bpf.RetConstant{Val: keep},
		bpf.LoadAbsolute{Off: 0, Size: 2},
		bpf.StoreScratch{Src: bpf.RegA, N: scratchPort},
		bpf.LoadAbsolute{Off: ipHeader + 12, Size: 4},
		bpf.StoreScratch{Src: bpf.RegA, N: scratchIP4},
		bpf.LoadAbsolute{Off: ipHeader + 20, Size: 4}, // the end of the address is enough
		bpf.StoreScratch{Src: bpf.RegA, N: scratchIP6},
		bpf.LoadAbsolute{Off: udpHeader + 1, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpLessThan, Val: 192, SkipTrue: 2}, // RFC 5761: else it is RTCP
		bpf.JumpIf{Cond: bpf.JumpGreaterThan, Val: 223, SkipTrue: 1},
		bpf.Jump{Skip: uint32(len(rtp))},
	}
	return slices.Concat(out, rtp, rtcp)
}

// dropFrom drops what comes from an address.
func dropFrom(from netip.AddrPort) []bpf.Instruction {
	at, word := scratchIP4, from.Addr().AsSlice()
	if from.Addr().Is6() {
		at, word = scratchIP6, word[12:]
	}
	return []bpf.Instruction{
		bpf.LoadScratch{Dst: bpf.RegA, N: scratchPort},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(from.Port()), SkipFalse: 3},
		bpf.LoadScratch{Dst: bpf.RegA, N: at},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: binary.BigEndian.Uint32(word), SkipFalse: 1},
		bpf.RetConstant{Val: drop},
	}
}

func (s *udpSocket) attachFilter(program []bpf.Instruction) error {
	raw, err := bpf.Assemble(program)
	if err != nil {
		return fmt.Errorf("assemble the socket filter: %w", err)
	}
	code := make([]unix.SockFilter, len(raw))
	for i, r := range raw {
		code[i] = unix.SockFilter{Code: r.Op, Jt: r.Jt, Jf: r.Jf, K: r.K}
	}
	var attach error
	err = s.raw.Control(func(fd uintptr) {
		attach = unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_FILTER,
			&unix.SockFprog{Len: uint16(len(code)), Filter: &code[0]})
	})
	if err == nil {
		err = attach
	}
	if err != nil {
		return fmt.Errorf("attach the socket filter: %w", err)
	}
	return nil
}

func (s *udpSocket) detachFilter() {
	_ = s.raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_DETACH_FILTER, 0) // only a closed socket refuses
	})
}
