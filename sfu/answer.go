package sfu

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"

	"github.com/pion/sdp/v3"

	"tongxiang/internal/media"
	"tongxiang/sfu/transport"
)

// reply is our side of a negotiation.
type reply struct {
	session     uint64 // of the o= line
	version     uint64
	ice         transport.Credentials
	fingerprint transport.Fingerprint
	udp, tcp    []netip.AddrPort
	senders     []*sender // one for each of the offer's lines; nil for a publisher
}

// newSession returns the number of an o= line (RFC 8866 section 5.2).
func newSession() uint64 { return rand.Uint64() >> 2 }

// answer makes the SDP answer: all m-lines bundled on one ICE-lite, DTLS-SRTP path.
// An m-line that is not ours is refused by port 0 (RFC 3264 section 6).
func (o *offer) answer(r reply) string {
	var b strings.Builder
	line := func(format string, args ...any) {
		fmt.Fprintf(&b, format, args...)
		b.WriteString("\r\n")
	}
	line("v=0")
	line("o=- %d %d IN IP4 0.0.0.0", r.session, r.version)
	line("s=-")
	line("t=0 0")
	line("a=ice-lite")
	b.WriteString("a=group:BUNDLE")
	for i := range o.all {
		if o.all[i].accepted() {
			b.WriteString(" " + o.all[i].mid)
		}
	}
	b.WriteString("\r\n")
	if o.mixed {
		line("a=extmap-allow-mixed")
	}
	line("a=msid-semantic: WMS *")
	first, next := true, 0
	for i := range o.all {
		l := &o.all[i]
		var s *sender
		if l.wanted && len(r.senders) > 0 {
			s = r.senders[next]
			next++
		}
		if !l.accepted() {
			line("m=%s 0 %s %s", l.what, l.proto, l.first)
			line("c=IN IP4 0.0.0.0")
			line("a=inactive")
			line("a=mid:%s", l.mid)
			continue
		}
		o.accept(line, l, s, r)
		if first {
			first = false
			for _, c := range candidateLines(r.udp, r.tcp) {
				line("a=candidate:%s", c)
			}
			line("a=end-of-candidates")
		}
	}
	return b.String()
}

// accepted reports whether the answer takes the m-line.
func (l *mediaLine) accepted() bool { return l.wanted && len(l.codecs) > 0 }

// accept writes one m-line.
func (o *offer) accept(line func(string, ...any), l *mediaLine, s *sender, r reply) {
	var pts strings.Builder
	for _, c := range l.codecs {
		fmt.Fprintf(&pts, " %d", c.pt)
		if c.rtx != 0 {
			fmt.Fprintf(&pts, " %d", c.rtx)
		}
	}
	line("m=%s 9 %s%s", l.what, l.proto, pts.String())
	line("c=IN IP4 0.0.0.0")
	line("a=ice-ufrag:%s", r.ice.Ufrag)
	line("a=ice-pwd:%s", r.ice.Pwd)
	line("a=fingerprint:%s %s", r.fingerprint.Hash, r.fingerprint.Value)
	if o.passive {
		line("a=setup:active")
	} else {
		line("a=setup:passive")
	}
	line("a=mid:%s", l.mid)
	line("a=rtcp-mux")
	if l.rsize {
		line("a=rtcp-rsize")
	}
	for _, c := range l.codecs {
		line("a=rtpmap:%d %s", c.pt, c.name)
		if c.fmtp != "" {
			line("a=fmtp:%d %s", c.pt, c.fmtp)
		}
		for _, fb := range c.feedback {
			line("a=rtcp-fb:%d %s", c.pt, fb)
		}
		if c.rtx != 0 {
			line("a=rtpmap:%d rtx/90000", c.rtx)
			line("a=fmtp:%d apt=%d", c.rtx, c.pt)
		}
	}
	for _, e := range l.exts {
		if s != nil && e.uri == sdp.AudioLevelURI {
			continue // we do not say how loud what we send is
		}
		line("a=extmap:%d %s", e.id, e.uri)
	}
	if s == nil {
		line("a=recvonly")
		for _, rid := range l.rids {
			line("a=rid:%s recv", rid)
		}
		if len(l.rids) > 0 {
			line("a=simulcast:recv %s", strings.Join(l.rids, ";"))
		}
		return
	}
	line("a=sendonly")
	line("a=msid:%s %s", s.streamID, s.name)
	if s.rtxSSRC != 0 {
		line("a=ssrc-group:FID %d %d", s.ssrc, s.rtxSSRC)
	}
	for _, ssrc := range []uint32{s.ssrc, s.rtxSSRC} {
		if ssrc != 0 {
			line("a=ssrc:%d cname:%s", ssrc, s.streamID)
			line("a=ssrc:%d msid:%s %s", ssrc, s.streamID, s.name)
		}
	}
}

// candidateLines are our addresses: NAT and a host's many networks are known to the
// administrator, who announces them, and to nobody else.
func candidateLines(udp, tcp []netip.AddrPort) (out []string) {
	for i, a := range udp {
		// RFC 8445 section 5.1.2.1: host type preference 126, local preference falling.
		out = append(out, fmt.Sprintf("%d 1 udp %d %s %d typ host", i+1, priority(126, 65535-i), a.Addr(), a.Port()))
	}
	for i, a := range tcp {
		out = append(out, fmt.Sprintf("%d 1 tcp %d %s %d typ host tcptype passive",
			len(udp)+i+1, priority(90, 65535-i), a.Addr(), a.Port()))
	}
	return out
}

func priority(typePreference, local int) int { return typePreference<<24 | local<<8 | 255 }

// restart makes the answer to an ICE restart: our new credentials and the
// candidates (RFC 9725 section 4.3.3).
func (o *offer) restart(r reply) string {
	var b strings.Builder
	b.WriteString("a=ice-lite\r\n")
	fmt.Fprintf(&b, "a=ice-ufrag:%s\r\na=ice-pwd:%s\r\n", r.ice.Ufrag, r.ice.Pwd)
	for i := range o.all {
		if l := &o.all[i]; l.accepted() {
			fmt.Fprintf(&b, "m=%s 9 %s %s\r\na=mid:%s\r\n", l.what, l.proto, l.first, l.mid)
			break
		}
	}
	for _, c := range candidateLines(r.udp, r.tcp) {
		fmt.Fprintf(&b, "a=candidate:%s\r\n", c)
	}
	b.WriteString("a=end-of-candidates\r\n")
	return b.String()
}

// sender is one outgoing m-line as it was negotiated. A line that was refused
// has no SSRC.
type sender struct {
	name     string
	streamID string // what has the same one is played in time with each other
	mid      string
	types    *payloadTypes
	ssrc     uint32
	rtxSSRC  uint32
}

// newSenders prepares one sender for each line. Slots of one stream id are
// synchronized by the browser, so without one every slot has its own.
func newSenders(lines []*mediaLine, streamID string) []*sender {
	used := map[uint32]bool{0: true, feedbackSSRC: true}
	pick := func() uint32 {
		for {
			if ssrc := rand.Uint32(); !used[ssrc] {
				used[ssrc] = true
				return ssrc
			}
		}
	}
	out := make([]*sender, len(lines))
	for i, l := range lines {
		s := &sender{name: fmt.Sprintf("slot%d", i), streamID: streamID, mid: l.mid, types: &l.types}
		if s.streamID == "" {
			s.streamID = s.name
		}
		if l.accepted() {
			s.ssrc = pick()
			if l.kind == media.Video && l.types.repairs() {
				s.rtxSSRC = pick()
			}
		}
		out[i] = s
	}
	return out
}

// repairs reports whether retransmissions have payload types of their own.
func (p *payloadTypes) repairs() bool {
	for _, pt := range p.media {
		if pt != 0 && p.rtx[pt] != 0 {
			return true
		}
	}
	return false
}
