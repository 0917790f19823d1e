package scheduler

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"tongxiang/internal/store"
	"tongxiang/recorder/schedule"
)

const (
	// mostMatched bounds the events of all series together: what is recorded of them
	// in a fortnight would fill any disk before.
	mostMatched = 20_000
	// mostChanged is how many changed events are read at once; more, and the guide is
	// looked through anew.
	mostChanged = 5000
	// guideAhead is how far a guide reaches at most (internal/epg).
	guideAhead = 65 * 24 * time.Hour
	// guideBack is how much of the past series are looked for in.
	guideBack = 24 * time.Hour
	// loadEvery is how often the guide is looked through for series though nothing
	// asks for it: a channel that was removed says nothing.
	loadEvery = time.Hour
)

// guide is what the scheduler knows of the programme guide: the events of the series
// that are looked for, and no others. It reads what changed once a second instead of
// subscribing to each channel: that is one look into an index, bounded whatever
// happens, and nothing is lost.
type guide struct {
	store *store.Store
	log   *slog.Logger

	mu      sync.Mutex // guards what follows
	series  *schedule.Series
	bases   []string
	matched map[schedule.EventID]schedule.Event
	watched map[string]bool // streams on which something is followed
	since   time.Time       // the newest change that was seen
	loading bool
	loaded  time.Time // zero: not yet
}

func newGuide(st *store.Store, log *slog.Logger) *guide {
	return &guide{
		store: st, log: log, series: schedule.NewSeries(nil),
		matched: make(map[schedule.EventID]schedule.Event), watched: make(map[string]bool),
	}
}

// anew says that the clock was set: changes that are to come may be older than seen ones.
func (g *guide) anew(wall time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.since = wall.Add(-again)
	g.loaded = time.Time{}
}

// watch sets on which streams events are followed.
func (g *guide) watch(streams map[string]bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.watched = streams
}

// poll takes what changed and reports whether any of it matters.
func (g *guide) poll(ctx context.Context) bool {
	g.mu.Lock()
	since, idle := g.since, len(g.watched) == 0 && len(g.bases) == 0
	g.mu.Unlock()
	if idle { // nothing of the guide matters
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	rows, err := g.store.EPGChanged(ctx, since, mostChanged)
	if err != nil {
		if ctx.Err() == nil {
			g.log.Error("the guide's changes were not read", "err", err)
		}
		return false
	}
	if len(rows) == 0 {
		return false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	matters := false
	streams := make(map[string]bool)
	for _, row := range rows {
		e := eventOf(row)
		g.since = row.Changed
		streams[e.Stream] = true
		matters = matters || g.watched[e.Stream]
		_, had := g.matched[e.EventID]
		switch wants := g.series.Wants(e.Title); {
		case wants && (had || len(g.matched) < mostMatched):
			g.matched[e.EventID] = e
			matters = true
		case had && !wants:
			delete(g.matched, e.EventID)
			matters = true
		}
	}
	if len(rows) == mostChanged {
		g.loaded = time.Time{} // others with the same time may have been cut off
	}
	return g.gone(ctx, streams) || matters
}

// gone takes events out that other events of their channels took the place of. The
// caller holds g.mu.
func (g *guide) gone(ctx context.Context, streams map[string]bool) bool {
	var keys []store.EPGKey
	for id := range g.matched {
		if streams[id.Stream] {
			keys = append(keys, keyOf(id))
		}
	}
	if len(keys) == 0 {
		return false
	}
	rows, err := g.store.EPGEvents(ctx, keys)
	if err != nil { // the next look through all of the guide will tell
		return false
	}
	there := make(map[schedule.EventID]bool, len(rows))
	for _, row := range rows {
		there[eventOf(row).EventID] = true
	}
	found := false
	for _, k := range keys {
		if id := eventID(streamOf(k.Channel), k.ID); !there[id] {
			delete(g.matched, id)
			found = true
		}
	}
	return found
}

// stale reports whether the guide is to be looked through for the series of these
// rules, and takes note that it is.
func (g *guide) stale(rules []schedule.Rule, wall time.Time) bool {
	bases := schedule.NewSeries(rules).Bases()
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.loading || !g.loaded.IsZero() && slices.Equal(bases, g.bases) && wall.Sub(g.loaded) < loadEvery {
		return false
	}
	g.loading = true
	return true
}

// ready reports whether the guide was looked through since the start.
func (g *guide) ready() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return !g.loaded.IsZero()
}

// load looks through the guide for the series of rules. With a million events that
// takes seconds, and the memory of those found.
func (g *guide) load(ctx context.Context, rules []schedule.Rule, from, wall time.Time) {
	events, err := g.find(ctx, rules, from, wall.Add(guideAhead))
	g.mu.Lock()
	defer g.mu.Unlock()
	g.loading = false
	if err != nil {
		if ctx.Err() == nil {
			g.log.Error("the guide was not looked through", "err", err)
		}
		return
	}
	g.series = schedule.NewSeries(rules)
	g.bases = g.series.Bases()
	clear(g.matched)
	for _, e := range events {
		g.matched[e.EventID] = e
	}
	g.loaded = wall
	// What changed meanwhile is read by the next poll.
	if before := wall.Add(-again); g.since.IsZero() || before.Before(g.since) {
		g.since = before
	}
}

// find returns the events of the series of rules that touch [from, to).
func (g *guide) find(ctx context.Context, rules []schedule.Rule, from, to time.Time) ([]schedule.Event, error) {
	series := schedule.NewSeries(rules)
	if len(series.Bases()) == 0 {
		return nil, nil
	}
	var keys []store.EPGKey
	left := 0
	err := g.store.EachEPGTitle(ctx, from, to, series.Hints(), func(t store.EPGTitle) {
		switch {
		case !series.Wants(t.Title):
		case len(keys) < mostMatched:
			keys = append(keys, t.EPGKey)
		default:
			left++
		}
	})
	if err != nil {
		return nil, err
	}
	if left > 0 {
		g.log.Warn("schedules by title match too many events", "left_out", left, "most", mostMatched)
	}
	rows, err := g.store.EPGEvents(ctx, keys)
	if err != nil {
		return nil, err
	}
	return eventsOf(rows), nil
}

// matching returns the events of the series of rules that touch [from, to): those
// known, or, where one of the series is new, by looking through the guide.
func (g *guide) matching(ctx context.Context, rules []schedule.Rule, from, to time.Time) ([]schedule.Event, error) {
	g.mu.Lock()
	known := !g.loaded.IsZero() && !from.Before(g.loaded.Add(-guideBack))
	for _, b := range schedule.NewSeries(rules).Bases() {
		known = known && slices.Contains(g.bases, b)
	}
	if !known {
		g.mu.Unlock()
		return g.find(ctx, rules, from, to)
	}
	defer g.mu.Unlock()
	return g.within(from, to), nil
}

// known returns the events that were found and touch [from, to).
func (g *guide) known(from, to time.Time) []schedule.Event {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.within(from, to)
}

func (g *guide) within(from, to time.Time) []schedule.Event {
	var out []schedule.Event
	for _, e := range g.matched {
		if e.Start.Before(to) && e.End.After(from) {
			out = append(out, e)
		}
	}
	return out
}

// events returns events by their ids, those that there are.
func (g *guide) events(ctx context.Context, ids []schedule.EventID) ([]schedule.Event, error) {
	keys := make([]store.EPGKey, len(ids))
	for i, id := range ids {
		keys[i] = keyOf(id)
	}
	rows, err := g.store.EPGEvents(ctx, keys)
	return eventsOf(rows), err
}

// near returns the events of a stream around a time.
func (g *guide) near(ctx context.Context, name string, from, to time.Time) ([]schedule.Event, error) {
	id := strings.TrimPrefix(name, "channels/")
	rows, _, err := g.store.EPG(ctx, store.EPGFilter{Channel: id, From: from.Add(-time.Hour), To: to.Add(time.Hour)}, store.Page{Limit: store.MaxPage})
	return eventsOf(rows), err
}
