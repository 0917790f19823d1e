package server

import (
	"strings"
	"testing"

	"tongxiang/internal/media"
	"tongxiang/internal/stream"
)

func TestMetricsOfASoundInTwoCodingsAreTwo(t *testing.T) {
	t.Parallel()
	r := start(t, config(t, t.TempDir()))
	pub, err := r.s.hub.Publish("meetings/42/programme", false)
	if err != nil {
		t.Fatal(err)
	}
	defer pub.Close()
	for layer, codec := range []media.Codec{media.Opus, media.AAC} {
		pub.AddTrack(stream.TrackInfo{Label: stream.LabelAudio, Layer: layer, Form: stream.Frames, Format: media.Format{Codec: codec}})
	}
	status, body := r.do("GET", "/metrics", "", "", "")
	if status != 200 || strings.Count(body, `tongxiang_track_items_total{stream="meetings/42/programme"`) != 2 {
		t.Errorf("%d %.300s", status, body)
	}
}
