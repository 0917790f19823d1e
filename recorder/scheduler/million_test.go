package scheduler

import (
	"database/sql"
	"log/slog"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"tongxiang/internal/store"
	"tongxiang/internal/stream"
	"tongxiang/recorder/schedule"
)

// guideOf opens a store whose guide has n events: 250 channels, half-hours, of which
// one in five thousand is of the series that is looked for.
func guideOf(t testing.TB, n int, from time.Time) *store.Store {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s.db")
	st, err := store.Open(t.Context(), path, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	_, err = db.ExecContext(t.Context(), `INSERT INTO epg_events (channel, event_id, starts, ends, title, summary, text, language, running, genre, rating, scrambled, changed)
		WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < $1)
		SELECT 'c' || (i % 250), i / 250, $2 + (i / 250) * 1200000000, $2 + (i / 250 + 1) * 1200000000,
		CASE WHEN i % 5000 = 0 THEN '小麦栽培 第' || i || '集' ELSE '节目' || (i % 997) || ' 第' || i || '集' END,
		'内容提要，说明这个节目讲什么', '', 'chi', 0, 0, 0, false, $2 FROM n`, n, from.UnixMicro())
	if err != nil {
		t.Fatal(err)
	}
	return st
}

func lookingFor(title string) []schedule.Rule {
	return []schedule.Rule{{ID: "s", Zone: time.UTC, Match: &schedule.Match{Title: title}}}
}

func TestOfAGuideOnlyWhatMattersIsKept(t *testing.T) {
	now := time.Now().UTC().Truncate(time.Second)
	st := guideOf(t, 50_000, now)
	g := newGuide(st, slog.New(slog.DiscardHandler))
	g.anew(now.Add(time.Minute))
	if !g.stale(lookingFor("小麦栽培"), now) || g.stale(lookingFor("小麦栽培"), now) {
		t.Error("it is looked through twice at once")
	}
	g.load(t.Context(), lookingFor("小麦栽培"), now.Add(-time.Hour), now)
	if len(g.matched) != 10 || g.stale(lookingFor("小麦栽培"), now) || !g.stale(lookingFor("水稻"), now) {
		t.Errorf("%d events are kept", len(g.matched))
	}
	if l := g.known(now, now.Add(time.Hour)); len(l) != 1 {
		t.Errorf("of the next hour: %v", l)
	}
}

// BenchmarkAMillionEvents is what a guide of a million events costs a scheduler with
// 200 schedules, 20 of them by title: to look through it once, and to plan anew.
func BenchmarkAMillionEvents(b *testing.B) {
	now := time.Now().UTC().Truncate(time.Second)
	st := guideOf(b, 1_000_000, now)
	for i := range 200 {
		at, end := now.Add(time.Hour), now.Add(2*time.Hour)
		x := store.Schedule{ID: store.NewID(), Stream: "channels/c1", Title: "课", Priority: "news", Enabled: true, Created: now, Changed: now, Start: &at, End: &end, RRule: "FREQ=DAILY"}
		if i%10 == 0 {
			x.Start, x.End, x.RRule, x.Stream, x.Series = nil, nil, "", "", &store.Series{Title: "小麦栽培", Duplicates: "skip_recorded"}
		}
		if err := st.CreateSchedule(b.Context(), x); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("look", func(b *testing.B) {
		g := newGuide(st, slog.New(slog.DiscardHandler))
		b.ReportAllocs()
		for b.Loop() {
			g.load(b.Context(), lookingFor("小麦栽培"), now, now)
		}
	})
	log := slog.New(slog.DiscardHandler)
	s := New(b.Context(), Config{
		Source: func(stream.Name) Source { return Source{} }, Capacity: func() schedule.Capacity { return schedule.Capacity{} },
		Need: func(string) schedule.Need { return schedule.Need{} },
	}, st, log)
	for !s.guide.ready() {
		<-time.After(50 * time.Millisecond)
	}
	s.Close()
	b.Run("plan", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			s.replan(b.Context(), s.wall(), s.mono())
		}
	})
	b.Run("poll", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			s.guide.poll(b.Context())
		}
	})
	b.Run("page", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := s.Plan(b.Context(), now, now.Add(7*24*time.Hour)); err != nil {
				b.Fatal(err)
			}
		}
	})
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	b.Logf("heap in use: %d MiB; events kept: %d", m.HeapInuse>>20, len(s.guide.matched))
}
