package scheduler

import (
	"context"
	"errors"
	"time"

	"tongxiang/internal/store"
	"tongxiang/recorder/schedule"
)

const (
	// lateAfter is how late a recording may begin without being called late: the
	// stream's ring has more.
	lateAfter = 10 * time.Second
	// runOver bounds how long a recording lasts that the wall's clock, set back, would
	// keep going.
	runOver = 3 * time.Hour
	// endPatience is how long closing a recording may take before the loop asks again.
	endPatience = time.Minute
)

// run is an occurrence whose time has come, until it is over. It belongs to the
// scheduler's goroutine; others see the rows that were put.
type run struct {
	row   store.ScheduleRun
	occ   schedule.Occurrence
	rec   string          // id of the recording that runs; empty: none
	busy  bool            // it is being begun or ended
	media bool            // something was recorded
	cause schedule.Reason // why it is to end before its time; empty: it is not
	why   schedule.Reason // why it does not run, of the newest attempt
	until time.Duration   // when its planned time is over, by the clock that nobody sets
	retry time.Duration   // not to be begun again before
}

// lost finds out why a recording ended that nobody here ended.
func (s *Scheduler) lost(ctx context.Context, r *run, mono time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	rec, err := s.store.Recording(ctx, r.rec)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return // the next look asks again
	}
	r.rec = ""
	r.media = r.media || rec.Bytes > 0 || rec.Duration > 0
	if rec.State == store.RecordingComplete || errors.Is(err, store.ErrNotFound) {
		r.cause = schedule.ReasonStopped
		return
	}
	// The recorder gave it up, or another server took its folder: begun again.
	r.retry = mono + again
	r.row.Reason = string(schedule.ReasonInterrupted)
	s.wait(r, schedule.ReasonFailed)
}

// putOff ends a run whose event is to come much later; it is planned again.
func (s *Scheduler) putOff(r *run) {
	s.log.Info("event was put off; its recording begins anew", "schedule", r.row.Schedule, "title", r.row.Title, "start", r.occ.Start)
	r.row.State, r.row.Reason = string(schedule.Planned), string(schedule.ReasonMoved)
	s.drop(r)
	s.planAt = 0
}

// finish notes what became of a run that is over.
func (s *Scheduler) finish(r *run, wall time.Time) {
	r.row.Ended = &wall
	switch {
	case r.cause == schedule.ReasonRuleGone && !r.media:
		r.row.State, r.row.Reason = string(schedule.Skipped), string(r.cause)
	case r.media || r.cause == schedule.ReasonStopped:
		r.row.State = string(schedule.Done)
		if r.cause != "" {
			r.row.Reason = string(r.cause)
		}
	default:
		why := r.why
		if why == "" {
			why = schedule.ReasonSourceGone
			if r.row.Reason == string(schedule.ReasonInterrupted) {
				why = schedule.ReasonServerDown
			}
		}
		r.row.State, r.row.Reason = string(schedule.Missed), string(why)
		s.missed.Add(1)
		s.log.Warn("scheduled recording missed", "schedule", r.row.Schedule, "stream", r.row.Stream, "title", r.row.Title, "start", r.row.Start, "reason", why)
	}
	if r.row.State == string(schedule.Done) {
		s.log.Info("scheduled recording ended", "schedule", r.row.Schedule, "recordings", r.row.Recordings, "title", r.row.Title, "reason", r.row.Reason)
	}
	s.drop(r)
}

// drop writes the row of a run that is over, or waits for its event.
func (s *Scheduler) drop(r *run) {
	s.mu.Lock()
	delete(s.active, r.row.Key)
	s.mu.Unlock()
	delete(s.pending, r.row.Key)
	s.put(r.row)
}

// same reports whether an occurrence is where it was, and what.
func same(a, b schedule.Occurrence) bool {
	return a.Title == b.Title && a.Text == b.Text && a.Priority == b.Priority && a.Start.Equal(b.Start) && a.End.Equal(b.End) &&
		a.RecordFrom.Equal(b.RecordFrom) && a.RecordTo.Equal(b.RecordTo)
}

// update takes over what a new plan says of a run.
func (s *Scheduler) update(r *run, planned map[string]schedule.Occurrence, wall time.Time, mono time.Duration) {
	x, ok := s.rules[r.row.Schedule]
	if !ok || !x.Enabled {
		if r.cause == "" {
			r.cause = schedule.ReasonRuleGone
		}
		return
	}
	o := r.occ
	p, ok := planned[r.row.Key]
	e, followed := s.events[r.occ.Event]
	switch {
	case followed && r.occ.Event != (schedule.EventID{}): // wherever it is now
		o.Start, o.End = e.Start, e.End
		if e.Title != "" {
			o.Title, o.Text = e.Title, e.Text
		}
		o.RecordFrom, o.RecordTo = e.Start.Add(-x.PaddingBefore), e.End.Add(x.PaddingAfter)
	case ok && p.Reason != schedule.ReasonEventGone:
		o.Title, o.Start, o.End, o.RecordFrom, o.RecordTo = p.Title, p.Start, p.End, p.RecordFrom, p.RecordTo
	}
	if priority, err := schedule.ParsePriority(x.Priority); err == nil {
		o.Priority = priority
	}
	if same(o, r.occ) {
		return
	}
	if !o.RecordTo.Equal(r.occ.RecordTo) {
		s.log.Info("scheduled recording has another end", "schedule", r.row.Schedule, "title", o.Title, "end", o.RecordTo, "before", r.occ.RecordTo)
		r.until = mono + o.RecordTo.Sub(wall)
	}
	r.occ = o
	fill(&r.row, o)
	s.put(r.row)
}
