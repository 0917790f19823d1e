package retention

import (
	"testing"
	"time"
)

func TestForecastCountsWhatTheRulesRemove(t *testing.T) {
	const day = 24 * time.Hour
	keep := func(text string, quota int64) Rules {
		return Rules{Classes: map[string]Class{"news": {Keep: period(t, text), Quota: quota}}, Bin: 5 * day}
	}
	news := func(days int, bytes int64) Row { return Row{Class: "news", Ended: ago(0, days), Bytes: bytes} }
	with := func(x Row, change func(*Row)) Row { change(&x); return x }
	rate := func(n int64) map[string]int64 { return map[string]int64{"news": n} }
	for _, c := range []struct {
		name   string
		rules  Rules
		rows   []Row
		perDay map[string]int64
		free   int64
		want   time.Duration // from now; negative: never
	}{
		{"nothing", keep("30d", 0), nil, nil, 100, -1},
		{"full already", keep("30d", 0), nil, nil, 0, 0},
		{"kept for ever", keep("forever", 0), nil, rate(10), 100, 10 * day},
		{"a class without rules is kept for ever", Rules{}, nil, rate(10), 105, 10*day + 12*time.Hour},
		// What is new goes after 30 days and 5 in the bin: 350 bytes are enough, and 349 are not.
		{"the room for what is kept", keep("30d", 0), nil, rate(10), 351, -1},
		{"not quite the room", keep("30d", 0), nil, rate(10), 349, 34*day + 21*time.Hour + 36*time.Minute},
		// 20 days old: it goes in 15 days, before the disk is full.
		{"what goes makes room", keep("forever", 0), []Row{with(news(20, 100), func(x *Row) { x.Retention = "30d" })}, rate(10), 160, 26 * day},
		{"what goes too late does not", keep("forever", 0), []Row{with(news(20, 100), func(x *Row) { x.Retention = "30d" })}, rate(10), 140, 14 * day},
		{"what is held does not go", keep("forever", 0), []Row{with(news(99, 100), func(x *Row) { x.Retention, x.Hold = "30d", true })}, rate(10), 160, 16 * day},
		{"what is in the bin goes first", keep("forever", 0), []Row{with(news(1, 100), func(x *Row) { x.Deleted = at(ago(0, 3)) })}, rate(10), 30, 13 * day},
		{"what should have gone goes after the bin", keep("30d", 0), []Row{news(300, 100)}, rate(10), 60, 16 * day},
		{"a quota holds", keep("1y", 200), []Row{news(1, 150)}, rate(10), 60, -1},
		{"a quota that nothing may go for does not", keep("forever", 200), []Row{news(1, 150)}, rate(10), 60, 6 * day},
		{"what the quota took does not go twice", keep("30d", 200), []Row{news(1, 200)}, rate(10), 5, -1},
		{"classes add up", Rules{Classes: map[string]Class{"news": {Keep: period(t, "1d")}, "a": {}}, Bin: day}, nil, map[string]int64{"news": 50, "a": 10}, 150, 5 * day},
	} {
		got, full := c.rules.Forecast(now, c.rows, c.perDay, c.free)
		if full != (c.want >= 0) || full && (got.Sub(now)-c.want).Abs() > time.Second {
			t.Errorf("%s: %v (%v), want %v", c.name, got.Sub(now), full, c.want)
		}
	}
}
