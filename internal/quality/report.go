package quality

import (
	"fmt"
	"hash/crc32"
	"time"

	"tongxiang/internal/mpegts"
)

// Report is what is known of one channel.
type Report struct {
	Findings
	// Judged says how picture and sound are judged: "decoded", "coded" when there is
	// no decoder or nothing decoded yet, empty while nothing is.
	Judged string
	// Transport is false for a channel that is no transport stream; then what follows is empty.
	Transport           bool
	Errors              mpegts.TR101290 // over all sources of the channel since the server started
	PIDs                []mpegts.PIDMeasure
	Bitrate             int64
	Jitter, DelayFactor int64 // microseconds
	// Loudness is over the last minute of samples, in LUFS, and Level the newest one's
	// in dBFS; valid when Heard.
	Heard           bool
	Loudness, Level float64
	// Luma is the mean of the newest sampled picture, 16 for black to 235 for white;
	// zero when there is none.
	Luma float64
	// ThumbnailAt is when the newest sampled picture arrived; zero: there is none.
	ThumbnailAt time.Time
}

// Report returns what is known of a channel; ok is false when it is not watched yet.
func (s *Service) Report(id string) (r Report, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.channels[id]
	if c == nil {
		return Report{}, false
	}
	return s.report(c), true
}

// report composes a report. The caller holds s.mu.
func (s *Service) report(c *channel) Report {
	now := s.clock.Wall(s.clock.Now())
	r := Report{Findings: Findings{Raised: c.alarms.raised(), Since: c.since}}
	if m := c.measure; m != nil {
		r.Transport, r.Errors, r.PIDs = true, c.totals, m.PIDs
		if c.live {
			r.Bitrate, r.Jitter, r.DelayFactor = m.Bitrate, m.Jitter, m.DelayFactor
		}
	}
	if !c.live {
		return r
	}
	r.Judged = c.judgedBy
	if !c.judge.heard.IsZero() && now.Sub(c.judge.heard) < stale {
		r.Heard, r.Level, r.Loudness = true, c.judge.level, c.judge.average(now, loudnessOver)
	}
	if c.picture != nil {
		r.ThumbnailAt, r.Luma = c.pictureAt, c.luma
	}
	return r
}

// Thumbnail is a channel's newest sampled picture.
type Thumbnail struct {
	JPEG []byte
	ETag string // of these bytes, with its quotes
	At   time.Time
}

// Thumbnail returns the newest picture of a channel; ok is false when there is none. It
// is coded when somebody asks first: nobody looks at most.
func (s *Service) Thumbnail(id string) (t Thumbnail, ok bool, err error) {
	s.mu.Lock()
	c := s.channels[id]
	if c == nil || c.picture == nil {
		s.mu.Unlock()
		return Thumbnail{}, false, nil
	}
	p, at, b := c.picture, c.pictureAt, c.thumbnail
	s.mu.Unlock()
	if b == nil {
		if b, err = p.encode(); err != nil {
			return Thumbnail{}, false, err
		}
		s.mu.Lock()
		if c.pictureAt.Equal(at) {
			c.thumbnail = b
		}
		s.mu.Unlock()
	}
	return Thumbnail{JPEG: b, ETag: fmt.Sprintf(`"%08x-%x"`, crc32.ChecksumIEEE(b), at.UnixMilli()), At: at}, true, nil
}

// Stats is what the watching costs.
type Stats struct {
	Channels   int
	Samples    uint64        // taken
	Interval   time.Duration // between two of a channel, as it is now
	CPU        float64       // share of one core that samples used last
	Decoders   int           // ffmpeg children running
	Starts     uint64        // of them
	Failures   uint64        // samples that could not be decoded, children that ended
	Slowest    time.Duration // that one sample took lately
	Unrecorded uint64        // changes of alarms that did not get into the log
}

// Stats returns the counters.
func (s *Service) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Stats{
		Channels: len(s.channels), Samples: s.samples.Load(), Decoders: s.decoders, Slowest: s.slowest,
		Interval: time.Duration(float64(s.cfg.Interval) * s.budget.factor), CPU: s.budget.used,
		Starts: s.starts.Load(), Failures: s.failures.Load(), Unrecorded: s.unrecorded.Load(),
	}
}

// Decodes reports whether pictures and sounds are decoded at all.
func (s *Service) Decodes() bool { return s.decodes }
