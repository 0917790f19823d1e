// Command quality measures what watching over forty-nine channels costs: seven
// multiplexes of seven services, made by ffmpeg once and played in a loop at their own
// pace through the ordinary ingest of the server, in this process; then the same with
// the watch beside it.
//
//	go run ./bench/quality -muxes 7 -for 60s
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"tongxiang/ingest"
	"tongxiang/internal/media"
	"tongxiang/internal/quality"
	"tongxiang/internal/stream"
)

func main() {
	muxes := flag.Int("muxes", 7, "multiplexes of seven services")
	length := flag.Duration("for", time.Minute, "how long each case is measured")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *muxes, *length); err != nil {
		fmt.Fprintln(os.Stderr, "quality:", err)
		os.Exit(1)
	}
}

// services of a multiplex: what a Chinese satellite carries in standard definition.
const services = 7

func run(ctx context.Context, muxes int, length time.Duration) error {
	dir, err := os.MkdirTemp("", "bench-quality")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	fmt.Fprintln(os.Stderr, "making a multiplex of seven services at 38 Mbit/s …")
	file := filepath.Join(dir, "mux.ts")
	if err := makeMux(ctx, file); err != nil {
		return err
	}
	fmt.Printf("%d channels, %d × 38 Mbit/s, %v each, %d cores, %s, %s\n\n", muxes*services, muxes, length, runtime.NumCPU(), runtime.Version(), time.Now().Format(time.DateOnly))
	fmt.Println("| case | CPU of this process, % of one core | of decoders | all | of one core per Mbit/s | pictures/s | samples/s | interval now |")
	fmt.Println("|---|---|---|---|---|---|---|---|")
	for _, c := range []struct {
		name  string
		watch *quality.Config
	}{
		{"ingest with TR 101 290, nobody watches", nil},
		{"and coded pictures and sounds are looked at", coded()},
		{"and sampled every 4 s", decoded(4 * time.Second)},
		{"and sampled every 8 s", decoded(8 * time.Second)},
	} {
		if err := measure(ctx, dir, file, c.name, muxes, length, c.watch); err != nil {
			return err
		}
	}
	return nil
}

func coded() *quality.Config {
	c := quality.DefaultConfig()
	c.FFmpeg = ""
	return &c
}

func decoded(every time.Duration) *quality.Config {
	c := quality.DefaultConfig()
	c.Interval = every
	return &c
}

// makeMux makes 24 s of seven programmes: four in H.264 and three in MPEG-2, interlaced,
// with MP2 and AAC, filled with null packets up to 38 Mbit/s.
func makeMux(ctx context.Context, file string) error {
	args := strings.Fields("-hide_banner -loglevel error -y")
	pictures := []string{"testsrc2", "mandelbrot", "testsrc2", "cellauto=rule=110", "testsrc2", "life=mold=10:ratio=0.3", "testsrc2"}
	for i, p := range pictures {
		sep := "="
		if strings.Contains(p, "=") {
			sep = ":"
		}
		args = append(args, "-f", "lavfi", "-i", p+sep+"s=720x576:r=25", "-f", "lavfi", "-i", fmt.Sprintf("sine=f=%d:r=48000", 300+100*i))
	}
	for i := range pictures {
		args = append(args, "-map", fmt.Sprintf("%d:v", 2*i), "-map", fmt.Sprintf("%d:a", 2*i+1))
	}
	args = append(args, strings.Fields("-t 24 -vf noise=alls=4:allf=t,setsar=16/15,format=yuv420p -ac 2 -threads 2 -g 25")...)
	for i := range pictures {
		if i < 4 {
			args = append(args, strings.Fields(fmt.Sprintf("-c:v:%d libx264 -preset:v:%d ultrafast -x264-params:v:%d interlaced=1:cabac=1:bframes=2 -b:v:%d 3M -maxrate:v:%d 4M -bufsize:v:%d 2M -c:a:%d mp2 -b:a:%d 192k", i, i, i, i, i, i, i, i))...)
		} else {
			args = append(args, strings.Fields(fmt.Sprintf("-c:v:%d mpeg2video -flags:v:%d +ildct+ilme -bf:v:%d 2 -b:v:%d 4500k -maxrate:v:%d 6M -bufsize:v:%d 2M -c:a:%d aac -b:a:%d 128k", i, i, i, i, i, i, i, i))...)
		}
		args = append(args, "-program", fmt.Sprintf("title=S%d:program_num=%d:st=%d:st=%d", i+1, i+1, 2*i, 2*i+1))
	}
	args = append(args, "-muxrate", "38M", "-pcr_period", "35", "-f", "mpegts", file)
	if out, err := exec.CommandContext(ctx, "ffmpeg", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("ffmpeg: %w: %s", err, out)
	}
	return nil
}

func measure(ctx context.Context, dir, file, name string, muxes int, length time.Duration, watch *quality.Config) error {
	log := slog.New(slog.DiscardHandler)
	hub := stream.NewHub(log)
	defer hub.Close()
	clock := media.NewClock()
	channels := ingest.NewChannels(hub, clock, log, ingest.Options{})
	defer channels.Close()
	for m := range muxes {
		link := filepath.Join(dir, fmt.Sprintf("mux%d.ts", m)) // another name is another multiplex
		if err := os.Link(file, link); err != nil && !os.IsExist(err) {
			return err
		}
		for p := range services {
			id := fmt.Sprintf("m%d-s%d", m, p)
			if err := channels.Add(ingest.ChannelConfig{ID: id, Name: id, Source: "file://" + link, Program: p + 1}); err != nil {
				return err
			}
		}
	}
	var w *quality.Service
	children := used(syscall.RUSAGE_CHILDREN)
	if watch != nil {
		w = quality.New(*watch, hub, clock, log, quality.Outlets{Channels: func() []quality.Channel {
			var out []quality.Channel
			for _, c := range channels.List() {
				out = append(out, quality.Channel{ID: c.ID, Live: c.State == ingest.Live, Transport: c.Transport})
			}
			return out
		}})
	}
	const warm = 10 * time.Second // decoders start, and every channel is sampled first
	if !sleep(ctx, warm) {
		return ctx.Err()
	}
	var before quality.Stats
	if w != nil {
		before = w.Stats()
	}
	began, self, shown := time.Now(), used(syscall.RUSAGE_SELF), pictures(hub)
	if !sleep(ctx, length) {
		return ctx.Err()
	}
	took, self, shown := time.Since(began), used(syscall.RUSAGE_SELF)-self, pictures(hub)-shown
	live := 0
	for _, c := range channels.List() {
		if c.State == ingest.Live {
			live++
		}
	}
	var decoders time.Duration
	var after quality.Stats
	if w != nil {
		after = w.Stats()
		w.Close()
		// Children count when they have ended: all they used, over the warm-up too.
		decoders = time.Duration(float64(used(syscall.RUSAGE_CHILDREN)-children) * float64(took) / float64(took+warm))
	}
	if live != muxes*services {
		return fmt.Errorf("%s: only %d of %d channels live", name, live, muxes*services)
	}
	percent := func(d time.Duration) float64 { return 100 * float64(d) / float64(took) }
	all := percent(self + decoders)
	fmt.Printf("| %s | %.1f | %.1f | %.1f | %.3f %% | %.0f | %.1f | %.1f s |\n", name, percent(self), percent(decoders), all,
		all/(38*float64(muxes)), float64(shown)/took.Seconds(), float64(after.Samples-before.Samples)/took.Seconds(), after.Interval.Seconds())
	return nil
}

// pictures returns how many pictures came in so far: 25 a second of each channel when
// the multiplexes are read in real time.
func pictures(hub *stream.Hub) (n uint64) {
	for _, s := range hub.List("channels/") {
		if t := stream.Find(s.Tracks, media.Video); t != nil {
			n += t.Stats().Items
		}
	}
	return n
}

func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// used returns the processor time of this process, or of its children that ended.
func used(who int) time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(who, &r); err != nil {
		return 0
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
