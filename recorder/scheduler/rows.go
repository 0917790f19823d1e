package scheduler

import (
	"fmt"
	"strconv"
	"time"

	"tongxiang/internal/store"
	"tongxiang/recorder/schedule"
)

// ruleOf reads a row. What is wrong beyond what a row can hold is for [schedule.Rule.Check].
func ruleOf(x store.Schedule) (schedule.Rule, error) {
	r := schedule.Rule{
		ID: x.ID, Stream: x.Stream, Title: x.Title, RRule: x.RRule, PaddingBefore: x.PaddingBefore, PaddingAfter: x.PaddingAfter,
		Disabled: !x.Enabled, Since: x.Changed,
	}
	var err error
	if r.Zone, err = schedule.Zone(x.Zone); err != nil {
		return r, err
	}
	if r.Priority, err = schedule.ParsePriority(x.Priority); err != nil {
		return r, err
	}
	if x.Start != nil {
		r.Start = x.Start.In(r.Zone)
	}
	if x.End != nil {
		r.End = x.End.In(r.Zone)
	}
	if x.Event != "" {
		id, err := strconv.ParseUint(x.Event, 10, 32)
		if err != nil {
			return r, fmt.Errorf("event %q: %w", x.Event, err)
		}
		r.Event = schedule.EventID{Stream: x.Stream, ID: uint32(id)}
	}
	if x.Series != nil {
		m := &schedule.Match{Title: x.Series.Title, From: x.Series.From, To: x.Series.To, Duplicates: schedule.Duplicates(x.Series.Duplicates)}
		for _, c := range x.Series.Channels {
			m.Streams = append(m.Streams, streamOf(c))
		}
		if x.Stream != "" && len(m.Streams) == 0 {
			m.Streams = []string{x.Stream}
		}
		for _, d := range x.Series.Weekdays {
			m.Weekdays = append(m.Weekdays, time.Weekday(d))
		}
		r.Match = m
	}
	return r, nil
}

// rowOf is a row for an occurrence of which nothing became yet.
func rowOf(o schedule.Occurrence) store.ScheduleRun {
	row := store.ScheduleRun{Key: o.Key, Schedule: o.Rule, State: string(o.State), Reason: string(o.Reason), LostTo: o.LostTo, Recordings: []string{}}
	fill(&row, o)
	return row
}

// fill writes into a row what an occurrence is now.
func fill(row *store.ScheduleRun, o schedule.Occurrence) {
	row.Stream, row.Title, row.Base, row.Text, row.Priority = o.Stream, o.Title, schedule.Base(o.Title), o.Text, o.Priority.String()
	row.Event = eventText(o.Event)
	row.Start, row.End, row.RecordFrom, row.RecordTo = o.Start.UTC(), o.End.UTC(), o.RecordFrom.UTC(), o.RecordTo.UTC()
}

// occurrenceOf is the opposite of rowOf.
func occurrenceOf(row store.ScheduleRun) schedule.Occurrence {
	priority, _ := schedule.ParsePriority(row.Priority) // one that is none is the lowest
	return schedule.Occurrence{
		Key: row.Key, Rule: row.Schedule, Stream: row.Stream, Title: row.Title, Text: row.Text, Event: eventRef(row.Stream, row.Event),
		Start: row.Start, End: row.End, RecordFrom: row.RecordFrom, RecordTo: row.RecordTo, Priority: priority,
		State: schedule.State(row.State), Reason: schedule.Reason(row.Reason), LostTo: row.LostTo,
	}
}

// runOf is what the planner needs of a row.
func runOf(row store.ScheduleRun) schedule.Run {
	r := schedule.Run{
		Key: row.Key, Rule: row.Schedule, Event: eventRef(row.Stream, row.Event), Start: row.Start,
		State: schedule.State(row.State), Reason: schedule.Reason(row.Reason),
	}
	if r.State == schedule.Conflict { // it is waited for
		r.State = schedule.Planned
	}
	return r
}

func eventText(id schedule.EventID) string {
	if id == (schedule.EventID{}) {
		return ""
	}
	return strconv.FormatUint(uint64(id.ID), 10)
}

func eventRef(name, text string) schedule.EventID {
	id, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		return schedule.EventID{}
	}
	return schedule.EventID{Stream: name, ID: uint32(id)}
}
