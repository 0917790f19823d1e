package schedule

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // the tables are the same wherever they run
)

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	z, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

func in(t testing.TB, z *time.Location, s string) time.Time {
	t.Helper()
	at, err := time.ParseInLocation("2006-01-02 15:04", s, z)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func show(list []Occurrence, z *time.Location) string {
	var b strings.Builder
	for _, o := range list {
		fmt.Fprintf(&b, "%s..%s %s", o.Start.In(z).Format("01-02 15:04 -07"), o.End.In(z).Format("01-02 15:04 -07"), o.State)
		if o.Reason != "" {
			fmt.Fprintf(&b, "(%s)", o.Reason)
		}
		b.WriteByte('\n')
	}
	return strings.TrimSpace(b.String())
}

func TestExpansionTables(t *testing.T) {
	for _, c := range []struct {
		name, zone, start, end, rrule, from, to string
		want                                    string
	}{
		{"once", "Asia/Shanghai", "2026-12-01 19:00", "2026-12-01 19:30", "", "2026-11-30 00:00", "2026-12-31 00:00",
			"12-01 19:00 +08..12-01 19:30 +08 planned"},
		{"once, outside of the window", "Asia/Shanghai", "2026-12-01 19:00", "2026-12-01 19:30", "", "2026-12-02 00:00", "2026-12-31 00:00", ""},
		{"daily over midnight", "Asia/Shanghai", "2026-12-30 23:30", "2026-12-31 00:30", "FREQ=DAILY;COUNT=3", "2026-12-01 00:00", "2027-02-01 00:00",
			"12-30 23:30 +08..12-31 00:30 +08 planned\n12-31 23:30 +08..01-01 00:30 +08 planned\n01-01 23:30 +08..01-02 00:30 +08 planned"},
		{"what began yesterday and still runs is in today's window", "Asia/Shanghai", "2026-12-30 23:30", "2026-12-31 00:30", "FREQ=DAILY", "2026-12-31 00:10", "2026-12-31 12:00",
			"12-30 23:30 +08..12-31 00:30 +08 planned"},
		{"weekdays", "Asia/Shanghai", "2026-12-03 08:00", "2026-12-03 09:00", "FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR", "2026-12-03 00:00", "2026-12-09 00:00",
			"12-03 08:00 +08..12-03 09:00 +08 planned\n12-04 08:00 +08..12-04 09:00 +08 planned\n12-07 08:00 +08..12-07 09:00 +08 planned\n12-08 08:00 +08..12-08 09:00 +08 planned"},
		{"every second week", "Asia/Shanghai", "2026-12-01 10:00", "2026-12-01 11:00", "RRULE:FREQ=WEEKLY;INTERVAL=2", "2026-12-01 00:00", "2027-01-01 00:00",
			"12-01 10:00 +08..12-01 11:00 +08 planned\n12-15 10:00 +08..12-15 11:00 +08 planned\n12-29 10:00 +08..12-29 11:00 +08 planned"},
		{"until, in UTC", "Asia/Shanghai", "2026-12-01 10:00", "2026-12-01 11:00", "FREQ=DAILY;UNTIL=20261203T020000Z", "2026-12-01 00:00", "2027-01-01 00:00",
			"12-01 10:00 +08..12-01 11:00 +08 planned\n12-02 10:00 +08..12-02 11:00 +08 planned\n12-03 10:00 +08..12-03 11:00 +08 planned"},
		{"the 31st is left out where there is none", "Asia/Shanghai", "2027-01-31 10:00", "2027-01-31 11:00", "FREQ=MONTHLY", "2027-01-01 00:00", "2027-06-01 00:00",
			"01-31 10:00 +08..01-31 11:00 +08 planned\n03-31 10:00 +08..03-31 11:00 +08 planned\n05-31 10:00 +08..05-31 11:00 +08 planned"},
		{"the last day of the month", "Asia/Shanghai", "2027-01-31 10:00", "2027-01-31 11:00", "FREQ=MONTHLY;BYMONTHDAY=-1", "2027-01-01 00:00", "2027-04-01 00:00",
			"01-31 10:00 +08..01-31 11:00 +08 planned\n02-28 10:00 +08..02-28 11:00 +08 planned\n03-31 10:00 +08..03-31 11:00 +08 planned"},
		{"the leap day, every four years", "Asia/Shanghai", "2028-02-29 10:00", "2028-02-29 11:00", "FREQ=YEARLY", "2026-01-01 00:00", "2037-01-01 00:00",
			"02-29 10:00 +08..02-29 11:00 +08 planned\n02-29 10:00 +08..02-29 11:00 +08 planned\n02-29 10:00 +08..02-29 11:00 +08 planned"},
		{"from the leap day into March", "Asia/Shanghai", "2028-02-29 23:30", "2028-03-01 00:30", "", "2028-02-01 00:00", "2028-04-01 00:00",
			"02-29 23:30 +08..03-01 00:30 +08 planned"},
		{"clocks are put forward: the time stays", "Europe/Berlin", "2027-03-27 19:00", "2027-03-27 20:00", "FREQ=DAILY;COUNT=3", "2027-03-01 00:00", "2027-04-30 00:00",
			"03-27 19:00 +01..03-27 20:00 +01 planned\n03-28 19:00 +02..03-28 20:00 +02 planned\n03-29 19:00 +02..03-29 20:00 +02 planned"},
		{"a time that the night leaves out is later", "Europe/Berlin", "2027-03-27 02:30", "2027-03-27 02:45", "FREQ=DAILY;COUNT=3", "2027-03-01 00:00", "2027-04-30 00:00",
			"03-27 02:30 +01..03-27 02:45 +01 planned\n03-28 03:30 +02..03-28 03:45 +02 planned\n03-29 02:30 +02..03-29 02:45 +02 planned"},
		{"a night that is shorter ends at its time", "Europe/Berlin", "2027-03-27 01:00", "2027-03-27 04:00", "FREQ=DAILY;COUNT=2", "2027-03-01 00:00", "2027-04-30 00:00",
			"03-27 01:00 +01..03-27 04:00 +01 planned\n03-28 01:00 +01..03-28 04:00 +02 planned"},
		{"a time that comes twice is the first", "Europe/Berlin", "2026-10-24 02:30", "2026-10-24 02:45", "FREQ=DAILY;COUNT=3", "2026-10-01 00:00", "2026-11-30 00:00",
			"10-24 02:30 +02..10-24 02:45 +02 planned\n10-25 02:30 +02..10-25 02:45 +02 planned\n10-26 02:30 +01..10-26 02:45 +01 planned"},
		{"a night that is longer ends at its time", "Europe/Berlin", "2026-10-24 01:00", "2026-10-24 04:00", "FREQ=DAILY;COUNT=2", "2026-10-01 00:00", "2026-11-30 00:00",
			"10-24 01:00 +02..10-24 04:00 +02 planned\n10-25 01:00 +02..10-25 04:00 +01 planned"},
		{"an hour that is left out and was all of it", "Europe/Berlin", "2027-03-27 02:00", "2027-03-27 03:00", "FREQ=DAILY;COUNT=2", "2027-03-01 00:00", "2027-04-30 00:00",
			"03-27 02:00 +01..03-27 03:00 +01 planned\n03-28 03:00 +02..03-28 04:00 +02 planned"},
		{
			"south of the equator, midnight itself left out", "America/Santiago", "2026-09-04 23:30", "2026-09-05 00:30", "FREQ=DAILY;COUNT=3", "2026-09-01 00:00", "2026-10-01 00:00",
			"09-04 23:30 -04..09-05 00:30 -04 planned\n09-05 23:30 -04..09-06 01:30 -03 planned\n09-06 23:30 -03..09-07 00:30 -03 planned",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			z := zone(t, c.zone)
			r := Rule{ID: "r", Stream: "channels/a", Title: "x", Start: in(t, z, c.start), End: in(t, z, c.end), Zone: z, RRule: c.rrule}
			got, problems := Plan(Input{Rules: []Rule{r}, Now: in(t, z, c.from), From: in(t, z, c.from), To: in(t, z, c.to)})
			if len(problems) > 0 {
				t.Fatal(problems)
			}
			if s := show(got, z); s != c.want {
				t.Errorf("got\n%s\nwant\n%s", s, c.want)
			}
		})
	}
}

func TestARuleThatCannotBeIsRefused(t *testing.T) {
	z := zone(t, "Asia/Shanghai")
	good := func() Rule {
		return Rule{ID: "r", Stream: "channels/a", Start: in(t, z, "2026-12-01 10:00"), End: in(t, z, "2026-12-01 11:00"), Zone: z}
	}
	for name, c := range map[string]struct {
		edit func(*Rule)
		want error
	}{
		"end before start":      {func(r *Rule) { r.End = r.Start }, ErrTimes},
		"longer than a day":     {func(r *Rule) { r.End = r.Start.Add(25 * time.Hour) }, ErrTimes},
		"no zone":               {func(r *Rule) { r.Zone = nil }, ErrZone},
		"no recurrence":         {func(r *Rule) { r.RRule = "every day" }, ErrRRule},
		"no times at all":       {func(r *Rule) { r.RRule = "FREQ=DAILY;COUNT=0" }, ErrRRule},
		"no step":               {func(r *Rule) { r.RRule = "freq=weekly;interval=0" }, ErrRRule},
		"two lines":             {func(r *Rule) { r.RRule = "FREQ=DAILY\nDTSTART:20200101T000000Z" }, ErrRRule},
		"by the second":         {func(r *Rule) { r.RRule = "FREQ=SECONDLY" }, ErrTooDense},
		"by the minute":         {func(r *Rule) { r.RRule = "FREQ=MINUTELY;COUNT=3" }, ErrTooDense},
		"by the hour":           {func(r *Rule) { r.RRule = "FREQ=HOURLY;INTERVAL=100" }, ErrTooDense},
		"many times a day":      {func(r *Rule) { r.RRule = "FREQ=DAILY;BYHOUR=1,2,3" }, ErrTooDense},
		"overlapping itself":    {func(r *Rule) { r.End, r.RRule = r.Start.Add(24*time.Hour), "FREQ=DAILY;BYHOUR=10" }, nil},
		"the 30th of February":  {func(r *Rule) { r.RRule = "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30" }, ErrNothing},
		"until before it began": {func(r *Rule) { r.RRule = "FREQ=DAILY;UNTIL=20200101T000000Z" }, ErrNothing},
		"the year 1":            {func(r *Rule) { r.Start = r.Start.AddDate(-2025, 0, 0); r.End = r.End.AddDate(-2025, 0, 0) }, ErrTimes},
		"weekday 8":             {func(r *Rule) { r.Match = &Match{Title: "x", Weekdays: []time.Weekday{8}} }, ErrMatch},
		"time of day 25:00":     {func(r *Rule) { r.Match = &Match{Title: "x", To: 25 * time.Hour} }, ErrMatch},
		"no such policy":        {func(r *Rule) { r.Match = &Match{Title: "x", Duplicates: "sometimes"} }, ErrMatch},
		"padding of a day":      {func(r *Rule) { r.PaddingAfter = 24 * time.Hour }, ErrPadding},
		"padding below zero":    {func(r *Rule) { r.PaddingBefore = -time.Second }, ErrPadding},
		"title of punctuation":  {func(r *Rule) { r.Match = &Match{Title: " —— 第3集"} }, ErrTitle},
		"event and recurrence":  {func(r *Rule) { r.Event, r.RRule = EventID{"channels/a", 1}, "FREQ=DAILY" }, ErrAmbiguous},
		"never ending is fine":  {func(r *Rule) { r.RRule = "FREQ=DAILY" }, nil},
	} {
		r := good()
		c.edit(&r)
		if err := r.Check(); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, not %v", name, err, c.want)
		}
	}
}

func TestABrokenRuleDisturbsNoOther(t *testing.T) {
	z := zone(t, "Asia/Shanghai")
	a := Rule{ID: "a", Stream: "channels/a", Start: in(t, z, "2026-12-01 10:00"), End: in(t, z, "2026-12-01 11:00"), Zone: z}
	b := a
	b.ID, b.RRule = "b", "nonsense"
	got, problems := Plan(Input{Rules: []Rule{b, a}, Now: a.Start, From: a.Start.Add(-time.Hour), To: a.End})
	if len(got) != 1 || got[0].Rule != "a" || len(problems) != 1 || problems[0].Rule != "b" || !errors.Is(problems[0].Err, ErrRRule) {
		t.Errorf("%+v, %v", got, problems)
	}
}

func TestWhatWasNeverBegunIsMissedWithTheReason(t *testing.T) {
	z := zone(t, "Asia/Shanghai")
	r := Rule{ID: "r", Stream: "channels/a", Start: in(t, z, "2026-12-01 10:00"), End: in(t, z, "2026-12-01 11:00"), Zone: z, RRule: "FREQ=DAILY;COUNT=4", PaddingAfter: 10 * time.Minute}
	from, to := in(t, z, "2026-12-01 00:00"), in(t, z, "2026-12-06 00:00")
	got, _ := Plan(Input{Rules: []Rule{r}, From: from, To: to, Now: in(t, z, "2026-12-03 11:05"), Runs: []Run{
		{Key: "r@2026-12-02T02:00:00Z", State: Missed, Reason: ReasonSourceGone},
	}})
	want := "12-01 10:00 +08..12-01 11:00 +08 missed(server_was_down)\n12-02 10:00 +08..12-02 11:00 +08 missed(source_gone)\n" +
		"12-03 10:00 +08..12-03 11:00 +08 planned\n12-04 10:00 +08..12-04 11:00 +08 planned"
	if s := show(got, z); s != want {
		t.Errorf("got\n%s\nwant\n%s", s, want)
	}
	if o := got[2]; Follow(o, nil, in(t, z, "2026-12-03 11:05")) != Begin {
		t.Error("what is late is not begun while its time lasts")
	}
}

func TestAnEventThatMovesStaysTheSame(t *testing.T) {
	z := zone(t, "Asia/Shanghai")
	id := EventID{"channels/a", 77}
	r := Rule{ID: "r", Event: id, Title: "联播", Start: in(t, z, "2026-12-01 19:00"), End: in(t, z, "2026-12-01 19:30"), Zone: z, PaddingBefore: 2 * time.Minute, PaddingAfter: 5 * time.Minute}
	window := Input{Rules: []Rule{r}, Now: in(t, z, "2026-12-01 18:00"), From: in(t, z, "2026-12-01 00:00"), To: in(t, z, "2026-12-02 00:00")}
	first := window
	first.Events = []Event{{EventID: id, Title: "新闻联播", Start: r.Start, End: r.End}}
	moved := window
	moved.Events = []Event{{EventID: id, Title: "新闻联播", Start: r.Start.Add(15 * time.Minute), End: r.End.Add(15 * time.Minute)}}
	a, _ := Plan(first)
	b, _ := Plan(moved)
	c, _ := Plan(window)
	if a[0].Key != b[0].Key || b[0].Key != c[0].Key {
		t.Errorf("keys %q, %q, %q", a[0].Key, b[0].Key, c[0].Key)
	}
	if !b[0].RecordFrom.Equal(r.Start.Add(13*time.Minute)) || !b[0].RecordTo.Equal(r.End.Add(20*time.Minute)) {
		t.Errorf("recorded from %v to %v", b[0].RecordFrom, b[0].RecordTo)
	}
	if c[0].Reason != ReasonEventGone || c[0].State != Planned || !c[0].Start.Equal(r.Start) {
		t.Errorf("without its event: %+v", c[0])
	}
}

func TestFollowingAnEvent(t *testing.T) {
	at := time.Date(2026, 12, 1, 11, 0, 0, 0, time.UTC)
	o := Occurrence{Start: at, End: at.Add(time.Hour), RecordFrom: at.Add(-2 * time.Minute), RecordTo: at.Add(65 * time.Minute)}
	for _, c := range []struct {
		name    string
		running Running
		now     time.Duration
		want    Due
	}{
		{"long before", RunningUnknown, -time.Hour, Wait},
		{"in the padding", RunningUnknown, -time.Minute, Begin},
		{"begins early", IsRunning, -10 * time.Minute, Begin},
		{"running hours before its time is a guide that errs", IsRunning, -4 * time.Hour, Wait},
		{"in the middle", IsRunning, 30 * time.Minute, Begin},
		{"a break for the news", Paused, 30 * time.Minute, Begin},
		{"called over while its time lasts", NotRunning, 30 * time.Minute, Begin},
		{"paused at its end", Paused, 70 * time.Minute, Begin},
		{"runs long", IsRunning, 2 * time.Hour, Begin},
		{"over by both", NotRunning, 66 * time.Minute, End},
		{"over, and the guide says nothing", RunningUnknown, 66 * time.Minute, End},
		{"the guide calls it running for ever", IsRunning, 10 * time.Hour, End},
	} {
		if got := Follow(o, &Event{Running: c.running}, at.Add(c.now)); got != c.want {
			t.Errorf("%s: %d, not %d", c.name, got, c.want)
		}
	}
	if got := Follow(o, nil, at.Add(66*time.Minute)); got != End {
		t.Errorf("without an event: %d", got)
	}
}

func TestTitlesOfASeries(t *testing.T) {
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"新闻联播", "新闻联播", true},
		{"新闻联播", "新 闻 联 播", true},
		{"西游记(12)", "西游记（13）", true},
		{"西游记 第12集", "西游记第二十五集", true},
		{"西游记12/40", "西游记 13/40", true},
		{"农业技术培训：小麦(上)", "农业技术培训:小麦（下）", true},
		{"ＣＣＴＶ新闻", "cctv新闻", true},
		{"新闻联播", "新闻30分", false},
		{"西游记", "西游记后传", false},
	} {
		if got := SameTitle(c.a, c.b); got != c.same {
			t.Errorf("%q and %q: %v", c.a, c.b, got)
		}
	}
}

func TestASeriesIsRecordedWithoutRepetitions(t *testing.T) {
	z := zone(t, "Asia/Shanghai")
	events := []Event{
		{EventID{"channels/a", 1}, "小麦栽培(1)", "播种", in(t, z, "2026-12-01 08:00"), in(t, z, "2026-12-01 09:00"), 0},
		{EventID{"channels/a", 2}, "小麦栽培(2)", "施肥", in(t, z, "2026-12-01 20:00"), in(t, z, "2026-12-01 21:00"), 0},
		{EventID{"channels/b", 3}, "小麦栽培(1)", "播种", in(t, z, "2026-12-02 08:00"), in(t, z, "2026-12-02 09:00"), 0}, // again, on another channel
		{EventID{"channels/a", 4}, "水稻栽培(1)", "", in(t, z, "2026-12-02 10:00"), in(t, z, "2026-12-02 11:00"), 0},
		{EventID{"channels/b", 5}, "小麦栽培(3)", "收割", in(t, z, "2026-12-03 23:30"), in(t, z, "2026-12-04 00:30"), 0},
	}
	plan := func(m Match, done ...Recorded) string {
		got, problems := Plan(Input{
			Rules: []Rule{{ID: "s", Zone: z, Match: &m}}, Events: events, Done: done,
			Now: in(t, z, "2026-12-01 00:00"), From: in(t, z, "2026-12-01 00:00"), To: in(t, z, "2026-12-05 00:00"),
		})
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		var b []string
		for _, o := range got {
			b = append(b, fmt.Sprintf("%d:%s%s", o.Event.ID, o.State, o.Reason))
		}
		return strings.Join(b, " ")
	}
	for _, c := range []struct {
		name string
		m    Match
		done []Recorded
		want string
	}{
		{"everything", Match{Title: "小麦栽培", Duplicates: RecordAll}, nil, "1:planned 2:planned 3:planned 5:planned"},
		{"each episode once", Match{Title: "小麦栽培", Duplicates: SkipRecorded}, nil, "1:planned 2:planned 3:skippedrecorded_already 5:planned"},
		{"not what is in the library", Match{Title: "小麦栽培", Duplicates: SkipRecorded}, []Recorded{{"小麦栽培（2）", "施肥", in(t, z, "2026-11-01 20:00")}},
			"1:planned 2:skippedrecorded_already 3:skippedrecorded_already 5:planned"},
		{"once a day", Match{Title: "小麦栽培", Duplicates: SkipTitleDay}, nil, "1:planned 2:skippedtitle_today 3:planned 5:planned"},
		{"one channel", Match{Title: "小麦栽培", Streams: []string{"channels/b"}}, nil, "3:planned 5:planned"},
		{"evenings, over midnight", Match{Title: "小麦栽培", From: 19 * time.Hour, To: 2 * time.Hour}, nil, "2:planned 5:planned"},
		{"mornings", Match{Title: "小麦栽培", From: 6 * time.Hour, To: 12 * time.Hour}, nil, "1:planned 3:planned"},
		{"Thursdays", Match{Title: "小麦栽培", Weekdays: []time.Weekday{time.Thursday}}, nil, "5:planned"},
	} {
		if got := plan(c.m, c.done...); got != c.want {
			t.Errorf("%s: %s; want %s", c.name, got, c.want)
		}
	}
}

func TestSixtyAtOnceGiveWayByPriority(t *testing.T) {
	at := time.Date(2026, 12, 1, 11, 0, 0, 0, time.UTC)
	var plan []Occurrence
	for i := range 60 {
		plan = append(plan, Occurrence{
			Key: fmt.Sprintf("k%02d", i), Stream: fmt.Sprintf("channels/c%d", i), State: Planned, Priority: Priority(i % 4),
			RecordFrom: at.Add(time.Duration(i) * time.Second), RecordTo: at.Add(time.Hour),
		})
	}
	plan[0].State = Recording // a running one of the lowest priority keeps its place
	need := func(string) Need { return Need{BytesPerSecond: 1 << 20} }
	got := Conflicts(plan, Capacity{BytesPerSecond: 31 << 20}, need)
	kept := map[Priority]int{}
	for i, o := range got {
		if o.State == Conflict {
			if o.Reason != ReasonNoSpeed {
				t.Errorf("%d: %s", i, o.Reason)
			}
			continue
		}
		kept[o.Priority]++
	}
	if kept[Emergency] != 15 || kept[Meeting] != 15 || kept[Training] != 0 || kept[News] != 1 || got[0].State != Recording {
		t.Errorf("kept %v", kept)
	}
}

func TestRoomIsCountedWhereItIsNeeded(t *testing.T) {
	at := time.Date(2026, 12, 1, 11, 0, 0, 0, time.UTC)
	o := func(key, stream string, from, to int, p Priority) Occurrence {
		return Occurrence{Key: key, Stream: stream, State: Planned, Priority: p, RecordFrom: at.Add(time.Duration(from) * time.Minute), RecordTo: at.Add(time.Duration(to) * time.Minute)}
	}
	states := func(list []Occurrence) string {
		var b []string
		for _, o := range list {
			b = append(b, o.Key+":"+string(o.State)+string(o.Reason))
		}
		return strings.Join(b, " ")
	}
	tuner := func(s string) Need { return Need{BytesPerSecond: 1, InputGroup: "tuner", Input: s[:len(s)-1]} }
	for _, c := range []struct {
		name string
		plan []Occurrence
		have Capacity
		need func(string) Need
		want string
	}{
		{"one after the other", []Occurrence{o("a", "m1x", 0, 60, News), o("b", "m2x", 60, 120, News)}, Capacity{Inputs: map[string]int{"tuner": 1}}, tuner, "a:planned b:planned"},
		{"two muxes, one tuner", []Occurrence{o("a", "m1x", 0, 60, News), o("b", "m2x", 59, 120, Meeting)}, Capacity{Inputs: map[string]int{"tuner": 1}}, tuner, "a:conflictno_input b:planned"},
		{"two programmes of one mux", []Occurrence{o("a", "m1x", 0, 60, News), o("b", "m1y", 30, 120, Meeting)}, Capacity{Inputs: map[string]int{"tuner": 1}}, tuner, "a:planned b:planned"},
		{"a third in the gap between two", []Occurrence{o("a", "m1x", 0, 30, Meeting), o("b", "m2x", 60, 90, Meeting), o("c", "m3x", 20, 70, News)}, Capacity{Inputs: map[string]int{"tuner": 2}}, tuner, "a:planned b:planned c:planned"},
		{"transcoders", []Occurrence{o("a", "x", 0, 60, News), o("b", "y", 10, 20, News)}, Capacity{Transcoders: 1}, func(string) Need { return Need{Transcodes: true} }, "a:planned b:conflictno_transcoder"},
		{"one stream twice is one transcoder", []Occurrence{o("a", "x", 0, 60, News), o("b", "x", 10, 20, News)}, Capacity{Transcoders: 1}, func(string) Need { return Need{Transcodes: true} }, "a:planned b:planned"},
		{"disk space", []Occurrence{o("a", "x", 0, 60, News), o("b", "y", 60, 120, Emergency)}, Capacity{FreeBytes: 3600 * 15}, func(string) Need { return Need{BytesPerSecond: 10} }, "a:conflictno_disk_space b:planned"},
	} {
		if got := states(Conflicts(c.plan, c.have, c.need)); got != c.want {
			t.Errorf("%s: %s; want %s", c.name, got, c.want)
		}
	}
}

func TestEveryMomentResolvesToItsOwnWallTime(t *testing.T) {
	for _, name := range []string{"Asia/Shanghai", "Europe/Berlin", "America/Santiago", "Australia/Lord_Howe", "UTC"} {
		z := zone(t, name)
		for at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC); at.Year() < 2028; at = at.Add(17 * time.Minute) {
			back := resolve(wallOf(at, z), z)
			if d := at.Sub(back); d != 0 && d != time.Hour && d != 30*time.Minute {
				t.Fatalf("%s: %v became %v", name, at.In(z), back)
			}
			if !wallOf(back, z).Equal(wallOf(at, z)) {
				t.Fatalf("%s: %v shows another time: %v", name, at.In(z), back)
			}
		}
	}
}

func FuzzRecurrenceIsRefusedOrBounded(f *testing.F) {
	for _, s := range []string{"FREQ=DAILY", "FREQ=WEEKLY;BYDAY=MO,-1FR", "FREQ=YEARLY;BYEASTER=1", "FREQ=MONTHLY;BYSETPOS=-1;BYDAY=SU", "UNTIL=1", "FREQ=DAILY;INTERVAL=0", "FREQ=DAILY;COUNT=-1"} {
		f.Add(s)
	}
	z := time.FixedZone("x", 8*3600)
	start := time.Date(2026, 12, 1, 10, 0, 0, 0, z)
	f.Fuzz(func(t *testing.T, s string) {
		r := Rule{ID: "r", Start: start, End: start.Add(time.Hour), Zone: z, RRule: s}
		if r.Check() != nil {
			return
		}
		got, problems := Plan(Input{Rules: []Rule{r}, Now: start, From: start, To: start.Add(366 * 24 * time.Hour)})
		if len(problems) > 0 || len(got) > 400 {
			t.Fatalf("%q: %d times, %v", s, len(got), problems)
		}
	})
}

// BenchmarkPlan is a week of 200 rules with a full guide of 49 channels.
func BenchmarkPlan(b *testing.B) {
	z := zone(b, "Asia/Shanghai")
	start := time.Date(2026, 12, 1, 0, 0, 0, 0, z)
	in := Input{Now: start, From: start, To: start.Add(7 * 24 * time.Hour)}
	for c := range 49 {
		for k := range 7 * 40 {
			in.Events = append(in.Events, Event{EventID: EventID{fmt.Sprintf("channels/c%d", c), uint32(k)}, Title: fmt.Sprintf("节目%d 第%d集", k%97, k), Start: start.Add(time.Duration(k) * 36 * time.Minute), End: start.Add(time.Duration(k+1) * 36 * time.Minute)})
		}
	}
	for i := range 200 {
		r := Rule{ID: fmt.Sprint(i), Stream: "channels/c1", Start: start, End: start.Add(time.Hour), Zone: z, RRule: "FREQ=DAILY"}
		if i%4 == 0 {
			r.RRule, r.Match = "", &Match{Title: fmt.Sprintf("节目%d", i), Duplicates: SkipRecorded}
		}
		in.Rules = append(in.Rules, r)
	}
	b.ReportAllocs()
	for b.Loop() {
		Plan(in)
	}
}
