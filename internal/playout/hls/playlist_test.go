package hls

import (
	"log/slog"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"tongxiang/internal/media"
)

func seconds(t *testing.T, s string) float64 {
	t.Helper()
	v, err := strconv.ParseFloat(s, 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestPlaylistText(t *testing.T) {
	ms := time.Millisecond
	wall := time.Date(2026, 11, 24, 8, 0, 0, 250e6, time.FixedZone("CST", 8*3600))
	w := &window{
		session: "s", discontinuities: 4, longestPart: 300 * ms, longestSegment: time.Second,
		segments: []*segment{
			{number: 7, wall: wall, complete: true, discontinuity: true, parts: []part{{duration: time.Second, independent: true}}},
			{number: 8, wall: wall, complete: true, parts: []part{{duration: time.Second, independent: true}}},
			{number: 9, wall: wall, complete: true, parts: []part{{duration: time.Second, independent: true}}},
			{number: 10, wall: wall, complete: true, init: 1, discontinuity: true, parts: []part{{duration: 600 * ms, independent: true}, {duration: 400 * ms}}},
			{number: 11, wall: wall, init: 1, parts: []part{{duration: 300 * ms, independent: true}}},
		},
	}
	const want = `#EXTM3U
#EXT-X-VERSION:7
#EXT-X-TARGETDURATION:1
#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=0.990
#EXT-X-PART-INF:PART-TARGET=0.30000
#EXT-X-MEDIA-SEQUENCE:7
#EXT-X-DISCONTINUITY-SEQUENCE:4
#EXT-X-MAP:URI="s-init0.mp4"
#EXT-X-PROGRAM-DATE-TIME:2026-11-24T00:00:00.250Z
#EXTINF:1.00000,
s-7.mp4
#EXT-X-PROGRAM-DATE-TIME:2026-11-24T00:00:00.250Z
#EXT-X-PART:DURATION=1.00000,URI="s-8.0.mp4",INDEPENDENT=YES
#EXTINF:1.00000,
s-8.mp4
#EXT-X-PROGRAM-DATE-TIME:2026-11-24T00:00:00.250Z
#EXT-X-PART:DURATION=1.00000,URI="s-9.0.mp4",INDEPENDENT=YES
#EXTINF:1.00000,
s-9.mp4
#EXT-X-DISCONTINUITY
#EXT-X-MAP:URI="s-init1.mp4"
#EXT-X-PROGRAM-DATE-TIME:2026-11-24T00:00:00.250Z
#EXT-X-PART:DURATION=0.60000,URI="s-10.0.mp4",INDEPENDENT=YES
#EXT-X-PART:DURATION=0.40000,URI="s-10.1.mp4"
#EXTINF:1.00000,
s-10.mp4
#EXT-X-PROGRAM-DATE-TIME:2026-11-24T00:00:00.250Z
#EXT-X-PART:DURATION=0.30000,URI="s-11.0.mp4",INDEPENDENT=YES
#EXT-X-PRELOAD-HINT:TYPE=PART,URI="s-11.1.mp4"
`
	if got := playlist(w); got != want {
		t.Errorf("got\n%s", got)
	}
}

func TestNamesAreReadBackAsTheyWereMade(t *testing.T) {
	w := &window{session: "m3x"}
	for name, want := range map[string]file{
		w.initName(3):        {kind: fileInit, session: "m3x", init: 3},
		w.segmentName(9):     {kind: fileSegment, session: "m3x", number: 9},
		w.partName(1<<40, 2): {kind: filePart, session: "m3x", number: 1 << 40, part: 2},
		w.tsName(9):          {kind: fileTS, session: "m3x", number: 9},
		"m3x.audio2-7.1.mp4": {kind: filePart, session: "m3x", out: "audio2", number: 7, part: 1},
		masterFile:           {kind: fileMaster},
		oldMediaFile:         {kind: fileOldMedia},
		"live.m3u8":          {kind: fileMedia, list: "live"},
		"audio2.m3u8":        {kind: fileMedia, list: "audio2"},
	} {
		if got, ok := parseFile(name); !ok || got != want {
			t.Errorf("%s: %+v %v, want %+v", name, got, ok, want)
		}
	}
}

func TestTimelineHasNoHoles(t *testing.T) {
	s := func(v float64) media.Time { return media.Time(v * float64(time.Second)) }
	for _, c := range []struct {
		name  string
		lead  []float64 // decode times
		gaps  int
		end   float64 // mapped time of the last
		other float64 // a frame of another track, and where it goes
		at    float64
	}{
		{"steady", []float64{100, 100.04, 100.08}, 0, 10.08, 100.06, 10.06},
		{"a hole of 30 s", []float64{100, 100.04, 130.04}, 1, 10.08, 130.10, 10.14},
		{"sound from before the hole", []float64{100, 100.04, 130.04}, 1, 10.08, 100.06, 10.06},
		{"back by an hour", []float64{5000, 5000.04, 1400}, 1, 10.08, 1400.02, 10.10},
		{"a short pause stays", []float64{100, 100.04, 100.44}, 0, 10.44, 100.40, 10.40},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := follower{line: new(timeline)}
			gaps := 0
			var end media.Time
			for _, v := range c.lead {
				if f.lead(s(v), time.Unix(0, 0)) {
					gaps++
				}
				end = s(v) + f.line.shift(s(v))
			}
			if gaps != c.gaps || (end-s(c.end)).Sub(0).Abs() > time.Microsecond {
				t.Errorf("%d gaps, end at %v", gaps, end.Sub(0))
			}
			if at := s(c.other) + f.line.shift(s(c.other)); (at - s(c.at)).Sub(0).Abs() > time.Microsecond {
				t.Errorf("the other track's frame is at %v, want %v", at.Sub(0), c.at)
			}
		})
	}
}

func TestRenditionsOfAStreamShareItsTimeline(t *testing.T) {
	s := func(v float64) media.Time { return media.Time(v * float64(time.Second)) }
	wall := func(v float64) time.Time { return time.Unix(1000, 0).Add(time.Duration(v * float64(time.Second))) }
	line := new(timeline)
	full, low := &follower{line: line}, &follower{line: line}
	lead := func(f *follower, at float64) media.Time {
		f.lead(s(at), wall(at))
		return s(at) + line.shift(s(at))
	}
	lead(full, 100)
	lead(full, 100.04)
	if at := lead(low, 100.04); at != s(10.04) {
		t.Errorf("the second session is at %v", at.Sub(0))
	}
	// The source is away for half a minute: both take it out, once.
	for _, at := range []float64{100.08, 130.08, 130.12} {
		lead(full, at)
	}
	if at := lead(low, 100.08); at != s(10.08) {
		t.Errorf("before the hole the second session is at %v", at.Sub(0))
	}
	if at := lead(low, 130.12); (at - s(10.16)).Sub(0).Abs() > time.Microsecond {
		t.Errorf("behind the hole the second session is at %v", at.Sub(0))
	}
	// The transcoder is away while the source goes on: the place is the source's.
	for at := 130.16; at < 136; at += 0.04 {
		lead(full, at)
	}
	if at := lead(low, 135.12); (at - s(15.16)).Sub(0).Abs() > time.Microsecond {
		t.Errorf("after its own hole the second session is at %v", at.Sub(0))
	}
	for _, at := range []float64{100.04, 130.12, 135.12} {
		if d := line.date(s(at), wall(at)).Sub(wall(at)).Abs(); d > time.Millisecond {
			t.Errorf("the date of %v is off by %v", at, d)
		}
	}
	if d := line.date(s(135.12), wall(145.12)).Sub(wall(135.12)); d != slew {
		t.Errorf("one late frame moves the date by %v, want %v", d, slew)
	}
	for range 3 * maxSpans {
		line.hole(s(200), s(300), wall(300))
	}
	if len(line.spans) > maxSpans {
		t.Errorf("%d spans are kept", len(line.spans))
	}
}

func FuzzParseFile(f *testing.F) {
	for _, s := range []string{masterFile, oldMediaFile, "live.m3u8", "s-1.ts", "s.audio2-1.2.mp4", "s-1.mp4", "s-1.2.mp4", "s-init0.mp4", "-1.mp4", "s-1..mp4", "s-99999999999999999999.mp4"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, ok := parseFile(s)
		if ok && (got.number > 1<<63 || got.part < 0 || got.init < 0) {
			t.Errorf("%q: %+v", s, got)
		}
	})
}

func FuzzParseDirectives(f *testing.F) {
	for _, s := range []string{"", "_HLS_msn=3", "_HLS_msn=3&_HLS_part=1", "_HLS_part=1", "_HLS_msn=-1", "_HLS_msn=%ff", "_HLS_skip=YES"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		q, err := url.ParseQuery(s)
		if err != nil {
			return
		}
		_, part, block, err := parseDirectives(q)
		if err == nil && block != (q.Get("_HLS_msn") != "") {
			t.Errorf("%q: block %v", s, block)
		}
		if part < -1 || strings.Contains(q.Get("_HLS_msn"), "-") && block {
			t.Errorf("%q: part %d block %v", s, part, block)
		}
	})
}

func TestDiscontinuityNumbersStaySmallAndRiseOverSessions(t *testing.T) {
	for _, at := range []time.Time{{}, time.Unix(0, 0), time.Now(), time.Now().AddDate(50, 0, 0)} {
		if n := firstEpoch(at); n >= 4096 {
			t.Errorf("%v gives %d; players keep arrays by it", at, n)
		}
	}
	s := New(Config{}, nil, media.NewClock(), slog.New(slog.DiscardHandler))
	s.epoch = 7
	line := s.enter("channels/a")
	x := newSession(s, "channels/a", line)
	x.mux.tracks([]track{{"video", media.Format{Codec: media.H264}}})
	x.mux.outs[0].win.segments = []*segment{{discontinuity: false}, {discontinuity: true}}
	if n := x.lastEpoch(); n != 8 {
		t.Errorf("the newest segment has %d, want 8", n)
	}
	if low := s.enter("channels/a/hls-350"); low != line {
		t.Error("a rendition has a timeline of its own")
	}
	if programme := s.enter("meetings/m/programme/hls"); programme != s.lines["meetings/m/programme"] || programme.epoch != 8 {
		t.Errorf("another stream begins with %d", programme.epoch)
	}
	s.leave("channels/a", line, x.lastEpoch())
	if s.leave("channels/a/hls-350", line, 7); len(s.lines) != 1 || s.epoch != 9 {
		t.Errorf("%d timelines are left, the next number is %d", len(s.lines), s.epoch)
	}
}
