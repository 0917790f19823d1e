package server

import (
	"context"
	"fmt"
	"net"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"tongxiang/ingest"
	"tongxiang/internal/media"
	"tongxiang/internal/playout/feed"
	"tongxiang/internal/playout/playtest"
	"tongxiang/internal/stream"
)

// broadcast sends bars and a tone of a size as a transport stream until it is cut.
func broadcast(t *testing.T, size, to string) (cut func()) {
	t.Helper()
	playtest.Tools(t)
	ctx, cancel := context.WithCancel(context.Background())
	args := strings.Fields("-nostdin -v error -re -f lavfi -i testsrc2=rate=25:size=" + size +
		" -re -f lavfi -i sine=frequency=440:sample_rate=48000 " + playtest.Plain + " -f mpegts")
	cmd := exec.CommandContext(ctx, "ffmpeg", append(args, to+"?pkt_size=1316")...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	cut = sync.OnceFunc(func() {
		cancel()
		_ = cmd.Wait() // it was killed
	})
	t.Cleanup(cut)
	return cut
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

// reader follows the pictures of a channel and notes the longest time without one.
type reader struct {
	mu      sync.Mutex
	longest time.Duration
	last    time.Time
	back    int // times that went backwards
	ended   int // how often the choice of tracks changed
}

func (r *rig) read(ctx context.Context, id string) *reader {
	x := &reader{}
	f := feed.Open(r.s.hub, stream.Channel(id), feed.Options{From: stream.AtSync})
	done := make(chan struct{})
	r.t.Cleanup(func() { <-done })
	go func() {
		defer close(done)
		defer f.Close()
		var dts media.Time
		for {
			e, err := f.Next(ctx)
			if err != nil {
				return
			}
			x.mu.Lock()
			switch {
			case e.Frame == nil:
				x.ended++
			case f.Tracks()[e.Track].Format.Codec.Kind() == media.Video:
				if now := time.Now(); !x.last.IsZero() {
					x.longest = max(x.longest, now.Sub(x.last))
				}
				if e.Frame.DTS <= dts {
					x.back++
				}
				dts, x.last = e.Frame.DTS, time.Now()
			}
			x.mu.Unlock()
		}
	}()
	return x
}

// TestACutPrimaryDoesNotEndWhatPeopleWatch cuts the source of a channel that an HLS
// player and a plain reader follow, lets it return, and wants both to go on.
func TestACutPrimaryDoesNotEndWhatPeopleWatch(t *testing.T) {
	a, b := freePort(t), freePort(t)
	primary, backup := fmt.Sprintf("udp://127.0.0.1:%d", a), fmt.Sprintf("udp://127.0.0.1:%d", b)
	cut := broadcast(t, "320x180", primary)
	broadcast(t, "426x240", backup) // another size: a change of format, and no end
	r := start(t, config(t, t.TempDir()))
	r.api("POST", "/channels", map[string]any{
		"id": "c", "name": "测试", "source": primary, "backup": []string{backup}, "switch": map[string]any{"back_after": "3s"},
	}, nil)
	status := func() ingest.Status { s, _ := r.s.channels.Get("c"); return s }
	eventually(t, "the channel live", func() bool { return status().State == ingest.Live })

	token := r.admin()
	get := func(path string) string {
		code, body := r.do("GET", "/hls/channels/c/"+path, token, "", "")
		if code != 200 {
			t.Fatalf("%s: %d %s", path, code, body)
		}
		if strings.Contains(body, "#EXT-X-ENDLIST") {
			t.Fatalf("the playlist ended:\n%s", body)
		}
		return body
	}
	var playlist string
	for line := range strings.Lines(get("index.m3u8")) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			playlist = line // the first: the channel as it is; the others are renditions
			break
		}
	}
	eventually(t, "segments", func() bool { return strings.Count(get(playlist), "#EXTINF") >= 2 })
	ctx, cancel := context.WithCancel(t.Context())
	x := r.read(ctx, "c")
	t.Cleanup(cancel)
	grows := func(what string, ok func() bool) {
		t.Helper()
		eventually(t, what, ok)
		newest := segment(get(playlist))
		eventually(t, "segments "+what, func() bool { n := segment(get(playlist)); return n != newest && n != "" })
	}

	cut()
	grows("on the backup", func() bool { s := status(); return s.Backup && s.State == ingest.Live })
	x.mu.Lock()
	gap := x.longest
	x.mu.Unlock()
	t.Logf("primary cut: %v without a picture", gap.Round(time.Millisecond))

	broadcast(t, "320x180", primary)
	grows("back on the primary", func() bool { s := status(); return !s.Backup && s.SwitchedFor == "back" })
	list := get(playlist)
	if n := strings.Count(list, "#EXT-X-DISCONTINUITY\n"); n > 2 {
		t.Errorf("%d discontinuities:\n%s", n, list)
	}
	if n := strings.Count(r.log.String(), "hls session began"); n != 1 {
		t.Errorf("%d sessions", n)
	}
	if s := status(); s.Sources[0].State != ingest.Live || len(s.Sources) != 2 {
		t.Errorf("%+v", s.Sources)
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.back > 0 {
		t.Errorf("time went back %d times", x.back)
	}
}

// segment returns the name of the newest whole segment of a playlist.
func segment(list string) string {
	newest := ""
	lines := strings.Split(list, "\n")
	for i, l := range lines {
		if strings.HasPrefix(l, "#EXTINF") && i+1 < len(lines) {
			newest = lines[i+1]
		}
	}
	return newest
}
