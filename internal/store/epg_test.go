package store_test

import (
	"testing"
	"time"

	"tongxiang/internal/store"
)

func TestGuideIsKeptListedAndPruned(t *testing.T) { both(t, testGuideIsKeptListedAndPruned) }

func testGuideIsKeptListedAndPruned(t *testing.T, db database) {
	s, ctx := db.open(t), t.Context()
	event := func(channel string, id, hour int, title string) store.EPGEvent {
		return store.EPGEvent{
			Channel: channel, ID: id, Start: noon.Add(time.Duration(hour) * time.Hour), End: noon.Add(time.Duration(hour+1) * time.Hour), Title: title,
			Summary: "要闻", Text: "Wheat 100% _x", Language: "chi", Running: 4, Genre: 32, Rating: 6, Scrambled: true, Changed: noon,
		}
	}
	a, b, c := event("a", 1, 0, "新闻"), event("a", 2, 1, "小麦"), event("b", 1, 0, "水稻")
	check(t, s.PutEPG(ctx, []store.EPGEvent{a, b, c}, nil))
	b.Title, b.Text = "小麦栽培", "x"
	check(t, s.PutEPG(ctx, []store.EPGEvent{b}, []store.EPGKey{{Channel: "b", ID: 9}}))
	for _, x := range []struct {
		f    store.EPGFilter
		want []store.EPGEvent
	}{
		{store.EPGFilter{}, []store.EPGEvent{a, c, b}},
		{store.EPGFilter{Channel: "a"}, []store.EPGEvent{a, b}},
		{store.EPGFilter{From: *after(time.Hour)}, []store.EPGEvent{b}},
		{store.EPGFilter{To: *after(time.Hour)}, []store.EPGEvent{a, c}},
		{store.EPGFilter{Text: "栽培"}, []store.EPGEvent{b}},
		{store.EPGFilter{Text: "WHEAT 100% _"}, []store.EPGEvent{a, c}},
		{store.EPGFilter{Text: "100%_"}, nil},
	} {
		l, total, err := s.EPG(ctx, x.f, store.Page{})
		check(t, err)
		same(t, l, x.want)
		same(t, total, len(x.want))
	}
	l, err := s.EPGSince(ctx, *after(time.Hour))
	check(t, err)
	same(t, l, []store.EPGEvent{b})
	check(t, s.DeleteEPG(ctx, "b"))
	n, err := s.PruneEPG(ctx, *after(90 * time.Minute))
	check(t, err)
	same(t, n, int64(1))
	check(t, s.PutEPG(ctx, nil, []store.EPGKey{{Channel: "a", ID: 2}}))
	_, total, err := s.EPG(ctx, store.EPGFilter{}, store.Page{})
	check(t, err)
	same(t, total, 0)
}
