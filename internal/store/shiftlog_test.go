package store_test

import (
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
	got, err = s.Recorded(ctx, noon)
	check(t, err)
	same(t, got, store.Recorded{Bytes: 123, Since: 23, First: after(-time.Hour)})
}
