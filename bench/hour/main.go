// Command hour holds a meeting of four sites for an hour and measures its
// recording: how far the picture and the sound on air drift apart, and whether a
// change of speaker clicks, and whether its chapters are the speakers' turns. docs/bench/programme.md has the results.
//
// Each site is a browser's stand-in: WHIP with H.264 and Opus that ffmpeg encoded,
// RTP with levels and sender reports, on a clock of its own that runs fast or slow.
// It speaks in its turn, a quarter of each minute, and in the middle of the turn it
// claps and its picture flashes. Server, sites and analysis are this one process,
// on loopback; it ends by itself.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"tongxiang/configs"
	"tongxiang/internal/server"
)

const (
	sites = 4
	// round is how long everybody's turns take together, turn each one's.
	round = time.Minute
	turn  = round / sites
)

// drifts are the sites' clocks in millionths: crystals are within 100.
var drifts = [sites]float64{-80, -25, 30, 90}

func main() {
	log.SetFlags(log.Ltime)
	log.SetPrefix("bench-hour: ")
	length := flag.Duration("length", time.Hour, "how long the meeting lasts")
	out := flag.String("out", "", "a file to which the table is appended")
	commit := flag.String("commit", "none", "what is measured, for the table")
	vp8 := flag.Int("vp8", 0, "how many of the sites send VP8")
	keep := flag.String("keep", "", "a file to which the recording is copied")
	flag.Parse()
	ctx, end := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer end()
	ctx, cancel := context.WithTimeout(ctx, *length+10*time.Minute)
	defer cancel()
	if err := run(ctx, *length, *vp8, *commit, *out, *keep); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, length time.Duration, vp8 int, commit, out, keep string) (err error) {
	dir, err := os.MkdirTemp("", "bench-hour-")
	if err != nil {
		return fmt.Errorf("make a folder: %w", err)
	}
	defer os.RemoveAll(dir)
	log.Print("encoding the sites' media")
	var clips [sites]clip
	for i := range clips {
		if clips[i], err = encodeSite(ctx, i, i >= sites-vp8); err != nil {
			return err
		}
	}
	n, stop, err := startNode(ctx, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	file := filepath.Join(dir, "programme.mp4")
	m, err := hold(ctx, n, clips, length, file)
	if err != nil {
		return err
	}
	if keep != "" {
		if err := copyFile(keep, file); err != nil {
			return err
		}
	}
	log.Print("analysing the recording")
	r, err := analyse(ctx, file)
	if err != nil {
		return err
	}
	table := r.report(commit, length) + m.judge(r).report(m)
	fmt.Print(table)
	if out == "" {
		return nil
	}
	f, err := os.OpenFile(out, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("open the report: %w", err)
	}
	_, err = f.WriteString("\n" + table)
	return errors.Join(err, f.Close())
}

// startNode runs a server of its own on free ports.
func startNode(ctx context.Context, dir string) (*node, func() error, error) {
	cfg := configs.Default()
	cfg.Data = filepath.Join(dir, "data")
	cfg.HTTP.Listen, cfg.HTTPS.Listen = "127.0.0.1:0", ""
	cfg.RTSP.Listen, cfg.RTSP.UDP = "127.0.0.1:0", "" // the usual ports may be in use
	cfg.WebRTC = configs.WebRTC{UDP: "127.0.0.1:0", TCP: "127.0.0.1:0", Addresses: []string{"127.0.0.1"}}
	quiet := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	s, err := server.New(ctx, cfg, "bench", quiet)
	if err != nil {
		return nil, nil, fmt.Errorf("build the server: %w", err)
	}
	running, end := context.WithCancel(context.Background())
	var g errgroup.Group
	g.Go(func() error { return s.Run(running) })
	plain, _ := s.Addresses()
	n := &node{url: "http://" + plain.String(), http: &http.Client{Timeout: time.Minute}}
	stop := func() error {
		end()
		return errors.Join(g.Wait(), s.Close())
	}
	if err := n.login(ctx, s.First.Name, s.First.Password); err != nil {
		return nil, nil, errors.Join(err, stop())
	}
	return n, stop, nil
}

// hold holds the meeting and fetches its recording.
func hold(ctx context.Context, n *node, clips [sites]clip, length time.Duration, file string) (m meeting, err error) {
	if err := n.post(ctx, "/api/v1/meetings", map[string]string{"id": meetingID, "title": "bench"}, nil); err != nil {
		return m, err
	}
	g, running := errgroup.WithContext(ctx)
	running, end := context.WithCancel(running)
	defer end()
	m.began = time.Now().Add(2 * time.Second)
	for i := range sites {
		s, err := n.sit(ctx, i, clips[i])
		if err != nil {
			return m, fmt.Errorf("site %d: %w", i, err)
		}
		m.seats[i] = s.seat
		g.Go(func() error { return s.play(running, m.began, drifts[i]) })
	}
	if err := pause(ctx, 3*time.Second); err != nil {
		return m, err
	}
	var rec recording
	if err := n.post(ctx, "/api/v1/recordings", map[string]string{"stream": "meetings/" + meetingID + "/programme", "title": "bench"}, &rec); err != nil {
		return m, err
	}
	m.started = rec.Started
	log.Printf("recording for %v", length)
	if err := pause(running, length); err != nil {
		return m, errors.Join(err, g.Wait())
	}
	if err := n.post(ctx, "/api/v1/recordings/"+rec.ID+"/stop", struct{}{}, nil); err != nil {
		return m, err
	}
	end()
	if err := g.Wait(); err != nil && !errors.Is(err, context.Canceled) {
		return m, err
	}
	if m.chapters, err = n.chapters(ctx, rec.ID); err != nil {
		return m, err
	}
	return m, n.download(ctx, "/api/v1/recordings/"+rec.ID+"/file", file)
}

// pause waits; it is an error when ctx ends first.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
