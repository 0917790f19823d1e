package sfu

import (
	"encoding/binary"
	"errors"
	"slices"

	"tongxiang/internal/stream"
	"tongxiang/sfu/transport"
)

const (
	// maxSSRCs bounds the RTP streams of one publisher. A page has at most 3 + 1 + 1
	// and as many for retransmission; a camera restart in mid-session adds a few.
	maxSSRCs      = 64
	ssrcForgotten = 30_000 * ms // that one may be silent before another takes its place
	// maxPacket is the largest packet that is taken.
	maxPacket = 1500
)

// incoming is one SSRC of a publisher. It belongs to publication.RTP.
type incoming struct {
	in    transport.Inbound
	ssrc  uint32
	layer *layer // nil: of no m-line that we know yet
	line  *mediaLine
	rtx   bool // repairs layer, or probes for bandwidth with old packets of it
	heard int64
}

// RTP implements [transport.Handler]: it decrypts a packet straight into the slab
// of its layer and hands it on.
func (p *publication) RTP(b []byte, now int64) {
	if len(b) < 12 {
		return
	}
	ssrc := binary.BigEndian.Uint32(b[8:])
	if ssrc == 0 {
		p.eng.unknown.Add(1) // browsers probe bandwidth with it before media flows
		return
	}
	p.receiving.Lock()
	defer p.receiving.Unlock()
	x := p.streams[ssrc]
	fresh := x == nil
	if fresh {
		x = &incoming{ssrc: ssrc}
	}
	to := p.scratch[:]
	if x.layer != nil {
		to = x.layer.slab.buffer()
	}
	plain, err := p.peer.OpenRTP(&x.in, to, b)
	if err != nil {
		if errors.Is(err, transport.ErrReplay) {
			p.eng.drops.Add(stream.DropDuplicate, 1)
		} else {
			p.eng.forged.Add(1)
		}
		return
	}
	if fresh && !p.admit(x, now) {
		p.eng.unknown.Add(1)
		return
	}
	x.heard = now
	v, ok := parseRTP(plain)
	if !ok {
		p.eng.drops.Add(stream.DropMalformed, 1)
		return
	}
	if e := v.extension(p.ids.twcc); len(e) >= 2 {
		p.arrived(ssrc, binary.BigEndian.Uint16(e), now)
	}
	if x.layer == nil {
		if !p.assign(x, &v) {
			p.eng.unknown.Add(1)
			return
		}
		plain = append(x.layer.slab.buffer()[:0], plain...)
		v, _ = parseRTP(plain) // it could be parsed before
	}
	if x.rtx && !x.unwrap(&v) {
		return
	}
	x.layer.push(&v, len(plain), x.rtx, now)
}

// admit makes room for a stream that proved to be the publisher's own.
func (p *publication) admit(x *incoming, now int64) bool {
	if len(p.streams) >= maxSSRCs {
		for ssrc, old := range p.streams {
			if now-old.heard > ssrcForgotten {
				delete(p.streams, ssrc)
			}
		}
		if len(p.streams) >= maxSSRCs {
			return false
		}
	}
	p.streams[x.ssrc] = x
	return true
}

// unwrap makes of a retransmission what was sent first (RFC 4588 section 4). It is
// false for one that carries nothing.
func (x *incoming) unwrap(v *rtpView) bool {
	pt := x.line.types.repair[v.pt]
	if len(v.payload) < 2 || pt == 0 {
		return false
	}
	v.pt, v.seq, v.payload = pt, binary.BigEndian.Uint16(v.payload), v.payload[2:]
	return true
}

// assign finds what a stream is: by the SSRCs that the offer announced, by its
// header extensions (RFC 8843 section 9.2, RFC 8852), or by a payload type that
// only one m-line has.
func (p *publication) assign(x *incoming, v *rtpView) bool {
	line, rid, rtx := p.match(x.ssrc, v)
	if line == nil || line.types.codec[v.pt] == 0 && !rtx {
		return false
	}
	x.line, x.rtx = line, rtx
	if rtx {
		x.layer = p.repaired(line, rid)
	} else {
		x.layer = p.open(line, rid, x.ssrc)
	}
	return x.layer != nil
}

func (p *publication) match(ssrc uint32, v *rtpView) (line *mediaLine, rid string, rtx bool) {
	for _, l := range p.lines {
		if len(l.rids) > 0 {
			continue // of several layers the SSRCs do not say which is which
		}
		for base, repair := range l.pairs {
			switch ssrc {
			case base:
				return l, "", false
			case repair:
				return l, "", true
			}
		}
	}
	mid := string(v.extension(p.ids.mid))
	rid = string(v.extension(p.ids.rid))
	if repaired := string(v.extension(p.ids.rrid)); repaired != "" {
		rid, rtx = repaired, true
	}
	for _, l := range p.lines {
		mine := l.types.codec[v.pt] != 0 || l.types.repair[v.pt] != 0
		if !mine || (mid != "" && l.mid != mid) || (len(l.rids) > 0) != (rid != "") || (rid != "" && !slices.Contains(l.rids, rid)) {
			continue
		}
		if line != nil {
			return nil, "", false // two could be meant: a later packet says it
		}
		line = l
	}
	return line, rid, rtx || (line != nil && line.types.repair[v.pt] != 0)
}

// repaired returns the newest layer of an m-line and a rid, or nil.
func (p *publication) repaired(line *mediaLine, rid string) *layer {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range slices.Backward(p.layers) {
		if l.line == line && l.rid == rid {
			return l
		}
	}
	return nil
}

// open makes a layer for a new stream; nil when there are too many.
func (p *publication) open(line *mediaLine, rid string, ssrc uint32) *layer {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.layers) >= maxLayers {
		return nil
	}
	l := newLayer(p, line, rid, ssrc)
	p.layers = append(p.layers, l)
	p.log.Debug("track", "label", l.line.label, "layer", l.index, "rid", l.rid, "ssrc", ssrc)
	return l
}
