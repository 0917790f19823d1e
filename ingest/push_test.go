package ingest

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tongxiang/internal/media"
	"tongxiang/internal/stream"
)

// encoder publishes a picture and a sound of a push every 40 ms until ended.
type encoder struct {
	pub   *stream.Publisher
	video *stream.Track
	stop  func()
	asked atomic.Int64 // key frames
}

// encode begins to push. behind moves its times back, as an encoder's that has been
// running on another clock would be.
func (h *house) encode(id string, form stream.Form, behind time.Duration) *encoder {
	h.t.Helper()
	pub, err := h.hub.Publish(stream.Push(id), true)
	if err != nil {
		h.t.Fatal(err)
	}
	video, err := media.H264Format([][]byte{cameraSPS, cameraPPS})
	if err != nil {
		h.t.Fatal(err)
	}
	sound := media.Format{Codec: media.Opus, ClockRate: 48000, Rate: 48000, Channels: 2}
	tracks := pub.SetTracks([]stream.TrackInfo{
		{Label: stream.LabelVideo, Form: form, Format: video}, {Label: stream.LabelAudio, Form: form, Format: sound},
	})
	e := &encoder{pub: pub, video: tracks[0]}
	clock := h.channels.clock
	stop := make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() {
		tick := time.NewTicker(40 * time.Millisecond)
		defer tick.Stop()
		for n := 0; ; n++ {
			select {
			case <-stop:
				return
			case <-tick.C:
			}
			select {
			case <-e.video.KeyFrameRequests():
				e.asked.Add(1)
			default:
			}
			now := clock.Now()
			at := media.Time(now).Add(-behind)
			for i, t := range tracks {
				key := i == 1 || n%10 == 0
				unit := []byte{0xFC, 1, 2}
				if i == 0 {
					unit = slice(n)
				}
				if form == stream.Frames {
					t.WriteFrame(&media.Frame{PTS: at, DTS: at, Arrival: now, Sync: key, IDR: key, Units: [][]byte{unit}})
					continue
				}
				t.WritePacket(&media.Packet{
					Sequence: int64(n), Timestamp: at.Ticks(t.Format().ClockRate), Time: at, Arrival: now,
					Payload: unit, Codec: t.Format().Codec, Marker: true, Start: true, Sync: key,
				})
			}
		}
	})
	e.stop = sync.OnceFunc(func() {
		close(stop)
		running.Wait()
		pub.Close()
	})
	h.t.Cleanup(e.stop)
	return e
}

func TestPushedChannelWaitsForItsEncoderAndGoesOnWithTheNext(t *testing.T) {
	for name, form := range map[string]stream.Form{"packets": stream.Packets, "frames": stream.Frames} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			h.add(ChannelConfig{ID: "news", Source: "push:"})
			s := h.wait("news", "no signal", func(s Status) bool { return s.State == Lost })
			if s.Reason.Code != "no_packets" || s.Attempts != 1 {
				t.Errorf("without an encoder: %+v", s)
			}
			e := h.encode("news", form, 0)
			h.wait("news", "live", func(s Status) bool { return s.State == Live && len(s.Formats) == 2 && s.Formats[0].Width == 64 })
			before := h.follow("news", stream.LabelVideo, atLeast(20))
			sub := h.hub.Open(stream.Channel("news"))
			defer sub.Close()
			tracks := sub.Tracks()
			asked := e.asked.Load()
			tracks[0].RequestKeyFrame()
			poll(t, "the wish of a viewer at the encoder", func() bool { return e.asked.Load() > asked }, func() string { return "" })
			e.stop()
			h.wait("news", "lost", func(s Status) bool { return s.State == Lost })

			// The next encoder's clock lies an hour behind.
			h.encode("news", form, time.Hour)
			s = h.wait("news", "live again", func(s Status) bool { return s.State == Live })
			if s.Attempts != 1 {
				t.Errorf("%d attempts", s.Attempts)
			}
			if now := sub.Tracks(); len(now) != 2 || now[0] != tracks[0] {
				t.Error("the tracks are others than before")
			}
			last := before[len(before)-1].PTS
			after := h.follow("news", stream.LabelVideo, func(f []*media.Frame) bool {
				return len(f) > 0 && f[len(f)-1].PTS > last.Add(2*time.Second/5)
			})
			for i, f := range after[1:] {
				if f.DTS <= after[i].DTS {
					t.Fatalf("time goes from %d to %d", after[i].DTS, f.DTS)
				}
			}
		})
	}
}

func TestPushedChannelTakesItsBackupWhileNobodyPushes(t *testing.T) {
	file := clip(t, 2, "-c:v", "libx264", "-preset", "ultrafast", "-c:a", "aac")
	h := newHouse(t)
	h.add(ChannelConfig{ID: "news", Source: "push:", Backup: []string{"file://" + file}})
	h.wait("news", "live by the backup", func(s Status) bool { return s.State == Live && s.Backup })
}

func TestPushAddressesAreChecked(t *testing.T) {
	h := newHouse(t)
	for _, address := range []string{"push:../x", "push:a/b", "push://host", "push"} {
		if err := h.channels.Add(ChannelConfig{ID: "news", Source: address}); err == nil {
			t.Errorf("%q is taken", address)
		}
	}
}
