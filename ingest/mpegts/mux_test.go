package mpegts

import (
	"context"
	"log/slog"
	"net"
	"net/url"
	"os/exec"
	"sync"
	"testing"
	"time"

	"tongxiang/ingest/source"
	"tongxiang/internal/media"
	core "tongxiang/internal/mpegts"
	"tongxiang/internal/stream"
)

// taker is one channel's side of a mux.
type taker struct {
	t      *testing.T
	sub    *stream.Subscription
	out    *source.Output
	cancel context.CancelFunc
	ended  chan error
	mu     sync.Mutex // guards rep
	rep    source.Report
}

func (h *muxHub) take(program int) *taker {
	h.t.Helper()
	name := stream.Channel("p" + string(rune('a'+h.n)))
	h.n++
	pub, err := h.hub.Publish(name, false)
	if err != nil {
		h.t.Fatal(err)
	}
	k := &taker{t: h.t, sub: h.hub.Open(name), ended: make(chan error, 1)}
	k.out = &source.Output{
		Publisher: pub, Timeline: new(media.Timeline), Clock: h.clock, Log: slog.New(slog.DiscardHandler),
		Report: func(r source.Report) {
			k.mu.Lock()
			k.rep = r
			k.mu.Unlock()
		},
	}
	s, err := h.muxes.New(h.address, program)
	if err != nil {
		h.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	k.cancel = cancel
	go func() { k.ended <- s.Run(ctx, k.out) }()
	h.t.Cleanup(func() {
		cancel()
		k.sub.Close()
		pub.Close()
	})
	return k
}

func (k *taker) service() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.rep.Service
}

// items is how many pictures were written.
func (k *taker) items() uint64 {
	for _, t := range k.sub.Tracks() {
		if t.Label() == stream.LabelVideo {
			return t.Stats().Items
		}
	}
	return 0
}

type muxHub struct {
	t       *testing.T
	hub     *stream.Hub
	clock   media.Clock
	muxes   *Muxes
	address *url.URL
	n       int
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
		<-time.After(2 * time.Millisecond)
	}
}

// testMux returns 4 s of two programmes with a picture each.
func testMux(t *testing.T) []byte {
	t.Helper()
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		t.Skip("ffmpeg is not installed: this test sends its pictures")
	}
	out, err := exec.CommandContext(t.Context(), "ffmpeg", "-nostdin", "-loglevel", "error",
		"-f", "lavfi", "-i", "testsrc2=size=160x120:rate=25", "-f", "lavfi", "-i", "testsrc=size=160x120:rate=25",
		"-t", "4", "-map", "0", "-map", "1", "-c:v", "libx264", "-preset", "ultrafast", "-g", "25",
		"-program", "program_num=1:title=One:st=0", "-program", "program_num=2:title=Two:st=1",
		"-f", "mpegts", "-").Output()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// twoProgrammes plays a multiplex of two programmes to a port until the test ends.
func twoProgrammes(t *testing.T, to string) {
	t.Helper()
	conn, err := net.Dial("udp", to)
	if err != nil {
		t.Fatal(err)
	}
	data := testMux(t)
	stop, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		defer conn.Close()
		for {
			for at := 0; at < len(data); at += 7 * core.PacketSize {
				_, _ = conn.Write(data[at:min(len(data), at+7*core.PacketSize)]) // nobody may be listening yet
				select {
				case <-time.After(time.Millisecond):
				case <-stop:
					return
				}
			}
		}
	}()
	t.Cleanup(func() { close(stop); <-ended })
}

func TestOneSocketFeedsManyChannelsAndNoneDisturbsAnother(t *testing.T) {
	probe, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := probe.LocalAddr().String()
	if err := probe.Close(); err != nil {
		t.Fatal(err)
	}
	hub := stream.NewHub(slog.New(slog.DiscardHandler))
	t.Cleanup(hub.Close)
	h := &muxHub{t: t, hub: hub, clock: media.NewClock(), muxes: new(Muxes), address: &url.URL{Scheme: "udp", Host: at}}
	twoProgrammes(t, at)

	// A unicast port can be bound once: that the second plays proves that it is shared.
	first, second := h.take(1), h.take(2)
	eventually(t, "both programmes", func() bool { return first.items() > 5 && second.items() > 5 })
	if first.service() == second.service() {
		t.Errorf("both are %q", first.service())
	}
	again := h.take(1) // the same programme for another channel
	eventually(t, "the same programme twice", func() bool { return again.items() > 5 })

	first.cancel()
	if err := <-first.ended; err != context.Canceled {
		t.Errorf("ended by %v", err)
	}
	was := second.items()
	eventually(t, "the others go on", func() bool { return second.items() > was+20 && again.items() > 20 })
	second.cancel()
	again.cancel()
	<-second.ended
	<-again.ended
	if len(h.muxes.open) != 0 {
		t.Errorf("%d muxes are open with nobody in them", len(h.muxes.open))
	}
	// The port is free again, and whoever comes now begins anew.
	last := h.take(2)
	eventually(t, "a newcomer", func() bool { return last.items() > 5 })
}

func TestAMuxThatFailsEndsAllOfItsChannels(t *testing.T) {
	hub := stream.NewHub(slog.New(slog.DiscardHandler))
	t.Cleanup(hub.Close)
	h := &muxHub{t: t, hub: hub, clock: media.NewClock(), muxes: new(Muxes), address: &url.URL{Scheme: "file", Path: "/does/not/exist"}}
	for _, k := range []*taker{h.take(1), h.take(2)} {
		if err := <-k.ended; source.CauseOf(err) != source.CauseNotFound {
			t.Errorf("ended by %v", err)
		}
	}
	if len(h.muxes.open) != 0 {
		t.Errorf("%d muxes are open", len(h.muxes.open))
	}
}

// TestTheSameServiceOnTwoMultiplexesIsTwoProgrammes: ids are unique within a multiplex
// only, and neighbours on an orbit use the same ones.
func TestTheSameServiceOnTwoMultiplexesIsTwoProgrammes(t *testing.T) {
	hub := stream.NewHub(slog.New(slog.DiscardHandler))
	t.Cleanup(hub.Close)
	muxes := new(Muxes)
	var takers []*taker
	for i := range 2 {
		probe, err := net.ListenPacket("udp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		at := probe.LocalAddr().String()
		if err := probe.Close(); err != nil {
			t.Fatal(err)
		}
		h := &muxHub{t: t, hub: hub, clock: media.NewClock(), muxes: muxes, address: &url.URL{Scheme: "udp", Host: at}, n: 10 * i}
		twoProgrammes(t, at)
		takers = append(takers, h.take(1))
	}
	eventually(t, "both", func() bool { return takers[0].items() > 5 && takers[1].items() > 5 })
	muxes.mu.Lock()
	open := len(muxes.open)
	muxes.mu.Unlock()
	if open != 2 {
		t.Errorf("%d multiplexes are read, want 2", open)
	}
	// One goes away: the other stays.
	takers[0].cancel()
	<-takers[0].ended
	before := takers[1].items()
	eventually(t, "the other goes on", func() bool { return takers[1].items() > before+5 })
}
