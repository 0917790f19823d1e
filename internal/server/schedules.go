package server

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/prometheus/client_golang/prometheus"

	"tongxiang/ingest"
	"tongxiang/internal/api"
	"tongxiang/internal/store"
	"tongxiang/internal/stream"
	"tongxiang/recorder/schedule"
	"tongxiang/recorder/scheduler"
)

// buildScheduler starts what records by schedule. What ran when the last process
// ended goes on here.
func (s *Server) buildScheduler(ctx context.Context) {
	s.room = newRoom(s)
	s.scheduler = scheduler.New(ctx, scheduler.Config{
		Recorder: s.recorder, Source: s.sourceOf, Capacity: s.room.capacity, Need: s.room.need,
	}, s.store, s.log.With("part", "scheduler"))
}

// sourceOf says how the source of a stream is.
func (s *Server) sourceOf(name stream.Name) scheduler.Source {
	seg := name.Segments()
	switch seg[0] {
	case "channels":
		c, ok := s.channels.Get(seg[1])
		return scheduler.Source{Known: ok, Live: ok && c.State == ingest.Live}
	case "meetings":
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		m, err := s.store.Meeting(ctx, seg[1])
		return scheduler.Source{Known: err == nil, Live: err == nil && m.Closed == nil && s.hub.Published(name)}
	}
	return scheduler.Source{}
}

const (
	// guessedRate is what a stream is thought to need of which nothing came yet, in
	// bytes a second: 5 Mbit/s.
	guessedRate = 5_000_000 / 8
	// ofSpeed is the share of the measured speed that recordings may take together:
	// the rest is for those who watch, and for disks that are slower when they are full.
	ofSpeed = 0.7
	// The disk's speed is measured with so many writes of so many bytes: less than a
	// second on a hard disk.
	speedWrites, speedBlock = 32, 1 << 20
)

// room says how much there is room for.
type room struct {
	server *Server
	speed  atomic.Int64 // bytes a second; 0: not known
}

func newRoom(s *Server) *room {
	r := &room{server: s}
	if mb := s.cfg.Recorder.DiskSpeed; mb > 0 {
		r.speed.Store(int64(mb) << 20)
		return r
	}
	s.later(func(context.Context) {
		speed, err := diskSpeed(s.cfg.RecordingsDir())
		if err != nil {
			s.log.Warn("speed of the recordings' disk was not measured", "err", err)
			return
		}
		s.log.Info("speed of the recordings' disk", "bytes_per_second", speed)
		r.speed.Store(int64(float64(speed) * ofSpeed))
	})
	return r
}

// diskSpeed writes a file as recordings are written, a fragment and a sync at a time.
func diskSpeed(dir string) (bytesPerSecond int64, err error) {
	f, err := os.CreateTemp(dir, ".speed-*")
	if err != nil {
		return 0, fmt.Errorf("measure the disk: %w", err)
	}
	defer func() {
		closeErr := f.Close()
		if removeErr := os.Remove(f.Name()); err == nil && (closeErr != nil || removeErr != nil) {
			err = fmt.Errorf("measure the disk: %v, %v", closeErr, removeErr)
		}
	}()
	block := make([]byte, speedBlock)
	for i := range block { // a disk that packs would pack zeros
		block[i] = byte(i * i >> 7)
	}
	began := time.Now()
	for range speedWrites {
		if _, err = f.Write(block); err == nil {
			err = unix.Fdatasync(int(f.Fd()))
		}
		if err != nil {
			return 0, fmt.Errorf("measure the disk: %w", err)
		}
	}
	return int64(float64(speedWrites*speedBlock) / max(time.Since(began).Seconds(), 1e-6)), nil
}

// capacity is what there is now.
func (r *room) capacity() schedule.Capacity {
	c := schedule.Capacity{BytesPerSecond: r.speed.Load(), Transcoders: r.server.cfg.Transcode.Max, Inputs: make(map[string]int)}
	if free, err := freeBytes(existing(r.server.cfg.RecordingsDir())); err == nil {
		c.FreeBytes = max(int64(free)-minFree, 1) // 0 would be no bound
	}
	for _, p := range r.server.cfg.Ingest.Programs {
		if p.AtOnce > 0 {
			c.Inputs[p.Name] = p.AtOnce
		}
	}
	return c
}

// existing is the folder or the nearest one above it that there is.
func existing(dir string) string {
	for {
		if _, err := os.Stat(dir); err == nil || dir == filepath.Dir(dir) {
			return dir
		}
		dir = filepath.Dir(dir)
	}
}

// need is what recording a stream takes: by what arrives now, or a guess.
func (r *room) need(name string) schedule.Need {
	n := schedule.Need{BytesPerSecond: guessedRate}
	seg := stream.Name(name).Segments()
	if len(seg) < 2 || seg[0] != "channels" {
		return n
	}
	s, ok := r.server.channels.Get(seg[1])
	if !ok {
		return n
	}
	if s.Bitrate > 0 {
		n.BytesPerSecond = s.Bitrate / 8
	}
	// A tuner program is shared by all programmes of its multiplex: the same address.
	if u, err := url.Parse(s.Source); err == nil && u.Scheme == "exec" {
		n.InputGroup, n.Input = u.Opaque, s.Source
		if n.InputGroup == "" {
			n.InputGroup = u.Host + u.Path
		}
	}
	return n
}

// schedules is what the API sees of the scheduler.
type schedules struct{ *scheduler.Scheduler }

// Plan implements api.Schedules.
func (s schedules) Plan(ctx context.Context, from, to time.Time) ([]api.Occurrence, error) {
	items, err := s.Scheduler.Plan(ctx, from, to)
	return occurrences(items), err
}

// Preview implements api.Schedules.
func (s schedules) Preview(ctx context.Context, x store.Schedule, from, to time.Time) (own, conflicts []api.Occurrence, err error) {
	a, b, err := s.Scheduler.Preview(ctx, x, from, to)
	return occurrences(a), occurrences(b), err
}

// Skip implements api.Schedules.
func (s schedules) Skip(ctx context.Context, id string, start time.Time, out bool) (api.Occurrence, error) {
	i, err := s.Scheduler.Skip(ctx, id, start, out)
	return occurrences([]scheduler.Item{i})[0], err
}

// Describe implements api.Schedules.
func (s schedules) Describe(x store.Schedule) (en, zh string) { return scheduler.Describe(x) }

// Following implements api.Schedules.
func (s schedules) Following(x store.Schedule, after time.Time) (start, end time.Time, ok bool) {
	return scheduler.Following(x, after)
}

func occurrences(items []scheduler.Item) []api.Occurrence {
	out := make([]api.Occurrence, len(items))
	for i, x := range items {
		o := api.Occurrence{
			Key: x.Key, Schedule: x.Rule, Stream: x.Stream, Title: x.Title, Priority: x.Priority.String(), Start: x.Start.UTC(), End: x.End.UTC(),
			RecordFrom: x.RecordFrom.UTC(), RecordTo: x.RecordTo.UTC(), State: string(x.State), Recording: x.Recording, Recordings: x.Recordings,
			Begun: x.Begun, Ended: x.Ended,
		}
		if x.Event != (schedule.EventID{}) {
			id := int(x.Event.ID)
			o.Event = &id
		}
		if x.Reason != schedule.ReasonNone {
			en, zh := scheduler.Explain(x.Reason)
			o.Reason = &api.Reason{Code: string(x.Reason), EN: en, ZH: zh}
		}
		if x.LostTo != nil {
			o.LostTo = &api.Winner{Schedule: x.LostTo.Rule, Stream: x.LostTo.Stream, Title: x.LostTo.Title}
		}
		out[i] = o
	}
	return out
}

// scheduleCollector gives /metrics what is recorded by schedule.
type scheduleCollector struct{ scheduler *scheduler.Scheduler }

// Describe sends nothing, as collector.Describe.
func (c scheduleCollector) Describe(chan<- *prometheus.Desc) {}

// Collect sends the present values.
func (c scheduleCollector) Collect(out chan<- prometheus.Metric) {
	x := c.scheduler.Stats()
	out <- prometheus.MustNewConstMetric(desc("scheduled_recordings", "Scheduled recordings that run now."), prometheus.GaugeValue, float64(x.Recording))
	out <- prometheus.MustNewConstMetric(desc("scheduled_waiting", "Scheduled recordings that are due and cannot run."), prometheus.GaugeValue, float64(x.Waiting))
	out <- prometheus.MustNewConstMetric(desc("scheduled_missed_total", "Scheduled recordings that were missed."), prometheus.CounterValue, float64(x.Missed))
}
