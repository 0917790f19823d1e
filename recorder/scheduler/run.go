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
	list, ends := s.mail.list, s.mail.ends
	s.mail.list, s.mail.ends = nil, nil
	s.mail.Unlock()
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
