package scheduler

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"tongxiang/internal/apierr"
	"tongxiang/internal/store"
	"tongxiang/recorder/schedule"
)

var (
	errNoOccurrence = apierr.New(http.StatusNotFound, "occurrence_not_found",
		"This schedule has nothing planned at that time.", "该计划在该时间没有安排。")
	errOccurrenceRuns = apierr.New(http.StatusConflict, "occurrence_recording",
		"This is being recorded; stop the recording instead.", "该节目正在录制，请直接停止录制。")
	errOccurrenceOver = apierr.New(http.StatusConflict, "occurrence_over",
		"This is over, or was left out for another reason.", "该次已经结束，或因其他原因已跳过。")
)

// skipWithin is how long after its beginning an occurrence may still be of the future:
// a day at most, and its padding.
const skipWithin = 32 * time.Hour

// skip is one occurrence that somebody leaves out, or takes in again.
type skip struct {
	row  store.ScheduleRun
	done chan error // has room for the answer
}

// Skip leaves the occurrence of a schedule that begins at start out, once, or takes it
// in again: like EXDATE of RFC 5545 3.8.5.1, and for events and series as well. The
// rule stays as it is. The error is an [apierr.Error].
func (s *Scheduler) Skip(ctx context.Context, id string, start time.Time, out bool) (Item, error) {
	list, err := s.store.AllSchedules(ctx)
	if err != nil {
		return Item{}, err
	}
	to := start
	if now := s.wall(); now.After(start) && now.Sub(start) < skipWithin {
		to = now // it may be due, and wait
	}
	items, err := s.look(ctx, list, start.Add(-time.Second), to.Add(time.Second))
	if err != nil {
		return Item{}, err
	}
	for _, i := range items {
		if i.Rule != id || !i.Start.Equal(start) {
			continue
		}
		byHand := i.State == schedule.Skipped && i.Reason == schedule.ReasonSkipped
		switch {
		case i.State == schedule.Recording:
			return i, errOccurrenceRuns
		case byHand == out && (byHand || i.State == schedule.Planned || i.State == schedule.Conflict):
			return i, nil // as it is
		case out && i.State != schedule.Planned && i.State != schedule.Conflict, !out && !byHand, !i.RecordTo.After(s.wall()):
			return i, errOccurrenceOver
		}
		i.State, i.Reason, i.LostTo, i.Occurrence.LostTo = schedule.Skipped, schedule.ReasonSkipped, nil, ""
		if !out {
			i.State, i.Reason = schedule.Planned, schedule.ReasonNone
		}
		row := rowOf(i.Occurrence)
		return i, s.ask(ctx, row)
	}
	return Item{}, errNoOccurrence
}

// ask has the loop take a row over, and waits for that.
func (s *Scheduler) ask(ctx context.Context, row store.ScheduleRun) error {
	done := make(chan error, 1)
	s.mail.Lock()
	full := len(s.mail.skips) >= mostSchedules
	if !full {
		s.mail.skips = append(s.mail.skips, skip{row, done})
	}
	s.mail.Unlock()
	if full {
		return errTooMany
	}
	s.nudge()
	select {
	case err := <-done:
		return err
	case <-s.done:
		return fmt.Errorf("the scheduler has ended: %w", context.Canceled)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// skipped takes over what people leave out and take in.
func (s *Scheduler) skipped(list []skip) {
	for _, x := range list {
		r := s.active[x.row.Key]
		if r != nil && (r.rec != "" || r.busy) {
			x.done <- errOccurrenceRuns
			continue
		}
		s.log.Info("occurrence of a schedule", "schedule", x.row.Schedule, "start", x.row.Start, "state", x.row.State)
		if r != nil { // due, and waited for
			r.row = x.row
			s.drop(r)
		} else {
			s.put(x.row)
			delete(s.pending, x.row.Key)
		}
		s.planAt = 0
		x.done <- nil
	}
}
