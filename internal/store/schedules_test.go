package store_test

import (
	"slices"
	"testing"
	"time"

	"tongxiang/internal/store"
)

func TestScheduleLivesFromCreationToDeletion(t *testing.T) {
	both(t, testScheduleLivesFromCreationToDeletion)
}

func testScheduleLivesFromCreationToDeletion(t *testing.T, db database) {
	s, ctx := db.open(t), t.Context()
	x := store.Schedule{
		ID: "s1", Stream: "channels/a", Title: "周三培训", Class: "training", Format: "ts", Priority: "training", Start: after(time.Hour), End: after(2 * time.Hour),
		Zone: "Asia/Shanghai", RRule: "FREQ=WEEKLY;BYDAY=WE", PaddingBefore: time.Minute, PaddingAfter: 1500 * time.Millisecond, Enabled: true,
		CreatedBy: "u", Created: noon, Changed: noon,
	}
	check(t, s.CreateSchedule(ctx, x))
	want(t, s.CreateSchedule(ctx, x), store.ErrConflict)
	series := store.Schedule{
		ID: "s2", Title: "小麦栽培", Priority: "news", Created: *after(time.Minute), Changed: *after(time.Minute),
		Series: &store.Series{Title: "小麦栽培", Channels: []string{"a", "b"}, Weekdays: []int{1, 0}, From: 19 * time.Hour, To: 2 * time.Hour, Duplicates: "skip_recorded"},
	}
	check(t, s.CreateSchedule(ctx, series))
	l, total, err := s.Schedules(ctx, store.ScheduleFilter{}, store.Page{})
	check(t, err)
	same(t, l, []store.Schedule{series, x})
	same(t, total, 2)
	l, total, err = s.Schedules(ctx, store.ScheduleFilter{Stream: "channels/a", Enabled: true}, store.Page{})
	check(t, err)
	same(t, l, []store.Schedule{x})
	same(t, total, 1)
	x.Title, x.Enabled, x.End, x.Changed, x.Priority, x.Series = "改名", false, after(3*time.Hour), *after(time.Hour), "meeting", &store.Series{Title: "x"}
	check(t, s.UpdateSchedule(ctx, x))
	got, err := s.Schedule(ctx, "s1")
	check(t, err)
	same(t, got, x)
	want(t, s.MoveSchedule(ctx, "s1", "7", noon, noon), store.ErrNotFound) // it has no event
	x.Event = "7"
	check(t, s.UpdateSchedule(ctx, x))
	check(t, s.MoveSchedule(ctx, "s1", "8", *after(5 * time.Hour), *after(6 * time.Hour)))
	x.Event, x.Start, x.End = "8", after(5*time.Hour), after(6*time.Hour)
	l, err = s.AllSchedules(ctx)
	check(t, err)
	same(t, l, []store.Schedule{x, series})
	check(t, s.DeleteSchedule(ctx, "s1"))
	want(t, s.DeleteSchedule(ctx, "s1"), store.ErrNotFound)
	want(t, s.UpdateSchedule(ctx, x), store.ErrNotFound)
	_, err = s.Schedule(ctx, "s1")
	want(t, err, store.ErrNotFound)
}

func TestRunsAreFoundByTimeStateAndSeries(t *testing.T) {
	both(t, testRunsAreFoundByTimeStateAndSeries)
}

func testRunsAreFoundByTimeStateAndSeries(t *testing.T, db database) {
	s, ctx := db.open(t), t.Context()
	run := func(key, base, state string, hour int) store.ScheduleRun {
		from := noon.Add(time.Duration(hour) * time.Hour)
		return store.ScheduleRun{
			Key: key, Schedule: "s", Stream: "channels/a", Title: base + "(1)", Base: base, Text: "t" + key, Event: "1", Priority: "news",
			Start: from, End: from.Add(time.Hour), RecordFrom: from.Add(-time.Minute), RecordTo: from.Add(61 * time.Minute), State: state, Recordings: []string{},
		}
	}
	a, b, c := run("a", "小麦", "done", 0), run("b", "小麦", "missed", 2), run("c", "水稻", "recording", 4)
	for _, r := range []store.ScheduleRun{c, a, b} {
		check(t, s.PutScheduleRun(ctx, r))
	}
	c.Recordings, c.Recording, c.Begun, c.Reason, c.LostTo = []string{"r1", "r2"}, "r2", after(4*time.Hour), "began_late", "a"
	check(t, s.PutScheduleRun(ctx, c))
	for _, x := range []struct {
		f    store.RunFilter
		most int
		want []store.ScheduleRun
	}{
		{store.RunFilter{}, 0, []store.ScheduleRun{a, b, c}},
		{store.RunFilter{}, 2, []store.ScheduleRun{a, b}},
		{store.RunFilter{State: "recording"}, 0, []store.ScheduleRun{c}},
		{store.RunFilter{Schedule: "other"}, 0, nil},
		{store.RunFilter{From: *after(61 * time.Minute), To: *after(3 * time.Hour)}, 0, []store.ScheduleRun{b}},
		{store.RunFilter{To: *after(-time.Minute)}, 0, nil},
	} {
		l, err := s.ScheduleRuns(ctx, x.f, x.most)
		check(t, err)
		same(t, l, x.want)
	}
	got, err := s.ScheduleRun(ctx, "c")
	check(t, err)
	same(t, got, c)
	_, err = s.ScheduleRun(ctx, "d")
	want(t, err, store.ErrNotFound)
	l, err := s.Episodes(ctx, []string{"小麦", "水稻", "玉米"}, 10)
	check(t, err)
	same(t, l, []store.Episode{{Title: "水稻(1)", Text: "tc", Start: c.Start}, {Title: "小麦(1)", Text: "ta", Start: a.Start}})
	l, err = s.Episodes(ctx, nil, 10)
	check(t, err)
	same(t, len(l), 0)
}

func TestTheGuideIsReadByTitleKeyAndChange(t *testing.T) {
	both(t, testTheGuideIsReadByTitleKeyAndChange)
}

func testTheGuideIsReadByTitleKeyAndChange(t *testing.T, db database) {
	s, ctx := db.open(t), t.Context()
	event := func(channel string, id, hour int) store.EPGEvent {
		at := noon.Add(time.Duration(hour) * time.Hour)
		return store.EPGEvent{Channel: channel, ID: id, Start: at, End: at.Add(time.Hour), Title: channel + "节目", Changed: noon.Add(time.Duration(id) * time.Second)}
	}
	all := []store.EPGEvent{event("a", 1, 0), event("a", 2, 1), event("b", 1, 2), event("b", 3, 200)}
	check(t, s.PutEPG(ctx, all, nil))
	for _, x := range []struct{ hints, want []string }{
		{nil, []string{"aa节目", "bb节目"}}, {[]string{"目"}, []string{"aa节目", "bb节目"}}, {[]string{"x", "a"}, []string{"aa节目"}}, {[]string{"%", "_"}, nil},
		{slices.Repeat([]string{"x"}, 100), []string{"aa节目", "bb节目"}}, // too many to ask for
	} {
		var titles []string
		check(t, s.EachEPGTitle(ctx, *after(time.Hour), *after(100 * time.Hour), x.hints, func(e store.EPGTitle) {
			titles = append(titles, e.Channel+e.Title)
		}))
		slices.Sort(titles)
		same(t, titles, x.want)
	}
	l, err := s.EPGEvents(ctx, []store.EPGKey{{Channel: "b", ID: 3}, {Channel: "b", ID: 2}, {Channel: "a", ID: 1}})
	check(t, err)
	same(t, l, []store.EPGEvent{all[3], all[0]})
	l, err = s.EPGChanged(ctx, noon.Add(time.Second), 10)
	check(t, err)
	same(t, l, []store.EPGEvent{all[1], all[3]})
	l, err = s.EPGChanged(ctx, noon.Add(-time.Second), 1)
	check(t, err)
	same(t, len(l), 1)
}
