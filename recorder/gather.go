package recorder

import (
	"fmt"
	"strings"
	"time"

	"tongxiang/internal/media"
	"tongxiang/internal/playout/feed"
	"tongxiang/internal/playout/fmp4"
)

const (
	// silent is how long a picture waits for sound that is not announced yet: the
	// tracks of a stream come one after the other.
	silent = 1500 * time.Millisecond
	// blind is how long sound waits for a picture, which is announced with its first
	// sync point: a file that begins with sound alone has no place for it.
	blind = 6 * time.Second
	// patience is how long tracks may keep their parameters to themselves before
	// the others are recorded without them.
	patience = 5 * time.Second
	// maxGathered bounds the frames held meanwhile.
	maxGathered = 4096
)

// gather holds the beginning of a stream until it is known what to write into the
// head of the file. It decides by what it is told and does nothing else.
type gather struct {
	formats []media.Format
	events  []feed.Event // from the first sync picture on
	since   int64        // when the first event came, in nanoseconds of the clock; 0: none yet
	video   int          // the track that must begin; -1: none
	cutoff  int64        // what arrived before may be left out; see add
}

func newGather(tracks []feed.Track, cutoff int64) *gather {
	g := &gather{video: -1, cutoff: cutoff}
	for i, t := range tracks {
		g.formats = append(g.formats, t.Format)
		if t.Format.Codec.Kind() == media.Video && g.video < 0 {
			g.video = i
		}
	}
	return g
}

// add holds a frame. What comes before the first sync picture is of no use, nor what
// comes before the last one that arrived before the cutoff.
func (g *gather) add(ev feed.Event, now int64) {
	if g.since == 0 {
		g.since = now
	}
	f, _ := fmp4.Learn(g.formats[ev.Track], ev.Frame)
	g.formats[ev.Track] = f
	start := g.video < 0 || ev.Track == g.video && ev.Frame.Sync
	if len(g.events) == 0 && !start {
		return
	}
	if start && ev.Frame.Arrival <= g.cutoff {
		clear(g.events)
		g.events = g.events[:0]
	}
	if len(g.events) < maxGathered {
		g.events = append(g.events, ev)
	}
}

// ready reports whether the file can be begun.
func (g *gather) ready(now int64) bool {
	if len(g.events) == 0 {
		return false
	}
	waited := time.Duration(now - g.since)
	known, sound := 0, false
	for _, f := range g.formats {
		if fmp4.Ready(f) {
			known++
		}
		sound = sound || f.Codec.Kind() == media.Audio
	}
	switch {
	case g.video >= 0 && !fmp4.Ready(g.formats[g.video]):
		return false // a picture always says what it is, sooner or later
	case known == len(g.formats):
		return sound && g.video >= 0 || waited >= blind || waited >= silent && g.video >= 0
	}
	return known > 0 && (waited >= patience || len(g.events) >= maxGathered)
}

// left says which tracks will not be in the file, "" when all are.
func (g *gather) left() string {
	var out []string
	for _, f := range g.formats {
		if !fmp4.Ready(f) {
			out = append(out, f.Codec.String())
		}
	}
	if len(out) == 0 {
		return ""
	}
	return fmt.Sprintf("left out because nothing came of it: %s", strings.Join(out, ", "))
}
