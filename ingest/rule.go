package ingest

import (
	"fmt"
	"slices"
	"time"
)

// Fault is why a source may be left for another one: its stable code.
type Fault string

// The faults.
const (
	FaultNone      Fault = ""
	FaultNoPackets Fault = "no_packets" // nothing arrives, or the source ended
	FaultNoMedia   Fault = "no_media"   // packets arrive, but no picture and no sound of the programme
	FaultNoPCR     Fault = "no_pcr"     // the programme's clock references stay away
	FaultScrambled Fault = "scrambled"  // the picture comes scrambled
	FaultBlack     Fault = "black"      // what follows is seen by the quality analysis
	FaultFrozen    Fault = "frozen"
	FaultSilent    Fault = "silent"

	faultRemoved Fault = "removed" // the source is no longer one of the channel's
	faultManual  Fault = "manual"  // somebody asked for another one
	faultBack    Fault = "back"    // the primary is well again
)

// Back says how a channel returns to its primary source.
type Back string

// The ways back.
const (
	BackAuto   Back = "auto"   // when the primary has been well for BackAfter
	BackManual Back = "manual" // when somebody asks for it
	BackNever  Back = "never"  // only when the backup fails in its turn
)

// Rule says when a channel leaves its source and when it returns. The zero value
// is [DefaultRule].
type Rule struct {
	// On lists the faults that count; nil: those of [DefaultRule]; empty: none.
	On []Fault
	// After is how long a fault is borne; one that is missing: that of [DefaultRule].
	After map[Fault]time.Duration
	// Back is how the channel returns; "": [BackAuto].
	Back Back
	// BackAfter is how long the primary must have been well; 0: a minute.
	BackAfter time.Duration
	// Standby keeps the next source open and parsed, so that it takes over at once
	// and not at its next sync point. It costs what the source costs: a second
	// multicast join, its bits on the line. Without it the next source is opened
	// when the one on air becomes suspect, which is mostly early enough.
	Standby bool
}

const (
	minAfter = 200 * time.Millisecond
	maxAfter = time.Hour
)

// DefaultRule returns the rule of a channel that says nothing. A picture that is
// black, frozen or silent is left alone: a late film is dark, a test card stands
// still, and a backup that shows the same is no better.
func DefaultRule() Rule {
	return Rule{
		On: []Fault{FaultNoPackets, FaultNoMedia, FaultNoPCR, FaultScrambled},
		After: map[Fault]time.Duration{
			FaultNoPackets: time.Second, FaultNoMedia: 2 * time.Second, FaultNoPCR: 2 * time.Second,
			FaultScrambled: time.Second,
			FaultBlack:     10 * time.Second, FaultFrozen: 10 * time.Second, FaultSilent: 30 * time.Second,
		},
		Back: BackAuto, BackAfter: time.Minute,
	}
}

// filled returns the rule with the defaults in place of what it does not say.
func (r Rule) filled() Rule {
	d := DefaultRule()
	if r.On == nil {
		r.On = d.On
	}
	for f, after := range r.After {
		d.After[f] = after
	}
	r.After = d.After
	if r.Back == "" {
		r.Back = d.Back
	}
	if r.BackAfter == 0 {
		r.BackAfter = d.BackAfter
	}
	return r
}

// Check says what is wrong with a rule.
func (r Rule) Check() error {
	known := DefaultRule().After
	for _, f := range r.On {
		if _, ok := known[f]; !ok {
			return fmt.Errorf("switch.on: %q is not one of no_packets, no_media, no_pcr, scrambled, black, frozen, silent", f)
		}
	}
	for f, after := range r.After {
		if _, ok := known[f]; !ok {
			return fmt.Errorf("switch.after: %q is not one of no_packets, no_media, no_pcr, scrambled, black, frozen, silent", f)
		}
		if after < minAfter || after > maxAfter {
			return fmt.Errorf("switch.after.%s: %v is not within %v and %v", f, after, minAfter, maxAfter)
		}
	}
	switch r.Back {
	case "", BackAuto, BackManual, BackNever:
	default:
		return fmt.Errorf("switch.back: %q is not one of auto, manual, never", r.Back)
	}
	if r.BackAfter < 0 || r.BackAfter > 24*time.Hour {
		return fmt.Errorf("switch.back_after: %v is not within 0s and 24h", r.BackAfter)
	}
	return nil
}

// counts reports whether a fault is one to leave for.
func (r Rule) counts(f Fault) bool { return slices.Contains(r.On, f) }

// Observation is what the quality analysis sees and hears on a channel now.
type Observation struct {
	Black, Frozen, Silent bool
}

// seen is since when a finding holds, in nanoseconds of the clock; 0: it does not.
type seen struct{ black, frozen, silent int64 }

// observe takes an observation over at a moment.
func (s *seen) observe(o Observation, now int64) {
	set := func(since *int64, holds bool) {
		switch {
		case !holds:
			*since = 0
		case *since == 0:
			*since = now
		}
	}
	set(&s.black, o.Black)
	set(&s.frozen, o.Frozen)
	set(&s.silent, o.Silent)
}

// health is what a source on air is judged by; times are nanoseconds of the clock.
type health struct {
	now, began int64 // began: when it was opened
	onAir      int64 // since when it is on air
	bytes      int64 // when bytes last arrived; 0: never
	media      int64 // when media was last written; 0: never
	clock      int64 // when a clock reference last came; 0: never
	scrambled  bool  // it says that its picture is scrambled
	ended      bool  // it is not running: it was closed or cannot be opened
	seen       seen
}

// A source becomes suspect after a part of the patience with it: another one is
// opened, so that it is there when the patience ends. A dark scene is suspect late.
const (
	suspect     = 0.3
	suspectSeen = 0.8
)

// fault returns the first fault that has lasted too long; suspected is set when one
// may be coming. It decides by its arguments alone.
func (r Rule) fault(h health) (f Fault, suspected bool) {
	quiet := func(t int64) time.Duration { return time.Duration(h.now - max(t, h.began)) }
	if h.ended {
		if r.counts(FaultNoPackets) {
			return FaultNoPackets, true
		}
		return FaultNone, false
	}
	lasts := func(f Fault, d time.Duration) bool {
		if !r.counts(f) {
			return false
		}
		part := suspect
		if f.content() {
			part = suspectSeen
		}
		suspected = suspected || d >= time.Duration(float64(r.After[f])*part)
		return d >= r.After[f]
	}
	played := h.media > 0 && h.media >= h.began
	patience := time.Duration(0) // a source that was just opened is given time
	if !played {
		patience = startup
	}
	if lasts(FaultNoPackets, quiet(h.bytes)-patience) {
		return FaultNoPackets, true
	}
	if h.scrambled && lasts(FaultScrambled, quiet(h.media)) {
		return FaultScrambled, true
	}
	if lasts(FaultNoMedia, quiet(h.media)-patience) {
		return FaultNoMedia, true
	}
	if h.clock > 0 && played && lasts(FaultNoPCR, quiet(h.clock)) {
		return FaultNoPCR, true
	}
	// What was seen before this source was on air is not its fault yet.
	for _, c := range []struct {
		f     Fault
		since int64
	}{{FaultBlack, h.seen.black}, {FaultFrozen, h.seen.frozen}, {FaultSilent, h.seen.silent}} {
		if c.since > 0 && lasts(c.f, time.Duration(h.now-max(c.since, h.onAir))) {
			return c.f, true
		}
	}
	return FaultNone, suspected
}

// content reports whether a fault is one of pictures and sounds, which cannot be
// known of a source that is not on air.
func (f Fault) content() bool {
	return f == FaultBlack || f == FaultFrozen || f == FaultSilent
}
