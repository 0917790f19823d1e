package scheduler

import (
	"cmp"
	"context"
	"slices"
	"time"

	"tongxiang/internal/store"
	"tongxiang/recorder/schedule"
)

const (
	// mostDays bounds what is shown at once.
	mostDays = 93
	// mostShown bounds how much.
	mostShown = 10_000
)

// Item is an occurrence as it is shown: what became of it, or what is to become.
type Item struct {
	schedule.Occurrence
	Recording  string // id of the newest recording; empty: none
	Recordings []string
	Begun      *time.Time
	Ended      *time.Time
	// LostTo is what has the room, where that is known.
	LostTo *schedule.Occurrence
}

// Plan returns what touches [from, to): of the past what became of it, of the future
// what is planned, with what there is no room for.
func (s *Scheduler) Plan(ctx context.Context, from, to time.Time) ([]Item, error) {
	list, err := s.store.AllSchedules(ctx)
	if err != nil {
		return nil, err
	}
	items, err := s.look(ctx, list, from, to)
	return items, err
}

// Preview returns the occurrences of a schedule that is not there yet, and all that
// there would be no room for because of it.
func (s *Scheduler) Preview(ctx context.Context, x store.Schedule, from, to time.Time) (own, conflicts []Item, err error) {
	list, err := s.store.AllSchedules(ctx)
	if err != nil {
		return nil, nil, err
	}
	list = slices.DeleteFunc(list, func(o store.Schedule) bool { return o.ID == x.ID })
	before, err := s.look(ctx, list, from, to)
	if err != nil {
		return nil, nil, err
	}
	lost := make(map[string]bool)
	for _, i := range before {
		lost[i.Key] = i.State == schedule.Conflict
	}
	x.Enabled = true
	items, err := s.look(ctx, append(list, x), from, to)
	if err != nil {
		return nil, nil, err
	}
	for _, i := range items {
		if i.Rule == x.ID && i.State != schedule.Done && i.State != schedule.Missed {
			own = append(own, i)
		}
		if i.State == schedule.Conflict && !lost[i.Key] {
			conflicts = append(conflicts, i)
		}
	}
	return own, conflicts, nil
}

func (s *Scheduler) look(ctx context.Context, list []store.Schedule, from, to time.Time) ([]Item, error) {
	if !to.After(from) || to.Sub(from) > mostDays*24*time.Hour {
		return nil, errWindow
	}
	now := s.wall()
	rows, err := s.became(ctx, from, to)
	if err != nil {
		return nil, err
	}
	var items []Item
	for _, row := range rows {
		if state := schedule.State(row.State); state != schedule.Planned && (state != schedule.Conflict || row.RecordTo.Before(now)) {
			items = append(items, itemOf(row))
		}
	}
	if to.After(now) {
		planned, err := s.planned(ctx, list, rows, now, to)
		if err != nil {
			return nil, err
		}
		for _, i := range planned {
			if i.RecordTo.After(from) {
				items = append(items, i)
			}
		}
	}
	slices.SortStableFunc(items, func(a, b Item) int {
		return cmp.Or(a.RecordFrom.Compare(b.RecordFrom), -cmp.Compare(a.Priority, b.Priority), cmp.Compare(a.Key, b.Key))
	})
	return items[:min(len(items), mostShown)], nil
}

// became returns what became of what touches [from, to): as the store has it, and
// newer where it is not written yet. What may come again under its key is there too.
func (s *Scheduler) became(ctx context.Context, from, to time.Time) ([]store.ScheduleRun, error) {
	if now := s.wall().Add(-keepRuns); now.Before(from) {
		from = now
	}
	rows, err := s.store.ScheduleRuns(ctx, store.RunFilter{From: from, To: to}, mostShown)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	seen := make(map[string]bool, len(rows))
	for i, row := range rows {
		seen[row.Key] = true
		if newer, ok := s.rows[row.Key]; ok {
			rows[i] = newer
		}
	}
	for key, row := range s.rows {
		if !seen[key] {
			rows = append(rows, row)
		}
	}
	return rows, nil
}

// planned returns what is to come before to, with conflicts.
func (s *Scheduler) planned(ctx context.Context, list []store.Schedule, rows []store.ScheduleRun, now, to time.Time) ([]Item, error) {
	in := schedule.Input{Now: now, From: now, To: to}
	var ids []schedule.EventID
	for _, x := range list {
		r, err := ruleOf(x)
		if err != nil { // the log says so
			continue
		}
		in.Rules = append(in.Rules, r)
		if alive(&r, now) {
			ids = append(ids, r.Event)
		}
	}
	known := make(map[string]store.ScheduleRun, len(rows))
	for _, row := range rows {
		in.Runs = append(in.Runs, runOf(row))
		known[row.Key] = row
	}
	events, err := s.guide.events(ctx, ids)
	if err != nil {
		return nil, err
	}
	matching, err := s.guide.matching(ctx, in.Rules, now, to)
	if err != nil {
		return nil, err
	}
	in.Events = append(matching, events...)
	if in.Done, err = s.episodes(ctx, in.Rules); err != nil {
		return nil, err
	}
	occurrences, _ := schedule.Plan(in)
	occurrences = s.withRunning(occurrences[:min(len(occurrences), mostShown)], now)
	byKey := make(map[string]*schedule.Occurrence, len(occurrences))
	occurrences = schedule.Conflicts(occurrences, s.cfg.Capacity(), s.cfg.Need)
	for i := range occurrences {
		byKey[occurrences[i].Key] = &occurrences[i]
	}
	var items []Item
	for _, o := range occurrences {
		row, begun := known[o.Key]
		switch {
		case o.State == schedule.Planned && begun && row.State == string(schedule.Conflict): // due, and waited for
			o.State, o.Reason, o.LostTo = schedule.Conflict, schedule.Reason(row.Reason), row.LostTo
		case o.State != schedule.Planned && o.State != schedule.Conflict && o.State != schedule.Skipped, begun && o.State != schedule.Planned && row.State == string(o.State):
			continue // among what became
		}
		items = append(items, Item{Occurrence: o, Recording: row.Recording, Recordings: row.Recordings, LostTo: byKey[o.LostTo]})
	}
	return items, nil
}

// withRunning adds what runs and is in no plan any more: it takes room all the same.
func (s *Scheduler) withRunning(plan []schedule.Occurrence, now time.Time) []schedule.Occurrence {
	there := make(map[string]bool, len(plan))
	for _, o := range plan {
		there[o.Key] = true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for key := range s.active {
		row := s.rows[key]
		if !there[key] && row.State == string(schedule.Recording) && row.RecordTo.After(now) {
			plan = append(plan, occurrenceOf(row))
		}
	}
	return plan
}

// Describe says in words when a schedule records.
func Describe(x store.Schedule) (en, zh string) {
	r, err := ruleOf(x)
	if err != nil {
		return x.RRule, x.RRule // a row that was not made by the server: what it says
	}
	return r.Words()
}

// Following returns the first time at or after a moment at which a schedule begins; ok
// is false of one that follows the guide, and where there is none.
func Following(x store.Schedule, after time.Time) (start, end time.Time, ok bool) {
	r, err := ruleOf(x)
	if err != nil {
		return start, end, false
	}
	return r.Following(after)
}

func itemOf(row store.ScheduleRun) Item {
	return Item{
		Occurrence: occurrenceOf(row), Recording: row.Recording, Recordings: row.Recordings, Begun: row.Begun, Ended: row.Ended,
	}
}
