// Package schedule decides what is to be recorded when: it turns rules, the
// programme guide and the present moment into a plan. It is pure: no clock, no
// I/O, no goroutine; the same input gives the same plan.
//
//	Rule (once, RRULE) ────────────> recur.go ──┐
//	Rule (one event)  ─┐                        ├─> plan.go ─> Occurrence ─> conflict.go
//	Rule (a title)    ─┴─ Event ───> series.go ─┘
//
// A rule's times are wall time in its zone. What begins at 19:00 begins at 19:00 all
// year: see [resolve] for the two nights on which clocks change.
package schedule

import (
	"errors"
	"fmt"
	"time"
	_ "time/tzdata" // a machine that is cut off may have no zones of its own
)

// Priority orders what there is not room for: 应急 > 会议 > 培训 > 新闻.
type Priority uint8

// The priorities, the lowest first.
const (
	News Priority = iota
	Training
	Meeting
	Emergency
)

// priorities are their names, in the API and in the store.
func priorities() []string { return []string{"news", "training", "meeting", "emergency"} }

// String returns the name used in the API.
func (p Priority) String() string {
	if names := priorities(); int(p) < len(names) {
		return names[p]
	}
	return fmt.Sprintf("priority(%d)", uint8(p))
}

// ParsePriority is the inverse of String.
func ParsePriority(s string) (Priority, error) {
	for i, name := range priorities() {
		if name == s {
			return Priority(i), nil
		}
	}
	return 0, fmt.Errorf("priority %q is not one of %v", s, priorities())
}

// Rule is what an operator asked for. Exactly one of three holds: Event names one
// event of the guide, Match describes many, or neither is set and the times count.
type Rule struct {
	ID     string
	Stream string // what to record; with Match: empty, or the only channel
	Title  string

	// Start and End are the first time, as wall time in Zone. With Match unused.
	Start, End time.Time
	Zone       *time.Location
	// RRule repeats it (RFC 5545 3.3.10), without "RRULE:"; empty: once.
	RRule string

	Event EventID
	Match *Match

	// PaddingBefore and PaddingAfter are recorded as well.
	PaddingBefore, PaddingAfter time.Duration
	Priority                    Priority
	Disabled                    bool
	// Since is when the rule became what it is: what was over by then is not of it.
	Since time.Time
}

// Match describes the events of a series.
type Match struct {
	// Title is what an event's title must be, apart from the number of the episode:
	// see [SameTitle].
	Title string
	// Streams are the channels looked at; none: all.
	Streams []string
	// Weekdays are those on which an event may begin, in the rule's zone; none: all.
	Weekdays []time.Weekday
	// From and To bound the time of day at which it may begin; To may lie before
	// From, over midnight. Both zero: any time.
	From, To time.Duration
	// Duplicates says what happens to what was recorded already.
	Duplicates Duplicates
}

// Duplicates is a policy.
type Duplicates string

// The policies.
const (
	// RecordAll records everything.
	RecordAll Duplicates = "record"
	// SkipRecorded leaves out an episode that was recorded, or is planned earlier:
	// the same title with the same text.
	SkipRecorded Duplicates = "skip_recorded"
	// SkipTitleDay records a title once a day.
	SkipTitleDay Duplicates = "skip_title_day"
)

// EventID names an event of the guide.
type EventID struct {
	Stream string
	ID     uint32 // event_id, which is the service's own
}

// Event is what the guide says now.
type Event struct {
	EventID
	Title, Text string
	Start, End  time.Time
	Running     Running
}

// Running is the running_status of the event in the present/following table
// (ETSI EN 300 468 table 6).
type Running uint8

// The states that matter. Paused is a programme that goes on after a break.
const (
	RunningUnknown Running = iota
	NotRunning
	StartsSoon
	Paused
	IsRunning
)

// sameEvent is how far an event may move and still be the same one: broadcasters use
// ids again, some for the same hour of the next day.
const sameEvent = 12 * time.Hour

// is reports whether an event of this one's id is this one, by where they begin.
func (id EventID) is(other EventID, start, otherStart time.Time) bool {
	return id == other && start.Sub(otherStart).Abs() < sameEvent
}

// Errors of [Rule.Check], with stable codes for the API.
var (
	ErrTimes     = errors.New("schedule_times")  // the end is not after the start, or too far from it
	ErrRRule     = errors.New("bad_rrule")       // not RFC 5545
	ErrTooDense  = errors.New("rrule_too_dense") // more often than once a day, or overlapping itself
	ErrNothing   = errors.New("schedule_never")  // there is no time at which it applies
	ErrAmbiguous = errors.New("schedule_mixed")  // an event, a title and times exclude one another
	ErrPadding   = errors.New("schedule_padding")
	ErrTitle     = errors.New("schedule_title")
	ErrMatch     = errors.New("schedule_match")
	ErrZone      = errors.New("schedule_zone")
)

const (
	// longest is how long one recording may be asked for.
	longest = 24 * time.Hour
	// mostPadding bounds what is recorded before and after.
	mostPadding = 4 * time.Hour
	// What begins outside of these years is a slip: a recurrence is counted from its
	// beginning, and would be counted through millennia.
	firstYear, lastYear = 2000, 2200
)

// Zone returns a time zone by its IANA name; empty: the machine's.
func Zone(name string) (*time.Location, error) {
	if name == "" || name == "Local" {
		return time.Local, nil
	}
	z, err := time.LoadLocation(name)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrZone, err)
	}
	return z, nil
}

// Check says what is wrong with a rule. The errors wrap those above.
func (r *Rule) Check() error {
	if r.PaddingBefore < 0 || r.PaddingAfter < 0 || r.PaddingBefore > mostPadding || r.PaddingAfter > mostPadding {
		return fmt.Errorf("%w: padding is 0 to %v", ErrPadding, mostPadding)
	}
	if r.Zone == nil {
		return fmt.Errorf("%w: no time zone", ErrZone)
	}
	event := r.Event != (EventID{})
	switch {
	case event && (r.Match != nil || r.RRule != ""), r.Match != nil && r.RRule != "":
		return fmt.Errorf("%w: an event, a title and a recurrence exclude one another", ErrAmbiguous)
	case event:
		return nil
	case r.Match != nil:
		return r.Match.check()
	}
	if d := r.End.Sub(r.Start); d <= 0 || d > longest {
		return fmt.Errorf("%w: from %v to %v is not between 0 and %v", ErrTimes, r.Start, r.End, longest)
	}
	if y := r.Start.Year(); y < firstYear || y > lastYear {
		return fmt.Errorf("%w: the year %d", ErrTimes, y)
	}
	if r.RRule == "" {
		return nil
	}
	return r.checkRecurrence()
}
