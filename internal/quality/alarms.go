package quality

import (
	"slices"
	"time"

	"tongxiang/internal/mpegts"
)

// Alarm names what is wrong with a channel.
type Alarm string

// The alarms, in the order in which they are listed.
const (
	NoSignal   Alarm = "no_signal"  // nothing to be played comes
	SyncLost   Alarm = "sync"       // the transport stream is not one
	Continuity Alarm = "continuity" // packets are lost
	Transport  Alarm = "transport"  // packets come damaged, by what the demodulator says
	Tables     Alarm = "tables"     // PAT, PMT or CAT are late, or sections damaged
	Clock      Alarm = "pcr"        // the clock comes too seldom or jumps
	Stamps     Alarm = "pts"        // pictures or sounds have no times
	Missing    Alarm = "missing"    // the PMT names a picture or a sound that does not come
	Scrambled  Alarm = "scrambled"
	Black      Alarm = "black"
	Frozen     Alarm = "frozen"
	Silent     Alarm = "silent"
	Loud       Alarm = "loud"
)

// Alarms returns all alarms in their order.
func Alarms() []Alarm {
	return []Alarm{NoSignal, SyncLost, Continuity, Transport, Tables, Clock, Stamps, Missing, Scrambled, Black, Frozen, Silent, Loud}
}

// rule says when an alarm begins and ends. It begins when there were enough errors in
// the window, and ends when there was none for a quiet time. For a condition that is
// either so or not, an error is a second in which it was so.
type rule struct {
	errors uint64        // in the window
	window int           // seconds, at most maxHistory
	quiet  time.Duration // without any
}

const maxHistory = 10

// rules: quick to begin, slow to end, so that a row of short faults is one alarm. Three
// lost packets in ten seconds are seen as blocks; one in an hour is not.
var rules = map[Alarm]rule{
	NoSignal:   {3, 4, 2 * time.Second},
	SyncLost:   {1, 1, 10 * time.Second},
	Continuity: {3, 10, 30 * time.Second},
	Transport:  {3, 10, 30 * time.Second},
	Tables:     {2, 10, 20 * time.Second},
	Clock:      {3, 10, 20 * time.Second},
	Stamps:     {2, 10, 20 * time.Second},
	Missing:    {1, 1, 2 * time.Second},
	Scrambled:  {2, 3, 4 * time.Second},
	// Picture and sound were judged over time already.
	Black:  {1, 1, 0},
	Frozen: {1, 1, 0},
	Silent: {1, 1, 0},
	Loud:   {1, 1, 0},
}

// second is what one second brought of an alarm's errors.
type second map[Alarm]uint64

// count adds n errors.
func (s second) count(a Alarm, n uint64) {
	if n > 0 {
		s[a] += n
	}
}

func (s second) is(a Alarm, yes bool) {
	if yes {
		s[a]++
	}
}

// transport adds the errors of TR 101 290 to a second. PCR accuracy is left out: at a
// variable bit rate, as HTTP and SRT often have, it says nothing.
func (s second) transport(e mpegts.TR101290) {
	s.count(SyncLost, e.SyncLoss)
	s.count(Continuity, e.ContinuityCountError)
	s.count(Transport, e.TransportError)
	s.count(Tables, e.PATError+e.PMTError+e.CRCError+e.CATError)
	s.count(Clock, max(e.PCRRepetitionError, e.PCRDiscontinuity))
	s.count(Stamps, e.PTSError)
}

// alarm is one alarm's memory.
type alarm struct {
	past  [maxHistory]uint64 // errors of the last seconds, newest first
	since time.Time          // zero: it is not raised
	last  time.Time          // of the last error
}

// Change is an alarm that began or ended.
type Change struct {
	Alarm  Alarm
	At     time.Time
	Raised bool
}

// alarms decides which alarms of one channel are raised: a pure function of the errors
// of each second and its time.
type alarms struct {
	list map[Alarm]*alarm
}

// step takes the errors of one more second and returns what changed, in order.
func (a *alarms) step(s second, now time.Time) []Change {
	if a.list == nil {
		a.list = make(map[Alarm]*alarm)
	}
	var out []Change
	for _, name := range Alarms() {
		m, r := a.list[name], rules[name]
		if m == nil {
			if s[name] == 0 {
				continue
			}
			m = new(alarm)
			a.list[name] = m
		}
		copy(m.past[1:], m.past[:maxHistory-1])
		m.past[0] = s[name]
		if s[name] > 0 {
			m.last = now
		}
		sum := uint64(0)
		for _, n := range m.past[:r.window] {
			sum += n
		}
		switch {
		case m.since.IsZero() && sum >= r.errors:
			m.since = now
			out = append(out, Change{name, now, true})
		case !m.since.IsZero() && s[name] == 0 && now.Sub(m.last) >= r.quiet:
			m.since = time.Time{}
			out = append(out, Change{name, now, false})
		}
	}
	return out
}

// Findings is what is wrong with a channel at a moment.
type Findings struct {
	// Raised are the alarms with the time since which each is.
	Raised map[Alarm]time.Time
	// Since is when the newest alarm began or the last one ended.
	Since time.Time
}

// Has reports whether an alarm is raised.
func (f Findings) Has(a Alarm) bool { return !f.Raised[a].IsZero() }

// Names returns the alarms that are raised, in their order.
func (f Findings) Names() []Alarm {
	return slices.DeleteFunc(Alarms(), func(a Alarm) bool { return !f.Has(a) })
}

func (a *alarms) raised() map[Alarm]time.Time {
	out := make(map[Alarm]time.Time)
	for name, m := range a.list {
		if !m.since.IsZero() {
			out[name] = m.since
		}
	}
	return out
}
