package hls

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"tongxiang/internal/apierr"
	"tongxiang/internal/media"
	"tongxiang/internal/playout/playtest"
	"tongxiang/internal/stream"
)

type rig struct {
	t     *testing.T
	hub   *stream.Hub
	clock media.Clock
	hls   *Server
	web   *httptest.Server
}

func newRig(t *testing.T, cfg Config) *rig {
	t.Helper()
	return newRigOf(t, cfg, func(*rig) {})
}

// newRigOf does the same and lets build add to the hub before anything is opened.
func newRigOf(t *testing.T, cfg Config, build func(*rig)) *rig {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	if cfg.Authorize == nil {
		cfg.Authorize = func(*http.Request, stream.Name) error { return nil }
	}
	r := &rig{t: t, hub: stream.NewHub(log), clock: media.NewClock()}
	r.hls = New(cfg, r.hub, r.clock, log)
	build(r)
	r.web = httptest.NewServer(r.hls)
	t.Cleanup(func() {
		r.hls.Close()
		r.web.Close()
		r.hub.Close()
	})
	return r
}

func (r *rig) publish(name stream.Name, c playtest.Clip) (*stream.Publisher, []*stream.Track) {
	r.t.Helper()
	p, err := r.hub.Publish(name, false)
	if err != nil {
		r.t.Fatal(err)
	}
	return p, p.SetTracks(c.Infos())
}

func (r *rig) get(path string) (int, string, http.Header) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.web.URL+path, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return res.StatusCode, string(body), res.Header
}

func (r *rig) ok(path string) string {
	r.t.Helper()
	code, body, _ := r.get(path)
	if code != http.StatusOK {
		r.t.Fatalf("GET %s: %d %s", path, code, body)
	}
	return body
}

var (
	mapURI  = regexp.MustCompile(`#EXT-X-MAP:URI="([^"]+)"`)
	partURI = regexp.MustCompile(`#EXT-X-PART:DURATION=([0-9.]+),URI="([^"]+)"`)
	hintURI = regexp.MustCompile(`#EXT-X-PRELOAD-HINT:TYPE=PART,URI="([^"]+)"`)
)

// download joins the init and the segments that a playlist lists from the first
// occurrence of a discontinuity number, and returns the file.
func (r *rig) download(base, list string) string {
	r.t.Helper()
	var b strings.Builder
	b.WriteString(r.ok(base + mapURI.FindStringSubmatch(list)[1]))
	for line := range strings.Lines(list) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			b.WriteString(r.ok(base + line))
		}
	}
	path := filepath.Join(r.t.TempDir(), "out.mp4")
	if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
		r.t.Fatal(err)
	}
	return path
}

func TestFirstPlaylistIsMadeOfWhatTheRingHolds(t *testing.T) {
	for name, args := range map[string]string{"B-frames": playtest.BFrames, "plain": playtest.Plain} {
		t.Run(name, func(t *testing.T) {
			clip := playtest.Make(t, 8, "320x180", args)
			r := newRig(t, Config{})
			_, tracks := r.publish("channels/a", clip)
			clip.Write(tracks, r.clock)
			main := r.ok("/hls/channels/a/index.m3u8")
			if !strings.Contains(main, `CODECS="avc1.`) || !strings.Contains(main, "mp4a.40.2") || !strings.Contains(main, "RESOLUTION=320x180") {
				t.Errorf("multivariant playlist:\n%s", main)
			}
			list := r.ok("/hls/channels/a/live.m3u8")
			if n := strings.Count(list, "#EXTINF"); n < keepSegments {
				t.Errorf("%d segments, want at least %d:\n%s", n, keepSegments, list)
			}
			p := playtest.ProbeFile(t, r.download("/hls/channels/a/", list))
			if n := p.Decoded("video"); n < 150 || n%25 != 0 {
				t.Errorf("%d pictures decoded, want whole seconds of 25, six at least", n)
			}
			if n := p.Decoded("audio"); n < 6*44100/1024-2 {
				t.Errorf("%d frames of sound decoded", n)
			}
		})
	}
}

func TestBlockingReloadAnswersWithTheNextPart(t *testing.T) {
	clip := playtest.Make(t, 12, "320x180", playtest.BFrames)
	r := newRig(t, Config{})
	_, tracks := r.publish("channels/a", clip)
	half := len(clip.Frames) / 2
	first, second := clip, clip
	// A second more: enough to finish the part that is waited for, too little for
	// its segment to be listed without its parts.
	first.Frames, second.Frames = clip.Frames[:half], clip.Frames[half:half+len(clip.Frames)/12]
	first.Write(tracks, r.clock)
	base := "/hls/channels/a/"
	list := r.ok(base + "live.m3u8")
	hint := hintURI.FindStringSubmatch(list)[1]
	f, ok := parseFile(hint)
	if !ok {
		t.Fatalf("hint %q", hint)
	}
	type answer struct{ list, part string }
	got := make(chan answer)
	go func() {
		part := r.ok(base + hint)
		got <- answer{r.ok(base + "live.m3u8?_HLS_msn=" + itoa(f.number) + "&_HLS_part=" + itoa(uint64(f.part))), part}
	}()
	second.Write(tracks, r.clock)
	a := <-got
	if !strings.Contains(a.list, hint) || len(a.part) == 0 {
		t.Errorf("the list after the reload lacks %s:\n%s", hint, a.list)
	}
	for _, m := range partURI.FindAllStringSubmatch(a.list, -1) {
		if m[1] > "0.30100" {
			t.Errorf("part %s lasts %s s", m[2], m[1])
		}
	}
	if code, body, _ := r.get(base + "live.m3u8?_HLS_msn=" + itoa(f.number+1000)); code != http.StatusBadRequest {
		t.Errorf("a far future segment: %d %s", code, body)
	}
}

func itoa(n uint64) string {
	return (&window{session: "x"}).segmentName(n)[2 : len((&window{session: "x"}).segmentName(n))-4]
}

func TestLostTimeIsTakenOutOfThePlaylist(t *testing.T) {
	clip := playtest.Make(t, 4, "320x180", playtest.BFrames)
	r := newRig(t, Config{})
	pub, tracks := r.publish("channels/a", clip)
	clip.Write(tracks, r.clock)
	base := "/hls/channels/a/"
	before := r.ok(base + "live.m3u8")
	// The source is away for half a minute and comes back.
	pub.Close()
	later := clip.Shift(34*time.Second, true)
	_, tracks = r.publish("channels/a", later)
	later.Write(tracks, r.clock)
	f, _ := parseFile(hintURI.FindStringSubmatch(before)[1])
	list := r.ok(base + "live.m3u8?_HLS_msn=" + itoa(f.number+2))
	var total float64
	for line := range strings.Lines(list) {
		if d, ok := strings.CutPrefix(line, "#EXTINF:"); ok {
			total += seconds(t, strings.TrimSuffix(strings.TrimSpace(d), ","))
		}
	}
	if total > 9 || total < 5 {
		t.Errorf("the playlist lasts %.2f s, want the hole taken out:\n%s", total, list)
	}
	// At either side of the hole one picture may be missing: nothing says how long it lasted.
	if got, want := playtest.ProbeFile(t, r.download(base, list)).Decoded("video"), int(total*25)-2; got < want {
		t.Errorf("%d pictures in %.2f s, want at least %d", got, total, want)
	}
}

func TestNewParameterSetsComeWithANewInit(t *testing.T) {
	small := playtest.Make(t, 4, "320x180", playtest.Plain)
	large := playtest.Make(t, 4, "640x360", playtest.Plain).Shift(4*time.Second, false)
	r := newRig(t, Config{})
	_, tracks := r.publish("channels/a", small)
	small.Write(tracks, r.clock)
	base := "/hls/channels/a/"
	r.ok(base + "index.m3u8")
	for i, tr := range tracks {
		tr.SetFormat(large.Formats[i])
	}
	large.Write(tracks, r.clock)
	deadline := time.Now().Add(20 * time.Second)
	var list string
	for len(mapURI.FindAllString(list, -1)) < 2 || strings.Count(list, "#EXTINF") < 6 {
		if time.Now().After(deadline) {
			t.Fatalf("no second init:\n%s", list)
		}
		list = r.ok(base + "live.m3u8")
	}
	if strings.Contains(list, "#EXT-X-DISCONTINUITY\n") {
		t.Errorf("the tracks are the same, so there is no discontinuity:\n%s", list)
	}
	at := strings.LastIndex(list, "#EXT-X-MAP")
	p := playtest.ProbeFile(t, r.download(base, list[at:]))
	if p.Streams[0].Width != 640 {
		t.Errorf("after the change the picture is %d wide", p.Streams[0].Width)
	}
}

func TestTracksThatBrowsersDoNotPlayMoveToARendition(t *testing.T) {
	raw := playtest.Make(t, 4, "320x180", playtest.Broadcast)
	good := playtest.Make(t, 4, "320x180", playtest.Plain)
	r := newRig(t, Config{Resolve: func(_ context.Context, n stream.Name) (stream.Name, error) {
		return n.Rendition("hls"), nil
	}})
	r.publish("channels/a", raw)
	_, tracks := r.publish("channels/a/hls", good)
	good.Write(tracks, r.clock)
	if main := r.ok("/hls/channels/a/index.m3u8"); !strings.Contains(main, "avc1") {
		t.Errorf("multivariant playlist:\n%s", main)
	}
}

func TestRefusals(t *testing.T) {
	denied := apierr.New(http.StatusForbidden, "forbidden", "no", "否")
	r := newRig(t, Config{
		StartTimeout: 100 * time.Millisecond,
		Authorize: func(_ *http.Request, n stream.Name) error {
			if n == "channels/secret" {
				return denied
			}
			return nil
		},
		Resolve: func(_ context.Context, n stream.Name) (stream.Name, error) {
			if n == "channels/broken" {
				return "", errors.New("boom")
			}
			return n, nil
		},
	})
	for path, want := range map[string]string{
		"/hls/channels/secret/index.m3u8":                            "403 forbidden",
		"/hls/channels/none/index.m3u8":                              "404 stream_not_live",
		"/hls/channels/none/live.m3u8?_HLS_part=1":                   "400 hls_bad_request",
		"/hls/channels/none/x-1.mp4":                                 "404 hls_not_found",
		"/hls/channels/other/x-1.mp4":                                "404 hls_not_found",
		"/hls/channels/..%2f..%2fetc/passwd":                         "404 hls_not_found",
		"/hls/channels/none/notes.txt":                               "404 hls_not_found",
		"/hls/index.m3u8":                                            "404 hls_not_found",
		"/hls/channels/broken/index.m3u8":                            "500 internal",
		"/hls/channels/none/live.m3u8?_HLS_msn=99999999999999999999": "400 hls_bad_request",
	} {
		code, body, _ := r.get(path)
		if got := strings.Split(want, " "); http.StatusText(code) == "" || !strings.HasPrefix(want, itoa(uint64(code))+" ") || !strings.Contains(body, `"code":"`+got[1]+`"`) {
			t.Errorf("GET %s: %d %s, want %s", path, code, body, want)
		}
	}
}
