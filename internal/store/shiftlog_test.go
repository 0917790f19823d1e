package store_test

import (
	"cmp"
	"slices"
	"testing"
	"time"

	"tongxiang/internal/store"
)

func TestShiftLogIsReadNewestFirstAndSearched(t *testing.T) {
	both(t, testShiftLogIsReadNewestFirstAndSearched)
}

func testShiftLogIsReadNewestFirstAndSearched(t *testing.T, db database) {
	s, ctx := db.open(t), t.Context()
	entry := func(id, kind, text string, hour int) store.ShiftEntry {
		return store.ShiftEntry{ID: id, At: *after(time.Duration(hour) * time.Hour), Author: "u1", Name: "李 Wei", Kind: kind, Text: text}
	}
	a := entry("a", "handover", "夜班交接，一切正常", 0)
	b := entry("b", "fault", "CCTV-1 黑场 3 分钟，已切备路 100%_", 1)
	c := entry("c", "note", "培训录制开始", 2)
	for _, e := range []store.ShiftEntry{b, c, a} {
		check(t, s.AddShiftEntry(ctx, e))
	}
	want(t, s.AddShiftEntry(ctx, a), store.ErrConflict)
	for _, x := range []struct {
		f    store.ShiftFilter
		want []store.ShiftEntry
	}{
		{store.ShiftFilter{}, []store.ShiftEntry{c, b, a}},
		{store.ShiftFilter{Kind: "fault"}, []store.ShiftEntry{b}},
		{store.ShiftFilter{Text: "黑场"}, []store.ShiftEntry{b}},
		{store.ShiftFilter{Text: "cctv"}, []store.ShiftEntry{b}},
		{store.ShiftFilter{Text: "wei"}, []store.ShiftEntry{c, b, a}},
		{store.ShiftFilter{Text: "100%_"}, []store.ShiftEntry{b}},
		{store.ShiftFilter{Text: "1__"}, nil},
		{store.ShiftFilter{From: after(time.Hour), To: after(2 * time.Hour)}, []store.ShiftEntry{b}},
	} {
		l, total, err := s.ShiftLog(ctx, x.f, store.Page{})
		check(t, err)
		same(t, l, x.want)
		same(t, total, len(x.want))
	}
	l, total, err := s.ShiftLog(ctx, store.ShiftFilter{}, store.Page{Limit: 1, Offset: 1})
	check(t, err)
	same(t, l, []store.ShiftEntry{b})
	same(t, total, 3)
}

func TestRecordedBytesAreSummedFromAMoment(t *testing.T) {
	both(t, testRecordedBytesAreSummedFromAMoment)
}

func testRecordedBytesAreSummedFromAMoment(t *testing.T, db database) {
	s, ctx := db.open(t), t.Context()
	got, err := s.Recorded(ctx, noon)
	check(t, err)
	same(t, got, store.Recorded{})
	for i, bytes := range []int64{100, 20, 3} {
		check(t, s.PutRecording(ctx, store.Recording{ID: string(rune('a' + i)), Stream: "channels/x", State: store.RecordingComplete, Started: *after(time.Duration(i-1) * time.Hour), Bytes: bytes}))
	}
	check(t, s.PutUsage(ctx, store.Usage{Recording: "a", Beside: 1000, Made: 5000}, store.Usage{Recording: "c", Beside: 2000}, store.Usage{Recording: "gone", Beside: 1}))
	got, err = s.Recorded(ctx, noon)
	check(t, err)
	same(t, got, store.Recorded{Bytes: 8123, Beside: 3000, Made: 5000, Since: 2023, First: after(-time.Hour)})
	// The recorder knows what lies beside; what jobs made it leaves alone.
	x, err := s.Recording(ctx, "a")
	check(t, err)
	same(t, []int64{x.Beside, x.Made, x.Size()}, []int64{1000, 5000, 6100})
	x.Beside, x.Made = 7, 8
	check(t, s.PutRecording(ctx, x))
	x, err = s.Recording(ctx, "a")
	check(t, err)
	same(t, []int64{x.Beside, x.Made}, []int64{7, 5000})
}

func TestHoldingsAreSummedByClassAndDay(t *testing.T) {
	both(t, testHoldingsAreSummedByClassAndDay)
}

func testHoldingsAreSummedByClassAndDay(t *testing.T, db database) {
	s, ctx := db.open(t), t.Context()
	put(t, s, "a", 0, func(x *store.Recording) { x.Class, x.Bytes, x.Duration = "news", 10, time.Hour })
	put(t, s, "b", 2, func(x *store.Recording) { x.Class, x.Bytes = "news", 20 })
	put(t, s, "c", 24, func(x *store.Recording) { x.Class, x.Bytes = "news", 40 })
	put(t, s, "d", 3, func(x *store.Recording) { x.Class, x.Bytes, x.State = "news", 80, store.RecordingRunning })
	put(t, s, "e", 4, func(x *store.Recording) {
		x.Class, x.Bytes, x.Hold, x.Retention, x.Expires, x.Deleted = "meeting", 160, true, "date", after(50*time.Hour), after(30*time.Hour)
	})
	check(t, s.PutUsage(ctx, store.Usage{Recording: "b", Beside: 1, Made: 2}))
	got, err := s.Holdings(ctx, *after(time.Hour))
	check(t, err)
	slices.SortFunc(got, func(a, b store.Holding) int { return cmp.Compare(a.Bytes, b.Bytes) })
	midnight := noon.Truncate(24 * time.Hour)
	days := func(n int) *time.Time { d := midnight.AddDate(0, 0, n); return &d }
	same(t, got, []store.Holding{
		{Class: "news", Ended: *days(1), Bytes: 33, Since: 23},
		{Class: "news", Ended: *days(2), Bytes: 40, Since: 40},
		{Class: "news", Ended: *days(1), Bytes: 80, Since: 80, Active: true},
		{Class: "meeting", Retention: "date", Ended: *days(1), Expires: days(3), Deleted: days(2), Hold: true, Bytes: 160, Since: 160},
	})
}
