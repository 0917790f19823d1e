package scheduler

import (
	"context"
	"errors"
	"time"

	"tongxiang/internal/store"
	"tongxiang/recorder/schedule"
)

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
