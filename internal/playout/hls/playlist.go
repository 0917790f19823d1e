package hls

import (
	"fmt"
	"math"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// part is one partial segment.
type part struct {
	duration    time.Duration
	independent bool // begins with a picture at which decoding can start
	data        []byte
}

// segment is one segment; the newest of a window may still be open.
type segment struct {
	number        uint64
	serial        uint64    // the same in all outputs of a session
	init          int       // which initialisation segment it needs
	discontinuity bool      // differs from the one before in more than content
	wall          time.Time // when its first frame reached us
	parts         []part
	complete      bool
}

// pieces returns the bytes of the segment.
func (s *segment) pieces() [][]byte {
	out := make([][]byte, len(s.parts))
	for i := range s.parts {
		out[i] = s.parts[i].data
	}
	return out
}

func (s *segment) duration() time.Duration {
	var d time.Duration
	for i := range s.parts {
		d += s.parts[i].duration
	}
	return d
}

// window is everything that a media playlist is made of.
type window struct {
	session         string // in front of every file name, so that caches never mix two sessions or outputs
	segments        []*segment
	discontinuities uint64 // EXT-X-DISCONTINUITY-SEQUENCE: those that left the window
	longestPart     time.Duration
	longestSegment  time.Duration
	ended           bool
}

// Part names are made here and read by [parseFile].
func (w *window) initName(n int) string { return fmt.Sprintf("%s-init%d.mp4", w.session, n) }

func (w *window) segmentName(n uint64) string { return fmt.Sprintf("%s-%d.mp4", w.session, n) }

func (w *window) partName(n uint64, p int) string {
	return fmt.Sprintf("%s-%d.%d.mp4", w.session, n, p)
}

func (w *window) tsName(n uint64) string { return fmt.Sprintf("%s-%d.ts", w.session, n) }

// partsShown is how far from the end parts are listed (draft-pantos-hls-rfc8216bis
// 6.2.2: three target durations).
func (w *window) partsShown() time.Duration { return 3 * w.target() }

func (w *window) target() time.Duration {
	return max(time.Second, w.longestSegment).Round(time.Second)
}

func (w *window) partTarget() time.Duration { return max(partTarget, w.longestPart) }

// playlist returns the media playlist (draft-pantos-hls-rfc8216bis) of a window.
func playlist(w *window) string {
	var b strings.Builder
	pt := w.partTarget().Seconds()
	// Nothing in it needs a higher version: players without low latency pass over
	// what they do not know (RFC 8216 6.3.1) and take the whole segments.
	b.WriteString("#EXTM3U\n#EXT-X-VERSION:7\n")
	fmt.Fprintf(&b, "#EXT-X-TARGETDURATION:%d\n", int(math.Ceil(w.target().Seconds())))
	fmt.Fprintf(&b, "#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=%.3f\n", 3.3*pt)
	fmt.Fprintf(&b, "#EXT-X-PART-INF:PART-TARGET=%.5f\n", pt)
	if len(w.segments) == 0 {
		return b.String()
	}
	fmt.Fprintf(&b, "#EXT-X-MEDIA-SEQUENCE:%d\n", w.segments[0].number)
	fmt.Fprintf(&b, "#EXT-X-DISCONTINUITY-SEQUENCE:%d\n", w.discontinuities)

	var after time.Duration // from the end of the segment to the end of the list
	shown := len(w.segments)
	for shown > 0 && after < w.partsShown() {
		shown--
		after += w.segments[shown].duration()
	}
	init := -1
	for i, s := range w.segments {
		if s.discontinuity && i > 0 {
			b.WriteString("#EXT-X-DISCONTINUITY\n")
		}
		if s.init != init {
			init = s.init
			fmt.Fprintf(&b, "#EXT-X-MAP:URI=%q\n", w.initName(init))
		}
		if len(s.parts) > 0 {
			fmt.Fprintf(&b, "#EXT-X-PROGRAM-DATE-TIME:%s\n", s.wall.UTC().Format("2006-01-02T15:04:05.000Z"))
		}
		if i >= shown {
			for j := range s.parts {
				p := &s.parts[j]
				fmt.Fprintf(&b, "#EXT-X-PART:DURATION=%.5f,URI=%q", p.duration.Seconds(), w.partName(s.number, j))
				if p.independent {
					b.WriteString(",INDEPENDENT=YES")
				}
				b.WriteByte('\n')
			}
		}
		if s.complete {
			fmt.Fprintf(&b, "#EXTINF:%.5f,\n%s\n", s.duration().Seconds(), w.segmentName(s.number))
		}
	}
	if w.ended {
		b.WriteString("#EXT-X-ENDLIST\n")
		return b.String()
	}
	n, p := w.next()
	fmt.Fprintf(&b, "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=%q\n", w.partName(n, p))
	return b.String()
}

// oldPlaylist returns the playlist of whole segments as transport streams, which is
// all that the oldest boxes know (RFC 8216, version 3).
func oldPlaylist(w *window) string {
	var b strings.Builder
	fmt.Fprintf(&b, "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:%d\n", int(math.Ceil(w.target().Seconds())))
	first := true
	for _, s := range w.segments {
		if !s.complete {
			break
		}
		if first {
			fmt.Fprintf(&b, "#EXT-X-MEDIA-SEQUENCE:%d\n#EXT-X-DISCONTINUITY-SEQUENCE:%d\n", s.number, w.discontinuities)
		} else if s.discontinuity {
			b.WriteString("#EXT-X-DISCONTINUITY\n")
		}
		first = false
		fmt.Fprintf(&b, "#EXT-X-PROGRAM-DATE-TIME:%s\n#EXTINF:%.5f,\n%s\n",
			s.wall.UTC().Format("2006-01-02T15:04:05.000Z"), s.duration().Seconds(), w.tsName(s.number))
	}
	return b.String()
}

// next returns the segment and part that will be made next.
func (w *window) next() (number uint64, part int) {
	if len(w.segments) == 0 {
		return 0, 0
	}
	last := w.segments[len(w.segments)-1]
	if last.complete {
		return last.number + 1, 0
	}
	return last.number, len(last.parts)
}

// has reports whether the window reaches segment n, part p; p < 0 asks for the whole segment.
func (w *window) has(n uint64, p int) bool {
	number, part := w.next()
	if n != number {
		return n < number
	}
	return p >= 0 && p < part
}

// lastEpoch returns the discontinuity number of the newest segment.
func (w *window) lastEpoch() uint64 {
	n := w.discontinuities
	for i, s := range w.segments {
		if s.discontinuity && i > 0 {
			n++
		}
	}
	return n
}

// file is what a requested name means.
type file struct {
	kind    fileKind
	list    string // fileMedia: which
	session string
	out     string // of which output; empty: the first
	init    int
	number  uint64
	part    int
}

type fileKind uint8

const (
	fileMaster   fileKind = iota + 1
	fileMedia             // a media playlist
	fileOldMedia          // the one with transport streams
	fileInit
	fileSegment
	filePart
	fileTS
)

const (
	masterFile   = "index.m3u8"
	oldMediaFile = "ts.m3u8"
	listSuffix   = ".m3u8"
)

// parseFile reads the last segment of a request's path.
func parseFile(name string) (file, bool) {
	switch name {
	case masterFile:
		return file{kind: fileMaster}, true
	case oldMediaFile:
		return file{kind: fileOldMedia}, true
	}
	if list, ok := strings.CutSuffix(name, listSuffix); ok {
		return file{kind: fileMedia, list: list}, list != ""
	}
	base, whole := strings.CutSuffix(name, ".ts")
	if !whole {
		var ok bool
		if base, ok = strings.CutSuffix(name, ".mp4"); !ok {
			return file{}, false
		}
	}
	session, rest, ok := strings.Cut(base, "-")
	session, out, _ := strings.Cut(session, ".")
	if !ok || session == "" {
		return file{}, false
	}
	f := file{session: session, out: out}
	if n, isInit := strings.CutPrefix(rest, "init"); isInit && !whole {
		i, err := strconv.ParseUint(n, 10, 31)
		f.kind, f.init = fileInit, int(i)
		return f, err == nil
	}
	number, p, isPart := strings.Cut(rest, ".")
	n, err := strconv.ParseUint(number, 10, 63)
	if err != nil {
		return file{}, false
	}
	f.kind, f.number = fileSegment, n
	if whole {
		f.kind = fileTS
		return f, !isPart && out == ""
	}
	if isPart {
		i, err := strconv.ParseUint(p, 10, 31)
		f.kind, f.part = filePart, int(i)
		return f, err == nil
	}
	return f, true
}

// parseDirectives reads _HLS_msn and _HLS_part (draft-pantos-hls-rfc8216bis
// 6.2.5.2). block is false when the request does not ask to wait; part is -1 when
// a whole segment is waited for.
func parseDirectives(q url.Values) (number uint64, part int, block bool, err error) {
	msn, p := q.Get("_HLS_msn"), q.Get("_HLS_part")
	if msn == "" {
		if p != "" {
			return 0, 0, false, fmt.Errorf("_HLS_part without _HLS_msn")
		}
		return 0, 0, false, nil
	}
	number, err = strconv.ParseUint(msn, 10, 63)
	if err != nil {
		return 0, 0, false, fmt.Errorf("_HLS_msn: %w", err)
	}
	if p == "" {
		return number, -1, true, nil
	}
	i, err := strconv.ParseUint(p, 10, 31)
	if err != nil {
		return 0, 0, false, fmt.Errorf("_HLS_part: %w", err)
	}
	return number, int(i), true, nil
}
