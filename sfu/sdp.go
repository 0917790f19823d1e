package sfu

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/pion/sdp/v3"

	"tongxiang/internal/media"
	"tongxiang/internal/stream"
	"tongxiang/sfu/transport"
)

// maxMedia is how many m-lines an offer may have: 32 slots and some to spare.
const maxMedia = 40

// offer is what we need to know of an SDP offer (RFC 8866, RFC 8829).
type offer struct {
	all         []mediaLine  // every m-line, in order
	lines       []*mediaLine // those of the direction asked for, into all
	ice         transport.Credentials
	fingerprint transport.Fingerprint
	passive     bool // the client waits for our DTLS handshake
	mixed       bool // a=extmap-allow-mixed
}

// mediaLine is one m-line.
type mediaLine struct {
	kind   media.Kind // 0: neither sound nor picture
	what   string     // as in "m=what"
	proto  string
	first  string // its first format, which a refusal repeats
	mid    string
	wanted bool         // of the direction asked for
	label  stream.Label // what WHIP publishes by it
	rids   []string     // simulcast layers offered, in the order of the a=rid lines
	codecs []codecLine  // those of ours, in the order of the offer
	exts   []extension
	types  payloadTypes
	pairs  map[uint32]uint32 // SSRCs announced: of media, and of their retransmissions; 0: none
	rsize  bool              // a=rtcp-rsize
}

// codecLine is a codec that both sides have.
type codecLine struct {
	codec    media.Codec
	pt       uint8
	name     string // as in a=rtpmap
	fmtp     string
	feedback []string
	rtx      uint8 // payload type of its retransmissions; 0: none
}

// extension is a header extension that both sides know (RFC 8285).
type extension struct {
	id  uint8
	uri string
}

// has reports whether the m-line offers a codec.
func (l *mediaLine) has(c media.Codec) bool {
	return slices.ContainsFunc(l.codecs, func(o codecLine) bool { return o.codec == c })
}

// readOffer checks an offer. want is the direction that the client must have:
// "sendonly" for WHIP, "recvonly" for WHEP; "sendrecv" counts as both.
func readOffer(text string, want string) (*offer, error) {
	var d sdp.SessionDescription
	if err := d.UnmarshalString(text); err != nil {
		return nil, errBadSDP.Because(err)
	}
	if !strings.HasPrefix(text, "v=0\r\n") {
		return nil, errBadSDP.Because(errors.New("no version line"))
	}
	if len(d.MediaDescriptions) > maxMedia {
		return nil, errTooManyMedia
	}
	o := &offer{all: make([]mediaLine, len(d.MediaDescriptions))}
	_, o.mixed = d.Attribute("extmap-allow-mixed")
	seen := make(map[stream.Label]int)
	common := false
	for i, m := range d.MediaDescriptions {
		l := &o.all[i]
		l.read(&d, m, i, want)
		if !l.wanted {
			continue
		}
		l.label = label(l.kind, seen)
		common = common || len(l.codecs) > 0
		o.lines = append(o.lines, l)
	}
	if len(o.lines) == 0 {
		return nil, errNoMedia
	}
	if !common {
		return nil, errNoCodec
	}
	return o, o.readTransport(&d)
}

// readTransport reads how the client connects. All m-lines are bundled, so the
// first one's word counts.
func (o *offer) readTransport(d *sdp.SessionDescription) error {
	get := func(key string) string {
		for _, m := range d.MediaDescriptions {
			if v, ok := m.Attribute(key); ok {
				return v
			}
		}
		v, _ := d.Attribute(key)
		return v
	}
	o.ice = transport.Credentials{Ufrag: get("ice-ufrag"), Pwd: get("ice-pwd")}
	if o.ice.Ufrag == "" || o.ice.Pwd == "" {
		return errBadSDP.Because(errors.New("no ICE credentials"))
	}
	hash, value, ok := strings.Cut(get("fingerprint"), " ")
	if !ok {
		return errBadSDP.Because(errors.New("no DTLS fingerprint"))
	}
	o.fingerprint = transport.Fingerprint{Hash: hash, Value: strings.TrimSpace(value)}
	o.passive = get("setup") == "passive"
	return nil
}

// read fills the m-line.
func (l *mediaLine) read(d *sdp.SessionDescription, m *sdp.MediaDescription, index int, want string) {
	l.what, l.proto, l.first = m.MediaName.Media, strings.Join(m.MediaName.Protos, "/"), "0"
	if len(m.MediaName.Formats) > 0 {
		l.first = m.MediaName.Formats[0]
	}
	if l.mid, _ = m.Attribute("mid"); l.mid == "" {
		l.mid = strconv.Itoa(index)
	}
	switch l.what {
	case "video":
		l.kind = media.Video
	case "audio":
		l.kind = media.Audio
	default:
		return
	}
	dir := direction(d, m)
	l.wanted = dir == want || dir == "sendrecv"
	_, l.rsize = m.Attribute("rtcp-rsize")
	for _, a := range m.Attributes {
		switch a.Key {
		case "rid":
			if f := strings.Fields(a.Value); len(f) >= 2 && f[1] == "send" {
				l.rids = append(l.rids, f[0])
			}
		case "extmap":
			l.readExtension(a.Value)
		}
	}
	l.readSSRCs(m)
	l.readCodecs(m)
}

// readSSRCs notes which SSRCs the client announces, in pairs where one repairs
// the other (RFC 5576 section 4.2, RFC 4588 section 8.2).
func (l *mediaLine) readSSRCs(m *sdp.MediaDescription) {
	l.pairs = make(map[uint32]uint32)
	repair := make(map[uint32]bool)
	for _, a := range m.Attributes {
		f := strings.Fields(a.Value)
		if a.Key != "ssrc-group" || len(f) != 3 || f[0] != "FID" {
			continue
		}
		base, err1 := strconv.ParseUint(f[1], 10, 32)
		rtx, err2 := strconv.ParseUint(f[2], 10, 32)
		if err1 == nil && err2 == nil {
			l.pairs[uint32(base)], repair[uint32(rtx)] = uint32(rtx), true
		}
	}
	for _, a := range m.Attributes {
		first, _, _ := strings.Cut(a.Value, " ")
		ssrc, err := strconv.ParseUint(first, 10, 32)
		if a.Key != "ssrc" || err != nil || repair[uint32(ssrc)] {
			continue
		}
		if _, known := l.pairs[uint32(ssrc)]; !known {
			l.pairs[uint32(ssrc)] = 0
		}
	}
}

func (l *mediaLine) readExtension(value string) {
	f := strings.Fields(value)
	if len(f) < 2 {
		return
	}
	id, _, _ := strings.Cut(f[0], "/")
	n, err := strconv.ParseUint(id, 10, 8)
	if err != nil || n < 1 || n > 14 {
		return // those of two bytes are left to others
	}
	if l.types.learn(f[1], uint8(n), l.kind) {
		l.exts = append(l.exts, extension{uint8(n), f[1]})
	}
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

// readCodecs notes which of our codecs the m-line offers, and how.
func (l *mediaLine) readCodecs(m *sdp.MediaDescription) {
	names, fmtp, feedback := make(map[string]string), make(map[string]string), make(map[string][]string)
	for _, a := range m.Attributes {
		pt, rest, ok := strings.Cut(a.Value, " ")
		if !ok {
			continue
		}
		switch a.Key {
		case "rtpmap":
			names[pt] = rest
		case "fmtp":
			fmtp[pt] = rest
		case "rtcp-fb":
			feedback[pt] = append(feedback[pt], rest)
		}
	}
	repairs := make(map[string]uint8) // by the payload type repaired
	for pt, name := range names {
		if n, err := strconv.ParseUint(pt, 10, 7); err == nil && strings.EqualFold(name, "rtx/90000") {
			if apt, ok := parameter(fmtp[pt], "apt"); ok {
				repairs[apt] = uint8(n)
			}
		}
	}
	for _, pt := range m.MediaName.Formats {
		n, err := strconv.ParseUint(pt, 10, 7)
		if err != nil {
			continue
		}
		codec := codecOf(l.kind, names[pt], fmtp[pt])
		if codec == 0 {
			continue
		}
		c := codecLine{codec: codec, pt: uint8(n), name: names[pt], fmtp: answerFmtp(codec, fmtp[pt]), rtx: repairs[pt]}
		for _, fb := range ourFeedback(l.kind) {
			if slices.Contains(feedback[pt], fb) || slices.Contains(feedback["*"], fb) {
				c.feedback = append(c.feedback, fb)
			}
		}
		l.codecs = append(l.codecs, c)
	}
	l.types.use(l.codecs)
}

// without takes a codec out, where another remains.
func (l *mediaLine) without(c media.Codec) {
	if rest := slices.DeleteFunc(slices.Clone(l.codecs), func(o codecLine) bool { return o.codec == c }); len(rest) > 0 {
		l.codecs = rest
		l.types.use(rest)
	}
}

// parameter returns one parameter of an a=fmtp line.
func parameter(fmtp, key string) (string, bool) {
	for p := range strings.SplitSeq(fmtp, ";") {
		if k, v, ok := strings.Cut(strings.TrimSpace(p), "="); ok && strings.EqualFold(k, key) {
			return v, true
		}
	}
	return "", false
}
