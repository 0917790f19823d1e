package api

import (
	"context"
	"time"

	"tongxiang/internal/store"
)

const (
	// lookBack and lookAhead are how far a list looks for what became of a schedule and
	// for its next time. What lies beyond is counted from the rule alone.
	lookBack  = 31 * 24 * time.Hour
	lookAhead = 14 * 24 * time.Hour
)

// outlook gives views of rows their next time and what became of the newest one.
func (s *service) outlook(ctx context.Context, rows []store.Schedule, views []scheduleView) error {
	if len(rows) == 0 {
		return nil
	}
	now := time.Now().UTC()
	items, err := s.Schedules.Plan(ctx, now.Add(-lookBack), now.Add(lookAhead))
	if err != nil {
		return err
	}
	next, last := nextAndLast(items, now)
	for i, x := range rows {
		v := &views[i]
		v.Next, v.Last = next[x.ID], last[x.ID]
		if v.Next == nil && x.Enabled {
			v.Next = s.following(x, now.Add(lookAhead))
		}
	}
	return nil
}

// nextAndLast finds, for each schedule, what is to come first and what was over last.
// Items are in order. What records is neither.
func nextAndLast(items []Occurrence, now time.Time) (next, last map[string]*Occurrence) {
	next, last = make(map[string]*Occurrence), make(map[string]*Occurrence)
	for i := range items {
		switch o := &items[i]; {
		case o.State == "recording":
		case o.State == "planned" || o.State == "conflict" && o.RecordTo.After(now):
			if next[o.Schedule] == nil {
				next[o.Schedule] = o
			}
		case o.RecordFrom.Before(now) && o.Reason.code() != "disabled":
			last[o.Schedule] = o
		}
	}
	return next, last
}

// code is that of a reason; empty: there is none.
func (r *Reason) code() string {
	if r == nil {
		return ""
	}
	return r.Code
}

// following is the next time by the rule alone; nil: there is none that is known.
func (s *service) following(x store.Schedule, after time.Time) *Occurrence {
	start, end, ok := s.Schedules.Following(x, after)
	if !ok {
		return nil
	}
	return &Occurrence{
		Schedule: x.ID, Stream: x.Stream, Title: x.Title, Priority: x.Priority, State: "planned", Start: start.UTC(), End: end.UTC(),
		RecordFrom: start.Add(-x.PaddingBefore).UTC(), RecordTo: end.Add(x.PaddingAfter).UTC(),
	}
}

// scheduleRows are all schedules for a spreadsheet.
func (s *service) scheduleRows(ctx context.Context, say words) ([][]any, error) {
	if s.Schedules == nil {
		return nil, nil
	}
	var list []store.Schedule
	for len(list) < mostListed {
		part, total, err := s.Store.Schedules(ctx, store.ScheduleFilter{}, store.Page{Limit: store.MaxPage, Offset: len(list)})
		if err != nil {
			return nil, err
		}
		list = append(list, part...)
		if len(part) == 0 || len(list) >= total {
			break
		}
	}
	views := make([]scheduleView, len(list))
	for i, x := range list {
		views[i] = s.scheduleView(x)
	}
	if err := s.outlook(ctx, list, views); err != nil {
		return nil, err
	}
	var out [][]any
	for i, v := range views {
		next, last, state, why := any(nil), any(nil), "", ""
		if v.Next != nil {
			next = wall(&v.Next.Start)
		}
		if v.Last != nil {
			last, state = wall(&v.Last.Start), say(v.Last.State, inChinese(v.Last.State))
			if v.Last.Reason != nil {
				why = say(v.Last.Reason.EN, v.Last.Reason.ZH)
			}
		}
		out = append(out, []any{
			v.Title, s.streamsOf(ctx, list[i], say), say(v.Rule.EN, v.Rule.ZH), say(mark(v.Enabled, "yes"), mark(v.Enabled, "是")), next, last, state, why,
			say(v.Priority, inChinese(v.Priority)), int(time.Duration(v.Before).Minutes()), int(time.Duration(v.After).Minutes()), v.Format,
		})
	}
	return out, nil
}

// streamsOf names what a schedule records.
func (s *service) streamsOf(ctx context.Context, x store.Schedule, say words) string {
	if x.Stream != "" {
		return s.titleOf(ctx, x.Stream)
	}
	if x.Series == nil || len(x.Series.Channels) == 0 {
		return say("all channels", "全部频道")
	}
	names := ""
	for i, c := range x.Series.Channels {
		if i > 0 {
			names += say(", ", "、")
		}
		names += s.titleOf(ctx, "channels/"+c)
	}
	return names
}
