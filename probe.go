package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"

	"tongxiang/ingest"
	"tongxiang/internal/mpegts"
)

// probe says what is in a transport stream or behind an RTSP address.
func probe(ctx context.Context, args []string, out io.Writer) error {
	asJSON, seconds := false, 0
	words, err := flagsAmong("probe", args, func(fs *flag.FlagSet) {
		fs.BoolVar(&asJSON, "json", false, "the report as JSON")
		fs.IntVar(&seconds, "seconds", int(ingest.ProbeTime/time.Second), "how long to look at what has no end, `N` seconds")
	})
	switch {
	case err != nil:
		return err
	case len(words) != 1:
		return misuse("probe", "needs one address or file, such as udp://239.1.1.1:5000")
	case seconds < 1 || seconds > 3600:
		return misuse("probe", "--seconds is 1 to 3600")
	}
	options := ingest.ProbeOptions{Time: time.Duration(seconds) * time.Second}
	if terminal(os.Stderr) {
		options.Progress = func(done float64, services int) {
			fmt.Fprintf(os.Stderr, "\r%3.0f %%  %d services ", done*100, services)
		}
	}
	report, err := ingest.Probe(ctx, words[0], options)
	if options.Progress != nil {
		fmt.Fprint(os.Stderr, "\r\033[K")
	}
	if err != nil {
		return err
	}
	if asJSON {
		enc := json.NewEncoder(out)
		enc.SetIndent("", "  ")
		return enc.Encode(report)
	}
	fmt.Fprintf(out, "%d packets, %.1f s, %d bit/s\n", report.Packets, report.Duration, int64(report.Bitrate))
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, s := range report.Services {
		fmt.Fprintf(w, "%d\t%s\t%s\tplayable: %v\t%s\n", s.ID, s.Name, s.Provider, s.Playable, s.Reason)
		for _, e := range []*mpegts.EventReport{s.Now, s.Next} {
			if e != nil {
				fmt.Fprintf(w, "\t%s\t%s\t%s\n", e.Start.Local().Format("15:04"), time.Duration(e.Duration*float64(time.Second)), e.Title)
			}
		}
		for _, st := range s.Streams {
			fmt.Fprintf(w, "\tPID %d\t%s\t%s\t%d access units\t%d bit/s\n", st.PID, st.Codec, st.Language, st.AccessUnits, st.Bitrate)
		}
	}
	report.TR101290.Each(func(name string, n uint64) {
		if n > 0 {
			fmt.Fprintf(w, "TR 101 290\t%s\t%d\n", name, n)
		}
	})
	return w.Flush()
}

// terminal reports whether somebody reads a file as it is written.
func terminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
