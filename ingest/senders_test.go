package ingest

import (
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"tongxiang/internal/stream"
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

func TestSRTFromAnEncoderPlaysBothWays(t *testing.T) {
	needFFmpeg(t)
	if !hasProtocol(t, "srt") {
		t.Skip("this ffmpeg has no SRT")
	}
	const secret = "passphrase=0123456789&pbkeylen=32"
	h := newHouse(t)
	port := freePort(t)
	to := fmt.Sprintf("srt://127.0.0.1:%d", port)
	send := func(address string) func() {
		return ffmpeg(t, args(picture(25), tone, encode, []string{"-f", "mpegts", address})...)
	}

	// The encoder calls us, and comes back after it was away.
	h.add(ChannelConfig{ID: "listener", Source: to + "?mode=listener&" + secret})
	s := h.wait("listener", "waiting", func(s Status) bool { return s.State == Lost && s.Reason.Code == "no_packets" })
	send(to + "?passphrase=wrongwrong&pbkeylen=16")
	s = h.wait("listener", "the refusal", func(s Status) bool { return s.Reason.Code == "source_passphrase" })
	if s.Errors["srt_refused_passphrase"] == 0 || s.Reason.ZH == "" || s.Attempts != 1 || strings.Contains(s.Source, "0123456789") {
		t.Errorf("%+v", s)
	}
	kill := send(to + "?" + secret)
	h.wait("listener", "live", live)
	kill()
	h.wait("listener", "lost", func(s Status) bool { return s.State == Lost })
	send(to + "?" + secret)
	s = h.wait("listener", "live again", live)
	if s.Attempts != 1 {
		t.Errorf("the listener was closed in between: %d attempts", s.Attempts)
	}
	// A port can be bound once: that another channel plays from it proves that it is shared.
	h.add(ChannelConfig{ID: "again", Source: to + "?mode=listener&" + secret})
	h.wait("again", "live", live)
	if err := h.channels.Remove("again"); err != nil {
		t.Fatal(err)
	}
	h.follow("listener", stream.LabelVideo, atLeast(75))
	if s, _ := h.channels.Get("listener"); s.Attempts != 1 || s.State != Live {
		t.Errorf("it was disturbed: %+v", s)
	}

	// We call the encoder, which is there later than we are.
	port = freePort(t)
	to = fmt.Sprintf("srt://127.0.0.1:%d", port)
	h.add(ChannelConfig{ID: "caller", Source: to + "?" + secret})
	h.wait("caller", "unreachable", func(s Status) bool { return s.Reason.Code == "source_unreachable" })
	send(to + "?mode=listener&" + secret)
	h.wait("caller", "live", live)

	port = freePort(t)
	to = fmt.Sprintf("srt://127.0.0.1:%d", port)
	send(to + "?mode=listener&" + secret)
	h.add(ChannelConfig{ID: "wrong", Source: to + "?passphrase=wrongwrong"})
	s = h.wait("wrong", "refused", func(s Status) bool { return s.State == Refused })
	if s.Reason.Code != "source_passphrase" || !strings.Contains(s.Reason.Detail, "1010") {
		t.Errorf("%+v", s)
	}
}

func hasProtocol(t *testing.T, name string) bool {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "ffmpeg", "-hide_banner", "-protocols").Output()
	if err != nil {
		t.Fatal(err)
	}
	return slices.Contains(strings.Fields(string(out)), name)
}
