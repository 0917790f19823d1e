package scheduler

import (
	"context"
	"errors"
	"slices"
	"time"

	"tongxiang/internal/apierr"
	"tongxiang/internal/store"
	"tongxiang/internal/stream"
	"tongxiang/recorder"
	"tongxiang/recorder/schedule"
)

// result is how an operation of a run ended.
type result struct {
	key   string
	rec   store.Recording
	err   error
	begun bool            // of a beginning; else of an end
	late  bool            // likewise
	after schedule.Reason // of an end that is not the run's: what it waits for
}

func (s *Scheduler) post(r result) {
	s.mail.Lock()
	s.mail.list = append(s.mail.list, r) // one at a time for each run: bounded
	s.mail.Unlock()
	s.nudge()
}

// begin has the recorder begin, in a goroutine.
func (s *Scheduler) begin(ctx context.Context, r *run, wall time.Time) {
	x := s.rules[r.row.Schedule]
	name, err := stream.ParseName(r.occ.Stream)
	if err != nil || !s.cfg.Source(name).Known {
		r.retry = s.mono() + again
		s.wait(r, schedule.ReasonSourceGone)
		return
	}
	late := wall.Sub(r.occ.RecordFrom)
	preRoll := late
	if late < 0 { // it began before its time: the guide said so a moment ago
		preRoll = x.PaddingBefore + again
	}
	if len(r.row.Recordings) > 0 { // it goes on
		preRoll, late = 0, 0
	}
	r.busy = true
	req := recorder.Request{
		Stream: name, Title: r.occ.Title, Class: x.Class, Format: x.Format, PreRoll: min(max(preRoll, 0), recorder.MaxPreRoll),
		Schedule: r.row.Schedule, Event: r.row.Event,
	}
	key := r.row.Key
	s.ops.Go(func() {
		ctx, cancel := context.WithTimeout(ctx, endPatience)
		defer cancel()
		rec, err := s.cfg.Recorder.Start(ctx, req)
		s.post(result{key: key, rec: rec, err: err, begun: true, late: late > lateAfter})
	})
}

// end has the recorder end, in a goroutine. after is empty when the run is over.
func (s *Scheduler) end(ctx context.Context, r *run, after schedule.Reason) {
	r.busy = true
	key, id := r.row.Key, r.rec
	s.ops.Go(func() {
		ctx, cancel := context.WithTimeout(ctx, endPatience)
		defer cancel()
		stop := s.cfg.Recorder.Stop
		if after != "" {
			stop = func(ctx context.Context, id string) (store.Recording, error) {
				return s.cfg.Recorder.StopFor(ctx, id, string(after))
			}
		}
		rec, err := stop(ctx, id)
		if err != nil && ctx.Err() == nil { // it ended by itself
			if entry, lookErr := s.store.Recording(ctx, id); lookErr == nil || errors.Is(lookErr, store.ErrNotFound) {
				rec, err = entry, nil
			}
		}
		s.post(result{key: key, rec: rec, err: err, after: after})
	})
}

// results takes what operations brought.
func (s *Scheduler) results(wall time.Time, mono time.Duration) {
	s.mail.Lock()
	list, ends, skips := s.mail.list, s.mail.ends, s.mail.skips
	s.mail.list, s.mail.ends, s.mail.skips = nil, nil, nil
	s.mail.Unlock()
	s.skipped(skips)
	for _, r := range s.active {
		if slices.Contains(ends, r.row.Schedule) && r.cause == "" {
			r.cause = schedule.ReasonStopped
		}
	}
	for _, res := range list {
		r := s.active[res.key]
		if r == nil {
			continue
		}
		r.busy = false
		if res.begun {
			s.begun(r, res, wall, mono)
		} else {
			s.ended(r, res, wall)
		}
	}
}

func (s *Scheduler) begun(r *run, res result, wall time.Time, mono time.Duration) {
	if res.err != nil {
		r.retry = mono + again
		why := reasonOf(res.err)
		s.log.Error("scheduled recording does not begin", "schedule", r.row.Schedule, "stream", r.row.Stream, "err", res.err)
		s.wait(r, why)
		return
	}
	r.rec, r.why = res.rec.ID, ""
	if len(r.row.Recordings) == 0 {
		r.row.Begun, r.row.Reason = &wall, ""
		if res.late {
			r.row.Reason = string(schedule.ReasonLate)
		}
	}
	if r.row.Reason == string(schedule.ReasonMoved) { // and now it is in its place
		r.row.Reason = ""
	}
	r.row.State, r.row.LostTo, r.row.Ended = string(schedule.Recording), "", nil
	r.row.Recording = res.rec.ID
	r.row.Recordings = append(r.row.Recordings[:len(r.row.Recordings):len(r.row.Recordings)], res.rec.ID)
	s.log.Info("scheduled recording began", "schedule", r.row.Schedule, "recording", r.rec, "stream", r.row.Stream, "title", r.row.Title, "reason", r.row.Reason)
	s.put(r.row)
}

func (s *Scheduler) ended(r *run, res result, wall time.Time) {
	if res.err != nil {
		s.log.Error("scheduled recording does not end", "schedule", r.row.Schedule, "recording", r.rec, "err", res.err)
		return // the next look asks again
	}
	r.rec = ""
	r.media = r.media || res.rec.Bytes > 0 || res.rec.Duration > 0
	if !r.media {
		r.why = nothing(res.rec, s.source(r.occ.Stream))
	}
	switch res.after {
	case "":
		s.finish(r, wall)
	case schedule.ReasonMoved:
		s.putOff(r)
	default:
		r.row.Reason = string(res.after)
		s.wait(r, res.after)
	}
}

// nothing says why a recording has nothing in it.
func nothing(rec store.Recording, src Source) schedule.Reason {
	switch {
	case rec.Reason == recorder.ReasonDiskFull:
		return schedule.ReasonNoRoom
	case src.Live && rec.State == store.RecordingFailed:
		return schedule.ReasonFailed
	}
	return schedule.ReasonSourceGone
}

// reasonOf says why a recording could not be begun.
func reasonOf(err error) schedule.Reason {
	var e *apierr.Error
	if errors.As(err, &e) && e.Code == "recording_disk" {
		return schedule.ReasonNoRoom
	}
	return schedule.ReasonFailed
}
