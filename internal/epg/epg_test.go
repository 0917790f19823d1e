package epg

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tongxiang/internal/mpegts"
	"tongxiang/internal/store"
)

var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

func ev(id int, from, minutes int, title string) mpegts.Event {
	return mpegts.Event{
		Key: mpegts.EventKey{ID: uint16(id)}, Start: noon.Add(time.Duration(from) * time.Minute), Duration: time.Duration(minutes) * time.Minute, Title: title,
	}
}

func running(e mpegts.Event, r mpegts.Running) mpegts.Event {
	e.Running = r
	return e
}

// told describes changes in a line.
func told(changes []Change) string {
	var out []string
	for _, c := range changes {
		at := c.Event.Start.Sub(noon) / time.Minute
		switch c.Kind {
		case Added:
			out = append(out, fmt.Sprintf("+%d@%d", c.Event.ID, at))
		case Changed:
			out = append(out, fmt.Sprintf("~%d@%d/%d", c.Event.ID, at, c.Event.Running))
		case Removed:
			out = append(out, fmt.Sprintf("-%d", c.Event.ID))
		case Resync:
			out = append(out, "resync")
		}
	}
	return strings.Join(out, " ")
}

func TestGuideTellsWhatChanges(t *testing.T) {
	type said struct {
		event    mpegts.Event
		now      *mpegts.NowNext
		schedule bool
		want     string
	}
	a, b := ev(1, 0, 30, "A"), ev(2, 30, 60, "B")
	for name, script := range map[string][]said{
		"said twice": {{event: a, schedule: true, want: "+1@0"}, {event: a, schedule: true, want: ""}},
		"moved":      {{event: a, schedule: true, want: "+1@0"}, {event: ev(1, 10, 30, "A"), schedule: true, want: "~1@10/0"}},
		"renamed":    {{event: a, schedule: true, want: "+1@0"}, {event: ev(1, 0, 30, "A!"), schedule: true, want: "~1@0/0"}},
		"begins, and the schedule does not know it": {
			{event: a, schedule: true, want: "+1@0"}, {event: running(a, mpegts.RunningNow), want: "~1@0/4"}, {event: a, schedule: true, want: ""},
			{event: ev(1, 0, 40, "A"), schedule: true, want: "~1@0/4"},
		},
		"ends when another one is on": {
			{event: running(a, mpegts.RunningNow), want: "+1@0"}, {now: &mpegts.NowNext{Present: &a, Following: &b}, want: ""},
			{event: running(b, mpegts.RunningNow), want: "+2@30"}, {now: &mpegts.NowNext{Present: &b}, want: "~1@0/1"},
		},
		"planned anew with other ids": {
			{event: a, schedule: true, want: "+1@0"}, {event: b, schedule: true, want: "+2@30"},
			{event: ev(7, 0, 28, "A'"), schedule: true, want: "-1 +7@0"}, {event: ev(8, 28, 5, "between"), schedule: true, want: "-2 +8@28"},
		},
		"overlaps a little": {{event: a, schedule: true, want: "+1@0"}, {event: ev(2, 25, 60, "B"), schedule: true, want: "+2@25"}},
		"what is on is not taken away by another plan": {
			{event: running(a, mpegts.RunningNow), want: "+1@0"}, {now: &mpegts.NowNext{Present: &a}, want: ""},
			{event: ev(7, 0, 30, "A'"), schedule: true, want: "+7@0"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGuide("c")
			for i, s := range script {
				var changes []Change
				if s.now != nil {
					changes = g.present(*s.now, noon)
				} else {
					var err error
					if changes, err = g.event(s.event, s.schedule, noon); err != nil {
						t.Fatal(err)
					}
				}
				if got := told(changes); got != s.want {
					t.Errorf("step %d: %q, want %q", i, got, s.want)
				}
			}
		})
	}
}

func TestTimesThatCannotBeAreLeftOut(t *testing.T) {
	g := newGuide("c")
	for name, e := range map[string]mpegts.Event{
		"no time":        {Key: mpegts.EventKey{ID: 1}, Duration: time.Hour},
		"no duration":    ev(1, 0, 0, "x"),
		"a week long":    ev(1, 0, 7*24*60, "x"),
		"next year":      ev(1, 365*24*60, 30, "x"),
		"last year":      ev(1, -365*24*60, 30, "x"),
		"ends yesterday": ev(1, -26*60, 30, "x"),
	} {
		if _, err := g.event(e, true, noon); err != errAbsurd {
			t.Errorf("%s: %v", name, err)
		}
	}
	if len(g.events) > 0 {
		t.Errorf("%v", g.events)
	}
}

func TestAnEventBombIsBounded(t *testing.T) {
	g := newGuide("c")
	full := 0
	for i := range 60000 {
		if _, err := g.event(ev(i, i, 1, strings.Repeat("长", 1000)), true, noon); err == errFull {
			full++
		}
	}
	if len(g.events) != maxEvents || full != 60000-maxEvents {
		t.Errorf("%d events, %d left out", len(g.events), full)
	}
	if e := g.events[0]; len(e.Title) > maxTitle || len(e.Title) < maxTitle-3 {
		t.Errorf("title of %d bytes", len(e.Title))
	}
	// What changes all the time is written so often and no more.
	changed := 0
	for i := range 10000 {
		if c, _ := g.event(ev(1, 1, 1, fmt.Sprint(i)), true, noon.Add(time.Second)); len(c) > 0 {
			changed++
		}
	}
	if changed > steady {
		t.Errorf("%d changes in a second", changed)
	}
}

func TestNowAndNextFollowTheBroadcasterElseTheClock(t *testing.T) {
	names := func(now, next *store.EPGEvent) string {
		s := "-"
		if now != nil {
			s = now.Title
		}
		if next != nil {
			return s + " " + next.Title
		}
		return s + " -"
	}
	g := newGuide("c")
	a, b, c := ev(1, 0, 30, "A"), ev(2, 30, 30, "B"), ev(3, 60, 30, "C")
	for _, e := range []mpegts.Event{a, b, c} {
		if _, err := g.event(e, true, noon); err != nil {
			t.Fatal(err)
		}
	}
	if got := names(g.nowNext(noon.Add(40 * time.Minute))); got != "B C" {
		t.Errorf("by the clock: %s", got)
	}
	g.present(mpegts.NowNext{Present: &a, Following: &b}, noon)
	if got := names(g.nowNext(noon.Add(40 * time.Minute))); got != "A B" {
		t.Errorf("A runs over: %s", got)
	}
	g.present(mpegts.NowNext{Following: &c}, noon)
	if got := names(g.nowNext(noon.Add(40 * time.Minute))); got != "- C" {
		t.Errorf("nothing is on: %s", got)
	}
	if got := names(newGuide("d").nowNext(noon)); got != "- -" {
		t.Errorf("nothing is known: %s", got)
	}
}

func open(t *testing.T, path string) (*store.Store, *Service) {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	st, err := store.Open(t.Context(), path, log)
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(t.Context(), st, log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.Close()
		_ = st.Close() // closed twice in some tests
	})
	return st, s
}

func TestTheGuideIsKeptOverARestartAndFound(t *testing.T) {
	path := filepath.Join(t.TempDir(), "epg.db")
	st, s := open(t, path)
	at := func(id, from int, title string) mpegts.Event {
		e := ev(id, from, 30, title)
		e.Start = time.Now().UTC().Truncate(time.Second).Add(time.Duration(from) * time.Minute)
		e.Content = 0x21
		return e
	}
	feed, end := s.Subscribe("c")
	defer end()
	s.Event("c", at(1, -10, "新闻联播"), true)
	s.Event("c", at(2, 20, "天气预报 100%"), true)
	s.Event("d", at(1, -10, "新闻三十分"), true)
	for _, want := range []string{"新闻联播", "天气预报 100%"} {
		select {
		case c := <-feed:
			if c.Kind != Added || c.Event.Title != want {
				t.Errorf("%+v", c)
			}
		case <-time.After(time.Minute):
			t.Fatal("nothing was told")
		}
	}
	s.Close() // writes the rest
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}

	st, s = open(t, path)
	if now, next := s.NowNext("c"); now == nil || now.Title != "新闻联播" || next == nil || next.Title != "天气预报 100%" || now.Genre != 0x21 {
		t.Errorf("%+v %+v", now, next)
	}
	for q, want := range map[store.EPGFilter]int{
		{}: 3, {Channel: "c"}: 2, {Text: "新闻"}: 2, {Text: "天气"}: 1, {Text: "100%"}: 1, {Text: "1%"}: 0, {Text: "_"}: 0, {Channel: "c", Text: "新闻"}: 1,
		{From: time.Now().Add(25 * time.Minute)}: 1, {To: time.Now()}: 2,
	} {
		rows, total, err := st.EPG(t.Context(), q, store.Page{})
		if err != nil || total != want || len(rows) != want {
			t.Errorf("%+v: %d rows, %v; want %d", q, total, err, want)
		}
	}
	// The same again is no change; another title is.
	feed, end = s.Subscribe("c")
	defer end()
	s.Event("c", at(2, 20, "天气预报 100%"), true)
	moved := at(2, 35, "天气预报 100%")
	s.Event("c", moved, true)
	s.Forget("d")
	for moves := 0; moves == 0; {
		select {
		case c := <-feed:
			if c.Kind == Changed && c.Event.Start.Equal(moved.Start) {
				moves++
			}
		case <-time.After(time.Minute):
			t.Fatal("the move was not told")
		}
	}
	s.Close()
	rows, _, err := st.EPG(t.Context(), store.EPGFilter{}, store.Page{})
	if err != nil || len(rows) != 2 || !rows[1].Start.Equal(moved.Start) {
		t.Errorf("%+v %v", rows, err)
	}
	if n, err := st.PruneEPG(t.Context(), time.Now().Add(24*time.Hour)); err != nil || n != 2 {
		t.Errorf("pruned %d, %v", n, err)
	}
}

func TestASlowSubscriberIsToldToReadAnew(t *testing.T) {
	_, s := open(t, filepath.Join(t.TempDir(), "epg.db"))
	s.mu.Lock()
	g := s.guide("c")
	s.mu.Unlock()
	feed, end := s.Subscribe("c")
	for range feedLength {
		g.tell(Change{Kind: Added})
	}
	g.tell(Change{Kind: Changed})
	g.tell(Change{Kind: Removed})
	if a, b := <-feed, <-feed; a.Kind != Resync || b.Kind != Removed || len(feed) > 0 {
		t.Errorf("%v %v and %d more", a.Kind, b.Kind, len(feed))
	}
	end()
	g.tell(Change{Kind: Added})
	if len(feed) > 0 {
		t.Error("told after the end")
	}
}
