// Command broadcast measures what the ordinary server costs when it takes in whole
// multiplexes: seven of seven programmes each, 37.6 Mbit/s with null packets,
// generated with ffmpeg (bench/multiplex) and sent in real time by a process of its
// own over loopback, with every clock reference, time and counter going on for ever.
//
//	go run ./bench/broadcast -server bench-out/tongxiang [-muxes 7] [-window 60s] [-hls] [-record fmp4] [-kiosks COMMAND]
//
// The server has one core to itself as far as this program can see to it, the sender
// the other. Linux only: it reads /proc.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"time"

	"tongxiang/bench/multiplex"
	"tongxiang/bench/process"
)

type options struct {
	server     string
	commit     string
	out        string
	dir        string
	to         string
	muxes      int
	window     time.Duration
	settle     time.Duration
	hls        bool
	record     string
	kiosks     string
	profile    string
	serverCore int
	senderCore int
	nice       int
	send       bool
	serve      string
}

func main() {
	var o options
	flag.StringVar(&o.server, "server", "bench-out/tongxiang", "the server's binary")
	flag.StringVar(&o.commit, "commit", "", "what is measured, for the report")
	flag.StringVar(&o.out, "out", "", "file to append the report to")
	flag.StringVar(&o.dir, "dir", "bench-out/multiplex", "where the generated multiplexes are kept")
	flag.StringVar(&o.to, "to", "127.0.0.1:0", "where the first multiplex is sent, the others to the ports after it (0: ports that are free); a multicast group goes over lo")
	flag.IntVar(&o.muxes, "muxes", 7, "how many multiplexes, of seven programmes each")
	flag.DurationVar(&o.window, "window", time.Minute, "how long is measured")
	flag.DurationVar(&o.settle, "settle", 10*time.Second, "how long everything runs before")
	flag.BoolVar(&o.hls, "hls", false, "follow the HLS playlist of every channel; the programmes are then H.264 and AAC")
	flag.StringVar(&o.record, "record", "", "record every channel: fmp4, ts, or fmp4,ts for both at once; and a meeting of two sites beside them")
	flag.StringVar(&o.kiosks, "kiosks", "", "a command to run during the measurement, with the server's address in TONGXIANG_URL and a token in TONGXIANG_TOKEN")
	flag.StringVar(&o.profile, "profile", "", "run the server inside a copy of this program and write its CPU profile to this file")
	flag.IntVar(&o.serverCore, "server-core", 0, "core of the server")
	flag.IntVar(&o.senderCore, "sender-core", 1, "core of the sender and of the clients")
	flag.IntVar(&o.nice, "nice", 0, "priority of server and sender; less than 0 needs root")
	flag.BoolVar(&o.send, "send", false, "be the sender (used by this program itself)")
	flag.StringVar(&o.serve, "serve", "", "be the server with this configuration (used with -profile)")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := o.run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "broadcast:", err)
		os.Exit(1)
	}
}

func (o options) kind() multiplex.Kind {
	if o.hls {
		return multiplex.Direct
	}
	return multiplex.Mixed
}

func (o options) run(ctx context.Context) error {
	switch {
	case o.send:
		return o.sender(ctx)
	case o.serve != "":
		return o.profiled(ctx)
	}
	if runtime.GOOS != "linux" {
		return errors.New("this measurement reads /proc, which only Linux has")
	}
	if process.Cores() < 2 {
		return errors.New("two cores are needed: one for the server, one for the sender")
	}
	if _, err := multiplex.Make(ctx, o.dir, o.kind(), o.muxes); err != nil {
		return err
	}
	// The clients are here: they must not have the server's core.
	if err := process.PinSelf(o.senderCore, o.nice); err != nil {
		return err
	}
	if err := o.choosePorts(); err != nil {
		return err
	}
	r, err := o.measure(ctx)
	if err != nil {
		return err
	}
	text := r.String()
	fmt.Print(text)
	if o.out == "" {
		return nil
	}
	f, err := os.OpenFile(o.out, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = f.WriteString("\n" + text)
	return errors.Join(err, f.Close())
}

// report is the outcome.
type report struct {
	o           options
	wall        time.Duration
	cpu, waited time.Duration
	rss         int // KiB
	goroutines  float64
	heap        float64 // bytes
	gcs         float64
	channels    []channel
	attempts    int
	errors      map[string]uint64
	drops       uint64
	sent        sent
	hls         hlsCount
	recorded    *recorded
	senderCPU   time.Duration
	kiosksSaid  string
}

// String is the report in Markdown.
func (r *report) String() string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	rate := float64(r.o.muxes) * multiplex.Rate / 1e6
	load := float64(r.cpu) / float64(r.wall)
	title := "analysed"
	if r.o.hls {
		title = "analysed, with HLS of every channel"
	}
	asked := 0.15
	if r.recorded != nil {
		title += ", every channel recorded (" + r.o.record + ") and one meeting"
		asked = 0.20
	}
	line("## %s: %d multiplexes, %d programmes, %.0f Mbit/s, %s", time.Now().UTC().Format(time.DateOnly), r.o.muxes, r.o.muxes*multiplex.Services, rate, title)
	line("")
	line("%s, %s, %d cores, server on core %d, sender on core %d, both at nice %d, %.0f s.", r.o.commit, runtime.Version(), process.Cores(), r.o.serverCore, r.o.senderCore, r.o.nice, r.wall.Seconds())
	line("")
	line("| | |\n|---|---|")
	line("| CPU of the server, user and system | %.1f %% of a core, **%.3f %% a Mbit/s** (asked: %.2f) |", load*100, load*100/rate, asked)
	line("| ready to run while others had the core | %.1f %% |", float64(r.waited)/float64(r.wall)*100)
	line("| memory, goroutines | %.0f MiB resident, %.0f MiB of Go heap, %.0f goroutines, %.1f collections a minute |", float64(r.rss)/1024, r.heap/(1<<20), r.goroutines, r.gcs/r.wall.Minutes())
	least, most, want := r.pictures()
	line("| pictures of each channel | %d to %d, sent %d |", least, most, want)
	line("| channels that were started more than once | %d |", r.attempts)
	line("| datagrams dropped by the kernel | %d |", r.drops)
	line("| errors of the channels | %s |", listed(r.errors))
	line("| the sender | %d packets, at most %.1f ms late, %.1f %% of a core, %d datagrams refused |", r.sent.Packets, float64(r.sent.Late)/1e6, float64(r.senderCPU)/float64(r.wall)*100, r.sent.Refused)
	if r.o.hls {
		line("| HLS | %d segments and parts, %.1f Mbit/s, %d late or failed requests; the newest segment ends %.1f s (worst %.1f s) behind what was sent |",
			r.hls.Pieces, float64(r.hls.Bytes)*8/1e6/r.wall.Seconds(), r.hls.Bad, r.hls.Behind.Seconds(), r.hls.Worst.Seconds())
	}
	if rec := r.recorded; rec != nil {
		line("| recordings | %d, %.1f Mbit/s to disk, %d fragments lost, %d gaps, %d waiting at the end, the shortest %.1f s |",
			rec.count, rec.bytes*8/1e6/r.wall.Seconds(), int(rec.lost), rec.gaps, rec.waiting, rec.shortest)
		said := "no error"
		if len(rec.bad) > 0 {
			said = strings.Join(rec.bad, "<br>")
		}
		line("| every tenth file read by ffmpeg | %d files: %s |", rec.probed, said)
	}
	if r.kiosksSaid != "" {
		line("| kiosks | %s |", strings.ReplaceAll(strings.TrimSpace(r.kiosksSaid), "\n", "<br>"))
	}
	return b.String()
}

// pictures returns the fewest and the most that a channel got in the window, and
// how many were sent.
func (r *report) pictures() (least, most, want int) {
	least = 1 << 30
	for _, c := range r.channels {
		least, most = min(least, c.pictures), max(most, c.pictures)
	}
	return least, most, int(r.wall * multiplex.Pictures / multiplex.Duration)
}

func listed(m map[string]uint64) string {
	if len(m) == 0 {
		return "none"
	}
	var parts []string
	for name, n := range m {
		parts = append(parts, fmt.Sprintf("%s %d", name, n))
	}
	return strings.Join(parts, ", ")
}
