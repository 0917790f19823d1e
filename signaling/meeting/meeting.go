// Package meeting holds the rules of a meeting: who is in it, who may do what, and
// what follows from it. It is pure: no I/O, no clock, no goroutine.
//
//	Command ──Apply(now)──> []Event ──Replay──> State
//
// A meeting is its event log. [State.Apply] decides and returns the events that
// happened, already replayed into the state; [State.Replay] of the same events
// into an empty State gives an equal one. The JSON of events and state is that of
// docs/protocol.md.
package meeting

import (
	"slices"
	"time"
)

// SeatTime is how long the seat of a participant whose connection was cut is kept.
const SeatTime = 60 * time.Second

// ChatTail is how many chat lines the state holds; all are in the log.
const ChatTail = 100

// MaxParticipants is how many seats one meeting has.
const MaxParticipants = 300

// ID names a participant within a meeting. It is also the last segment of the
// name of what the participant publishes.
type ID string

// Time is a moment in UTC with milliseconds, in JSON as RFC 3339.
type Time struct{ time.Time }

const timeLayout = "2006-01-02T15:04:05.000Z"

// At returns t as a Time.
func At(t time.Time) Time { return Time{t.UTC().Truncate(time.Millisecond)} }

// MarshalJSON writes RFC 3339 with exactly three decimals.
func (t Time) MarshalJSON() ([]byte, error) {
	return []byte(`"` + t.UTC().Format(timeLayout) + `"`), nil
}

// UnmarshalJSON reads RFC 3339.
func (t *Time) UnmarshalJSON(b []byte) error {
	var u time.Time
	if err := u.UnmarshalJSON(b); err != nil {
		return err
	}
	*t = At(u)
	return nil
}

// Participant is one seat.
type Participant struct {
	ID           ID     `json:"id"`
	Name         string `json:"name"`
	Role         Role   `json:"role"`
	Connected    bool   `json:"connected"`
	Encoder      bool   `json:"encoder"`    // publishes by WHIP, has no page
	Publishing   bool   `json:"publishing"` // media arrives at the server
	Muted        bool   `json:"muted"`
	MutedByChair bool   `json:"muted_by_chair"` // may not unmute alone
	Camera       bool   `json:"camera"`
	Screen       bool   `json:"screen"`
	Hand         bool   `json:"hand"`
	HandAt       Time   `json:"hand_at,omitzero"`
	JoinedAt     Time   `json:"joined_at"`

	// User is the account behind the seat: in the log, never sent to others.
	User string `json:"user,omitempty"`
	// Epoch is the sequence number of the event by which the seat was taken, so
	// that a resume token of an earlier seat with the same id is not good for this one.
	Epoch int64 `json:"-"`
	// CutAt is when the connection was cut; zero while Connected.
	CutAt Time `json:"-"`
}

// ChatLine is one message to everybody.
type ChatLine struct {
	Seq  int64  `json:"seq"`
	At   Time   `json:"at"`
	From ID     `json:"from"`
	Name string `json:"name"`
	Text string `json:"text"`
}

// State is a meeting now. The zero value is not useful; see [New]. It belongs to
// one goroutine.
type State struct {
	Participants []Participant `json:"participants"` // in joining order
	Hands        []ID          `json:"hands"`        // first come first
	Screen       ID            `json:"screen"`       // who shares, or empty
	MuteAll      bool          `json:"mute_all"`     // who joins begins muted
	SelfUnmute   bool          `json:"self_unmute"`  // with MuteAll: may unmute alone
	Chat         []ChatLine    `json:"chat"`

	// Silenced are the accounts that left while the chair had them muted, the newest
	// last: who comes back, as by reloading the page, is muted as before.
	Silenced []string `json:"-"`

	Seq   int64 `json:"-"` // of the last event
	Ended bool  `json:"-"`
}

// New returns the state of a meeting in which nothing has happened.
func New() *State {
	return &State{Participants: []Participant{}, Hands: []ID{}, SelfUnmute: true, Chat: []ChatLine{}}
}

// Apply decides what a command does, replays the events into the state and
// returns them; nil when the command changes nothing. The errors are those of
// errors.go. On an error the state is as before.
func (s *State) Apply(c Command, now time.Time) ([]Event, error) {
	if s.Ended {
		return nil, ErrEnded
	}
	bodies, err := c.decide(s, now)
	if err != nil {
		return nil, err
	}
	var events []Event
	for _, b := range bodies {
		e := Event{Seq: s.Seq + 1, At: At(now), Body: b}
		s.Replay(e)
		events = append(events, e)
	}
	return events, nil
}

// Replay makes an event happen to the state.
func (s *State) Replay(e Event) {
	s.Seq = e.Seq
	e.Body.replay(s, e)
}

// Find returns the participant, valid until the next event, or nil.
func (s *State) Find(id ID) *Participant {
	for i := range s.Participants {
		if s.Participants[i].ID == id {
			return &s.Participants[i]
		}
	}
	return nil
}

// Clone returns an independent copy.
func (s *State) Clone() *State {
	c := *s
	c.Participants = slices.Clone(s.Participants)
	c.Hands = slices.Clone(s.Hands)
	c.Chat = slices.Clone(s.Chat)
	c.Silenced = slices.Clone(s.Silenced)
	return &c
}

// Public returns a copy without what participants may not know of each other.
func (s *State) Public() *State {
	c := s.Clone()
	for i := range c.Participants {
		c.Participants[i].User = ""
	}
	return c
}

// NextExpiry returns when the first kept seat is given up; zero when none is kept.
func (s *State) NextExpiry() time.Time {
	var first time.Time
	for i := range s.Participants {
		p := &s.Participants[i]
		if p.Connected || p.Encoder {
			continue
		}
		if t := p.CutAt.Add(SeatTime); first.IsZero() || t.Before(first) {
			first = t
		}
	}
	return first
}

// remove takes a participant out of everything that refers to it.
func (s *State) remove(id ID) {
	if p := s.Find(id); p != nil && p.MutedByChair && p.User != "" {
		s.speaks(p.User)
		s.Silenced = append(s.Silenced, p.User)
		if over := len(s.Silenced) - MaxParticipants; over > 0 {
			s.Silenced = slices.Delete(s.Silenced, 0, over)
		}
	}
	s.Participants = slices.DeleteFunc(s.Participants, func(p Participant) bool { return p.ID == id })
	s.lowerHand(id)
	if s.Screen == id {
		s.Screen = ""
	}
}

// speaks forgets that an account left while it was muted by the chair.
func (s *State) speaks(user string) {
	s.Silenced = slices.DeleteFunc(s.Silenced, func(u string) bool { return u == user })
}

func (s *State) lowerHand(id ID) {
	s.Hands = slices.DeleteFunc(s.Hands, func(h ID) bool { return h == id })
	if p := s.Find(id); p != nil {
		p.Hand, p.HandAt = false, Time{}
	}
}
