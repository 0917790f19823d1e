package sfu

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"tongxiang/internal/stream"
)

//go:embed testdata/page.html
var testPage []byte

// page is one tab of a real Chromium with fake devices, on a node's origin.
type page struct {
	t   *testing.T
	ctx context.Context
}

// stat is one entry of getStats: those fields that tests look at.
type stat struct {
	Type, Kind, Rid, Mid       string
	SRTPCipher                 string  `json:"srtpCipher"`
	AvailableOutgoingBitrate   float64 `json:"availableOutgoingBitrate"`
	FramesDecoded, FramesSent  int
	FramesDropped, FreezeCount int
	FrameHeight                int
	PacketsReceived            int
	PacketsLost                int
	Nominated                  bool
	TotalAudioEnergy           float64
}

// browse opens the test page. It skips where no Chromium is installed.
func browse(t *testing.T, n *node) *page {
	t.Helper()
	var path string
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if p, err := exec.LookPath(name); err == nil {
			path = p
			break
		}
	}
	if path == "" {
		t.Skip("no Chromium is installed; make test installs it")
	}
	mux := http.NewServeMux()
	mux.Handle("/whip/", n.eng.Handler())
	mux.Handle("/whep/", n.eng.Handler())
	mux.HandleFunc("/{$}", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(testPage) })
	srv := httptest.NewServer(mux)
	opts := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]),
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("use-fake-device-for-media-stream", true), chromedp.Flag("use-fake-ui-for-media-stream", true),
		chromedp.Flag("disable-quic", true), chromedp.Flag("autoplay-policy", "no-user-gesture-required"),
		// A tab in the background would be slowed down.
		chromedp.Flag("disable-background-timer-throttling", true), chromedp.Flag("disable-renderer-backgrounding", true),
	)
	ctx, cancelAll := context.WithTimeout(context.Background(), 4*patience)
	ctx, cancelAlloc := chromedp.NewExecAllocator(ctx, opts...)
	ctx, cancel := chromedp.NewContext(ctx, chromedp.WithErrorf(func(string, ...any) {})) // it complains of events that are newer than it
	t.Cleanup(func() {
		cancel()
		cancelAlloc()
		cancelAll()
		srv.Close()
	})
	if err := chromedp.Run(ctx, chromedp.Navigate(srv.URL+"/")); err != nil {
		t.Fatalf("open the page: %v", err)
	}
	return &page{t, ctx}
}

// call runs an async function of the page and stores its result.
func (p *page) call(result any, function string, args ...any) {
	p.t.Helper()
	list := ""
	for i, a := range args {
		b, err := json.Marshal(a)
		if err != nil {
			p.t.Fatal(err)
		}
		if i > 0 {
			list += ","
		}
		list += string(b)
	}
	var text string
	js := fmt.Sprintf("(async()=>JSON.stringify(await %s(%s) ?? null))()", function, list)
	if err := chromedp.Run(p.ctx, chromedp.Evaluate(js, &text, chromedp.EvalAsValue, awaitPromise)); err != nil {
		p.t.Fatalf("%s: %v", function, err)
	}
	if result != nil {
		if err := json.Unmarshal([]byte(text), result); err != nil {
			p.t.Fatalf("%s: %v", function, err)
		}
	}
}

func (p *page) stats(key string) []stat {
	p.t.Helper()
	var out []stat
	p.call(&out, "stats", key)
	return out
}

func (p *page) find(key string, fits func(stat) bool) (stat, bool) {
	p.t.Helper()
	for _, s := range p.stats(key) {
		if fits(s) {
			return s, true
		}
	}
	return stat{}, false
}

type encoding struct {
	RID   string  `json:"rid,omitempty"`
	Scale float64 `json:"scaleResolutionDownBy,omitempty"`
	Max   int     `json:"maxBitrate,omitempty"`
}

type camera struct {
	Width     int        `json:"width"`
	Height    int        `json:"height"`
	Encodings []encoding `json:"encodings"`
	Codec     string     `json:"codec"`
}

var threeLayers = []encoding{{"q", 4, 150_000}, {"h", 2, 500_000}, {"f", 1, 1_500_000}}

// inbound returns the statistics of a video m-line.
func inbound(mid string) func(stat) bool {
	return func(s stat) bool { return s.Type == "inbound-rtp" && s.Kind == "video" && s.Mid == mid }
}

func TestChromium(t *testing.T) {
	n := newNode(t, nil)
	room := n.eng.Room("1")
	log := follow(room)
	p := browse(t, n)
	var size string
	p.call(&size, "publish", "/whip/meetings/1", "a", camera{1280, 720, threeLayers, "video/H264"})
	if size != "1280x720" {
		t.Fatalf("the fake camera is %s", size)
	}

	t.Run("NegotiatesGCMToPublish", func(t *testing.T) {
		s, _ := p.find("a", func(s stat) bool { return s.Type == "transport" })
		if !strings.HasSuffix(s.SRTPCipher, "AEAD_AES_128_GCM") {
			t.Errorf("srtpCipher %q", s.SRTPCipher)
		}
	})

	t.Run("RaisesItsBitrateByOurFeedback", func(t *testing.T) {
		// Without feedback it stays at 98,304 bit/s and sends the lowest layer only.
		until(t, "more than a start's bitrate", func() bool {
			s, _ := p.find("a", func(s stat) bool { return s.Type == "candidate-pair" && s.Nominated })
			return s.AvailableOutgoingBitrate > 600_000
		})
	})

	t.Run("SendsThreeLayersOf720p", func(t *testing.T) {
		until(t, "three layers with their heights", is(log, func(e PublisherUp) bool {
			var heights []int
			for _, tr := range e.Tracks {
				if tr.Label == stream.LabelVideo {
					heights = append(heights, tr.Format.Height)
				}
			}
			slices.Sort(heights)
			return e.Participant == "a" && slices.Equal(heights, []int{180, 360, 720})
		}))
	})

	t.Run("ProbesAreNotTakenForMedia", func(t *testing.T) {
		low := lowest(t, n)
		rd := stream.NewReader(nil)
		c, err := low.FollowPackets(rd, stream.AtOldest)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		seen := map[int64]bool{}
		low.RequestKeyFrame()
		until(t, "100 packets of the lowest layer", func() bool {
			for pk := c.Next(); pk != nil; pk = c.Next() {
				if seen[pk.Sequence] {
					t.Fatalf("packet %d is in the ring twice", pk.Sequence)
				}
				seen[pk.Sequence] = true
			}
			return len(seen) >= 100
		})
		t.Logf("duplicates kept out: %d", n.eng.Stats().Drops["duplicate"])
	})

	var key string
	p.call(&key, "watch", "/whep/meetings/1", "z", 4, 3)
	t.Run("NegotiatesGCMToWatch", func(t *testing.T) {
		s, _ := p.find(key, func(s stat) bool { return s.Type == "transport" })
		if !strings.HasSuffix(s.SRTPCipher, "AEAD_AES_128_GCM") {
			t.Errorf("srtpCipher %q", s.SRTPCipher)
		}
	})

	t.Run("EverySlotOfABurstGetsItsPicture", func(t *testing.T) {
		// Slots of one layer join one after another, within the 300 ms in which
		// Chromium ignores requests for key frames.
		var slots []VideoSlot
		for i := range 4 {
			slots = append(slots, VideoSlot{Slot: i, Source: name("a"), Label: stream.LabelVideo, MaxHeight: 360})
			room.Assign("z", slots)
			until(t, "a packet count to move", func() bool { return n.eng.Stats().PacketsOut >= uint64(i) })
		}
		for i := range 4 {
			until(t, fmt.Sprint("pictures in slot ", i), func() bool {
				s, _ := p.find(key, inbound(fmt.Sprint(i)))
				return s.FramesDecoded > 10 && s.FrameHeight == 360
			})
		}
	})

	t.Run("HearsTheOther", func(t *testing.T) {
		until(t, "audio energy", func() bool {
			_, ok := p.find(key, func(s stat) bool { return s.Type == "inbound-rtp" && s.Kind == "audio" && s.TotalAudioEnergy > 0 })
			return ok
		})
	})

	t.Run("LayerSwitchesDropNoFrame", func(t *testing.T) {
		before, _ := p.find(key, inbound("0"))
		for _, h := range []int{720, 180, 360} {
			room.Assign("z", []VideoSlot{{Slot: 0, Source: name("a"), Label: stream.LabelVideo, MaxHeight: h}})
			until(t, fmt.Sprint("height ", h), func() bool {
				s, _ := p.find(key, inbound("0"))
				return s.FrameHeight == h
			})
		}
		after, _ := p.find(key, inbound("0"))
		if after.PacketsLost > before.PacketsLost {
			t.Errorf("%d packets lost: the slot is not continuous", after.PacketsLost-before.PacketsLost)
		}
	})

	t.Run("ScreenStartsWithoutNegotiation", func(t *testing.T) {
		p.call(nil, "share", "a")
		room.Assign("z", []VideoSlot{{Slot: 1, Source: name("a"), Label: stream.LabelScreen}})
		until(t, "the screen", func() bool {
			s, _ := p.find(key, inbound("1"))
			e, _ := last(log, func(e VideoSlotChanged) bool { return e.Viewer == "z" && e.Slot == 1 })
			// Chromium begins a screen smaller than it is, but not as small as this camera layer.
			return e.Label == stream.LabelScreen && s.FrameHeight > 360
		})
		var negotiations int
		p.call(&negotiations, "(()=>pcs.a.negotiations||0)")
		if negotiations != 0 {
			t.Errorf("%d negotiations were needed", negotiations)
		}
	})

	t.Run("ReportsOfAllSlotsAreCountedTogether", func(t *testing.T) {
		v := onlyViewer(t, n)
		until(t, "reports on most of what was sent", func() bool {
			sent := n.eng.Stats().PacketsOut
			return sent > 500 && v.reported.Load()*10 > sent*9 && v.received.Load()*10 > sent*9
		})
	})
}

// lowest returns the smallest layer of a's camera.
func lowest(t *testing.T, n *node) *stream.Track {
	t.Helper()
	sub := n.hub.Open(name("a"))
	defer sub.Close()
	for _, tr := range sub.Tracks() {
		if tr.Label() == stream.LabelVideo && tr.Layer() == 0 {
			return tr
		}
	}
	t.Fatal("no lowest layer")
	return nil
}

func TestChromiumSendsBothLayersOfASmallCamera(t *testing.T) {
	// Offered three, it would leave the largest of 640x480 out, in silence.
	n := newNode(t, nil)
	log := follow(n.eng.Room("1"))
	p := browse(t, n)
	p.call(nil, "publish", "/whip/meetings/1", "a", camera{640, 480, []encoding{{"q", 4, 150_000}, {"h", 1, 700_000}}, "video/VP8"})
	until(t, "both layers", is(log, func(e PublisherUp) bool {
		var heights []int
		for _, tr := range e.Tracks {
			if tr.Label == stream.LabelVideo {
				heights = append(heights, tr.Format.Height)
			}
		}
		slices.Sort(heights)
		return slices.Equal(heights, []int{120, 480})
	}))
}
