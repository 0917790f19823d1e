package feed

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"tongxiang/internal/media"
	"tongxiang/internal/stream"
)

func TestAnEagerReaderDoesNotWaitForTheOtherTrack(t *testing.T) {
	for _, eager := range []bool{false, true} {
		hub := stream.NewHub(slog.New(slog.DiscardHandler))
		defer hub.Close()
		pub, err := hub.Publish("channels/a", false)
		if err != nil {
			t.Fatal(err)
		}
		tracks := pub.SetTracks([]stream.TrackInfo{
			{Label: stream.LabelVideo, Form: stream.Frames, Format: media.Format{Codec: media.H264}},
			{Label: stream.LabelAudio, Form: stream.Frames, Format: media.Format{Codec: media.AAC}},
		})
		f := Open(hub, "channels/a", Options{From: stream.AtOldest, Eager: eager})
		defer f.Close()
		if e, err := f.Next(t.Context()); err != nil || e.Frame != nil {
			t.Fatalf("the first event is %+v, %v", e, err)
		}
		tracks[0].WriteFrame(&media.Frame{DTS: media.Time(time.Second), Sync: true, Units: [][]byte{{1}}})
		ctx, cancel := context.WithCancel(t.Context())
		cancel() // what is there is returned all the same; else there is nothing to wait for
		e, err := f.Next(ctx)
		if got := err == nil && e.Frame != nil; got != eager {
			t.Errorf("eager %v: a picture came: %v", eager, got)
		}
		// Sound that belongs before it comes later, and is not lost.
		tracks[1].WriteFrame(&media.Frame{DTS: media.Time(time.Second / 2), Sync: true, Units: [][]byte{{2}}})
		if e, err = f.Next(t.Context()); err != nil || f.Tracks()[e.Track].Label != stream.LabelAudio {
			t.Errorf("eager %v: then %+v, %v", eager, e, err)
		}
	}
}
