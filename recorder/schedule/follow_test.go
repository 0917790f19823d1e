package schedule

import (
	"strings"
	"testing"
	"time"
)

var noon = time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)

func minutes(n int) time.Time { return noon.Add(time.Duration(n) * time.Minute) }

// TestAnEventIDThatIsUsedAgainIsAnotherProgramme: ids have 16 bits, and some
// broadcasters count the places of a day.
func TestAnEventIDThatIsUsedAgainIsAnotherProgramme(t *testing.T) {
	id := EventID{"channels/a", 7}
	series := Rule{ID: "s", Zone: time.UTC, Match: &Match{Title: "联播"}}
	single := Rule{ID: "e", Zone: time.UTC, Event: id, Start: noon, End: minutes(30)}
	run := func(rule, key string) Run {
		return Run{Key: key, Rule: rule, Event: id, Start: noon, State: Done}
	}
	runs := []Run{run("s", "s#channels/a/7@2026-12-01T12:00:00Z"), run("e", "e#channels/a/7")}
	for _, c := range []struct {
		name  string
		start int // minutes from noon
		want  string
	}{
		{"the same", 0, "e:done s:done"},
		{"moved after it was begun", 40, "e:done s:done"},
		{"next day", 24 * 60, "s:planned"},
	} {
		events := []Event{{EventID: id, Title: "联播", Start: minutes(c.start), End: minutes(c.start + 30)}}
		got, problems := Plan(Input{Rules: []Rule{series, single}, Events: events, Runs: runs, Now: minutes(-5), From: minutes(c.start - 60), To: minutes(c.start + 60)})
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		var b []string
		for _, o := range got {
			b = append(b, o.Rule+":"+string(o.State))
		}
		if s := strings.Join(b, " "); s != c.want {
			t.Errorf("%s: %s, want %s", c.name, s, c.want)
		}
	}
}

func TestWhatWasMissedStandsForNoRepeat(t *testing.T) {
	first := Event{EventID{"channels/a", 1}, "小麦栽培(1)", "播种", noon, minutes(60), 0}
	again := Event{EventID{"channels/a", 2}, "小麦栽培(1)", "播种", minutes(180), minutes(240), 0}
	rule := Rule{ID: "s", Zone: time.UTC, Match: &Match{Title: "小麦栽培", Duplicates: SkipRecorded}}
	for _, c := range []struct {
		name string
		run  State
		now  int
		want State
	}{
		{"planned", "", -10, Skipped},
		{"being recorded", Recording, 10, Skipped},
		{"recorded", Done, 70, Skipped},
		{"missed", Missed, 70, Planned},
		{"gone by, and nobody said why", "", 70, Planned},
	} {
		in := Input{Rules: []Rule{rule}, Events: []Event{first, again}, Now: minutes(c.now), From: minutes(-60), To: minutes(300)}
		if c.run != "" {
			in.Runs = []Run{{Key: "x", Rule: "s", Event: first.EventID, Start: noon, State: c.run}}
		}
		got, _ := Plan(in)
		if len(got) != 2 || got[1].State != c.want {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
}

func TestNewsWithoutATextIsAnotherEachDay(t *testing.T) {
	var events []Event
	for i, h := range []int{0, 3, 24, 48} {
		events = append(events, Event{EventID: EventID{"channels/a", uint32(i)}, Title: "新闻联播", Start: minutes(h * 60), End: minutes(h*60 + 30)})
	}
	rule := Rule{ID: "s", Zone: time.UTC, Match: &Match{Title: "新闻联播", Duplicates: SkipRecorded}}
	got, _ := Plan(Input{Rules: []Rule{rule}, Events: events, Done: []Recorded{{"新闻联播", "", minutes(-24 * 60)}}, Now: noon, From: noon, To: minutes(72 * 60)})
	var b []string
	for _, o := range got {
		b = append(b, string(o.State))
	}
	if s := strings.Join(b, " "); s != "planned skipped planned planned" {
		t.Error(s)
	}
}

func TestARuleHasNoPast(t *testing.T) {
	r := Rule{ID: "r", Stream: "channels/a", Start: noon, End: minutes(60), Zone: time.UTC, RRule: "FREQ=DAILY", Since: noon.Add(49 * time.Hour)}
	got, _ := Plan(Input{Rules: []Rule{r}, Now: noon.Add(100 * time.Hour), From: noon, To: noon.Add(100 * time.Hour)})
	if len(got) != 2 || !got[0].Start.Equal(noon.Add(72*time.Hour)) {
		t.Errorf("%+v", got)
	}
}

func TestAnEventThatWasPutOffIsPlannedAgain(t *testing.T) {
	id := EventID{"channels/a", 7}
	r := Rule{ID: "e", Zone: time.UTC, Event: id, Start: minutes(180), End: minutes(240)}
	run := Run{Key: "e#channels/a/7", Rule: "e", Event: id, Start: noon, State: Planned, Reason: ReasonMoved}
	got, _ := Plan(Input{Rules: []Rule{r}, Events: []Event{{EventID: id, Start: r.Start, End: r.End}}, Runs: []Run{run}, Now: minutes(20), From: noon, To: minutes(300)})
	if len(got) != 1 || got[0].State != Planned || got[0].Key != run.Key {
		t.Errorf("%+v", got)
	}
	o := got[0]
	for _, c := range []struct {
		name string
		e    *Event
		now  int
		want bool
	}{
		{"hours ahead", &Event{}, 20, true},
		{"it runs all the same", &Event{Running: IsRunning}, 20, false},
		{"a break", &Event{Running: Paused}, 20, false},
		{"an hour at the most", &Event{}, 120, false},
		{"no event", nil, 20, false},
	} {
		if got := Postponed(o, c.e, minutes(c.now)); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

func TestAnEventUnderAnotherIDIsFound(t *testing.T) {
	gone := Event{EventID{"channels/a", 1}, "新闻联播", "", noon, minutes(30), 0}
	ev := func(stream string, id uint32, title string, from, to int) Event {
		return Event{EventID{stream, id}, title, "", minutes(from), minutes(to), 0}
	}
	for _, c := range []struct {
		name string
		list []Event
		want uint32
	}{
		{"nothing", nil, 0},
		{"in its place", []Event{ev("channels/a", 9, "新闻联播", 0, 30)}, 9},
		{"ten minutes later", []Event{ev("channels/a", 9, "新闻 联播", 10, 40)}, 9},
		{"mostly elsewhere", []Event{ev("channels/a", 9, "新闻联播", 20, 50)}, 0},
		{"another programme in its place", []Event{ev("channels/a", 9, "天气预报", 0, 30)}, 0},
		{"on another channel", []Event{ev("channels/b", 9, "新闻联播", 0, 30)}, 0},
		{"itself", []Event{gone}, 0},
	} {
		e, ok := Successor(gone, c.list)
		if ok != (c.want != 0) || e.ID != c.want {
			t.Errorf("%s: %v, %v", c.name, e, ok)
		}
	}
}

func TestSeriesFindsWhatRulesFind(t *testing.T) {
	titles := []string{"小麦栽培(1)", "小麦栽培 第十二集", "小麦 栽培！", "ＡＢＣ课堂 3", "abc课堂", "天气预报", "", "麦小", "第3集小麦栽培", "12"}
	rules := []Rule{{Match: &Match{Title: "小麦栽培"}}, {Match: &Match{Title: "Abc课堂"}}, {Stream: "channels/a"}}
	for n := range len(rules) + 1 {
		s := NewSeries(rules[:n])
		for _, title := range titles {
			want := false
			for _, r := range rules[:n] {
				want = want || r.Match != nil && SameTitle(r.Match.Title, title)
			}
			if got := s.Wants(title); got != want {
				t.Errorf("%d rules, %q: %v", n, title, got)
			}
			if hints := s.Hints(); want && len(hints) > 0 && !strings.ContainsAny(title, strings.Join(hints, "")) {
				t.Errorf("%q has none of %q", title, hints)
			}
		}
	}
}

func TestWhatRunsGivesWayOnlyToHigherPriorityAndOnlyWhereTheDiskCannot(t *testing.T) {
	o := func(key string, p Priority, s State, from, to int) Occurrence {
		return Occurrence{Key: key, Stream: key, Priority: p, State: s, RecordFrom: minutes(from), RecordTo: minutes(to)}
	}
	rate := func(string) Need { return Need{BytesPerSecond: 1 << 20} }
	hour := int64(3600) << 20
	tuner := func(s string) Need { return Need{BytesPerSecond: 1, InputGroup: "tuner", Input: s} }
	for _, c := range []struct {
		name string
		list []Occurrence
		have Capacity
		need func(string) Need
		want string
	}{
		{"room for both", []Occurrence{o("n", News, Recording, -10, 60), o("e", Emergency, Planned, 0, 60)}, Capacity{FreeBytes: 3 * hour}, rate, "n:recording e:planned"},
		{"not room to the end, but now", []Occurrence{o("n", News, Recording, -10, 600), o("e", Emergency, Planned, 0, 60)}, Capacity{FreeBytes: 2 * hour}, rate, "n:recording e:planned"},
		{"the disk really cannot", []Occurrence{o("n", News, Recording, -10, 60), o("e", Emergency, Planned, 0, 60)}, Capacity{FreeBytes: hour}, rate, "n:conflict(no_disk_space<e) e:planned"},
		{"nobody gives way to his equal", []Occurrence{o("n", News, Recording, -10, 60), o("e", News, Planned, 0, 60)}, Capacity{FreeBytes: 100}, rate, "n:recording e:planned"},
		{"nor to a lower one", []Occurrence{o("m", Meeting, Recording, -10, 60), o("n", News, Planned, 0, 60)}, Capacity{FreeBytes: hour}, rate, "m:recording n:conflict(no_disk_space<m)"},
		{"the disk is too slow for two", []Occurrence{o("n", News, Recording, -10, 60), o("e", Training, Planned, 0, 60)}, Capacity{BytesPerSecond: 1 << 20}, rate, "n:conflict(no_disk_speed<e) e:planned"},
		{"too slow, equals: the one that runs", []Occurrence{o("a", News, Planned, -20, 60), o("b", News, Recording, 0, 60)}, Capacity{BytesPerSecond: 1 << 20}, rate, "a:conflict(no_disk_speed<b) b:recording"},
		{"measured too slow for what runs alone", []Occurrence{o("a", News, Recording, 0, 60), o("b", News, Recording, 0, 60)}, Capacity{BytesPerSecond: 1}, rate, "a:recording b:recording"},
		{"only as many as must", []Occurrence{o("n", News, Recording, -10, 60), o("t", Training, Recording, -10, 60), o("e", Emergency, Planned, 0, 60)}, Capacity{BytesPerSecond: 2 << 20}, rate, "n:conflict(no_disk_speed<e) t:recording e:planned"},
		{"a tuner is not taken away", []Occurrence{o("n", News, Recording, -10, 60), o("e", Emergency, Planned, 0, 60)}, Capacity{Inputs: map[string]int{"tuner": 1}}, tuner, "n:recording e:conflict(no_input<n)"},
		{"nor a transcoder", []Occurrence{o("n", News, Recording, -10, 60), o("e", Emergency, Planned, 0, 60)}, Capacity{Transcoders: 1}, func(string) Need { return Need{Transcodes: true} }, "n:recording e:conflict(no_transcoder<n)"},
		{"a full disk and nothing else: it waits there", []Occurrence{o("n", News, Planned, 0, 60)}, Capacity{FreeBytes: 1}, rate, "n:planned"},
	} {
		var b []string
		for _, o := range Admit(c.list, noon, c.have, c.need) {
			s := o.Key + ":" + string(o.State)
			if o.Reason != ReasonNone {
				s += "(" + string(o.Reason) + "<" + o.LostTo + ")"
			}
			b = append(b, s)
		}
		if s := strings.Join(b, " "); s != c.want {
			t.Errorf("%s: %s, want %s", c.name, s, c.want)
		}
	}
}

func TestAConflictNamesWhoHasTheRoom(t *testing.T) {
	o := func(key string, p Priority, from, to int) Occurrence {
		return Occurrence{Key: key, Stream: key, State: Planned, Priority: p, RecordFrom: minutes(from), RecordTo: minutes(to)}
	}
	got := Conflicts([]Occurrence{o("a", Meeting, 0, 60), o("b", News, 30, 90), o("c", News, 90, 120)}, Capacity{BytesPerSecond: 10},
		func(string) Need { return Need{BytesPerSecond: 10} })
	if got[0].State != Planned || got[1].State != Conflict || got[1].LostTo != "a" || got[2].State != Planned {
		t.Errorf("%+v", got)
	}
}
