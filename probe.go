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
	if len(args) == 0 {
		return fmt.Errorf("%w: probe needs a URL or a file", errUsage)
	}
	target, asJSON, seconds := args[0], false, 0
	if err := flags("probe", args[1:], func(fs *flag.FlagSet) {
		fs.BoolVar(&asJSON, "json", false, "")
		fs.IntVar(&seconds, "seconds", int(ingest.ProbeTime/time.Second), "")
	}); err != nil {
		return err
	}
	if seconds < 1 || seconds > 3600 {
		return fmt.Errorf("%w: --seconds is 1 to 3600", errUsage)
	}
	options := ingest.ProbeOptions{Time: time.Duration(seconds) * time.Second}
	if terminal(os.Stderr) {
		options.Progress = func(done float64, services int) {
			fmt.Fprintf(os.Stderr, "\r%3.0f %%  %d services ", done*100, services)
		}
	}
	report, err := ingest.Probe(ctx, target, options)
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
			fmt.Fprintf(w, "\tPID %d\t%s\t%s\t%d access units\n", st.PID, st.Codec, st.Language, st.AccessUnits)
		}
	}
	return w.Flush()
}

// terminal reports whether somebody reads a file as it is written.
func terminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
