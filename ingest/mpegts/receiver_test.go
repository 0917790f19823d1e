package mpegts

import (
	"bytes"
	"log/slog"
	"testing"

	"tongxiang/ingest/source"
	"tongxiang/internal/media"
	core "tongxiang/internal/mpegts"
	"tongxiang/internal/stream"
)

// bench is a receiver with a hub behind it and a clock in the test's hand.
type bench struct {
	t   *testing.T
	sub *stream.Subscription
	out *source.Output
	rep source.Report
	x   *mux
	r   *receiver
	now int64
}

func newBench(t *testing.T, program int) *bench {
	t.Helper()
	hub := stream.NewHub(slog.New(slog.DiscardHandler))
	pub, err := hub.Publish("channels/x", false)
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, sub: hub.Open("channels/x"), now: 1}
	b.out = &source.Output{
		Publisher: pub, Timeline: new(media.Timeline), Clock: media.NewClock(), Log: slog.New(slog.DiscardHandler),
		Report: func(r source.Report) { b.rep = r },
	}
	b.x = newMux("x", b.out.Clock)
	b.r = b.x.add(b.out, program)
	t.Cleanup(func() {
		b.sub.Close()
		pub.Close()
		hub.Close()
	})
	return b
}

// feed passes bytes at the pace of ms milliseconds a kilobyte.
func (b *bench) feed(data []byte) {
	for len(data) > 0 {
		n := min(7*188, len(data))
		b.now += 10e6
		b.x.feed(data[:n], b.now)
		data = data[n:]
	}
}

// frames returns what the first track of a label has in its ring.
func (b *bench) frames(label stream.Label) []*media.Frame {
	b.t.Helper()
	for _, t := range b.sub.Tracks() {
		if t.Label() != label {
			continue
		}
		cur, err := t.FollowFrames(stream.NewReader(nil), stream.AtOldest)
		if err != nil {
			b.t.Fatal(err)
		}
		defer cur.Close()
		var out []*media.Frame
		for f := cur.Next(); f != nil; f = cur.Next() {
			out = append(out, f)
		}
		return out
	}
	return nil
}

var (
	sps = []byte{0x67, 0x64, 0x00, 0x0A, 0xAC, 0xD9, 0x44, 0x7B, 0x01, 0x10, 0x00, 0x00, 0x03, 0x00, 0x10, 0x00, 0x00, 0x03, 0x03, 0x20, 0xF1, 0x22, 0x59, 0x60}
	pps = []byte{0x68, 0xEB, 0xE3, 0xCB, 0x22, 0xC0}
)

// broadcast writes some seconds of H.264 at 25 pictures a second and AAC from a
// time on, in ticks of 90 kHz.
func broadcast(t *testing.T, from int64, seconds int) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := core.NewWriter(&out, []media.Format{{Codec: media.H264}, {Codec: media.AAC, Config: []byte{0x11, 0x90}}})
	if err != nil {
		t.Fatal(err)
	}
	for i := range seconds * 25 {
		at := media.FromTicks(from+int64(i)*3600, core.Ticks)
		f := &media.Frame{PTS: at, DTS: at, Units: [][]byte{append([]byte{0x41, 0x9A}, bytes.Repeat([]byte{byte(i)}, 900)...)}}
		if i%25 == 0 {
			f.Sync = true
			f.Units = [][]byte{sps, pps, append([]byte{0x65, 0x88}, bytes.Repeat([]byte{byte(i)}, 2000)...)}
		}
		for track, f := range []*media.Frame{f, {PTS: at, DTS: at, Sync: true, Units: [][]byte{{1, 2, 3}, {4, 5}}}} {
			if err := w.WriteFrame(track, f); err != nil {
				t.Fatal(err)
			}
		}
	}
	return out.Bytes()
}

// TestTimeGoesOnWhateverTheSendersClockDoes joins pieces with other clocks, without
// a pause and without any indication.
func TestTimeGoesOnWhateverTheSendersClockDoes(t *testing.T) {
	for name, second := range map[string]int64{
		"continued":                2 * 90000,
		"begun anew":               0,
		"begun anew a little back": 90000,
		"hours ahead":              5 * 3600 * 90000,
		"hours back":               1<<33 - 5*3600*90000,
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, 0)
			b.feed(broadcast(t, 0, 2))
			b.feed(broadcast(t, second, 2))
			for _, label := range []stream.Label{stream.LabelVideo, stream.LabelAudio} {
				frames := b.frames(label)
				if len(frames) < 95 {
					t.Fatalf("%s: %d frames", label, len(frames))
				}
				gaps := 0
				for i, f := range frames {
					if f.Gap {
						gaps++
					}
					if i == 0 {
						continue
					}
					if d := f.DTS.Sub(frames[i-1].DTS); d <= 0 || d.Seconds() > 2 {
						t.Fatalf("%s: frame %d comes %v after the one before", label, i, d)
					}
				}
				if want := map[bool]int{true: 0, false: 1}[name == "continued"]; gaps != want {
					t.Errorf("%s: %d gaps, want %d", label, gaps, want)
				}
			}
		})
	}
}

// TestPacketsAsReceivedTellWhereTheClockChanges has those who take the packets raw see
// the same changes, and no run that lies on both sides of one.
func TestPacketsAsReceivedTellWhereTheClockChanges(t *testing.T) {
	first, second := broadcast(t, 10*90000, 2), broadcast(t, 9*90000, 2)
	for name, join := range map[string]func(b *bench){
		"nothing said":        func(*bench) {},
		"a file from its top": func(b *bench) { b.x.restart() },
		"silence":             func(b *bench) { b.now += 5e9 },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, 0)
			var runs []*media.Packet
			b.out.Raw.Set(func(p *media.Packet) { runs = append(runs, p) })
			b.feed(first)
			join(b)
			b.feed(second)
			b.x.finish()
			var clocks []int64 // of each run, the last
			gaps := 0
			for i, p := range runs {
				if p.Gap {
					gaps++
				}
				from, to := int64(-1), int64(-1)
				d := core.NewDemuxer(core.Handler{PCR: func(_ uint16, pcr int64, _ bool) {
					if from < 0 {
						from = pcr
					}
					to = pcr
				}})
				d.Feed(p.Payload, 0)
				d.Flush()
				if from < 0 {
					continue
				}
				if n := len(clocks); n > 0 && (from < clocks[n-1]) != p.Gap || to < from {
					t.Errorf("run %d: clock from %d to %d after %v, gap %v", i, from, to, clocks, p.Gap)
				}
				clocks = append(clocks, to)
			}
			if gaps != 2 || !runs[0].Gap { // the first continues nothing
				t.Errorf("%d gaps in %d runs", gaps, len(runs))
			}
		})
	}
}

func TestClockWrapIsNoGap(t *testing.T) {
	b := newBench(t, 0)
	b.feed(broadcast(t, 1<<33-90000, 3))
	frames := b.frames(stream.LabelVideo)
	if len(frames) != 74 { // the last is still under way
		t.Fatalf("%d frames", len(frames))
	}
	for i, f := range frames {
		if f.Gap || i > 0 && f.DTS.Ticks(90000)-frames[i-1].DTS.Ticks(90000) != 3600 {
			t.Fatalf("frame %d: %+v", i, f)
		}
	}
}

func TestASenderThatWasSilentMayHaveAnotherClock(t *testing.T) {
	b := newBench(t, 0)
	b.feed(broadcast(t, 90000*100, 2))
	frames := b.frames(stream.LabelVideo) // the ring lets go of them in the silence
	b.now += 30e9
	b.feed(broadcast(t, 90000*101, 2)) // nearly the same clock
	if later := b.frames(stream.LabelVideo); later[0].DTS > frames[len(frames)-1].DTS {
		frames = append(frames, later...)
	} else {
		frames = later
	}
	for i, f := range frames {
		if i > 0 && f.DTS <= frames[i-1].DTS {
			t.Fatal("time goes back")
		}
		if f.Gap && i > 0 {
			if d := f.DTS.Sub(frames[i-1].DTS).Seconds(); d < 25 || d > 32 {
				t.Errorf("30 s of silence are %.1f s on the channel's clock", d)
			}
			return
		}
	}
	t.Error("the silence left no gap")
}

func TestReportNamesWhatIsPublished(t *testing.T) {
	b := newBench(t, 0)
	b.feed(broadcast(t, 0, 1))
	b.r.report()
	if len(b.rep.Streams) != 2 || b.rep.Program != 1 {
		t.Fatalf("%+v", b.rep)
	}
	for _, s := range b.rep.Streams {
		if !s.Known || !s.Published || s.Scrambled {
			t.Errorf("%+v", s)
		}
	}
	other := newBench(t, 77)
	other.feed(broadcast(t, 0, 1))
	other.r.report()
	if len(other.rep.Streams) != 0 || other.rep.Program != 77 || len(other.sub.Tracks()) != 0 {
		t.Errorf("programme 77 is not there: %+v", other.rep)
	}
}
