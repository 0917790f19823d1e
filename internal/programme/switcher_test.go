package programme

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"tongxiang/internal/media"
	"tongxiang/internal/mpegts"
	"tongxiang/internal/playout/feed"
	"tongxiang/internal/playout/playtest"
	"tongxiang/internal/stream"
)

// browser: pictures without B-frames and Opus, as browsers send them.
const browser = "-c:v libx264 -preset ultrafast -tune zerolatency -bf 0 -g 25 -sc_threshold 0 -pix_fmt yuv420p -c:a libopus -b:a 32k -ar 48000"

// site is a participant whose clip goes round for ever.
type site struct {
	tracks []*stream.Track
	pack   []*media.Packetizer
	pub    *stream.Publisher
}

// send publishes a clip in packets at its own pace until ctx ends. Its times are
// those of a clock of its own.
func send(ctx context.Context, t *testing.T, hub *stream.Hub, clock media.Clock, name stream.Name, c playtest.Clip, origin time.Duration) *site {
	t.Helper()
	pub, err := hub.Publish(name, false)
	if err != nil {
		t.Fatal(err)
	}
	slices.SortStableFunc(c.Frames, func(a, b playtest.Frame) int { return int(a.DTS - b.DTS) })
	s := &site{pub: pub}
	for _, info := range c.Infos() {
		info.Form = stream.Packets
		s.tracks = append(s.tracks, pub.AddTrack(info))
		z, err := media.NewPacketizer(info.Format)
		if err != nil {
			t.Fatal(err)
		}
		s.pack = append(s.pack, z)
	}
	var ends sync.WaitGroup
	t.Cleanup(ends.Wait)
	ends.Go(func() {
		defer pub.Close()
		began, length := time.Now(), c.Length()+40*time.Millisecond
		for round := time.Duration(0); ; round++ {
			for _, f := range c.Frames {
				at := f.DTS.Sub(c.Frames[0].DTS) + round*length
				select {
				case <-ctx.Done():
					return
				case <-time.After(time.Until(began.Add(at))):
				}
				g := *f.Frame
				g.PTS, g.DTS = g.PTS.Add(round*length+origin), g.DTS.Add(round*length+origin)
				g.Arrival = clock.Now()
				for _, p := range s.pack[f.Track].Push(&g) {
					p.Arrival = g.Arrival
					s.tracks[f.Track].WritePacket(p)
				}
			}
		}
	})
	return s
}

// picked collects a programme as an output would, until its context ends.
type picked struct {
	mu      sync.Mutex
	formats []media.Format
	frames  []feed.Event
}

func collect(ctx context.Context, t *testing.T, hub *stream.Hub, name stream.Name) *picked {
	t.Helper()
	out := &picked{}
	var ends sync.WaitGroup
	t.Cleanup(ends.Wait)
	ends.Go(func() {
		f := feed.Open(hub, name, feed.Options{})
		defer f.Close()
		for {
			ev, err := f.Next(ctx)
			if err != nil {
				return
			}
			out.mu.Lock()
			if ev.Frame == nil {
				out.formats, out.frames = nil, nil // numbers of tracks mean something else now
				for _, tr := range f.Tracks() {
					out.formats = append(out.formats, tr.Format)
				}
			} else {
				out.frames = append(out.frames, ev)
			}
			out.mu.Unlock()
		}
	})
	return out
}

func (p *picked) count(video bool) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for _, f := range p.frames {
		if (p.formats[f.Track].Codec.Kind() == media.Video) == video {
			n++
		}
	}
	return n
}

func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !is(); {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
		<-time.After(10 * time.Millisecond)
	}
}

func TestProgrammeCutsCleanlyBetweenSites(t *testing.T) {
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
	hub := stream.NewHub(log)
	defer hub.Close()
	clock := media.NewClock()
	var mu sync.Mutex
	kept := map[string]bool{}
	svc := New(Config{KeepLayers: func(_, p string, keep bool) {
		mu.Lock()
		defer mu.Unlock()
		kept[p] = keep
	}}, hub, clock, log)
	keeps := func(p string) bool {
		mu.Lock()
		defer mu.Unlock()
		return kept[p]
	}
	ctx, stop := context.WithCancelCause(t.Context())
	defer stop(nil)
	a := playtest.Make(t, 4, "320x180", browser)
	b := playtest.Make(t, 4, "640x360", browser)
	send(ctx, t, hub, clock, "meetings/1/a", a, 0)
	send(ctx, t, hub, clock, "meetings/1/b", b, 5000*time.Hour) // nothing in common with a's clock

	out := collect(ctx, t, hub, "meetings/1/programme")
	svc.OnAir("1", Input{Present: []string{"a", "b"}, Speakers: []string{"a"}})
	until(t, "a's picture and sound", func() bool { return out.count(true) > 40 && out.count(false) > 40 })
	if !keeps("a") || keeps("b") {
		t.Error("a's layers are not kept, or b's are")
	}
	svc.OnAir("1", Input{Present: []string{"a", "b"}, Speakers: []string{"b"}})
	until(t, "b's layers", func() bool { return keeps("b") && !keeps("a") })
	at := out.count(true)
	until(t, "b's picture", func() bool { return out.count(true) > at+60 })
	svc.OnAir("1", Input{Present: []string{"a"}})
	at = out.count(true)
	until(t, "a's picture again", func() bool { return out.count(true) > at+40 })
	stop(errors.New("enough"))

	out.mu.Lock()
	defer out.mu.Unlock()
	var ts bytes.Buffer
	w, err := mpegts.NewWriter(&ts, out.formats)
	if err != nil {
		t.Fatal(err)
	}
	last := make([]media.Time, len(out.formats))
	sizes := map[int]bool{}
	for _, ev := range out.frames {
		f := ev.Frame
		if step := f.DTS.Sub(last[ev.Track]); last[ev.Track] != 0 && (step <= 0 || step > 1500*time.Millisecond) {
			t.Errorf("track %d steps by %v", ev.Track, step)
		}
		last[ev.Track] = f.DTS
		if f.Sync && out.formats[ev.Track].Codec == media.H264 {
			if g, err := media.H264Format(media.ParameterSets(media.H264, f.Units)); err == nil {
				sizes[g.Height] = true
			}
		}
		if err := w.WriteFrame(ev.Track, f); err != nil {
			t.Fatal(err)
		}
	}
	if !sizes[180] || !sizes[360] {
		t.Errorf("heights on air: %v", sizes)
	}
	if apart := last[0].Sub(last[1]); apart > 500*time.Millisecond || apart < -500*time.Millisecond {
		t.Errorf("picture and sound end %v apart", apart)
	}
	path := filepath.Join(t.TempDir(), "programme.ts")
	if err := os.WriteFile(path, ts.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	playtest.ProbeFile(t, path) // a decoding error fails the test
}

func TestProgrammeRunsOnlyWhileItIsRead(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	hub := stream.NewHub(log)
	defer hub.Close()
	svc := New(Config{}, hub, media.NewClock(), log)
	svc.OnAir("1", Input{Present: []string{"a"}})
	published := func() bool {
		for _, s := range hub.List("meetings") {
			if s.Name == "meetings/1/programme" && s.Published {
				return true
			}
		}
		return false
	}
	if published() {
		t.Fatal("published before anybody reads")
	}
	sub := hub.Open("meetings/1/programme")
	until(t, "the programme", sub.Published)
	sub.Close()
	until(t, "its end", func() bool { return !published() })
	if isProgramme("channels/programme") || isProgramme("meetings/1/a") || isProgramme("meetings/1/programme/hls") {
		t.Error("takes other streams for programmes")
	}
}
