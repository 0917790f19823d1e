package push

import (
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"tongxiang/internal/media"
	"tongxiang/internal/stream"
)

func TestSilenceDecidesWhoMaySend(t *testing.T) {
	const s = int64(time.Second)
	for name, tc := range map[string]struct {
		now, began, last int64
		want             bool
	}{
		"just begun, nothing yet":  {100 * s, 99 * s, 0, false},
		"begun long ago, nothing":  {100 * s, 95 * s, 0, true},
		"sending":                  {100 * s, 10 * s, 99 * s, false},
		"silent, not long enough":  {100 * s, 10 * s, 95*s + 1, false},
		"silent for five seconds":  {100 * s, 10 * s, 95 * s, true},
		"media of the one before":  {100 * s, 98 * s, 90 * s, false},
		"silent since it was took": {100 * s, 90 * s, 80 * s, true},
	} {
		if got := silent(tc.now, tc.began, tc.last); got != tc.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestSecondEncoderWaitsUntilTheFirstIsSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clock := media.NewClock()
		hub := stream.NewHub(slog.New(slog.DiscardHandler))
		defer hub.Close()
		d := NewDesk(hub, clock)
		first, err := d.Open(stream.Push("news"), Encoder{Protocol: "rtsp"})
		if err != nil {
			t.Fatal(err)
		}
		track := first.AddTrack(stream.TrackInfo{Label: stream.LabelAudio, Form: stream.Packets, Format: media.Format{Codec: media.Opus, ClockRate: 48000}})
		for range 100 {
			time.Sleep(100 * time.Millisecond)
			track.WritePacket(&media.Packet{Arrival: clock.Now(), Codec: media.Opus, Sync: true, Payload: []byte{1}})
		}
		if _, err := d.Open(stream.Push("news"), Encoder{Protocol: "rtmp"}); !errors.Is(err, ErrBusy) {
			t.Fatalf("second encoder: %v", err)
		}
		if err := d.Free(stream.Push("other"), "rtmp"); err != nil {
			t.Errorf("another channel: %v", err)
		}
		time.Sleep(Silence)
		second, err := d.Open(stream.Push("news"), Encoder{Protocol: "rtmp", Remote: "b"})
		if err != nil {
			t.Fatal(err)
		}
		select {
		case <-first.Done():
		default:
			t.Error("the first encoder was not told")
		}
		if l := d.List(); len(l) != 1 || l[0].Remote != "b" {
			t.Errorf("list %+v", l)
		}
		second.Close()
		if _, err := d.Open(stream.Push("news"), Encoder{Protocol: "whip"}); err != nil {
			t.Errorf("after the end of the second: %v", err)
		}
		if c := d.Counts(); len(c) != 5 {
			t.Errorf("counts %+v", c)
		}
	})
}
