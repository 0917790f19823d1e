package ingest

import (
	"time"

	"tongxiang/ingest/source"
)

// How long silence is borne. A channel says within 3 s that its source is gone.
const (
	silence = 2 * time.Second  // without media after it played: lost
	startup = 3 * time.Second  // without media from the beginning: lost
	giveUp  = 10 * time.Second // without media: the source is opened anew
)

// State is how a channel is.
type State string

// The states.
const (
	Idle       State = "idle"       // of a source: not open
	Connecting State = "connecting" // nothing is known yet
	Live       State = "live"
	Lost       State = "lost"    // played or should play; being tried again
	Refused    State = "refused" // needs a person: see the reason; tried again all the same
)

// pulse is what the watch looks at; times are nanoseconds of the clock.
type pulse struct {
	now, began int64
	bytes      int64 // when bytes last arrived; 0: never
	media      int64 // when media was last written; 0: never
	unplayable bool  // what the source carries cannot be played
}

// verdict is what follows from it.
type verdict struct {
	state State // empty: as before
	cause source.Cause
	end   bool // the source is to be given up
}

// watch judges a running source by itself; whether another one is better is for the
// [switcher]. Time alone decides; nothing is remembered.
func watch(p pulse) verdict {
	since := func(t int64) time.Duration { return time.Duration(p.now - max(t, p.began)) }
	played := p.media >= p.began && p.media > 0
	quiet := since(p.media)
	cause := source.CauseNoPackets
	if p.bytes >= p.began && since(p.bytes) < silence {
		cause = source.CauseNoMedia
	}
	switch {
	case played && quiet < silence:
		return verdict{state: Live}
	case p.unplayable && cause == source.CauseNoMedia:
		// It says what it is and goes on saying it: nothing to be opened anew.
		return verdict{state: Refused, cause: source.CauseUnplayable}
	case !played && quiet < startup:
		return verdict{}
	}
	return verdict{state: Lost, cause: cause, end: quiet >= giveUp}
}

// permanent reports whether a cause needs a person rather than patience. A path
// that was there before may come back by itself.
func permanent(c source.Cause, played bool) bool {
	switch c {
	case source.CauseBadAddress, source.CauseCredentials, source.CauseUnplayable:
		return true
	case source.CauseNotFound:
		return !played
	}
	return false
}
