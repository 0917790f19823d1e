package ingest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"time"

	"tongxiang/ingest/mpegts"
	"tongxiang/ingest/source"
	"tongxiang/internal/media"
	core "tongxiang/internal/mpegts"
)

// ProbeTime is how long a source that does not end is looked at: SDT comes every 2 s,
// EIT every 2 s, a key frame of the longest usual GOP every 10 s.
const ProbeTime = 10 * time.Second

// ProbeOptions are what [Probe] may be told.
type ProbeOptions struct {
	// Time is how long a source that does not end is looked at; 0: [ProbeTime].
	Time time.Duration
	// Progress is called from time to time with how far the look is, 0 to 1, and how
	// many services were found; nil: nobody wants to know. It does not block.
	Progress func(done float64, services int)
}

// Probe says what a source carries: a transport stream at any address that a
// channel may have, a file by its path, or an RTSP stream. It reads a file to its
// end, and anything else until ctx ends or for the time in o. The error is a
// [source.Error] when the source does not play at all.
func Probe(ctx context.Context, address string, o ProbeOptions) (*core.Report, error) {
	if o.Time == 0 {
		o.Time = ProbeTime
	}
	u, err := url.Parse(address)
	if err != nil || u.Scheme == "" || len(u.Scheme) == 1 { // a drive letter is no scheme
		return probeFile(ctx, address)
	}
	if u.Scheme == "file" {
		return probeFile(ctx, mpegts.Path(u))
	}
	src, err := openSource(Schemes(), address, 0)
	if err != nil {
		return nil, err
	}
	var report *core.Report
	s := survey{limit: o.Time, told: func(r *core.Report, _ []judgement, progress float64) {
		report = r // the newest call has returned before run does
		if o.Progress != nil {
			o.Progress(progress, len(r.Services))
		}
	}}
	// An interrupt ends the look, and what was seen by then is the answer.
	if err := s.run(ctx, src, media.NewClock()); err != nil {
		return nil, fmt.Errorf("probe %s: %w", u.Redacted(), err)
	}
	return report, nil
}

func probeFile(ctx context.Context, path string) (*core.Report, error) {
	f, err := os.Open(path)
	if err != nil {
		cause := source.CauseFailed
		if errors.Is(err, fs.ErrNotExist) {
			cause = source.CauseNotFound
		}
		return nil, fmt.Errorf("probe: %w", source.Because(cause, err))
	}
	defer f.Close()
	return core.Probe(ctx, f, judgeService)
}
