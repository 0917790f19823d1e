package ingest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"sync"
	"time"

	"tongxiang/ingest/mpegts"
	"tongxiang/ingest/rtsp"
	"tongxiang/ingest/source"
	"tongxiang/internal/media"
	core "tongxiang/internal/mpegts"
	"tongxiang/internal/stream"
)

// ProbeTime is how long a source that does not end is looked at: SDT comes every 2 s,
// EIT every 2 s, a key frame of the longest usual GOP every 10 s.
const ProbeTime = 10 * time.Second

// Probe says what a source carries: a transport stream at any address that a
// channel may have, a file by its path, or an RTSP stream. It reads a file to its
// end, and anything else until ctx ends or for [ProbeTime]. The error is a
// [source.Error] when the source does not play at all.
func Probe(ctx context.Context, address string) (*core.Report, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme == "" || len(u.Scheme) == 1 { // a drive letter is no scheme
		return probeFile(ctx, address)
	}
	switch u.Scheme {
	case "file":
		return probeFile(ctx, mpegts.Path(u))
	case "rtsp", "rtsps":
		return probeTracks(ctx, u)
	}
	s, err := mpegts.New(u, 0)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, ProbeTime)
	defer cancel()
	p := core.NewProber()
	bytes := 0
	err = s.Read(ctx, media.NewClock(), func(b []byte) {
		bytes += len(b)
		_, _ = p.Write(b)
	})
	if bytes == 0 {
		if ctx.Err() != nil {
			err = source.Because(source.CauseNoPackets, errors.New("nothing arrived"))
		}
		return nil, fmt.Errorf("probe %s: %w", u.Redacted(), err)
	}
	p.Flush()
	return p.Report(judgeService), nil
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

// judgeService is Judge for a service of a multiplex.
func judgeService(s *core.Service) (playable, reason string) {
	p, why := Judge(mpegts.Streams(s))
	if p == PlayableUnknown {
		return string(Unplayable), "The programme has no picture and no sound."
	}
	return string(p), why.EN
}

// probeTracks runs an RTSP source into a hub of its own.
func probeTracks(ctx context.Context, u *url.URL) (*core.Report, error) {
	hub := stream.NewHub(slog.New(slog.DiscardHandler))
	defer hub.Close()
	clock := media.NewClock()
	pub, err := hub.Publish(stream.Channel("probe"), false)
	if err != nil {
		return nil, err
	}
	defer pub.Close()
	src, err := rtsp.New(u)
	if err != nil {
		return nil, err
	}
	var mu sync.Mutex
	var last source.Report
	out := &source.Output{
		Publisher: pub, Timeline: new(media.Timeline), Clock: clock, Log: slog.New(slog.DiscardHandler),
		Report: func(r source.Report) {
			mu.Lock()
			defer mu.Unlock()
			last = r
		},
	}
	ctx, cancel := context.WithTimeout(ctx, ProbeTime)
	defer cancel()
	began := time.Now()
	sub := hub.Open(stream.Channel("probe"))
	defer sub.Close()
	err = src.Run(ctx, out)
	if out.Bytes() == 0 {
		if ctx.Err() != nil {
			err = source.Because(source.CauseNoPackets, errors.New("nothing arrived"))
		}
		return nil, fmt.Errorf("probe %s: %w", u.Redacted(), err)
	}
	seconds := time.Since(began).Seconds()
	mu.Lock()
	defer mu.Unlock()
	playable, why := Judge(last.Streams)
	service := core.ServiceReport{Name: last.Service, Playable: string(playable), Reason: why.EN, Streams: []core.StreamReport{}}
	tracks := sub.Tracks()
	for i, s := range last.Streams {
		r := core.StreamReport{
			Codec: codecName(s.Format), Language: s.Format.Language, Width: s.Format.Width, Height: s.Format.Height,
			FPS: s.Format.FPS, Interlaced: s.Format.Interlaced, Reordered: s.Format.Reordered,
			Rate: s.Format.Rate, Channels: s.Format.Channels, Profile: s.Format.Profile,
		}
		if i < len(tracks) {
			r.Packets = tracks[i].Stats().Items
		}
		service.Streams = append(service.Streams, r)
	}
	return &core.Report{
		Duration: seconds, Bitrate: int64(float64(out.Bytes()*8) / seconds),
		Services: []core.ServiceReport{service}, PIDs: []core.PIDMeasure{},
	}, nil
}
