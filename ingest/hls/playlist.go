// Package hls pulls HTTP Live Streaming (RFC 8216): it follows a playlist and hands
// out the segments of transport stream in order. It decides nothing about the bytes
// in them. Everything that a server may lie about is bounded.
package hls

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	// maxPlaylist is the longest playlist that is read: a day of segments is shorter.
	maxPlaylist = 1 << 20
	// maxSegments is how many segments of a playlist are kept: the newest.
	maxSegments = 20_000
	// Target durations outside of these are not believed.
	minTarget, maxTarget = time.Second, 60 * time.Second
)

// Errors of Parse.
var (
	// ErrNotPlaylist: it does not begin with #EXTM3U.
	ErrNotPlaylist = errors.New("not a playlist")
	errTooLong     = fmt.Errorf("the playlist is longer than %d bytes", maxPlaylist)
)

// Playlist is a playlist of segments, or of variants when it has any.
type Playlist struct {
	Variants []Variant
	Segments []Segment
	Sequence uint64 // of the first segment
	Target   time.Duration
	Ended    bool // no segment will be added
	// Foreign says why a plain reader of transport streams cannot play it; empty: it can.
	Foreign string

	audio     map[string]*url.URL // of a group of sounds that come apart
	elsewhere bool                // something in it is at another host
}

// Variant is one rendition of a programme.
type Variant struct {
	URL       *url.URL
	Bandwidth int      // bits a second at most
	Audio     *url.URL // its sound, when that comes apart
	group     string
}

// Segment is a piece of a programme.
type Segment struct {
	URL           *url.URL
	Sequence      uint64
	Discontinuity bool  // it does not continue the one before
	Offset        int64 // in the resource
	Length        int64 // of the part; 0: the whole
}

// Parse reads a playlist that came from an address.
func Parse(b []byte, from *url.URL) (*Playlist, error) {
	if len(b) > maxPlaylist {
		return nil, errTooLong
	}
	text := strings.TrimPrefix(string(b), "\ufeff")
	if !strings.HasPrefix(text, "#EXTM3U") {
		return nil, ErrNotPlaylist
	}
	p := parser{from: from, out: &Playlist{Target: 10 * time.Second, audio: map[string]*url.URL{}}}
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		if strings.HasPrefix(line, "#") {
			p.tag(line)
			continue
		}
		if err := p.address(line); err != nil {
			return nil, err
		}
	}
	o := p.out
	for i := range o.Variants {
		o.Variants[i].Audio = o.audio[o.Variants[i].group]
	}
	if drop := len(o.Segments) - maxSegments; drop > 0 {
		o.Segments = o.Segments[drop:]
		o.Sequence += uint64(drop)
	}
	for i := range o.Segments {
		o.Segments[i].Sequence = o.Sequence + uint64(i)
	}
	o.Target = min(max(o.Target, minTarget), maxTarget)
	return o, nil
}

type parser struct {
	from          *url.URL
	out           *Playlist
	variant       *Variant
	discontinuity bool
	length        int64
	offset        int64
	end           int64 // of the last part: where the next begins when it does not say
}

func (p *parser) tag(line string) {
	name, value, _ := strings.Cut(line, ":")
	switch name {
	case "#EXT-X-TARGETDURATION":
		if n, err := strconv.Atoi(strings.TrimSpace(value)); err == nil && n > 0 && n < 1<<20 {
			p.out.Target = time.Duration(n) * time.Second
		}
	case "#EXT-X-MEDIA-SEQUENCE":
		// Half of the numbers is room enough for what is added to it.
		if n, err := strconv.ParseUint(strings.TrimSpace(value), 10, 63); err == nil {
			p.out.Sequence = n
		}
	case "#EXT-X-ENDLIST":
		p.out.Ended = true
	case "#EXT-X-DISCONTINUITY":
		p.discontinuity = true
	case "#EXT-X-BYTERANGE":
		p.byteRange(value)
	case "#EXT-X-MAP":
		p.out.Foreign = "fragmented MP4"
		p.note(attributes(value)["URI"])
	case "#EXT-X-KEY":
		if a := attributes(value); a["METHOD"] != "NONE" {
			p.out.Foreign = "encrypted segments"
			p.note(a["URI"])
		}
	case "#EXT-X-STREAM-INF":
		a := attributes(value)
		n, _ := strconv.Atoi(a["BANDWIDTH"]) // 0 is the least
		p.variant = &Variant{Bandwidth: max(n, 0), group: a["AUDIO"]}
	case "#EXT-X-MEDIA":
		p.media(attributes(value))
	}
}

// note looks at an address that we do not load ourselves.
func (p *parser) note(ref string) {
	if _, err := p.resolve(ref); err != nil {
		p.out.elsewhere = true
	}
}

// media notes the sound of a group: its default, else its first.
func (p *parser) media(a map[string]string) {
	if a["TYPE"] != "AUDIO" || a["URI"] == "" {
		return
	}
	u, err := p.resolve(a["URI"])
	if err != nil {
		return
	}
	if p.out.audio[a["GROUP-ID"]] == nil || a["DEFAULT"] == "YES" {
		p.out.audio[a["GROUP-ID"]] = u
	}
}

// byteRange reads "length[@offset]".
func (p *parser) byteRange(value string) {
	length, offset, given := strings.Cut(strings.TrimSpace(value), "@")
	n, err := strconv.ParseInt(length, 10, 62)
	if err != nil || n <= 0 {
		return
	}
	p.length, p.offset = n, p.end
	if o, err := strconv.ParseInt(offset, 10, 62); given && err == nil && o >= 0 {
		p.offset = o
	}
}

// address takes a line that is no tag.
func (p *parser) address(line string) error {
	u, err := p.resolve(line)
	if err != nil {
		return err
	}
	if p.variant != nil {
		p.variant.URL = u
		p.out.Variants = append(p.out.Variants, *p.variant)
		p.variant = nil
		return nil
	}
	p.out.Segments = append(p.out.Segments, Segment{
		URL: u, Discontinuity: p.discontinuity, Offset: p.offset, Length: p.length,
	})
	p.end = p.offset + p.length
	p.discontinuity, p.offset, p.length = false, 0, 0
	return nil
}

// resolve makes an address of a playlist absolute. It may lead to another host, but
// not out of the web: a playlist must not make us read our own files.
func (p *parser) resolve(ref string) (*url.URL, error) {
	u, err := p.from.Parse(ref)
	if err != nil {
		return nil, errors.New("an address in the playlist is not a URL")
	}
	if u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("an address in the playlist has the scheme %q", u.Scheme)
	}
	switch {
	case u.Host != p.from.Host || u.Scheme != p.from.Scheme:
		p.out.elsewhere = true
	case u.User == nil:
		u.User = p.from.User
	}
	return u, nil
}

// Best returns the variant of the highest rate that is within a limit, in bits a
// second (0: none), else the lowest.
func (p *Playlist) Best(limit int) Variant {
	best := p.Variants[0]
	for _, v := range p.Variants[1:] {
		fits, bestFits := limit == 0 || v.Bandwidth <= limit, limit == 0 || best.Bandwidth <= limit
		switch {
		case fits && (!bestFits || v.Bandwidth > best.Bandwidth),
			!fits && !bestFits && v.Bandwidth < best.Bandwidth:
			best = v
		}
	}
	return best
}

// attributes reads an attribute list (RFC 8216 4.2): KEY=value,KEY="text, with commas".
func attributes(s string) map[string]string {
	m := make(map[string]string)
	for s != "" {
		key, rest, ok := strings.Cut(s, "=")
		if !ok {
			break
		}
		var v string
		if quoted, is := strings.CutPrefix(rest, `"`); is {
			v, rest, _ = strings.Cut(quoted, `"`)
			_, rest, _ = strings.Cut(rest, ",")
		} else {
			v, rest, _ = strings.Cut(rest, ",")
		}
		m[strings.TrimSpace(key)] = strings.TrimSpace(v)
		s = rest
	}
	return m
}
