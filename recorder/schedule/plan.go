package schedule

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// State is what became, or is to become, of an occurrence.
type State string

// The states.
const (
	Planned   State = "planned"
	Recording State = "recording"
	Done      State = "done"
	Missed    State = "missed"
	Skipped   State = "skipped"
	Conflict  State = "conflict" // planned, and there is no room for it
)

// Reason is the stable code of why something is skipped, missed or in conflict.
type Reason string

// The reasons.
const (
	ReasonNone            Reason = ""
	ReasonRecordedAlready Reason = "recorded_already"
	ReasonTitleToday      Reason = "title_today"
	ReasonDisabled        Reason = "disabled"
	ReasonSkipped         Reason = "skipped" // by somebody, this time only
	ReasonServerDown      Reason = "server_was_down"
	ReasonSourceGone      Reason = "source_gone"
	ReasonEventGone       Reason = "event_gone" // the guide has the event no more
	ReasonNoRoom          Reason = "no_disk_space"
	ReasonNoSpeed         Reason = "no_disk_speed"
	ReasonNoInput         Reason = "no_input"
	ReasonNoTranscoder    Reason = "no_transcoder"
	ReasonLate            Reason = "began_late"
	ReasonMoved           Reason = "event_moved"   // begun, and the guide put it off
	ReasonClock           Reason = "clock_changed" // the clock was set over it
	ReasonInterrupted     Reason = "interrupted"   // the server was away for a part of it
	ReasonGaveWay         Reason = "gave_way"      // ended for one of higher priority
	ReasonStopped         Reason = "stopped"       // by somebody
	ReasonRuleGone        Reason = "schedule_removed"
	ReasonFailed          Reason = "recording_failed"
)

// Occurrence is one time at which a rule applies.
type Occurrence struct {
	// Key names it for ever, once it was begun or missed: of the rule and the time
	// asked for, or the event. An event that moves keeps it from then on.
	Key    string
	Rule   string
	Stream string
	Title  string
	Text   string
	Event  EventID
	// Start and End are what was asked for, or what the guide says; RecordFrom and
	// RecordTo have the padding.
	Start, End           time.Time
	RecordFrom, RecordTo time.Time
	Priority             Priority
	State                State
	Reason               Reason
	LostTo               string // of a conflict: the key of what has the room
}

// Run is what is known of an occurrence that was begun, or was missed. One that was
// begun and is to be begun again, because its event was put off, is Planned.
type Run struct {
	Key    string
	Rule   string
	Event  EventID
	Start  time.Time
	State  State
	Reason Reason
}

// Problem is a rule that cannot be expanded.
type Problem struct {
	Rule string
	Err  error
}

// Input is everything that a plan follows from.
type Input struct {
	Rules  []Rule
	Events []Event
	Done   []Recorded // for duplicates
	Runs   []Run
	Now    time.Time
	// From and To bound the plan: what touches [From, To) is in it.
	From, To time.Time
}

// Plan returns the occurrences in order of beginning, and the rules that are broken.
// Rooms for them are another question: see [Conflicts].
func Plan(in Input) ([]Occurrence, []Problem) {
	p := planner{
		in: in, titles: newTitles(), runs: make(map[string]Run, len(in.Runs)), ofEvents: make(map[ruleEvent][]Run),
		events: make(map[EventID]Event, len(in.Events)),
	}
	for _, r := range in.Runs {
		p.runs[r.Key] = r
		if r.Event != (EventID{}) {
			k := ruleEvent{r.Rule, r.Event}
			p.ofEvents[k] = append(p.ofEvents[k], r)
		}
	}
	for _, e := range in.Events {
		p.events[e.EventID] = e
	}
	for i := range in.Rules {
		if err := p.expand(&in.Rules[i]); err != nil {
			p.problems = append(p.problems, Problem{in.Rules[i].ID, err})
		}
	}
	slices.SortStableFunc(p.out, func(a, b Occurrence) int {
		return cmp.Or(a.RecordFrom.Compare(b.RecordFrom), -cmp.Compare(a.Priority, b.Priority), cmp.Compare(a.Key, b.Key))
	})
	return p.out, p.problems
}

// series returns the events by what is left of their titles, in order of time.
func (p *planner) series() map[string][]Event {
	if p.byTitle == nil {
		p.byTitle = make(map[string][]Event)
		for _, e := range p.in.Events {
			base := p.titles.of(e.Title)
			p.byTitle[base] = append(p.byTitle[base], e)
		}
		for _, l := range p.byTitle {
			slices.SortStableFunc(l, func(a, b Event) int { return a.Start.Compare(b.Start) })
		}
	}
	return p.byTitle
}

type planner struct {
	in       Input
	titles   *titles
	runs     map[string]Run
	ofEvents map[ruleEvent][]Run
	events   map[EventID]Event
	byTitle  map[string][]Event // made when a rule needs it
	out      []Occurrence
	problems []Problem
}

type ruleEvent struct {
	rule  string
	event EventID
}

// run returns what became of an occurrence, if it was begun or missed.
func (p *planner) run(o *Occurrence) (Run, bool) {
	if r, ok := p.runs[o.Key]; ok {
		return r, true
	}
	for _, r := range p.ofEvents[ruleEvent{o.Rule, o.Event}] {
		if r.Event.is(o.Event, r.Start, o.Start) {
			return r, true
		}
	}
	return Run{}, false
}

func (p *planner) expand(r *Rule) error {
	if err := r.Check(); err != nil {
		return err
	}
	switch {
	case r.Event != (EventID{}):
		p.event(r)
	case r.Match != nil:
		counts := func(e Event) bool {
			o := p.episode(r, e)
			run, ok := p.run(&o)
			if ok && run.State != Planned {
				return run.State == Recording || run.State == Done
			}
			return o.End.Add(r.PaddingAfter).After(p.in.Now)
		}
		for _, c := range r.Match.episodes(p.series()[p.titles.of(r.Match.Title)], p.in.Done, r.Zone, p.titles, counts) {
			p.add(r, p.episode(r, c.event), c.skip)
		}
	default:
		return r.times(p.in.From, p.in.To, func(start, end time.Time) {
			p.add(r, Occurrence{
				Key: fmt.Sprintf("%s@%s", r.ID, start.UTC().Format(time.RFC3339)), Stream: r.Stream, Title: r.Title, Start: start, End: end,
			}, ReasonNone)
		})
	}
	return nil
}

// event plans one event. While the guide has it, the guide's times count; afterwards
// those that were asked for.
func (p *planner) event(r *Rule) {
	key := eventKey(r, r.Event)
	if e, ok := p.events[r.Event]; ok && (r.Start.IsZero() || r.Event.is(e.EventID, r.Start, e.Start)) {
		p.add(r, p.ofEvent(r, e, key), ReasonNone)
		return
	}
	if r.End.After(r.Start) {
		p.add(r, Occurrence{Key: key, Stream: r.Event.Stream, Title: r.Title, Event: r.Event, Start: r.Start, End: r.End}, ReasonEventGone)
	}
}

func (p *planner) ofEvent(r *Rule, e Event, key string) Occurrence {
	title := e.Title
	if title == "" {
		title = r.Title
	}
	return Occurrence{Key: key, Stream: e.Stream, Title: title, Text: e.Text, Event: e.EventID, Start: e.Start, End: e.End}
}

// episode is an event of a series. Its key has the time: ids are used again.
func (p *planner) episode(r *Rule, e Event) Occurrence {
	o := p.ofEvent(r, e, fmt.Sprintf("%s@%s", eventKey(r, e.EventID), e.Start.UTC().Format(time.RFC3339)))
	o.Rule = r.ID
	return o
}

// eventKey does not hold the time: the one event of a rule is the same when it moves.
func eventKey(r *Rule, id EventID) string { return fmt.Sprintf("%s#%s/%d", r.ID, id.Stream, id.ID) }

// add adds an occurrence that touches the window, with what became of it.
func (p *planner) add(r *Rule, o Occurrence, skip Reason) {
	o.Rule, o.Priority = r.ID, r.Priority
	o.RecordFrom, o.RecordTo = o.Start.Add(-r.PaddingBefore), o.End.Add(r.PaddingAfter)
	if !o.RecordFrom.Before(p.in.To) || !o.RecordTo.After(p.in.From) {
		return
	}
	if !o.RecordTo.After(r.Since) {
		return
	}
	run, begun := p.run(&o)
	if begun {
		o.Key = run.Key
	}
	switch {
	case begun && run.State != Planned:
		o.State, o.Reason = run.State, run.Reason
	case r.Disabled:
		o.State, o.Reason = Skipped, ReasonDisabled
	case skip == ReasonEventGone:
		o.State, o.Reason = Planned, skip // recorded at the time that was asked for
	case skip != ReasonNone:
		o.State, o.Reason = Skipped, skip
	case !o.RecordTo.After(p.in.Now):
		// Nobody began it, and nobody said why.
		o.State, o.Reason = Missed, ReasonServerDown
	default:
		o.State = Planned
	}
	p.out = append(p.out, o)
}
