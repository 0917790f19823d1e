package rtsp

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
	"sync"
	"testing"
	"time"

	"tongxiang/internal/auth"
	"tongxiang/internal/media"
	"tongxiang/internal/playout/playtest"
	"tongxiang/internal/push"
	"tongxiang/internal/stream"
)

// patience bounds every wait for something that must happen; nothing is measured with it.
const patience = 40 * time.Second

// rig is a server over a hub.
type rig struct {
	t     *testing.T
	hub   *stream.Hub
	clock media.Clock
	desk  *push.Desk
	s     *Server
}

func newRig(t *testing.T, change func(*Config)) *rig {
	t.Helper()
	t.Parallel()
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
	r := &rig{t: t, hub: stream.NewHub(log), clock: media.NewClock()}
	r.desk = push.NewDesk(r.hub, r.clock)
	cfg := Config{
		Listen: "127.0.0.1:0", Desk: r.desk,
		Watch: func(_ context.Context, token string, name stream.Name) error {
			switch {
			case token != "watch":
				return auth.ErrBadToken
			case name.Segments()[1] == "secret":
				return auth.ErrForbidden
			}
			return nil
		},
		Publish: func(_ context.Context, token string, name stream.Name) (string, error) {
			if token != "send" {
				return "", auth.ErrBadToken
			}
			return "studio", nil
		},
	}
	if change != nil {
		change(&cfg)
	}
	// RTP needs an even port with the next one free, so the first choice may not do.
	for try := 0; ; try++ {
		if cfg.UDP == "any" || try > 0 {
			cfg.UDP = fmt.Sprintf("127.0.0.1:%d", freePort(t)&^1)
		}
		var err error
		if r.s, err = New(cfg, r.hub, r.clock, log); err == nil {
			break
		}
		if cfg.UDP == "" || try > 20 {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		r.s.Close()
		r.hub.Close()
	})
	return r
}

func freePort(t *testing.T) int {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.LocalAddr().(*net.UDPAddr).Port
}

// url returns the address of a stream for the holder of a token.
func (r *rig) url(path, token string) string {
	u := "rtsp://" + r.s.Addr().String() + "/" + path
	if token != "" {
		u += "?token=" + token
	}
	return u
}

// show plays a clip again and again in its own time, until the test ends.
func (r *rig) show(name stream.Name, clip playtest.Clip) *stream.Publisher {
	r.t.Helper()
	pub, err := r.hub.Publish(name, false)
	if err != nil {
		r.t.Fatal(err)
	}
	stop := make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() { r.loop(pub, clip, stop) })
	r.t.Cleanup(func() {
		close(stop)
		running.Wait()
		pub.Close()
	})
	return pub
}

func (r *rig) loop(pub *stream.Publisher, clip playtest.Clip, stop <-chan struct{}) {
	tracks := pub.SetTracks(clip.Infos())
	first := clip.Frames[0].DTS
	for _, f := range clip.Frames {
		first = min(first, f.DTS)
	}
	length := clip.Length() + 40*time.Millisecond
	begin := r.clock.Now()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for round := 0; ; round++ {
		shift := media.Time(begin).Add(time.Duration(round) * length)
		for _, f := range clip.Frames {
			g := *f.Frame
			g.PTS, g.DTS = shift.Add(g.PTS.Sub(first)), shift.Add(g.DTS.Sub(first))
			for r.clock.Now() < int64(g.DTS) {
				select {
				case <-stop:
					return
				case <-tick.C:
				}
			}
			g.Arrival = r.clock.Now()
			tracks[f.Track].WriteFrame(&g)
		}
	}
}

// seen is what a player got.
type seen struct {
	Streams []struct {
		Codec  string `json:"codec_name"`
		Kind   string `json:"codec_type"`
		Width  int    `json:"width"`
		Frames string `json:"nb_read_frames"`
	} `json:"streams"`
	Packets []struct {
		Stream int    `json:"stream_index"`
		PTS    string `json:"pts_time"`
		Flags  string `json:"flags"`
	} `json:"packets"`
}

// frames returns how many frames of a kind were decoded.
func (s seen) frames(kind string) int {
	for _, st := range s.Streams {
		if st.Kind == kind {
			n, _ := strconv.Atoi(st.Frames)
			return n
		}
	}
	return 0
}

// first returns the time of the first packet of a stream, in seconds.
func (s seen) first(index int) float64 {
	for _, p := range s.Packets {
		if p.Stream == index && p.PTS != "" {
			t, _ := strconv.ParseFloat(p.PTS, 64)
			return t
		}
	}
	return -1
}

// watch plays two seconds of an address in ffprobe, which decodes all of it. It
// returns what went to standard error.
func watch(t *testing.T, transport, url string) (seen, string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "ffprobe", "-v", "error", "-rtsp_transport", transport, "-read_intervals", "%+2",
		"-count_frames", "-show_streams", "-show_packets", "-of", "json", url)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var s seen
	if err == nil {
		if err := json.Unmarshal(out.Bytes(), &s); err != nil {
			t.Fatalf("%v in %s", err, out.String())
		}
	}
	return s, strings.TrimSpace(errs.String()), err
}

// eventually waits until ok holds.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("not seen: %s", what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
