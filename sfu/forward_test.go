package sfu

import (
	"bytes"
	"testing"
	"time"

	"github.com/pion/rtp"

	"tongxiang/internal/media"
)

const (
	videoStep = 20 * time.Millisecond
	audioStep = 20 * time.Millisecond
)

func TestPlainViewerGetsPictureAndSoundOfAStream(t *testing.T) {
	for _, codec := range []media.Codec{media.H264, media.VP8} {
		t.Run(codec.String(), func(t *testing.T) {
			n := newNode(t, nil)
			opt := clientOptions{h264: codec == media.H264, vp8: codec == media.VP8}
			pub := newClient(n, opt)
			mic := pub.addAudio(-1)
			cam := pub.addVideo(codec)[0]
			pub.post("whip", "channels/a", "x")
			cam.play(videoStep, 0)
			mic.play(audioStep, 0)

			view := newClient(n, opt)
			v, a := view.receive(1, 1)
			view.post("whep", "channels/a", "x")
			until(t, "30 packets of picture and sound", func() bool { return v[0].count() >= 30 && a[0].count() >= 30 })
			continuous(t, v[0].all())
			continuous(t, a[0].all())
			first := v[0].all()[0]
			if in := media.Inspect(codec, first.Payload); !in.Sync {
				t.Errorf("the first packet is no sync point: % x", first.Payload[:8])
			}
		})
	}
}

// continuous asserts that packets follow each other without gap, reordering or
// timestamps that go back.
func continuous(t *testing.T, packets []*rtp.Packet) {
	t.Helper()
	for i := 1; i < len(packets); i++ {
		a, b := packets[i-1], packets[i]
		if b.SequenceNumber != a.SequenceNumber+1 {
			t.Fatalf("packet %d: sequence %d follows %d", i, b.SequenceNumber, a.SequenceNumber)
		}
		if int32(b.Timestamp-a.Timestamp) < 0 {
			t.Fatalf("packet %d: timestamp %d follows %d", i, b.Timestamp, a.Timestamp)
		}
		if bytes.Equal(a.Payload, b.Payload) {
			t.Fatalf("packet %d is the one before", i)
		}
	}
}
