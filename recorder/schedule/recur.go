package schedule

import (
	"fmt"
	"strings"
	"time"

	"github.com/teambition/rrule-go"
)

// wall is a wall time: its numbers count, in no zone. It is carried as UTC.
type wall = time.Time

// wallOf returns what a clock in a zone shows.
func wallOf(t time.Time, zone *time.Location) wall {
	t = t.In(zone)
	return time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), 0, time.UTC)
}

// resolve returns the moment at which a clock in a zone shows w. A time that the
// night leaves out, because clocks are put forward, is that much later; one that
// comes twice, because they are put back, is the first (RFC 5545 3.3.5).
func resolve(w wall, zone *time.Location) time.Time {
	// The offsets in force around w: that of the day before decides both cases.
	_, before := w.Add(-24 * time.Hour).In(zone).Zone()
	t := w.Add(-time.Duration(before) * time.Second)
	if _, at := t.In(zone).Zone(); at == before {
		return t.In(zone)
	}
	// w lies behind the change: its own offset holds, unless w was left out.
	_, after := w.Add(24 * time.Hour).In(zone).Zone()
	u := w.Add(-time.Duration(after) * time.Second)
	if _, at := u.In(zone).Zone(); at == after {
		return u.In(zone)
	}
	return t.In(zone)
}

// recurrence parses the rule over wall times. A date with UNTIL in UTC is taken as
// the wall time in the rule's zone.
func (r *Rule) recurrence() (*rrule.RRule, error) {
	text := strings.TrimPrefix(strings.TrimSpace(r.RRule), "RRULE:")
	if strings.ContainsAny(text, "\r\n") || strings.Contains(strings.ToUpper(text), "DTSTART") {
		return nil, fmt.Errorf("%w: one RRULE without DTSTART is expected", ErrRRule)
	}
	o, err := rrule.StrToROption(text)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRRule, err)
	}
	// To the library a number of none is no number at all: COUNT=0 would repeat for ever.
	upper := strings.ToUpper(text)
	if o.Count < 1 && strings.Contains(upper, "COUNT=") || o.Interval < 1 && strings.Contains(upper, "INTERVAL=") {
		return nil, fmt.Errorf("%w: COUNT and INTERVAL are 1 and more (RFC 5545 section 3.3.10)", ErrRRule)
	}
	if o.Freq > rrule.DAILY || len(o.Byhour) > 1 || len(o.Byminute) > 1 || len(o.Bysecond) > 1 {
		return nil, fmt.Errorf("%w: a recording repeats once a day at most", ErrTooDense)
	}
	if !o.Until.IsZero() && strings.Contains(upper, "Z") {
		o.Until = wallOf(o.Until, r.Zone)
	}
	o.Dtstart = wallOf(r.Start, r.Zone)
	rr, err := rrule.NewRRule(*o)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRRule, err)
	}
	return rr, nil
}

// checkSpan is how far checkRecurrence looks for the first and second time: the
// 29th of February may be eight years away.
const checkSpan = 9 * 366 * 24 * time.Hour

func (r *Rule) checkRecurrence() error {
	rr, err := r.recurrence()
	if err != nil {
		return err
	}
	length := wallOf(r.End, r.Zone).Sub(wallOf(r.Start, r.Zone))
	next := rr.Iterator()
	last := wallOf(r.Start, r.Zone).Add(checkSpan)
	var before wall
	for n := range 400 { // a year of days: what overlaps itself does so within it
		at, ok := next()
		if !ok || at.After(last) {
			if n == 0 {
				return fmt.Errorf("%w: %q never applies", ErrNothing, r.RRule)
			}
			return nil
		}
		if n > 0 && at.Sub(before) < length {
			return fmt.Errorf("%w: it begins again before it has ended", ErrTooDense)
		}
		before = at
	}
	return nil
}

// times calls f for each time of a rule without event and title that touches
// [from, to) with its padding, in order. Errors of the rule are those of Check.
func (r *Rule) times(from, to time.Time, f func(start, end time.Time)) error {
	first, last := wallOf(r.Start, r.Zone), wallOf(r.End, r.Zone)
	// The length is of wall time too: what ends at 4:00 does so in every night.
	length := last.Sub(first)
	one := func(w wall) bool {
		start, end := resolve(w, r.Zone), resolve(w.Add(length), r.Zone)
		if !end.After(start) { // an hour that is left out swallows it
			end = start.Add(length)
		}
		if !start.Add(-r.PaddingBefore).Before(to) {
			return false
		}
		if end.Add(r.PaddingAfter).After(from) {
			f(start, end)
		}
		return true
	}
	if r.RRule == "" {
		one(first)
		return nil
	}
	rr, err := r.recurrence()
	if err != nil {
		return err
	}
	// A day of margin covers lengths, padding and changes of the clock.
	margin := longest + r.PaddingBefore + r.PaddingAfter + 24*time.Hour
	for _, w := range rr.Between(wallOf(from, r.Zone).Add(-margin), wallOf(to, r.Zone).Add(margin), true) {
		if !one(w) {
			break
		}
	}
	return nil
}

// Following returns the first time at or after a moment at which a rule by times
// begins, however far it is; ok is false where there is none, and of rules that
// follow the guide.
func (r *Rule) Following(after time.Time) (start, end time.Time, ok bool) {
	if r.Match != nil || r.Event != (EventID{}) || r.Zone == nil {
		return start, end, false
	}
	first, last := wallOf(r.Start, r.Zone), wallOf(r.End, r.Zone)
	at := first
	if r.RRule != "" {
		rr, err := r.recurrence()
		if err != nil {
			return start, end, false
		}
		if at = rr.After(wallOf(after, r.Zone), true); at.IsZero() {
			return start, end, false
		}
	}
	start, end = resolve(at, r.Zone), resolve(at.Add(last.Sub(first)), r.Zone)
	return start, end, !start.Before(after)
}
