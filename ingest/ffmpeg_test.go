package ingest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"tongxiang/internal/media"
	"tongxiang/internal/stream"
)

// patience is for things that happen in a second on an idle machine.
const patience = 60 * time.Second

func needFFmpeg(t *testing.T) {
	t.Helper()
	for _, name := range []string{"ffmpeg", "ffprobe"} {
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("%s is not installed: this test sends its pictures", name)
		}
	}
}

// ffmpeg starts a child that ends with the test, and returns what kills it at once.
func ffmpeg(t *testing.T, args ...string) (kill func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cmd := exec.CommandContext(ctx, "ffmpeg", append([]string{"-nostdin", "-hide_banner", "-loglevel", "error"}, args...)...)
	var out bytes.Buffer
	cmd.Stderr = &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait()
	}()
	kill = func() {
		cancel()
		<-ended
	}
	t.Cleanup(func() {
		kill()
		if t.Failed() && out.Len() > 0 {
			t.Logf("ffmpeg: %s", out.String())
		}
	})
	return kill
}

// picture and tone are ffmpeg's inputs.
func picture(rate int) []string {
	return []string{"-re", "-f", "lavfi", "-i", fmt.Sprintf("testsrc2=size=320x240:rate=%d", rate)}
}

var tone = []string{"-re", "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000"}

func freePort(t *testing.T) int {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.LocalAddr().(*net.UDPAddr).Port
}

func args(lists ...[]string) []string {
	var all []string
	for _, l := range lists {
		all = append(all, l...)
	}
	return all
}

// house is a hub with channels, as a server has them.
type house struct {
	t        *testing.T
	hub      *stream.Hub
	channels *Channels
}

// newHouse also makes the test parallel: such tests mostly wait for real time to pass.
func newHouse(t *testing.T) *house {
	t.Helper()
	t.Parallel()
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	hub := stream.NewHub(log)
	h := &house{t, hub, NewChannels(hub, media.NewClock(), log, Options{})}
	t.Cleanup(func() {
		h.channels.Close()
		hub.Close()
	})
	return h
}

func (h *house) add(cfg ChannelConfig) {
	h.t.Helper()
	if err := h.channels.Add(cfg); err != nil {
		h.t.Fatal(err)
	}
}

// wait polls the status of a channel.
func (h *house) wait(id, what string, ok func(Status) bool) Status {
	h.t.Helper()
	var s Status
	poll(h.t, what, func() bool {
		s, _ = h.channels.Get(id)
		return ok(s)
	}, func() string { b, _ := json.MarshalIndent(s, "", " "); return string(b) })
	return s
}

func poll(t *testing.T, what string, ok func() bool, state func() string) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waiting for %s in vain: %s", what, state())
		}
	}
}

// follow reads frames of a channel's track until enough says so.
func (h *house) follow(id string, label stream.Label, enough func([]*media.Frame) bool) []*media.Frame {
	h.t.Helper()
	sub := h.hub.Open(stream.Channel(id))
	defer sub.Close()
	ctx, cancel := context.WithTimeout(h.t.Context(), patience)
	defer cancel()
	var track *stream.Track
	_, err := sub.Wait(ctx, func(tracks []*stream.Track) bool {
		for _, t := range tracks {
			if t.Label() == label {
				track = t
			}
		}
		return track != nil
	})
	if err != nil {
		h.t.Fatalf("no track %s: %v", label, err)
	}
	rd := stream.NewReader(nil)
	cur, err := track.FollowFrames(rd, stream.AtOldest)
	if err != nil {
		h.t.Fatal(err)
	}
	defer cur.Close()
	var frames []*media.Frame
	for !enough(frames) {
		for f := cur.Next(); f != nil; f = cur.Next() {
			frames = append(frames, f)
		}
		if enough(frames) { // perhaps nothing more comes
			break
		}
		select {
		case <-rd.Wake():
		case <-ctx.Done():
			h.t.Fatalf("track %s: %d frames only", label, len(frames))
		}
	}
	return frames
}

func atLeast(n int) func([]*media.Frame) bool {
	return func(f []*media.Frame) bool { return len(f) >= n }
}

// ffprobeTimes returns the PTS and DTS, in ticks of 90 kHz, of a file's packets of a kind ("v:0").
func ffprobeTimes(t *testing.T, file, which string) (pts, dts []int64) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "ffprobe", "-v", "error", "-select_streams", which,
		"-show_entries", "packet=pts,dts", "-of", "csv=p=0", file).Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		f := strings.Split(strings.TrimSpace(line), ",")
		if len(f) < 2 {
			continue
		}
		p, err1 := strconv.ParseInt(f[0], 10, 64)
		d, err2 := strconv.ParseInt(f[1], 10, 64)
		if err1 == nil && err2 == nil {
			pts, dts = append(pts, p), append(dts, d)
		}
	}
	return pts, dts
}
