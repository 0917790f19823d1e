package retention

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

var now = time.Date(2028, 3, 1, 12, 0, 0, 0, time.UTC)

func period(t *testing.T, text string) Period {
	t.Helper()
	p, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func ago(years, days int) time.Time { return now.AddDate(-years, 0, -days) }

func at(t time.Time) *time.Time { return &t }

func TestPeriods(t *testing.T) {
	for text, want := range map[string]string{
		"30d": "2028-03-29", "1y": "2029-02-28", "10y": "2038-02-28", "forever": "never",
	} {
		got := "never"
		if end, ends := period(t, text).End(time.Date(2028, 2, 28, 0, 0, 0, 0, time.UTC)); ends {
			got = end.Format(time.DateOnly)
		}
		if got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
	for _, bad := range []string{"", "d", "30", "-1d", "0y", "1m", "101y", "99999999999999999999d", "1.5y", "ever", "30 d"} {
		if _, err := Parse(bad); !errors.Is(err, ErrPeriod) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestWhatIsInTheBinSaysWhenItIsGone(t *testing.T) {
	rules := Rules{Classes: map[string]Class{"news": {Keep: period(t, "30d")}}, Bin: 36 * time.Hour}
	deleted := ago(0, 1)
	x := Row{ID: "a", Class: "news", Ended: ago(0, 3)}
	if at, ends := rules.Purges(x); ends {
		t.Errorf("it is not in the bin, and goes at %v", at)
	}
	x.Deleted = &deleted
	if at, ends := rules.Purges(x); !ends || !at.Equal(deleted.Add(36*time.Hour)) {
		t.Errorf("%v, %v", at, ends)
	}
	x.Hold = true
	if at, ends := rules.Purges(x); ends {
		t.Errorf("it is held, and goes at %v", at)
	}
}

func TestRemovalsFollowTheRules(t *testing.T) {
	rules := Rules{Classes: map[string]Class{
		"news": {Keep: period(t, "30d")}, "meeting": {Keep: period(t, "1y")}, "training": {Keep: period(t, "10y")}, "agriculture": {},
	}, Bin: 15 * 24 * time.Hour}
	quota := rules
	quota.Classes = map[string]Class{"news": {Keep: period(t, "30d"), Quota: 100}, "meeting": {Keep: period(t, "1y")}}
	floor := rules
	floor.Floor = 1000
	news := func(id string, days int) Row { return Row{ID: id, Class: "news", Ended: ago(0, days), Bytes: 60} }
	with := func(x Row, change func(*Row)) Row { change(&x); return x }
	binned := func(days int) func(*Row) { return func(x *Row) { x.Deleted = at(ago(0, days)) } }
	held := func(x *Row) { x.Hold = true }
	runs := func(x *Row) { x.Active = true }
	kept := func(r string) func(*Row) { return func(x *Row) { x.Retention = r } }
	until := func(d time.Time) func(*Row) { return func(x *Row) { x.Retention, x.Expires = "date", &d } }
	for _, c := range []struct {
		name  string
		rules Rules
		free  int64
		rows  []Row
		want  string
	}{
		{"nothing", rules, -1, nil, ""},
		{"a class's time", rules, -1, []Row{news("a", 31), news("b", 30), news("c", 29)}, "bin a expired, bin b expired"},
		{"each class has its own", rules, -1, []Row{
			{ID: "m", Class: "meeting", Ended: ago(1, 0)}, {ID: "m2", Class: "meeting", Ended: ago(0, 364)}, {ID: "t", Class: "training", Ended: ago(10, 0)},
			{ID: "t2", Class: "training", Ended: ago(9, 0)}, {ID: "a", Class: "agriculture", Ended: ago(50, 0)}, {ID: "n", Ended: ago(50, 0)}, {ID: "x", Class: "unknown", Ended: ago(50, 0)},
		}, "bin m expired, bin t expired"},
		{"one's own", rules, -1, []Row{
			with(news("a", 31), kept("1y")), with(news("b", 31), kept("forever")), with(news("c", 8), kept("7d")), with(news("d", 1), until(ago(0, 0))),
			with(news("e", 99), until(now.Add(time.Second))), with(news("f", 99), kept("nonsense")), with(news("g", 99), kept("date")),
		}, "bin c expired, bin d expired"},
		{"hold and running", rules, -1, []Row{with(news("a", 99), held), with(news("b", 99), runs), with(with(news("c", 99), binned(99)), held)}, ""},
		{"the bin's time", rules, -1, []Row{with(news("a", 1), binned(15)), with(news("b", 1), binned(14)), with(news("c", 99), binned(16))}, "purge a bin_time, purge c bin_time"},
		{"deleted tomorrow, by a clock that was set back", rules, -1, []Row{with(news("a", 99), binned(-1))}, ""},
		{"a quota takes the bin first, then what expires next", quota, -1, []Row{
			news("new", 1), news("old", 20), with(news("bin", 2), binned(1)), with(news("held", 25), held), {ID: "m", Class: "meeting", Ended: ago(0, 99), Bytes: 1000},
		}, "purge bin quota, purge old quota, purge new quota"}, // 240 of 100, and the held one stays
		{"a quota never takes what is for ever", quota, -1, []Row{with(news("a", 20), kept("forever")), with(news("b", 20), kept("forever"))}, "short news 20"},
		{"a quota that is kept", quota, -1, []Row{news("a", 1)}, ""},
		{"what is purged for its time counts no more", quota, -1, []Row{with(news("a", 1), binned(15)), news("b", 1)}, "purge a bin_time"},
		{"expired and over the quota", quota, -1, []Row{news("a", 40), news("b", 1)}, "purge a quota"},
		{"the floor takes the bin of any class, then what expires next", floor, 900, []Row{
			news("a", 29), {ID: "m", Class: "meeting", Ended: ago(0, 364), Bytes: 50}, with(news("c", 1), binned(1)),
		}, "purge c no_space, purge a no_space"},
		{"the floor when nothing may go", floor, 900, []Row{with(news("a", 1), held), {ID: "b", Class: "agriculture", Ended: ago(9, 0), Bytes: 1 << 30}}, "short  100"},
		{"free space that is not known", floor, -1, []Row{news("a", 1)}, ""},
		{"enough", floor, 1000, []Row{news("a", 1)}, ""},
		{"the bin's time makes the room", floor, 950, []Row{with(news("a", 1), binned(15)), news("b", 1)}, "purge a bin_time"},
	} {
		d := c.rules.Decide(now, c.rows, c.free)
		var got []string
		for _, r := range d.Removals {
			got = append(got, fmt.Sprintf("%s %s %s", r.Action, r.ID, r.Reason))
		}
		for class, n := range d.Short {
			got = append(got, fmt.Sprintf("short %s %d", class, n))
		}
		if s := strings.Join(got, ", "); s != c.want {
			t.Errorf("%s:\n%s, want\n%s", c.name, s, c.want)
		}
	}
}

func TestNothingIsRemovedTwice(t *testing.T) {
	rules := Rules{Classes: map[string]Class{"news": {Keep: period(t, "30d"), Quota: 1}}, Bin: time.Hour, Floor: 1 << 40}
	var rows []Row
	for i := range 100 {
		x := Row{ID: fmt.Sprint(i), Class: "news", Ended: ago(0, i), Bytes: 10}
		if i%3 == 0 {
			x.Deleted = at(ago(0, i%7))
		}
		x.Hold, x.Active = i%10 == 0, i%11 == 0
		rows = append(rows, x)
	}
	d := rules.Decide(now, rows, 0)
	var ids []string
	for _, r := range d.Removals {
		ids = append(ids, r.ID)
		i := slices.IndexFunc(rows, func(x Row) bool { return x.ID == r.ID })
		if rows[i].Hold || rows[i].Active {
			t.Errorf("%+v is held or runs", r)
		}
	}
	slices.Sort(ids)
	if n := len(ids); n != len(slices.Compact(ids)) || n != 81 {
		t.Errorf("%d removals", n)
	}
}
