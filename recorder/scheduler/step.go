package scheduler

import (
	"context"
	"time"

	"tongxiang/internal/stream"
	"tongxiang/recorder/schedule"
)

// due makes runs of what is to begin.
func (s *Scheduler) due(wall time.Time, mono time.Duration) {
	for key, o := range s.pending {
		if s.active[key] != nil || !wall.Before(o.RecordTo) || schedule.Follow(o, s.eventOf(o, wall), wall) != schedule.Begin {
			continue
		}
		row, again := s.rows[key]
		if again && row.State != string(schedule.Conflict) && row.State != string(schedule.Planned) {
			continue
		}
		if !again {
			o.State = schedule.Conflict // until it runs
			row = rowOf(o)
		}
		fill(&row, o)
		s.mu.Lock()
		s.active[key] = &run{row: row, occ: o, media: len(row.Recordings) > 0, until: mono + o.RecordTo.Sub(wall)}
		s.mu.Unlock()
	}
}

// eventOf returns the event of an occurrence as the guide has it. When its time is
// over and its source is gone, nobody can say any more that it runs.
func (s *Scheduler) eventOf(o schedule.Occurrence, wall time.Time) *schedule.Event {
	e, ok := s.events[o.Event]
	if !ok || o.Event == (schedule.EventID{}) {
		return nil
	}
	if wall.After(o.RecordTo) && !s.source(o.Stream).Live {
		e.Running = schedule.RunningUnknown
	}
	return &e
}

func (s *Scheduler) source(name string) Source {
	n, err := stream.ParseName(name)
	if err != nil {
		return Source{}
	}
	return s.cfg.Source(n)
}

// step moves every run on.
func (s *Scheduler) step(ctx context.Context, wall time.Time, mono time.Duration) {
	runs := s.sorted()
	if len(runs) == 0 {
		return
	}
	list := make([]schedule.Occurrence, len(runs))
	for i, r := range runs {
		list[i] = r.occ
		list[i].State, list[i].Reason, list[i].LostTo = schedule.Planned, "", ""
		if r.rec != "" || r.busy {
			list[i].State = schedule.Recording
		}
	}
	for i, o := range schedule.Admit(list, wall, s.cfg.Capacity(), s.cfg.Need) {
		if r := runs[i]; !r.busy {
			s.move(ctx, r, o, wall, mono)
		}
	}
}

// move does the next thing to a run. admitted is the run's occurrence, in conflict if
// there is no room for it.
func (s *Scheduler) move(ctx context.Context, r *run, admitted schedule.Occurrence, wall time.Time, mono time.Duration) {
	e := s.eventOf(r.occ, wall)
	over := r.cause != "" || mono >= r.until+runOver || mono >= r.until && schedule.Follow(r.occ, e, wall) == schedule.End
	switch {
	case over && r.rec != "":
		s.end(ctx, r, "")
	case over:
		s.finish(r, wall)
	case r.rec != "" && schedule.Postponed(r.occ, e, wall):
		s.end(ctx, r, schedule.ReasonMoved)
	case admitted.State == schedule.Conflict && r.rec != "":
		s.log.Warn("recording gives way", "schedule", r.row.Schedule, "recording", r.rec, "reason", admitted.Reason, "to", admitted.LostTo)
		r.row.LostTo = admitted.LostTo
		s.end(ctx, r, schedule.ReasonGaveWay)
	case admitted.State == schedule.Conflict:
		r.row.LostTo = admitted.LostTo
		s.wait(r, admitted.Reason)
	case r.rec == "" && mono >= r.retry:
		s.begin(ctx, r, wall)
	case r.rec != "" && !s.cfg.Recorder.Active(r.rec):
		s.lost(ctx, r, mono)
	}
}

// wait notes why a run does not run now, and says it once.
func (s *Scheduler) wait(r *run, why schedule.Reason) {
	if r.why == why && r.row.State == string(schedule.Conflict) {
		return
	}
	r.why = why
	r.row.State = string(schedule.Conflict)
	if !r.media || r.row.Reason == "" {
		r.row.Reason = string(why)
	}
	s.log.Warn("scheduled recording cannot run now", "schedule", r.row.Schedule, "stream", r.row.Stream, "title", r.row.Title, "reason", why, "lost_to", r.row.LostTo)
	s.put(r.row)
}
