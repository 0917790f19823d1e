package store_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tongxiang/internal/store"
)

// put adds a recording that began so many hours after noon.
func put(t *testing.T, s *store.Store, id string, hour int, change func(*store.Recording)) store.Recording {
	t.Helper()
	x := store.Recording{ID: id, Stream: "channels/a", Title: id, State: store.RecordingComplete, Started: noon.Add(time.Duration(hour) * time.Hour), Format: "fmp4"}
	if change != nil {
		change(&x)
	}
	check(t, s.PutRecording(t.Context(), x))
	return x
}

// ids lists what a filter finds.
func ids(t *testing.T, s *store.Store, f store.LibraryFilter) string {
	t.Helper()
	l, err := s.Library(t.Context(), f, store.LibraryPage{})
	check(t, err)
	var out []string
	for _, x := range l.Recordings {
		out = append(out, x.ID)
	}
	same(t, l.Total, len(out))
	return strings.Join(out, " ")
}

func TestLibraryIsSearched(t *testing.T) { both(t, testLibraryIsSearched) }

func testLibraryIsSearched(t *testing.T, db database) {
	s, ctx := db.open(t), t.Context()
	put(t, s, "flood", 0, func(x *store.Recording) {
		x.Title, x.Class, x.Stream, x.People, x.Units = "2026年防汛会商", "meeting", "meetings/42/programme", []string{"张伟", "李雷"}, []string{"青山镇"}
	})
	put(t, s, "news", 1, func(x *store.Recording) { x.Title, x.Class = "CCTV-1 新闻联播", "news" })
	put(t, s, "rice", 2, func(x *store.Recording) {
		x.Title, x.Class, x.State = "水稻栽培技术", "training", store.RecordingFailed
	})
	check(t, s.PutRecordingTexts(ctx, "flood", "王五：请各镇报告水库水位", []store.Chapter{{AtMS: 5, Kind: "speaker", Title: "张伟", Who: "p1"}}))
	check(t, s.PutRecordingTexts(ctx, "rice", "病虫害防治", nil))
	check(t, s.PutRecordingTexts(ctx, "rice", "病虫害防治，纹枯病", nil)) // again, in place of the first
	want(t, s.PutRecordingTexts(ctx, "none", "x", nil), store.ErrNotFound)
	put(t, s, "running", -1, func(x *store.Recording) { x.State, x.Title = store.RecordingWaiting, "x" })
	bare, err := s.UndescribedRecordings(ctx, 10)
	check(t, err)
	same(t, bare, []string{"news"})
	check(t, s.DeleteRecording(ctx, "running"))
	for _, c := range []struct {
		f    store.LibraryFilter
		want string
	}{
		{store.LibraryFilter{}, "rice news flood"},
		{store.LibraryFilter{Text: "防汛"}, "flood"},
		{store.LibraryFilter{Text: "张伟"}, "flood"},
		{store.LibraryFilter{Text: "青山"}, "flood"},
		{store.LibraryFilter{Text: "水库"}, "flood"},
		{store.LibraryFilter{Text: "水"}, "rice"}, // one character: of titles and names
		{store.LibraryFilter{Text: "镇"}, "flood"},
		{store.LibraryFilter{Text: "fxhs"}, "flood"},
		{store.LibraryFilter{Text: "xwlb"}, "news"},
		{store.LibraryFilter{Text: "cctv 新闻"}, "news"},
		{store.LibraryFilter{Text: "纹枯病"}, "rice"},
		{store.LibraryFilter{Text: "畜牧"}, ""},
		{store.LibraryFilter{Text: "?!\x00'\" AND ("}, ""},
		{store.LibraryFilter{Text: "  "}, ""},
		{store.LibraryFilter{Class: "news"}, "news"},
		{store.LibraryFilter{Stream: "channels/a"}, "rice news"},
		{store.LibraryFilter{Person: "李雷"}, "flood"},
		{store.LibraryFilter{Person: "李"}, ""},
		{store.LibraryFilter{Unit: "青山镇", Text: "会商"}, "flood"},
		{store.LibraryFilter{State: store.RecordingFailed}, "rice"},
		{store.LibraryFilter{State: store.RecordingFailed, Text: "水"}, "rice"},
		{store.LibraryFilter{From: after(time.Hour)}, "rice news"},
		{store.LibraryFilter{To: after(time.Hour)}, "flood"},
		{store.LibraryFilter{From: after(time.Hour), Text: "水"}, "rice"},
		{store.LibraryFilter{Sort: "oldest"}, "flood news rice"},
		{store.LibraryFilter{Sort: "title"}, "flood news rice"},
		{store.LibraryFilter{Sort: "oldest", Text: "水库 OR"}, ""},
		{store.LibraryFilter{Sort: "oldest", Class: "training"}, "rice"},
		{store.LibraryFilter{Deleted: true}, ""},
	} {
		if got := ids(t, s, c.f); got != c.want {
			t.Errorf("%+v: %q, want %q", c.f, got, c.want)
		}
	}
	body, chapters, err := s.RecordingTexts(ctx, "flood")
	check(t, err)
	same(t, body, "王五：请各镇报告水库水位")
	same(t, chapters, []store.Chapter{{AtMS: 5, Kind: "speaker", Title: "张伟", Who: "p1"}})
	body, chapters, err = s.RecordingTexts(ctx, "news")
	check(t, err)
	same(t, body+fmt.Sprint(len(chapters)), "0")
	_, err = s.Library(ctx, store.LibraryFilter{Sort: "id; DROP TABLE recordings"}, store.LibraryPage{})
	want(t, err, store.ErrBadSort)
}

func TestChangesOfARecordingAreFound(t *testing.T) { both(t, testChangesOfARecordingAreFound) }

func testChangesOfARecordingAreFound(t *testing.T, db database) {
	s, ctx := db.open(t), t.Context()
	x := put(t, s, "r", 0, func(x *store.Recording) { x.Title, x.People = "旧名", []string{"张伟"} })
	title, class, hold, retention, people, units := "防汛会商", "meeting", true, "date", []string{"李雷"}, []string{"青山镇"}
	got, err := s.ChangeRecording(ctx, "r", store.RecordingChange{
		Title: &title, Class: &class, Hold: &hold, Retention: &retention, Expires: after(time.Hour), People: &people, Units: &units,
	})
	check(t, err)
	x.Title, x.Class, x.Hold, x.Retention, x.Expires, x.People, x.Units = title, class, true, "date", after(time.Hour), people, units
	same(t, got, x)
	x.Bytes, x.State = 7, store.RecordingInterrupted
	older := x
	older.Title, older.Hold, older.People = "旧名", false, nil // as the recorder remembers it
	check(t, s.PutRecording(ctx, older))
	got, err = s.Recording(ctx, "r")
	check(t, err)
	same(t, got, x)
	for text, want := range map[string]string{"旧名": "", "张伟": "", "李雷": "r", "会商": "r"} {
		if got := ids(t, s, store.LibraryFilter{Text: text}); got != want {
			t.Errorf("%s: %q", text, got)
		}
	}
	same(t, ids(t, s, store.LibraryFilter{Text: "会商", State: store.RecordingComplete}), "")
	same(t, ids(t, s, store.LibraryFilter{Text: "会商", State: store.RecordingInterrupted}), "r")
	got, err = s.BinRecording(ctx, "r", after(2*time.Hour))
	check(t, err)
	_, err = s.BinRecording(ctx, "r", after(3*time.Hour))
	check(t, err)
	x.Deleted = after(2 * time.Hour)
	same(t, got, x)
	same(t, ids(t, s, store.LibraryFilter{Text: "会商"}), "")
	same(t, ids(t, s, store.LibraryFilter{}), "")
	same(t, ids(t, s, store.LibraryFilter{Text: "会商", Deleted: true}), "r")
	same(t, ids(t, s, store.LibraryFilter{Deleted: true}), "r")
	got, err = s.BinRecording(ctx, "r", nil)
	check(t, err)
	x.Deleted = nil
	same(t, got, x)
	same(t, ids(t, s, store.LibraryFilter{Text: "会商"}), "r")
	_, err = s.ChangeRecording(ctx, "none", store.RecordingChange{Title: &title})
	want(t, err, store.ErrNotFound)
	_, err = s.BinRecording(ctx, "none", nil)
	want(t, err, store.ErrNotFound)
	check(t, s.DeleteRecording(ctx, "r"))
	same(t, ids(t, s, store.LibraryFilter{Text: "会商"}), "")
	put(t, s, "again", 0, nil) // the number is free
	same(t, ids(t, s, store.LibraryFilter{Text: "会商"}), "")
}

func TestLibraryIsReadPageByPage(t *testing.T) { both(t, testLibraryIsReadPageByPage) }

func testLibraryIsReadPageByPage(t *testing.T, db database) {
	s, ctx := db.open(t), t.Context()
	for i := range 25 {
		put(t, s, fmt.Sprintf("r%02d", i), 0, func(x *store.Recording) { // all at once
			x.Title, x.Bytes, x.Duration = "防汛", int64(i%5), time.Duration(i%7)*time.Second
		})
	}
	for _, f := range []store.LibraryFilter{{}, {Text: "防汛"}, {Class: "", Text: "fx", Sort: "largest"}, {Sort: "oldest"}, {Sort: "longest"}, {Sort: "title", Stream: "channels/a"}, {Stream: "channels/a"}, {Text: "fx", Sort: "oldest", From: after(-time.Hour)}, {Text: "防汛", Sort: "title"}} {
		var all []string
		p := store.LibraryPage{Limit: 7, Offset: 0}
		pages := 0
		for {
			l, err := s.Library(ctx, f, p)
			check(t, err)
			same(t, l.Total, 25)
			for _, x := range l.Recordings {
				all = append(all, x.ID)
			}
			pages++
			if p.Cursor = l.Next; l.Next == "" {
				break
			}
		}
		same(t, pages, 4)
		seen := slices.Clone(all)
		slices.Sort(seen)
		if len(slices.Compact(seen)) != 25 {
			t.Errorf("%+v: %v", f, all)
		}
		l, err := s.Library(ctx, f, store.LibraryPage{Limit: 3, Offset: 5})
		check(t, err)
		same(t, l.Recordings[0].ID, all[5])
	}
	for _, c := range []string{"x", "!!", "bmV3ZXN0IHg", "bGFyZ2VzdCA1"} { // "newest x", "largest 5"
		_, err := s.Library(ctx, store.LibraryFilter{}, store.LibraryPage{Cursor: c})
		want(t, err, store.ErrBadCursor)
	}
	var each []string
	check(t, s.EachRecording(ctx, func(x store.Recording) error { each = append(each, x.ID); return nil }))
	same(t, len(each), 25)
	same(t, each[0], "r00")
	stop := fmt.Errorf("enough")
	want(t, s.EachRecording(ctx, func(store.Recording) error { return stop }), stop)
}

func TestViewersStopWhereTheyStopped(t *testing.T) { both(t, testViewersStopWhereTheyStopped) }

func testViewersStopWhereTheyStopped(t *testing.T, db database) {
	s, ctx := db.open(t), t.Context()
	put(t, s, "a", 0, nil)
	put(t, s, "b", 1, nil)
	v := store.RecordingView{Recording: "a", Viewer: "u1", Position: 90500 * time.Millisecond, At: noon}
	check(t, s.PutRecordingView(ctx, v))
	v.Position, v.Watched = time.Hour, true
	check(t, s.PutRecordingView(ctx, v))
	check(t, s.PutRecordingView(ctx, store.RecordingView{Recording: "a", Viewer: "u2", Position: time.Second, At: noon}))
	want(t, s.PutRecordingView(ctx, store.RecordingView{Recording: "none", Viewer: "u2", At: noon}), store.ErrNotFound)
	got, err := s.RecordingViews(ctx, "u1", []string{"a", "b"})
	check(t, err)
	same(t, got, map[string]store.RecordingView{"a": v})
	got, err = s.RecordingViews(ctx, "u1", nil)
	check(t, err)
	same(t, len(got), 0)
	check(t, s.DeleteRecording(ctx, "a"))
	got, err = s.RecordingViews(ctx, "u1", []string{"a"})
	check(t, err)
	same(t, len(got), 0)
}

func TestWhatWasOnAirIsKept(t *testing.T) { both(t, testWhatWasOnAirIsKept) }

func testWhatWasOnAirIsKept(t *testing.T, db database) {
	s, ctx := db.open(t), t.Context()
	check(t, s.CreateMeeting(ctx, store.Meeting{ID: "42", Created: noon}))
	a, b := store.MeetingShot{At: noon, Participant: "p1"}, store.MeetingShot{At: *after(time.Minute), Participant: "p2", Screen: true}
	check(t, s.AppendMeetingShot(ctx, "42", b))
	check(t, s.AppendMeetingShot(ctx, "42", store.MeetingShot{At: noon}))
	check(t, s.AppendMeetingShot(ctx, "42", a))
	want(t, s.AppendMeetingShot(ctx, "43", a), store.ErrNotFound)
	l, err := s.MeetingShots(ctx, "42", *after(time.Hour))
	check(t, err)
	same(t, l, []store.MeetingShot{a, b})
	l, err = s.MeetingShots(ctx, "42", *after(time.Minute))
	check(t, err)
	same(t, l, []store.MeetingShot{a})
	check(t, s.DeleteMeeting(ctx, "42"))
	l, err = s.MeetingShots(ctx, "42", *after(time.Hour))
	check(t, err)
	same(t, len(l), 0)
}

func TestSearchIndexIsMadeAnew(t *testing.T) { both(t, testSearchIndexIsMadeAnew) }

func testSearchIndexIsMadeAnew(t *testing.T, db database) {
	d := db.dsn(t)
	s := openAt(t, d)
	for i := range 450 { // more than two batches
		put(t, s, fmt.Sprintf("r%03d", i), i, func(x *store.Recording) { x.Title = fmt.Sprintf("防汛%d", i) })
	}
	check(t, s.PutRecordingTexts(t.Context(), "r449", "水库", nil))
	check(t, s.SetSetting(t.Context(), "search_version", "0"))
	check(t, s.Close())
	s = openAt(t, d)
	l, err := s.Library(t.Context(), store.LibraryFilter{Text: "防汛"}, store.LibraryPage{})
	check(t, err)
	same(t, l.Total, 450)
	same(t, ids(t, s, store.LibraryFilter{Text: "水库"}), "r449")
	check(t, s.Close())
}

func TestManyChangeARecordingAtOnce(t *testing.T) { both(t, testManyChangeARecordingAtOnce) }

func testManyChangeARecordingAtOnce(t *testing.T, db database) {
	s, ctx := db.open(t), t.Context()
	put(t, s, "r", 0, nil)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 5 {
				title := fmt.Sprintf("防汛%d", i)
				if _, err := s.ChangeRecording(ctx, "r", store.RecordingChange{Title: &title}); err != nil {
					t.Error(err)
				}
				if err := s.PutRecordingTexts(ctx, "r", "水库", nil); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	same(t, ids(t, s, store.LibraryFilter{Text: "防汛 水库"}), "r")
}
