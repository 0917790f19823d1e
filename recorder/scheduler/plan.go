package scheduler

import (
	"context"
	"time"

	"tongxiang/internal/store"
	"tongxiang/recorder/schedule"
)

// mostEpisodes bounds what is remembered of series that leave out what was recorded.
const mostEpisodes = 5000

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
