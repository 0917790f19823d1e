package ingest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"sync"
	"time"

	"tongxiang/ingest/mpegts"
	"tongxiang/ingest/source"
	"tongxiang/internal/media"
	core "tongxiang/internal/mpegts"
	"tongxiang/internal/stream"
)

const (
	// surveyBytes bounds what one look at a source reads: 12 s of the largest
	// multiplex (60 Mbit/s), and a server that sends as fast as it can.
	surveyBytes = 96 << 20
	// surveyNoise is how much may arrive before it counts as no transport stream.
	surveyNoise = 1 << 20
	// surveyTold is how often what was found so far is told.
	surveyTold = 500 * time.Millisecond
	// guideAfter is how long a look that is complete waits for what is on now: EIT
	// present/following comes every 2 s (ETSI TS 101 211 4.4).
	guideAfter = 3 * time.Second
)

// survey looks at a source for a time.
type survey struct {
	limit time.Duration // how long
	early bool          // end when everything that the tables promise was seen
	// told is called from time to time, and at the end, with what was found so far
	// and how far the look is, 0 to 1. It runs in a goroutine of the source.
	told func(r *core.Report, judged []judgement, progress float64)
}

// judgement is what can be done with a service.
type judgement struct {
	playable Playable
	reason   Reason
}

// reader is a source whose bytes are a transport stream.
type reader interface {
	Read(ctx context.Context, clock media.Clock, f func([]byte)) error
}

// run looks at a source until its time is over, the source ends or ctx ends. The
// error is a [source.Error] when there was nothing to see.
func (s survey) run(ctx context.Context, src source.Source, clock media.Clock) error {
	limited, cancel := context.WithTimeout(ctx, s.limit)
	defer cancel()
	var bytes int
	var err error
	if r, ok := src.(reader); ok {
		bytes, err = s.multiplex(limited, r, clock, cancel)
	} else {
		bytes, err = s.tracks(limited, src, clock, cancel)
	}
	switch {
	case errors.Is(err, errNotTS):
		return source.Because(source.CauseNotTS, err)
	case bytes > 0:
		return nil
	case limited.Err() != nil:
		return source.Because(source.CauseNoPackets, errors.New("nothing arrived"))
	}
	return err
}

var errNotTS = errors.New("no transport packets")

// multiplex looks at a transport stream.
func (s survey) multiplex(ctx context.Context, r reader, clock media.Clock, enough func()) (bytes int, err error) {
	var mu sync.Mutex // the source's goroutine and ours take turns
	p := core.NewProber()
	began := clock.Now()
	next := int64(0)
	noise, done := false, false
	tell := func() {
		report := p.Report(judgeService)
		judged := make([]judgement, 0, len(report.Services))
		for _, v := range p.Services() {
			judged = append(judged, judge(v))
		}
		progress := max(p.Complete(), float64(clock.Now()-began)/float64(s.limit))
		s.told(report, judged, min(progress, 1))
	}
	err = r.Read(ctx, clock, func(b []byte) {
		mu.Lock()
		defer mu.Unlock()
		if done {
			return
		}
		bytes += len(b)
		_, _ = p.Write(b) // never fails
		now := clock.Now()
		if now >= next {
			next = now + int64(surveyTold)
			tell()
			present, services := p.Events()
			done = s.early && p.Complete() >= 1 && (present == services || now-began >= int64(guideAfter))
		}
		noise = bytes > surveyNoise && p.Stats().Packets < uint64(bytes/core.PacketSize/10)
		done = done || noise || s.early && bytes > surveyBytes
		if done {
			enough()
		}
	})
	mu.Lock()
	defer mu.Unlock()
	done = true
	p.Flush()
	if noise || bytes > 0 && p.Stats().Packets == 0 {
		return bytes, errNotTS
	}
	if bytes > 0 {
		tell()
	}
	return bytes, err
}

// judge says what can be done with a service of a multiplex.
func judge(v *core.Service) judgement {
	p, why := Judge(mpegts.Streams(v))
	if p == PlayableUnknown {
		return judgement{Unplayable, Reason{
			Code: "no_media", EN: "The programme has no picture and no sound.", ZH: "该节目没有画面和声音。",
		}}
	}
	return judgement{p, why}
}

// judgeService is judge as a report wants it.
func judgeService(v *core.Service) (playable, reason string) {
	j := judge(v)
	return string(j.playable), j.reason.EN
}

// counter is a sink that only counts.
type counter struct {
	mu     sync.Mutex
	tracks []*stream.Track
}

func (c *counter) Tracks(list []*stream.Track) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tracks = list
}

func (*counter) Frame(*stream.Track, *media.Frame)   {}
func (*counter) Packet(*stream.Track, *media.Packet) {}

// tracks looks at a source that is no multiplex: it is run as for a channel, and
// what it writes is counted.
func (s survey) tracks(ctx context.Context, src source.Source, clock media.Clock, enough func()) (int, error) {
	c := &counter{}
	var mu sync.Mutex // guards last and first
	var last source.Report
	began := clock.Now()
	out := &source.Output{
		Publisher: stream.Divert(stream.Channel("survey"), c), Timeline: new(media.Timeline), Clock: clock,
		Log: slog.New(slog.DiscardHandler),
		Report: func(r source.Report) {
			mu.Lock()
			defer mu.Unlock()
			last = r
		},
	}
	defer out.Publisher.Close()
	tell := func() (complete bool) {
		mu.Lock()
		r := last
		mu.Unlock()
		c.mu.Lock()
		tracks := c.tracks
		c.mu.Unlock()
		seconds := float64(clock.Now()-began) / 1e9
		report := &core.Report{
			Duration: seconds, Bitrate: int64(float64(out.Bytes()*8) / max(seconds, 0.001)), Services: []core.ServiceReport{},
		}
		playable, why := Judge(r.Streams)
		complete = len(r.Streams) > 0
		if len(r.Streams) > 0 {
			service := core.ServiceReport{Name: r.Service, Playable: string(playable), Reason: why.EN, Streams: []core.StreamReport{}}
			at := 0
			for _, st := range r.Streams {
				x := streamReport(st)
				if st.Published && at < len(tracks) {
					x.Packets = tracks[at].Stats().Items
					complete = complete && x.Packets > 0
					at++
				}
				service.Streams = append(service.Streams, x)
			}
			report.Services = append(report.Services, service)
		}
		s.told(report, []judgement{{playable, why}}, min(seconds/s.limit.Seconds(), 1))
		return complete
	}
	ended := make(chan error, 1)
	go func() { ended <- src.Run(ctx, out) }()
	ticker := time.NewTicker(surveyTold)
	defer ticker.Stop()
	for {
		select {
		case err := <-ended:
			tell()
			return int(out.Bytes()), err
		case <-ticker.C:
			if tell() && s.early {
				enough()
			}
		}
	}
}

func streamReport(st source.Stream) core.StreamReport {
	f := st.Format
	return core.StreamReport{
		PID: uint16(st.PID), Codec: codecName(f), Language: f.Language, Width: f.Width, Height: f.Height, FPS: f.FPS,
		Interlaced: f.Interlaced, Reordered: f.Reordered, Rate: f.Rate, Channels: f.Channels, Profile: f.Profile,
		Scrambled: st.Scrambled,
	}
}

// openSource makes the source of an address by its scheme.
func openSource(schemes map[string]Opener, address string, program int) (source.Source, error) {
	u, err := url.Parse(address)
	if err != nil {
		// The error of net/url quotes the address, which may hold a password.
		return nil, source.Because(source.CauseBadAddress, errors.New("not a URL"))
	}
	f := schemes[u.Scheme]
	if f == nil {
		return nil, source.Because(source.CauseBadAddress, fmt.Errorf("no protocol for %q", u.Redacted()))
	}
	return f(u, program)
}
