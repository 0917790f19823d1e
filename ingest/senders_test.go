package ingest

import (
	"fmt"
	"testing"
)

// encode is what ffmpeg sends as a transport stream: half a second to begin with.
var encode = []string{"-c:v", "libx264", "-preset", "ultrafast", "-g", "12", "-c:a", "mp2", "-t", "120"}

func live(s Status) bool { return s.State == Live && len(s.Formats) == 2 }

func TestRTPFromAnEncoderPlays(t *testing.T) {
	needFFmpeg(t)
	h := newHouse(t)
	port := freePort(t)
	h.add(ChannelConfig{ID: "c", Source: fmt.Sprintf("rtp://127.0.0.1:%d", port)})
	ffmpeg(t, args(picture(25), tone, encode, []string{"-f", "rtp_mpegts", fmt.Sprintf("rtp://127.0.0.1:%d", port)})...)
	s := h.wait("c", "live", live)
	if n := s.Errors["rtp_lost"] + s.Errors["sync_loss"] + s.Errors["rtp_bad"]; n > 0 {
		t.Errorf("errors of our making: %v", s.Errors)
	}
}
