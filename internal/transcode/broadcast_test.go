package transcode

import (
	"strings"
	"testing"

	"tongxiang/internal/media"
	"tongxiang/internal/playout/playtest"
)

func TestOpusBecomesWhatReceiversOfTransportStreamsKnow(t *testing.T) {
	for _, tc := range []struct {
		target Target
		codec  media.Codec
	}{{TS, media.AAC}, {TSMP2, media.MPEGAudio}} {
		t.Run(string(tc.target), func(t *testing.T) {
			r := newRig(t, Config{Max: 1})
			r.play(playtest.Make(t, 3, "320x180", strings.Replace(playtest.BFrames, "-c:a aac", "-c:a libopus", 1)))
			name := r.resolve(tc.target)
			if name != Rendition(source, tc.target) {
				t.Fatalf("resolved to %s", name)
			}
			g := r.read(name, 2, 20)
			if video, audio := g.formats[g.of(media.Video)], g.formats[g.of(media.Audio)]; video.Codec != media.H264 || audio.Codec != tc.codec {
				t.Errorf("became %s and %s", video.Codec, audio.Codec)
			}
		})
	}
}

func TestWhatReceiversKnowGoesOutUntouched(t *testing.T) {
	r := newRig(t, Config{Max: 1})
	r.play(playtest.Make(t, 2, "320x180", playtest.Broadcast))
	if name := r.resolve(TS); name != source {
		t.Errorf("resolved to %s", name)
	}
}
