package schedule

import "time"

// runOver is how long after its end a programme that the guide still calls running
// is waited for: a match with extra time, not a guide that hangs.
const runOver = 3 * time.Hour

// Due says what is to be done about an occurrence now.
type Due uint8

// The answers.
const (
	Wait  Due = iota // its time has not come
	Begin            // record
	End              // it is over
)

// Follow says what is to be done about an occurrence: whether it is to be begun,
// goes on or is over. e is its event as the guide has it now; nil: it has none.
//
// A recording that follows an event ends when both are true: its end with padding
// has passed, and the guide does not call it running or paused. A break for the
// news in the middle therefore ends nothing, and a match that runs long is whole.
func Follow(o Occurrence, e *Event, now time.Time) Due {
	switch {
	case now.Before(o.RecordFrom):
		if e != nil && (e.Running == IsRunning || e.Running == Paused) && o.RecordFrom.Sub(now) < runOver {
			return Begin // it began before its time
		}
		return Wait
	case now.Before(o.RecordTo):
		return Begin
	case e != nil && (e.Running == IsRunning || e.Running == Paused) && now.Before(o.RecordTo.Add(runOver)):
		return Begin
	}
	return End
}

// Successor returns the event that took the place of one that the guide has no more:
// a broadcaster that plans anew gives other ids to the same programmes.
func Successor(gone Event, events []Event) (Event, bool) {
	t := newTitles()
	for _, e := range events {
		if e.Stream != gone.Stream || e.EventID == gone.EventID || t.of(e.Title) != t.of(gone.Title) {
			continue
		}
		from, to := gone.Start, gone.End
		if e.Start.After(from) {
			from = e.Start
		}
		if e.End.Before(to) {
			to = e.End
		}
		if 2*to.Sub(from) > min(gone.End.Sub(gone.Start), e.End.Sub(e.Start)) {
			return e, true
		}
	}
	return Event{}, false
}

// Postponed reports whether an occurrence that was begun is to be begun again later,
// because its event was put off for so long that what is recorded is not it.
func Postponed(o Occurrence, e *Event, now time.Time) bool {
	return e != nil && e.Running != IsRunning && e.Running != Paused && o.RecordFrom.Sub(now) > putOff
}

// putOff is more than a programme is late without the guide being planned anew.
const putOff = time.Hour
