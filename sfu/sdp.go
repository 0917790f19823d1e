package sfu

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/pion/sdp/v3"

	"tongxiang/internal/media"
	"tongxiang/internal/stream"
)

// maxMedia is how many m-lines an offer may have: 32 slots and some to spare.
const maxMedia = 40

// mediaLine is what we need to know of one m-line of an offer.
type mediaLine struct {
	kind  media.Kind
	mid   string
	label stream.Label // what WHIP publishes by it
	rids  []string     // simulcast layers offered, in the order of the a=rid lines
	codec map[media.Codec]bool
}

// readOffer checks an offer. want is the direction that the client must have:
// "sendonly" for WHIP, "recvonly" for WHEP; "sendrecv" counts as both. It returns
// the m-lines of that direction, in order.
func readOffer(offer string, want string) ([]mediaLine, error) {
	var d sdp.SessionDescription
	if err := d.UnmarshalString(offer); err != nil {
		return nil, errBadSDP.Because(err)
	}
	if !strings.HasPrefix(offer, "v=0\r\n") {
		return nil, errBadSDP.Because(errors.New("no version line"))
	}
	if len(d.MediaDescriptions) > maxMedia {
		return nil, errTooManyMedia
	}
	var lines []mediaLine
	seen := make(map[stream.Label]int)
	common := false
	for _, m := range d.MediaDescriptions {
		l := mediaLine{codec: make(map[media.Codec]bool)}
		switch m.MediaName.Media {
		case "video":
			l.kind = media.Video
		case "audio":
			l.kind = media.Audio
		default:
			continue
		}
		if dir := direction(&d, m); dir != want && dir != "sendrecv" {
			continue
		}
		l.mid, _ = m.Attribute("mid")
		l.readCodecs(m)
		for _, a := range m.Attributes {
			if a.Key == "rid" {
				if f := strings.Fields(a.Value); len(f) >= 2 && f[1] == "send" {
					l.rids = append(l.rids, f[0])
				}
			}
		}
		l.label = label(l.kind, seen)
		common = common || len(l.codec) > 0
		lines = append(lines, l)
	}
	if len(lines) == 0 {
		return nil, errNoMedia
	}
	if !common {
		return nil, errNoCodec
	}
	return lines, nil
}

// label names the n-th m-line of a kind: video, screen, video3…; audio, audio2….
func label(k media.Kind, seen map[stream.Label]int) stream.Label {
	base := stream.LabelAudio
	if k == media.Video {
		base = stream.LabelVideo
	}
	seen[base]++
	switch n := seen[base]; {
	case n == 1:
		return base
	case n == 2 && k == media.Video:
		return stream.LabelScreen
	default:
		return stream.Label(fmt.Sprintf("%s%d", base, n))
	}
}

func direction(d *sdp.SessionDescription, m *sdp.MediaDescription) string {
	for _, dir := range []string{"sendonly", "recvonly", "sendrecv", "inactive"} {
		if _, ok := m.Attribute(dir); ok {
			return dir
		}
	}
	for _, dir := range []string{"sendonly", "recvonly", "sendrecv", "inactive"} {
		if _, ok := d.Attribute(dir); ok {
			return dir
		}
	}
	return "sendrecv" // RFC 8866 section 6.7
}

// readCodecs notes which of our codecs the m-line offers.
func (l *mediaLine) readCodecs(m *sdp.MediaDescription) {
	mode1 := make(map[string]bool) // payload types with H.264's packetization-mode 1
	for _, a := range m.Attributes {
		if pt, params, ok := strings.Cut(a.Value, " "); a.Key == "fmtp" && ok {
			for p := range strings.SplitSeq(params, ";") {
				if strings.TrimSpace(p) == "packetization-mode=1" {
					mode1[pt] = true
				}
			}
		}
	}
	for _, a := range m.Attributes {
		pt, enc, ok := strings.Cut(a.Value, " ")
		if a.Key != "rtpmap" || !ok {
			continue
		}
		switch strings.ToLower(enc) {
		case "h264/90000":
			if l.kind == media.Video && mode1[pt] {
				l.codec[media.H264] = true
			}
		case "vp8/90000":
			if l.kind == media.Video {
				l.codec[media.VP8] = true
			}
		case "opus/48000/2":
			if l.kind == media.Audio {
				l.codec[media.Opus] = true
			}
		}
	}
}

// withCandidates replaces the candidates of an answer by our addresses. The
// agent's own are those of its sockets, of which NAT and a host's many networks
// know nothing; a client needs the ones that an administrator announced.
func withCandidates(answer string, udp, tcp []netip.AddrPort) string {
	var b strings.Builder
	inMedia := false
	write := func() {
		for i, a := range udp {
			// RFC 8445 section 5.1.2.1: host type preference 126, local preference falling.
			fmt.Fprintf(&b, "a=candidate:%d 1 udp %d %s %d typ host\r\n", i+1, priority(126, 65535-i), a.Addr(), a.Port())
		}
		for i, a := range tcp {
			fmt.Fprintf(&b, "a=candidate:%d 1 tcp %d %s %d typ host tcptype passive\r\n",
				len(udp)+i+1, priority(90, 65535-i), a.Addr(), a.Port())
		}
		if len(udp)+len(tcp) > 0 {
			b.WriteString("a=end-of-candidates\r\n")
		}
	}
	written := false
	for line := range strings.SplitSeq(strings.TrimSuffix(answer, "\r\n"), "\r\n") {
		if strings.HasPrefix(line, "m=") {
			// All is bundled: the candidates belong to the first m-line.
			if inMedia && !written {
				write()
				written = true
			}
			inMedia = true
		}
		if strings.HasPrefix(line, "a=candidate:") || line == "a=end-of-candidates" {
			continue
		}
		b.WriteString(line)
		b.WriteString("\r\n")
	}
	if inMedia && !written {
		write()
	}
	return b.String()
}

func priority(typePreference, local int) int { return typePreference<<24 | local<<8 | 255 }
