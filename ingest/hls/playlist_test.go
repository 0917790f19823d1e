package hls

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"
)

func address(t testing.TB, s string) *url.URL {
	t.Helper()
	u, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestPlaylistsAreRead(t *testing.T) {
	from := address(t, "http://u:p@tv.example/live/a.m3u8?token=1")
	p, err := Parse([]byte("\ufeff#EXTM3U\r\n#EXT-X-VERSION:4\r\n#EXT-X-TARGETDURATION:6\r\n#EXT-X-MEDIA-SEQUENCE:41\r\n"+
		"#EXTINF:6.0,Title, with comma\r\nseg41.ts\r\n\r\n#EXT-X-DISCONTINUITY\r\n#EXTINF:6\r\n/abs/seg42.ts?x=1\r\n"+
		"#EXT-X-BYTERANGE:1000@500\r\nall.ts\r\n#EXT-X-BYTERANGE:200\r\nall.ts\r\n#EXTINF:6\r\nhttp://127.0.0.1/seg45.ts\r\n#EXT-X-ENDLIST\r\n"), from)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"41 http://u:p@tv.example/live/seg41.ts false 0+0", "42 http://u:p@tv.example/abs/seg42.ts?x=1 true 0+0",
		"43 http://u:p@tv.example/live/all.ts false 500+1000", "44 http://u:p@tv.example/live/all.ts false 1500+200",
		"45 http://127.0.0.1/seg45.ts false 0+0",
	}
	for i, s := range p.Segments {
		if got := fmt.Sprintf("%d %s %v %d+%d", s.Sequence, s.URL, s.Discontinuity, s.Offset, s.Length); got != want[i] {
			t.Errorf("%s, want %s", got, want[i])
		}
	}
	if len(p.Segments) != len(want) || p.Target != 6*time.Second || !p.Ended || p.Foreign != "" {
		t.Errorf("%+v", p)
	}
}

func TestMasterPlaylistsGiveTheBestVariantWithinALimit(t *testing.T) {
	p, err := Parse([]byte(`#EXTM3U
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a,1",NAME="x, y",URI="en.m3u8"
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a,1",NAME="zh",DEFAULT=YES,URI="zh.m3u8"
#EXT-X-STREAM-INF:BANDWIDTH=800000,CODECS="avc1.64001f,mp4a.40.2"
low.m3u8
#EXT-X-STREAM-INF:CODECS="avc1.64001f,mp4a.40.2",BANDWIDTH=5000000,AUDIO="a,1"
high.m3u8
#EXT-X-STREAM-INF:BANDWIDTH=2000000
mid.m3u8
`), address(t, "http://h/m.m3u8"))
	if err != nil {
		t.Fatal(err)
	}
	for limit, want := range map[int]string{0: "high", 5_000_000: "high", 4_999_999: "mid", 2_000_000: "mid", 900_000: "low", 1: "low"} {
		v := p.Best(limit)
		if !strings.Contains(v.URL.Path, want) {
			t.Errorf("within %d: %s", limit, v.URL)
		}
		if want == "high" && (v.Audio == nil || v.Audio.Path != "/zh.m3u8") || want != "high" && v.Audio != nil {
			t.Errorf("sound of %s: %v", want, v.Audio)
		}
	}
}

func TestPlaylistsThatLieAreBounded(t *testing.T) {
	from := address(t, "http://h/a.m3u8")
	for name, text := range map[string]string{
		"a page": "<html>", "empty": "", "our own files": "#EXTM3U\nfile:///etc/passwd\n", "another protocol": "#EXTM3U\ngopher://h/a.ts\n",
		"no URL": "#EXTM3U\nhttp://[::1\n", "too long": "#EXTM3U\n" + strings.Repeat("#\n", maxPlaylist),
	} {
		if p, err := Parse([]byte(text), from); err == nil {
			t.Errorf("%s: %+v", name, p)
		}
	}
	if _, err := Parse([]byte("<html>"), from); !errors.Is(err, ErrNotPlaylist) {
		t.Error(err)
	}
	p, err := Parse([]byte("#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:9223372036854775807\n#EXT-X-TARGETDURATION:99999999999\n"+
		"#EXT-X-BYTERANGE:-5@-9\n"+strings.Repeat("s\n", maxSegments+5)), from)
	if err != nil || len(p.Segments) != maxSegments || p.Segments[0].Sequence != 9223372036854775807+5 || p.Target > maxTarget || p.Segments[0].Length != 0 {
		t.Errorf("%v", err)
	}
	for text, want := range map[string]string{
		"#EXT-X-MAP:URI=\"init.mp4\"": "fragmented MP4", "#EXT-X-KEY:METHOD=AES-128,URI=\"k\"": "encrypted segments", "#EXT-X-KEY:METHOD=NONE": "",
	} {
		p, err := Parse([]byte("#EXTM3U\n"+text+"\ns.ts\n"), from)
		if err != nil || p.Foreign != want {
			t.Errorf("%s: %q %v", text, p.Foreign, err)
		}
	}
}

func TestAPasswordIsForOneHostOnly(t *testing.T) {
	from := address(t, "https://u:p@h/a.m3u8")
	for text, elsewhere := range map[string]bool{
		"a.ts": false, "https://h/a.ts": false, "https://g/a.ts": true, "http://h/a.ts": true, "//g/a.ts": true,
		"#EXT-X-MAP:URI=\"https://g/init.mp4\"\na.ts": true, "#EXT-X-MAP:URI=\"init.mp4\"\na.ts": false, "#EXT-X-KEY:METHOD=AES-128,URI=\"file:///k\"\na.ts": true,
	} {
		p, err := Parse([]byte("#EXTM3U\n"+text), from)
		if err != nil || p.elsewhere != elsewhere {
			t.Errorf("%s: %v %v", text, p, err)
			continue
		}
		if s := p.Segments[0].URL; (s.User != nil) != (s.Host == "h" && s.Scheme == "https") {
			t.Errorf("%s becomes %s", text, s)
		}
	}
}

func TestTheWindowMovesOn(t *testing.T) {
	begin := time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)
	list := func(from uint64, n int) *Playlist {
		p := &Playlist{Sequence: from, Target: 6 * time.Second}
		for i := range n {
			p.Segments = append(p.Segments, Segment{Sequence: from + uint64(i)})
		}
		return p
	}
	ended := list(0, 5)
	ended.Ended = true
	text := func(list []Segment) string {
		var b strings.Builder
		for _, s := range list {
			if s.Discontinuity {
				b.WriteString("| ")
			}
			fmt.Fprintf(&b, "%d ", s.Sequence)
		}
		return b.String()
	}
	for name, tc := range map[string]struct {
		lists []*Playlist
		want  []string
		lost  uint64
	}{
		"live is entered three from its end": {[]*Playlist{list(10, 6)}, []string{"13 14 15 "}, 0},
		"a short one at its beginning":       {[]*Playlist{list(0, 2)}, []string{"0 1 "}, 0},
		"one that ended at its beginning":    {[]*Playlist{ended}, []string{"0 1 2 3 4 "}, 0},
		"it goes on":                         {[]*Playlist{list(10, 6), list(10, 6), list(12, 6)}, []string{"13 14 15 ", "", "16 17 "}, 0},
		"segments left before we came":       {[]*Playlist{list(10, 6), list(30, 6)}, []string{"13 14 15 ", "| 30 31 32 33 34 35 "}, 14},
		"an older copy":                      {[]*Playlist{list(10, 6), list(8, 6), list(11, 6)}, []string{"13 14 15 ", "", "16 "}, 0},
		"the server began anew":              {[]*Playlist{list(100, 6), list(0, 2), list(0, 3)}, []string{"103 104 105 ", "| 0 1 ", "2 "}, 0},
		"began anew some time ago":           {[]*Playlist{list(100, 6), list(20, 6)}, []string{"103 104 105 ", "| 23 24 25 "}, 0},
		"nothing yet":                        {[]*Playlist{list(0, 0), list(0, 1)}, []string{"", "0 "}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			var w window
			for i, p := range tc.lists {
				if got := text(w.take(p, begin)); got != tc.want[i] {
					t.Errorf("playlist %d: %q, want %q", i, got, tc.want[i])
				}
			}
			if w.skipped != tc.lost {
				t.Errorf("%d missed, want %d", w.skipped, tc.lost)
			}
		})
	}
	var w window
	p := list(0, 3)
	w.take(p, begin)
	if d, stale := w.pause(p, true, begin); d != 6*time.Second || stale {
		t.Errorf("%v %v", d, stale)
	}
	w.take(p, begin.Add(31*time.Second))
	if d, stale := w.pause(p, false, begin.Add(31*time.Second)); d != 3*time.Second || !stale {
		t.Errorf("it stands still: %v %v", d, stale)
	}
}

func FuzzPlaylist(f *testing.F) {
	f.Add([]byte("#EXTM3U\n#EXT-X-TARGETDURATION:6\n#EXT-X-MEDIA-SEQUENCE:7\n#EXT-X-BYTERANGE:5@1\na.ts\n"))
	f.Add([]byte("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1,AUDIO=\"a\"\nb.m3u8\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",URI=\"c\"\n"))
	from := address(f, "http://u:p@h/x/a.m3u8")
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := Parse(b, from)
		if err != nil {
			return
		}
		if len(p.Variants) > 0 {
			p.Best(1)
		}
		var w window
		for i, s := range w.take(p, time.Unix(0, 0)) {
			if s.URL.Scheme != "http" && s.URL.Scheme != "https" || s.Offset < 0 || s.Length < 0 {
				t.Fatalf("%+v", s)
			}
			if s.URL.Host != "h" && s.URL.User != nil && s.URL.User.String() == "u:p" {
				t.Fatalf("segment %d takes our password to %s", i, s.URL.Host)
			}
		}
		if p.Target < minTarget || p.Target > maxTarget {
			t.Fatal(p.Target)
		}
	})
}
