// Command sfu measures the media path of the server: how much CPU and memory a
// viewer costs, how many fit on a core, how long they wait, and how long joining
// takes. `make bench-sfu` runs it; docs/bench/sfu.md has the results and how to
// read them.
//
// The server is the ordinary binary in a process of its own on one core. This
// process is the load, on another core. It ends by itself.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"tongxiang/bench/process"
)

// options are the flags.
type options struct {
	binary     string
	serverCore int
	loadCore   int
	nice       int
	runs       int
	window     time.Duration
	only       map[string]bool
	most       int
	soak       time.Duration
	out        string
	commit     string
}

// parts are what a run measures, in this order; "soak" is one more, for itself.
var parts = []string{"floor", "apart", "capacity", "burst", "join", "meeting", "awake", "plain", "room", "isolation"}

func main() {
	log.SetFlags(log.Ltime)
	log.SetPrefix("bench-sfu: ")
	var o options
	var only string
	floor := flag.Bool("floor", false, "measure only the floors, in this process, and print JSON")
	plain := flag.String("plain", "", "serve as the plain SFU of the part \"plain\" on this address, and do nothing else")
	spin := flag.Bool("spin", false, "keep a core busy, and do nothing else")
	flag.StringVar(&o.binary, "server", "./tongxiang", "the server's binary")
	flag.IntVar(&o.serverCore, "server-core", 0, "the core of the server and of the floors")
	flag.IntVar(&o.loadCore, "load-core", 1, "the core of the load")
	flag.IntVar(&o.nice, "nice", 0, "priority of the server and the load, for a machine that does other work; below 0 needs root")
	flag.IntVar(&o.runs, "runs", 1, "how often everything is measured; the table has the medians")
	flag.DurationVar(&o.window, "window", 5*time.Second, "how long each step is measured")
	flag.StringVar(&only, "only", strings.Join(parts, ","), "the parts to measure")
	flag.IntVar(&o.most, "most", 2400, "the most viewers that the search for the capacity tries")
	flag.DurationVar(&o.soak, "soak", 30*time.Minute, "how long the part soak lasts")
	flag.StringVar(&o.out, "out", "", "a file to which the table is appended")
	flag.StringVar(&o.commit, "commit", "none", "what is measured, for the table")
	flag.Parse()
	if *spin {
		runSpin()
	}
	if *plain != "" {
		if err := runPlain(*plain); err != nil {
			log.Fatal(err)
		}
		return
	}
	if *floor {
		if err := runFloors(); err != nil {
			log.Fatal(err)
		}
		return
	}
	o.only = make(map[string]bool)
	for p := range strings.SplitSeq(only, ",") {
		o.only[strings.TrimSpace(p)] = true
	}
	if err := process.PinSelf(o.loadCore, o.nice); err != nil {
		log.Fatal(err)
	}
	ctx, end := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer end()
	limit := time.Duration(o.runs) * (20*time.Minute + o.soak)
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("the whole took longer than %v", limit))
	defer cancel()
	if err := run(ctx, o); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, o options) error {
	var results []result
	for i := range o.runs {
		log.Printf("run %d of %d", i+1, o.runs)
		r, err := measureAll(ctx, o)
		if err != nil {
			return err
		}
		results = append(results, r)
	}
	table := report(o, results)
	fmt.Print(table)
	if o.out == "" {
		return nil
	}
	f, err := os.OpenFile(o.out, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("open the report: %w", err)
	}
	_, err = f.WriteString("\n" + table)
	return firstOf(err, f.Close())
}
