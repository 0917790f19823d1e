package epg

import (
	"errors"
	"time"
	"unicode/utf8"

	"tongxiang/internal/mpegts"
	"tongxiang/internal/store"
)

const (
	// maxEvents bounds the guide of one channel: a week of five-minute programmes is 2,016.
	maxEvents = 4096
	// Times beyond these cannot be: the schedule covers at most 64 days (EN 300 468
	// 5.2.4), and nobody announces what is over for long.
	maxAhead    = 65 * 24 * time.Hour
	maxBehind   = 24 * time.Hour
	maxDuration = 72 * time.Hour
	// What is kept of texts, in bytes.
	maxTitle   = 512
	maxSummary = 2048
	maxText    = 8192
	// A guide may change by so many events at once, and by so many a second after:
	// a whole new week, and then as much as a real one ever changes.
	burst  = maxEvents
	steady = 50
)

var (
	errAbsurd = errors.New("times that cannot be")
	errFull   = errors.New("too many events")
)

// guide is what is known of one channel's programme. It does no I/O; its owner locks.
type guide struct {
	channel string
	events  map[int]store.EPGEvent
	spans   map[int]span     // of the events: what each new one is compared with
	dirty   map[int]struct{} // to be written
	on      int              // id of the present event; -1: not known, -2: nothing is on
	next    int              // of the following one; -1
	subs    map[*subscription]struct{}

	budget float64 // changes that it may still make
	filled time.Time
}

func newGuide(channel string) *guide {
	g := &guide{channel: channel, subs: make(map[*subscription]struct{})}
	g.clear()
	return g
}

func (g *guide) clear() {
	g.events, g.spans, g.dirty, g.on, g.next = make(map[int]store.EPGEvent), make(map[int]span), make(map[int]struct{}), -1, -1
}

// load takes what the store knows.
func (g *guide) load(row store.EPGEvent) {
	if len(g.events) < maxEvents {
		g.events[row.ID], g.spans[row.ID] = row, spanOf(row)
	}
}

// span is the place of an event, in microseconds of UTC.
type span struct{ from, to int64 }

func spanOf(e store.EPGEvent) span { return span{e.Start.UnixMicro(), e.End.UnixMicro()} }

// covers reports whether two events lie in the same place by more than half of the
// shorter one.
func (a span) covers(b span) bool {
	return 2*(min(a.to, b.to)-max(a.from, b.from)) > min(a.to-a.from, b.to-b.from)
}

// event takes an entry and returns what changed. The errors are errAbsurd and errFull.
func (g *guide) event(e mpegts.Event, schedule bool, now time.Time) ([]Change, error) {
	id := int(e.Key.ID)
	if e.Start.IsZero() || e.Duration <= 0 || e.Duration > maxDuration || e.Start.After(now.Add(maxAhead)) || e.End().Before(now.Add(-maxBehind)) {
		return nil, errAbsurd
	}
	row := store.EPGEvent{
		Channel: g.channel, ID: id, Start: e.Start.UTC(), End: e.End().UTC(), Title: cut(e.Title, maxTitle), Summary: cut(e.Summary, maxSummary),
		Text: cut(e.Text, maxText), Language: cut(e.Language, 3), Running: int(e.Running), Genre: int(e.Content), Rating: int(e.Rating), Scrambled: e.Scrambled,
	}
	was, known := g.events[id]
	if !known && len(g.events) >= maxEvents {
		return nil, errFull
	}
	if schedule {
		row.Running = 0
		if known { // the schedule does not know what runs
			row.Running = was.Running
		}
		if known && row.Text == "" && row.Start.Equal(was.Start) && row.Title == was.Title {
			row.Text = was.Text // present/following may have said more
		}
	}
	row.Changed = was.Changed
	if known && row == was {
		return nil, nil
	}
	if !g.spend(now) {
		return nil, errFull
	}
	var changes []Change
	if at := spanOf(row); !known || at != g.spans[id] {
		for o, there := range g.spans {
			// A broadcaster that plans anew, and another source of the same channel,
			// may use other ids: what lies mostly in the new one's place is gone.
			if o != id && o != g.on && there.covers(at) {
				changes = append(changes, g.remove(g.events[o]))
			}
		}
	}
	row.Changed = now.UTC().Truncate(time.Microsecond)
	changes = append(changes, g.put(row))
	return changes, nil
}

// spend takes one change out of the budget.
func (g *guide) spend(now time.Time) bool {
	g.budget = min(g.budget+steady*now.Sub(g.filled).Seconds(), burst)
	g.filled = now
	if g.budget < 1 {
		return false
	}
	g.budget--
	return true
}

// put keeps a row that is new or changed.
func (g *guide) put(row store.EPGEvent) Change {
	was, known := g.events[row.ID]
	g.events[row.ID], g.spans[row.ID] = row, spanOf(row)
	g.dirty[row.ID] = struct{}{}
	if known {
		return Change{Kind: Changed, Event: row, Before: was}
	}
	return Change{Kind: Added, Event: row}
}

func (g *guide) remove(row store.EPGEvent) Change {
	delete(g.events, row.ID)
	delete(g.spans, row.ID)
	delete(g.dirty, row.ID)
	return Change{Kind: Removed, Event: row}
}

// present takes what is on now and next; the events themselves came before.
func (g *guide) present(n mpegts.NowNext, now time.Time) (changes []Change) {
	on, next := -2, -1
	if n.Present != nil {
		on = int(n.Present.Key.ID)
	}
	if n.Following != nil {
		next = int(n.Following.Key.ID)
	}
	if was, ok := g.events[g.on]; ok && g.on != on && was.Running != int(mpegts.NotRunning) {
		was.Running = int(mpegts.NotRunning)
		was.Changed = now.UTC().Truncate(time.Microsecond)
		changes = append(changes, g.put(was))
	}
	g.on, g.next = on, next
	return changes
}

// nowNext returns what is on and what comes next: as the broadcaster says, else by
// the times of the schedule.
func (g *guide) nowNext(t time.Time) (now, next *store.EPGEvent) {
	// What a broadcaster said of an hour ago may have been overtaken; it would say so.
	if e, ok := g.events[g.on]; ok && t.Before(e.End.Add(time.Hour)) {
		now = &e
	}
	if e, ok := g.events[g.next]; ok && t.Before(e.End) && now != nil {
		next = &e
	}
	if now == nil && g.on != -2 {
		for _, e := range g.events {
			if !t.Before(e.Start) && t.Before(e.End) && (now == nil || e.Start.After(now.Start)) {
				now = &e
			}
		}
	}
	if next == nil {
		after := t
		if now != nil && now.Start.After(after) {
			after = now.Start
		}
		for _, e := range g.events {
			if e.Start.After(after) && (now == nil || e.ID != now.ID) && (next == nil || e.Start.Before(next.Start)) {
				next = &e
			}
		}
	}
	return now, next
}

// prune forgets what ended before a moment.
func (g *guide) prune(before time.Time) {
	for id, e := range g.events {
		if _, waits := g.dirty[id]; !waits && e.End.Before(before) {
			delete(g.events, id)
			delete(g.spans, id)
		}
	}
}

// cut shortens a text to n bytes at the most, at a character.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
