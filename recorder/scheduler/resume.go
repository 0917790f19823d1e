package scheduler

import (
	"context"
	"errors"
	"time"

	"tongxiang/internal/store"
	"tongxiang/recorder/schedule"
)

// resume reads what became of the last days, and goes on with what ran.
func (s *Scheduler) resume(ctx context.Context) {
	wall := s.wall()
	s.guide.anew(wall)
	if text, err := s.store.Setting(ctx, aliveKey); err == nil {
		if at, err := time.Parse(time.RFC3339Nano, text); err == nil && at.Before(wall) {
			s.back = at
			if most := wall.Add(-backMost); s.back.Before(most) {
				s.back = most
			}
		}
	}
	s.load(ctx, wall)
	running, err := s.store.ScheduleRuns(ctx, store.RunFilter{State: string(schedule.Recording)}, 0)
	if err != nil {
		if ctx.Err() == nil {
			s.log.Error("what ran before the start was not read", "err", err)
		}
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, row := range running {
		r := &run{row: row, occ: occurrenceOf(row), until: s.mono() + row.RecordTo.Sub(wall)}
		for _, id := range row.Recordings {
			rec, err := s.store.Recording(ctx, id)
			if err != nil {
				continue // somebody deleted it
			}
			r.media = r.media || rec.Bytes > 0 || rec.Duration > 0
			if id == row.Recording && rec.State == store.RecordingComplete && wall.Before(row.RecordTo) {
				r.cause = schedule.ReasonStopped // and the end came before it was written down
			}
		}
		if r.cause == "" && (row.Reason == "" || row.Reason == string(schedule.ReasonLate)) {
			r.row.Reason = string(schedule.ReasonInterrupted)
		}
		s.rows[row.Key], s.active[row.Key] = r.row, r
	}
}

// load reads what became of the last days. What is known already counts: it may not
// be written yet.
func (s *Scheduler) load(ctx context.Context, wall time.Time) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	rows, err := s.store.ScheduleRuns(ctx, store.RunFilter{From: wall.Add(-keepRuns)}, 0)
	if err != nil {
		if !errors.Is(err, context.Canceled) {
			s.log.Error("what became of schedules was not read", "err", err)
		}
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, row := range rows {
		if _, ok := s.rows[row.Key]; !ok {
			s.rows[row.Key] = row
		}
	}
	s.reload = false
}
