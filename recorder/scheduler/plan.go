package scheduler

import (
	"context"
	"errors"
	"time"

	"tongxiang/internal/store"
	"tongxiang/recorder/schedule"
)

// mostEpisodes bounds what is remembered of series that leave out what was recorded.
const mostEpisodes = 5000

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

// replan makes the plan anew. When the store does not answer, the old one goes on.
func (s *Scheduler) replan(life context.Context, wall time.Time, mono time.Duration) {
	s.planAt = mono + planEvery
	if s.reload {
		s.load(life, wall)
	}
	ctx, cancel := context.WithTimeout(life, patience)
	defer cancel()
	list, err := s.store.AllSchedules(ctx)
	if err == nil {
		err = s.planWith(life, ctx, list, wall, mono)
	}
	if err != nil && life.Err() == nil {
		s.log.Error("schedules were not planned", "err", err)
		s.planAt = mono + again
	}
}

// planWith reads the guide with the patience of ctx; what is done beside the loop
// lasts as long as life.
func (s *Scheduler) planWith(life, ctx context.Context, list []store.Schedule, wall time.Time, mono time.Duration) error {
	rules := s.rulesOf(list)
	from := wall
	if !s.back.IsZero() {
		from = s.back
	}
	if s.guide.stale(rules, wall) {
		s.lookThrough(life, rules, from, wall)
	}
	watched, err := s.watched(ctx, rules, wall)
	if err != nil {
		return err
	}
	in := schedule.Input{Rules: rules, Now: wall, From: from, To: wall.Add(ahead)}
	ready := s.guide.ready()
	in.Events = append(s.guide.known(from, in.To), watched...)
	if in.Done, err = s.episodes(ctx, rules); err != nil {
		return err
	}
	s.plan = rules
	s.forget(wall)
	for _, row := range s.rows {
		in.Runs = append(in.Runs, runOf(row))
	}
	occurrences, problems := schedule.Plan(in)
	for _, p := range problems {
		s.say(p.Rule, p.Err.Error())
	}
	s.events = make(map[schedule.EventID]schedule.Event, len(in.Events))
	for _, e := range in.Events {
		s.events[e.EventID] = e
	}
	s.goneBy(wall)
	s.take(occurrences, wall, mono)
	if ready { // series were looked for in that time too
		s.back = time.Time{}
	}
	s.jumped = false
	return nil
}

// rulesOf turns rows into rules and keeps the rows. One that cannot be is left out.
func (s *Scheduler) rulesOf(list []store.Schedule) []schedule.Rule {
	rules := make([]schedule.Rule, 0, len(list))
	known := make(map[string]store.Schedule, len(list))
	for _, x := range list {
		r, err := ruleOf(x)
		if err != nil {
			s.say(x.ID, err.Error())
			continue
		}
		known[x.ID] = x
		rules = append(rules, r)
	}
	s.rules = known
	return rules
}

// say logs what is wrong with a rule, once.
func (s *Scheduler) say(rule, what string) {
	if s.said[rule] != what {
		s.said[rule] = what
		s.log.Error("schedule is broken and records nothing", "schedule", rule, "err", what)
	}
}

// lookThrough has the guide looked through beside the loop, and then planned anew.
func (s *Scheduler) lookThrough(ctx context.Context, rules []schedule.Rule, from, wall time.Time) {
	if before := wall.Add(-guideBack); before.Before(from) {
		from = before
	}
	s.ops.Go(func() {
		s.guide.load(ctx, rules, from, wall)
		s.changed.Store(true)
		s.nudge()
	})
}

// watched returns the events that rules name and that runs follow, and looks for the
// successors of those that the guide has no more.
func (s *Scheduler) watched(ctx context.Context, rules []schedule.Rule, wall time.Time) ([]schedule.Event, error) {
	ids := make(map[schedule.EventID]bool)
	streams := make(map[string]bool)
	for i := range rules {
		if r := &rules[i]; alive(r, wall) {
			ids[r.Event] = true
		}
	}
	for _, r := range s.active {
		if r.occ.Event != (schedule.EventID{}) {
			ids[r.occ.Event] = true
		}
	}
	list := make([]schedule.EventID, 0, len(ids))
	for id := range ids {
		list = append(list, id)
		streams[id.Stream] = true
	}
	s.guide.watch(streams)
	events, err := s.guide.events(ctx, list)
	if err != nil {
		return nil, err
	}
	found := make(map[schedule.EventID]schedule.Event, len(events))
	for _, e := range events {
		found[e.EventID] = e
	}
	for i := range rules {
		if r := &rules[i]; alive(r, wall) {
			if e, ok := s.track(ctx, r, found); ok {
				events = append(events, e)
			}
		}
	}
	for _, r := range s.sorted() {
		if e, ok := s.successor(ctx, r.occ.Event, r.occ.Title, r.occ.Start, r.occ.End, found); ok {
			s.log.Info("event goes on under another id", "schedule", r.row.Schedule, "event", r.occ.Event.ID, "now", e.ID)
			r.occ.Event = e.EventID
			r.row.Event = eventText(e.EventID)
			s.put(r.row)
			events = append(events, e)
			found[e.EventID] = e
		}
	}
	return events, nil
}

// alive reports whether a rule names an event that may still be of interest.
func alive(r *schedule.Rule, wall time.Time) bool {
	return r.Event != (schedule.EventID{}) && !r.Disabled && r.End.Add(r.PaddingAfter+guideBack).After(wall)
}

// track notes where the event of a rule is, and finds it again under another id. It
// returns the event if that is not among found.
func (s *Scheduler) track(ctx context.Context, r *schedule.Rule, found map[schedule.EventID]schedule.Event) (schedule.Event, bool) {
	e, ok := found[r.Event]
	other := false
	if !ok || e.Start.Sub(r.Start).Abs() > guideBack/2 { // used again for another day
		if e, other = s.successor(ctx, r.Event, r.Title, r.Start, r.End, found); !other {
			return e, false
		}
		s.log.Info("event goes on under another id", "schedule", r.ID, "event", r.Event.ID, "now", e.ID)
	}
	if e.EventID == r.Event && e.Start.Equal(r.Start) && e.End.Equal(r.End) {
		return e, false
	}
	r.Event, r.Start, r.End = e.EventID, e.Start, e.End
	s.ledger.put("move "+r.ID, func(ctx context.Context) error {
		err := s.store.MoveSchedule(ctx, r.ID, eventText(e.EventID), e.Start, e.End)
		if errors.Is(err, store.ErrNotFound) { // deleted meanwhile
			return nil
		}
		return err
	})
	found[e.EventID] = e
	return e, other
}

// successor looks for what took the place of an event that the guide has no more.
func (s *Scheduler) successor(ctx context.Context, id schedule.EventID, title string, start, end time.Time, found map[schedule.EventID]schedule.Event) (schedule.Event, bool) {
	if e, ok := found[id]; id == (schedule.EventID{}) || ok && e.Start.Sub(start).Abs() <= guideBack/2 || !end.After(start) {
		return schedule.Event{}, false
	}
	near, err := s.guide.near(ctx, id.Stream, start, end)
	if err != nil {
		return schedule.Event{}, false // the next plan looks again
	}
	return schedule.Successor(schedule.Event{EventID: id, Title: title, Start: start, End: end}, near)
}

// episodes returns what was recorded of the series that leave it out.
func (s *Scheduler) episodes(ctx context.Context, rules []schedule.Rule) ([]schedule.Recorded, error) {
	var of []schedule.Rule
	for _, r := range rules {
		if r.Match != nil && (r.Match.Duplicates == schedule.SkipRecorded || r.Match.Duplicates == schedule.SkipTitleDay) {
			of = append(of, r)
		}
	}
	list, err := s.store.Episodes(ctx, schedule.NewSeries(of).Bases(), mostEpisodes)
	out := make([]schedule.Recorded, len(list))
	for i, e := range list {
		out[i] = schedule.Recorded{Title: e.Title, Text: e.Text, Start: e.Start}
	}
	return out, err
}

// forget drops what became of what is long over.
func (s *Scheduler) forget(wall time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, row := range s.rows {
		if _, runs := s.active[key]; !runs && row.RecordTo.Before(wall.Add(-keepRuns)) {
			delete(s.rows, key)
		}
	}
}

// goneBy notes as missed what was planned and whose time went by without a look.
func (s *Scheduler) goneBy(wall time.Time) {
	for key, o := range s.pending {
		if o.RecordTo.After(wall) || s.active[key] != nil {
			continue
		}
		if x, ok := s.rules[o.Rule]; !ok || !x.Enabled {
			continue
		}
		why := schedule.ReasonServerDown
		if s.jumped {
			why = schedule.ReasonClock
		}
		s.miss(o, why)
	}
}

// miss notes that an occurrence was missed, once.
func (s *Scheduler) miss(o schedule.Occurrence, why schedule.Reason) {
	if row, ok := s.rows[o.Key]; ok && row.State != string(schedule.Conflict) && row.State != string(schedule.Planned) {
		return
	}
	o.State, o.Reason = schedule.Missed, why
	row := rowOf(o)
	s.missed.Add(1)
	s.log.Warn("scheduled recording missed", "schedule", o.Rule, "stream", o.Stream, "title", o.Title, "start", o.Start, "reason", why)
	s.put(row)
}

// take takes a new plan over.
func (s *Scheduler) take(occurrences []schedule.Occurrence, wall time.Time, mono time.Duration) {
	clear(s.pending)
	planned := make(map[string]schedule.Occurrence, len(occurrences))
	for _, o := range occurrences {
		planned[o.Key] = o
		switch o.State {
		case schedule.Planned:
			s.pending[o.Key] = o
		case schedule.Missed: // by no run: of the time when nobody looked
			if _, known := s.rows[o.Key]; !known {
				s.miss(o, o.Reason)
			}
		case schedule.Recording, schedule.Done, schedule.Skipped, schedule.Conflict:
		}
	}
	for _, r := range s.active {
		s.update(r, planned, wall, mono)
	}
}
