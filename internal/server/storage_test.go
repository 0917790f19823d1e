package server

import (
	"testing"
	"time"

	"tongxiang/internal/api"
	"tongxiang/internal/store"
	"tongxiang/recorder/retention"
)

func TestForecastSaysWhenTheDiskIsFull(t *testing.T) {
	now := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	ago := func(d time.Duration) *time.Time { at := now.Add(-d); return &at }
	in := func(d time.Duration) *time.Time { at := now.Add(d); return &at }
	const day = 24 * time.Hour
	for _, x := range []struct {
		name              string
		used, since, free int64
		first             *time.Time
		want              api.StorageState
	}{
		{"an empty library", 0, 0, 500, nil, api.StorageState{Free: 500}},
		{"a week of a long library", 9000, 700, 900, ago(400 * day), api.StorageState{Used: 9000, Free: 900, PerDay: 100, Measured: 7, FullAt: in(9 * day)}},
		{"three days of a young one", 300, 300, 50, ago(3 * day), api.StorageState{Used: 300, Free: 50, PerDay: 100, Measured: 3, FullAt: in(12 * time.Hour)}},
		{"the first hour counts as a day", 100, 100, 1000, ago(time.Hour), api.StorageState{Used: 100, Free: 1000, PerDay: 100, Measured: 1, FullAt: in(10 * day)}},
		{"a clock that was set back", 100, 100, 1000, ago(-time.Hour), api.StorageState{Used: 100, Free: 1000, PerDay: 100, Measured: 1, FullAt: in(10 * day)}},
		{"nothing was recorded lately", 100, 0, 1000, ago(400 * day), api.StorageState{Used: 100, Free: 1000, Measured: 7}},
		{"it is full", 100, 70, 0, ago(400 * day), api.StorageState{Used: 100, PerDay: 10, Measured: 7, FullAt: in(0)}},
		{"so slow that it is never", 100, 7, 1 << 50, ago(400 * day), api.StorageState{Used: 100, Free: 1 << 50, PerDay: 1, Measured: 7}},
	} {
		got := forecast(x.used, x.since, x.first, x.free, now)
		if (got.FullAt == nil) != (x.want.FullAt == nil) || got.FullAt != nil && !got.FullAt.Equal(*x.want.FullAt) {
			t.Errorf("%s: full at %v, want %v", x.name, got.FullAt, x.want.FullAt)
		}
		got.FullAt, x.want.FullAt = nil, nil
		if got != x.want {
			t.Errorf("%s: %+v, want %+v", x.name, got, x.want)
		}
	}
}

func TestForecastCountsWhatRetentionRemoves(t *testing.T) {
	now := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	first := now.AddDate(-1, 0, 0)
	month, err := retention.Parse("30d")
	if err != nil {
		t.Fatal(err)
	}
	rules := retention.Rules{Classes: map[string]retention.Class{"news": {Keep: month}, "meeting": {}}, Bin: 5 * 24 * time.Hour}
	held := []store.Holding{ // 20 a day of news and 1 of meetings
		{Class: "news", Ended: now.AddDate(0, 0, -6), Bytes: 200, Since: 140},
		{Class: "news", Ended: now, Bytes: 0},
		{Class: "meeting", Ended: now, Bytes: 1000, Since: 7},
	}
	x := forecast(1200, 147, &first, 600, now)
	if x.PerDay != 21 || x.FullAt == nil {
		t.Fatalf("%+v", x)
	}
	// The first news go in 29 days and make 200 of room; the rest is a matter of meetings.
	got := ruled(rules, held, x, now)
	if got == nil || got.Before(now.AddDate(0, 2, 0)) {
		t.Errorf("full at %v, and without rules at %v", got, x.FullAt)
	}
	held[0].Hold = true
	if held := ruled(rules, held, x, now); held == nil || !held.Before(*got) {
		t.Errorf("what is held makes room: %v", held)
	}
	if got := ruled(rules, nil, forecast(1200, 0, &first, 600, now), now); got != nil {
		t.Errorf("nothing is recorded, and full at %v", got)
	}
}
