// Command sources measures what a channel does when its source vanishes and
// returns: how long until it says so, how long until it plays again, and how long
// until a backup is on air.
//
//	go run ./bench/sources -away 30s -runs 3
//
// The source is ffmpeg sending a generated programme, as a transport stream over
// UDP and by RTSP from a server of its own; it is killed and started anew. The
// ingest and the hub are those of the server, in this process.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"slices"
	"time"

	"tongxiang/ingest"
	"tongxiang/internal/media"
	"tongxiang/internal/playout/feed"
	"tongxiang/internal/stream"
)

func main() {
	away := flag.Duration("away", 30*time.Second, "how long the source is gone")
	runs := flag.Int("runs", 3, "how often")
	only := flag.Bool("backups", false, "measure the change to a backup only")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *away, *runs, *only); err != nil {
		fmt.Fprintln(os.Stderr, "sources:", err)
		os.Exit(1)
	}
}

// origin is a source that can be started and killed.
type origin interface {
	url() string
	start(ctx context.Context) error
	kill()
}

func run(ctx context.Context, away time.Duration, runs int, only bool) error {
	log := slog.New(slog.DiscardHandler)
	hub := stream.NewHub(log)
	defer hub.Close()
	clock := media.NewClock()
	channels := ingest.NewChannels(hub, clock, log, ingest.Options{})
	defer channels.Close()
	if only {
		return backups(ctx, hub, channels, runs)
	}
	origins := map[string]origin{}
	var err error
	if origins["TS over UDP"], err = newUDP(); err != nil {
		return err
	}
	if origins["RTSP over TCP"], err = newRTSP(); err != nil {
		return err
	}
	fmt.Printf("Source gone for %v, %d times, %s.\n\n", away, runs, time.Now().Format(time.DateOnly))
	fmt.Print("| source | says so after, ms (p50 / max) | plays again after its return, ms (p50 / max) |\n|---|---|---|\n")
	for _, name := range []string{"TS over UDP", "RTSP over TCP"} {
		said, back, err := measure(ctx, hub, channels, origins[name], away, runs)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		fmt.Printf("| %s | %s | %s |\n", name, show(said), show(back))
	}
	return backups(ctx, hub, channels, runs)
}

func show(d []time.Duration) string {
	slices.Sort(d)
	return fmt.Sprintf("%d / %d", d[len(d)/2].Milliseconds(), d[len(d)-1].Milliseconds())
}

// measure adds a channel for the source and lets it vanish.
func measure(ctx context.Context, hub *stream.Hub, channels *ingest.Channels, o origin, away time.Duration, runs int) (said, back []time.Duration, err error) {
	const id = "bench"
	if err := o.start(ctx); err != nil {
		return nil, nil, err
	}
	defer o.kill()
	if err := channels.Add(ingest.ChannelConfig{ID: id, Name: id, Source: o.url()}); err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, channels.Remove(id)) }()
	for range runs {
		if err := plays(ctx, hub, id); err != nil {
			return nil, nil, err
		}
		time.Sleep(3 * time.Second)
		gone := time.Now()
		o.kill()
		for {
			if s, _ := channels.Get(id); s.State == ingest.Lost {
				break
			}
			if err := pause(ctx, 5*time.Millisecond); err != nil {
				return nil, nil, err
			}
		}
		said = append(said, time.Since(gone))
		if err := pause(ctx, away-time.Since(gone)); err != nil {
			return nil, nil, err
		}
		if err := o.start(ctx); err != nil {
			return nil, nil, err
		}
		returned := time.Now()
		if err := plays(ctx, hub, id); err != nil {
			return nil, nil, err
		}
		back = append(back, time.Since(returned))
	}
	return said, back, nil
}

// plays returns when a picture at which decoding can start comes that was not there
// when it was called.
func plays(ctx context.Context, hub *stream.Hub, id string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	f := feed.Open(hub, stream.Channel(id), feed.Options{From: stream.AtSync})
	defer f.Close()
	began := time.Now()
	for {
		e, err := f.Next(ctx)
		if err != nil {
			return fmt.Errorf("no picture: %w", err)
		}
		fresh := e.Frame != nil && f.Tracks()[e.Track].Format.Codec.Kind() == media.Video && e.Frame.Sync
		// What the ring held comes at once; a picture of the new source cannot.
		if fresh && time.Since(began) > 20*time.Millisecond {
			return nil
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}

// freePort returns a port that is free now.
func freePort(network string) (int, error) {
	if network == "udp" {
		c, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			return 0, err
		}
		defer c.Close()
		return c.LocalAddr().(*net.UDPAddr).Port, nil
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}
