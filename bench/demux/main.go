// Command demux compares demuxers on one file: seven programmes of standard
// definition at 37.6 Mbit/s, made with ffmpeg (bench/multiplex). It prints CPU time
// a packet, user and system, of this whole process, so that the garbage collector's
// share is in it, and time by the clock, which is what Go's own benchmarks count: the
// collector works beside the demuxer there.
//
//	go run ./bench/demux [-dir bench-out/multiplex] [-runs 7] [-rounds 4]
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/asticode/go-astits"

	"tongxiang/bench/multiplex"
	"tongxiang/internal/media"
	"tongxiang/internal/mpegts"
)

const packetSize = mpegts.PacketSize

// reference is the one that the others are compared with.
const reference = "ours, access units"

// ring is how many frames of a stream are kept.
const ring = 256

// datagram is how much is fed at a time, as from a socket.
const datagram = 7 * packetSize

func main() {
	dir := flag.String("dir", "bench-out/multiplex", "where the generated multiplex is kept")
	runs := flag.Int("runs", 7, "how often each is measured")
	rounds := flag.Int("rounds", 4, "how often the multiplex of 9.6 s is repeated in the file")
	only := flag.String("only", "", "measure only those whose name has this in it, and \"ours, access units\"")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *dir, *runs, *rounds, *only); err != nil {
		fmt.Fprintln(os.Stderr, "demux:", err)
		os.Exit(1)
	}
}

// contender is one way to read a multiplex.
type contender struct {
	name string
	run  func(ctx context.Context, data []byte, file string) (units int, err error)
	// child is set for another process, whose time counts.
	child bool
	note  string
}

func contenders() []contender {
	return []contender{
		{name: "bare scan of headers", run: scan, note: "sync, PID, counter, PCR flag: the floor"},
		{name: "scan and copy", run: keep(), note: "the same, and each payload is copied once to memory of which 24 MB stay: the floor for who keeps access units"},
		{name: "ours, tables only", run: ours(direct, mpegts.Handler{Want: func(*mpegts.Service) bool { return false }}), note: "no programme wanted: PAT, PMT, SDT, continuity"},
		{name: reference, run: ours(direct, mpegts.Handler{}), note: "14 streams to frames with their times"},
		{name: "received", run: received(), note: "32 datagrams at a time are copied to one place, as recvmmsg does: what to take off the next line"},
		{name: "received; ours, access units", run: ours(receive(), mpegts.Handler{}), note: "the same, and these are then taken apart: as from a socket"},
		{name: "ours, everything", run: probe, note: "the same with EIT and TR 101 290, as `tongxiang probe`"},
		{name: "go-astits v1.14.0", run: astitsDemux, note: "NextData: PES and tables; no access units"},
		{name: "ffmpeg, copy to null", run: ffmpeg, child: true, note: "`ffmpeg -i FILE -map 0 -c copy -f null -`"},
	}
}

func run(ctx context.Context, dir string, runs, rounds int, only string) error {
	files, err := multiplex.Make(ctx, dir, multiplex.Mixed, 1)
	if err != nil {
		return err
	}
	l, err := multiplex.Open(files[0])
	if err != nil {
		return err
	}
	data := make([]byte, rounds*multiplex.Packets*packetSize)
	l.Fill(data, 0)
	file := filepath.Join(dir, "demux.ts")
	if err := os.WriteFile(file, data, 0o644); err != nil {
		return err
	}
	// Outside the heap: 180 MB in it would let the collector wait for as much garbage,
	// and what is measured would be page faults.
	if data, err = mapped(file); err != nil {
		return err
	}
	packets := float64(len(data) / packetSize)
	cs := slices.DeleteFunc(contenders(), func(c contender) bool { return c.name != reference && !strings.Contains(c.name, only) })
	ours := slices.IndexFunc(cs, func(c contender) bool { return c.name == reference })
	ns, clock := make([][]float64, len(cs)), make([][]float64, len(cs))
	allocs := make([]float64, len(cs))
	units := make([]int, len(cs))
	for range runs { // in turn, so that what else the machine does falls on all of them
		for i, c := range cs {
			// Once to warm up: the memory that the heap gave back while the others ran
			// would come back as page faults.
			if _, err := c.run(ctx, data, file); err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			t, start := cpu(c.child), time.Now()
			if units[i], err = c.run(ctx, data, file); err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			clock[i] = append(clock[i], float64(time.Since(start))/packets)
			ns[i] = append(ns[i], float64(cpu(c.child)-t)/packets)
			runtime.ReadMemStats(&after)
			allocs[i] = float64(after.Mallocs-before.Mallocs) / packets
		}
	}
	fmt.Printf("%.0f packets, %.1f s at %.1f Mbit/s; %d runs of each, in turn; %s, %d cores, %s.\n\n",
		packets, packets/multiplex.PacketRate, multiplex.Rate/1e6, runs, runtime.Version(), runtime.NumCPU(), time.Now().UTC().Format(time.DateOnly))
	fmt.Println("| demuxer | ns of CPU a packet, median (min) | of ours | ns by the clock, median (min) | allocations a packet | units | |\n|---|---|---|---|---|---|---|")
	median := func(v []float64) float64 { s := slices.Sorted(slices.Values(v)); return s[len(s)/2] }
	for i, c := range cs {
		heap := fmt.Sprintf("%.3f", allocs[i])
		if c.child {
			heap = ""
		}
		fmt.Printf("| %s | %.1f (%.1f) | %.2f | %.1f (%.1f) | %s | %d | %s |\n", c.name, median(ns[i]), slices.Min(ns[i]), median(ns[i])/median(ns[ours]),
			median(clock[i]), slices.Min(clock[i]), heap, units[i], c.note)
	}
	return nil
}

// mapped returns a file's bytes, all of them in memory.
func mapped(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	data, err := syscall.Mmap(int(f.Fd()), 0, int(info.Size()), syscall.PROT_READ, syscall.MAP_SHARED|syscall.MAP_POPULATE)
	if err != nil {
		return nil, fmt.Errorf("map %s: %w", file, err)
	}
	return data, nil
}

// cpu returns the time that this process, or its children, used so far.
func cpu(children bool) time.Duration {
	who := syscall.RUSAGE_SELF
	if children {
		who = syscall.RUSAGE_CHILDREN
	}
	var r syscall.Rusage
	if syscall.Getrusage(who, &r) != nil {
		return 0
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

func scan(_ context.Context, data []byte, _ string) (int, error) {
	var counters [8192]byte
	seen := 0
	for at := 0; at+packetSize <= len(data); at += packetSize {
		p := data[at : at+packetSize : at+packetSize]
		if p[0] != 0x47 {
			return 0, errors.New("lost sync")
		}
		id := uint16(p[1]&0x1F)<<8 | uint16(p[2])
		if counters[id] != p[3]&0x0F {
			seen++
		}
		counters[id] = p[3] & 0x0F
		if p[3]&0x20 != 0 && p[4] >= 7 && p[5]&0x10 != 0 {
			seen++
		}
	}
	return seen, nil
}

// keptBytes is about what the newest frames of seven programmes take.
const keptBytes = 24 << 20

// keep scans and copies payloads to memory that is as cold as where the newest access
// units of all programmes are kept. It is taken once: nothing is allocated or collected.
func keep() func(context.Context, []byte, string) (int, error) {
	kept, to := make([]byte, keptBytes), 0
	return func(_ context.Context, data []byte, _ string) (int, error) {
		var counters [8192]byte
		seen := 0
		for at := 0; at+packetSize <= len(data); at += packetSize {
			p := data[at : at+packetSize : at+packetSize]
			if p[0] != 0x47 {
				return 0, errors.New("lost sync")
			}
			id := uint16(p[1]&0x1F)<<8 | uint16(p[2])
			if counters[id] != p[3]&0x0F {
				seen++
			}
			counters[id] = p[3] & 0x0F
			if id == 0x1FFF {
				continue
			}
			if len(kept)-to < packetSize {
				to = 0
			}
			to += copy(kept[to:], p[4:])
		}
		return seen, nil
	}
}

// way brings data to next.
type way func(data []byte, next func([]byte))

func direct(data []byte, next func([]byte)) { next(data) }

// ours demuxes as a receiver does that was started long ago: one demuxer for all
// runs, and the newest frames are kept as in the hub, so that memory is neither
// warmer nor colder than there.
func ours(w way, h mpegts.Handler) func(context.Context, []byte, string) (int, error) {
	n := 0
	kept := make(map[uint16]*[ring]*media.Frame)
	h.Frame = func(s *mpegts.Stream, f *media.Frame, _ mpegts.Times) {
		r := kept[s.PID]
		if r == nil {
			r = new([ring]*media.Frame)
			kept[s.PID] = r
		}
		r[s.AccessUnits%ring] = f
		n++
	}
	d := mpegts.NewDemuxer(h)
	feed := func(data []byte) {
		for ; len(data) > 0; data = data[min(datagram, len(data)):] {
			d.Feed(data[:min(datagram, len(data))], 1)
		}
	}
	return func(_ context.Context, data []byte, _ string) (int, error) {
		before := n
		w(data, feed)
		d.Flush()
		if s := d.Stats(); s.Continuity+s.SyncErrors+s.CRCErrors+s.BadPES+s.BadUnits > 0 {
			return n - before, fmt.Errorf("errors in a clean stream: %+v", s)
		}
		return n - before, nil
	}
}

// receive does what recvmmsg does before next gets the datagrams: they are written to
// a buffer that is always the same.
func receive() way {
	buffer := make([]byte, 32*datagram)
	return func(data []byte, next func([]byte)) {
		for len(data) > 0 {
			n := copy(buffer, data)
			data = data[n:]
			next(buffer[:n])
		}
	}
}

// received only does what [receive] does.
func received() func(context.Context, []byte, string) (int, error) {
	w := receive()
	return func(_ context.Context, data []byte, _ string) (int, error) {
		w(data, func([]byte) {})
		return 0, nil
	}
}

func probe(_ context.Context, data []byte, _ string) (int, error) {
	p := mpegts.NewProber()
	for ; len(data) > 0; data = data[min(datagram, len(data)):] {
		_, _ = p.Write(data[:min(datagram, len(data))])
	}
	p.Flush()
	n := uint64(0)
	for _, s := range p.Report(nil).Services {
		for _, st := range s.Streams {
			n += st.AccessUnits
		}
	}
	return int(n), nil
}

func astitsDemux(ctx context.Context, data []byte, _ string) (int, error) {
	d := astits.NewDemuxer(ctx, bytes.NewReader(data), astits.DemuxerOptPacketSize(packetSize))
	n := 0
	for {
		item, err := d.NextData()
		if errors.Is(err, astits.ErrNoMorePackets) {
			return n, nil
		}
		if err != nil {
			return n, err
		}
		if item.PES != nil {
			n++
		}
	}
}

func ffmpeg(ctx context.Context, _ []byte, file string) (int, error) {
	out, err := exec.CommandContext(ctx, "ffmpeg", "-nostdin", "-hide_banner", "-loglevel", "error", "-i", file, "-map", "0", "-c", "copy", "-f", "null", "-").CombinedOutput()
	if err != nil {
		return 0, fmt.Errorf("%w: %s", err, strings.TrimSpace(string(out)))
	}
	return 0, nil
}
