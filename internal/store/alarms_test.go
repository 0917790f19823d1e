package store_test

import (
	"fmt"
	"testing"
	"time"

	"tongxiang/internal/store"
)

func TestAlarmsAreKeptWithTheirTimesAndPruned(t *testing.T) {
	both(t, testAlarmsAreKeptWithTheirTimesAndPruned)
}

func testAlarmsAreKeptWithTheirTimesAndPruned(t *testing.T, db database) {
	s, ctx := db.open(t), t.Context()
	check(t, s.RaiseAlarm(ctx, "cctv1", "black", noon))
	check(t, s.RaiseAlarm(ctx, "cctv1", "black", noon)) // told twice
	check(t, s.RaiseAlarm(ctx, "cctv1", "silent", *after(time.Minute)))
	check(t, s.RaiseAlarm(ctx, "cctv2", "frozen", *after(2 * time.Minute)))
	check(t, s.ClearAlarm(ctx, "cctv1", "black", *after(5 * time.Minute)))
	check(t, s.ClearAlarm(ctx, "cctv1", "loud", *after(5 * time.Minute))) // never raised

	list := func(f store.AlarmFilter) string {
		t.Helper()
		l, total, err := s.ChannelAlarms(ctx, f, store.Page{})
		check(t, err)
		out := fmt.Sprint(total)
		for _, a := range l {
			out += " " + a.Channel + "/" + a.Alarm
			if a.Cleared != nil {
				out += fmt.Sprintf("(%v)", a.Cleared.Sub(a.Raised))
			}
		}
		return out
	}
	for _, c := range []struct {
		f    store.AlarmFilter
		want string
	}{
		{store.AlarmFilter{}, "3 cctv2/frozen cctv1/silent cctv1/black(5m0s)"},
		{store.AlarmFilter{Channel: "cctv1"}, "2 cctv1/silent cctv1/black(5m0s)"},
		{store.AlarmFilter{Alarm: "frozen"}, "1 cctv2/frozen"},
		{store.AlarmFilter{From: after(6 * time.Minute)}, "2 cctv2/frozen cctv1/silent"},
		{store.AlarmFilter{To: after(time.Minute)}, "1 cctv1/black(5m0s)"},
	} {
		if got := list(c.f); got != c.want {
			t.Errorf("%+v: %s, want %s", c.f, got, c.want)
		}
	}

	check(t, s.ClearAlarms(ctx, *after(time.Hour)))
	check(t, s.PruneAlarms(ctx, *after(30 * time.Minute), 100))
	if got := list(store.AlarmFilter{}); got != "2 cctv2/frozen(58m0s) cctv1/silent(59m0s)" {
		t.Errorf("after pruning: %s", got)
	}
	for i := range 10 {
		when := after(2*time.Hour + time.Duration(i)*time.Minute)
		check(t, s.RaiseAlarm(ctx, "cctv1", "pcr", *when))
		check(t, s.ClearAlarm(ctx, "cctv1", "pcr", when.Add(time.Second)))
	}
	check(t, s.PruneAlarms(ctx, noon, 4))
	if got := list(store.AlarmFilter{Channel: "cctv1"}); got != "4 cctv1/pcr(1s) cctv1/pcr(1s) cctv1/pcr(1s) cctv1/pcr(1s)" {
		t.Errorf("beyond the bound: %s", got)
	}
	if got := list(store.AlarmFilter{Channel: "cctv2"}); got != "1 cctv2/frozen(58m0s)" {
		t.Errorf("another channel: %s", got)
	}
}
