package meeting

import (
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// MaxText is the longest chat line, in characters.
const MaxText = 2000

// Command is something that somebody wants or that was noticed. Those with JSON
// tags are messages of a page; By is set by the server, never read from the wire.
type Command interface {
	decide(s *State, now time.Time) ([]Body, error)
}

// The commands.
type (
	// Join takes a seat that [State.Seat] chose.
	Join struct {
		Participant ID
		Name        string
		User        string
		Role        Role
		Muted       bool
		Camera      bool
	}
	// Resume takes a kept seat again.
	Resume struct{ Participant ID }
	// Disconnect says that a connection was cut.
	Disconnect struct{ Participant ID }
	// Tick gives up the seats that were kept long enough.
	Tick struct{}
	// Restart says that the server began anew: nobody is connected.
	Restart struct{}
	// Publish says that media of a participant arrives or no longer does. An
	// unknown participant is an encoder: it takes a seat as a member.
	Publish struct {
		Participant ID
		Name        string // of an encoder; empty: its id
		On          bool
		Video       bool // of an encoder: whether it sends a picture
	}
	// Leave gives up a seat.
	Leave struct {
		By ID `json:"-"`
	}
	// Mute closes or opens a microphone; of another: closes it, or asks to open it.
	Mute struct {
		By          ID   `json:"-"`
		Participant ID   `json:"participant,omitempty"`
		Muted       bool `json:"muted"`
	}
	// MuteAll mutes everybody but chairs, now and on joining.
	MuteAll struct {
		By         ID   `json:"-"`
		Muted      bool `json:"muted"`
		SelfUnmute bool `json:"self_unmute,omitempty"`
	}
	// Camera says that a camera is on or off.
	Camera struct {
		By ID   `json:"-"`
		On bool `json:"on"`
	}
	// Screen begins or stops sharing; a chair may stop another's.
	Screen struct {
		By          ID   `json:"-"`
		Participant ID   `json:"participant,omitempty"`
		On          bool `json:"on"`
	}
	// Hand raises or lowers a hand; a chair may lower another's.
	Hand struct {
		By          ID   `json:"-"`
		Participant ID   `json:"participant,omitempty"`
		Raised      bool `json:"raised"`
	}
	// Chat says something to everybody.
	Chat struct {
		By   ID     `json:"-"`
		Text string `json:"text"`
	}
	// SetRole gives a participant a role.
	SetRole struct {
		By          ID   `json:"-"`
		Participant ID   `json:"participant"`
		Role        Role `json:"role"`
	}
	// End ends the meeting. An empty By is the server itself, for an operator.
	End struct {
		By ID `json:"-"`
	}
)

// Request is a command of a page.
type Request interface {
	Command
	// From returns the command as given by a participant.
	From(by ID) Command
}

// From returns the command as given by a participant.
func (c Leave) From(by ID) Command   { c.By = by; return c }
func (c Mute) From(by ID) Command    { c.By = by; return c }
func (c MuteAll) From(by ID) Command { c.By = by; return c }
func (c Camera) From(by ID) Command  { c.By = by; return c }
func (c Screen) From(by ID) Command  { c.By = by; return c }
func (c Hand) From(by ID) Command    { c.By = by; return c }
func (c Chat) From(by ID) Command    { c.By = by; return c }
func (c SetRole) From(by ID) Command { c.By = by; return c }
func (c End) From(by ID) Command     { c.By = by; return c }

func (c Join) decide(s *State, now time.Time) ([]Body, error) {
	if !c.Role.Valid() {
		return nil, NotAllowed{Need: Viewer}
	}
	p := Participant{
		ID: c.Participant, Name: c.Name, User: c.User, Role: c.Role, Connected: true,
		Muted: c.Muted, Camera: c.Camera, JoinedAt: At(now),
	}
	var bodies []Body
	if old := s.Find(c.Participant); old != nil {
		// Somebody's media was here before the page: an encoder until now.
		p.Publishing = old.Publishing
		bodies = append(bodies, Left{Participant: old.ID, Reason: ReasonMedia})
	} else if len(s.Participants) >= MaxParticipants {
		return nil, ErrFull
	}
	switch {
	case c.Role == Viewer:
		p.Muted, p.Camera = true, false
	case c.Role == Member && slices.Contains(s.Silenced, c.User):
		p.Muted, p.MutedByChair = true, true
	case c.Role == Member && s.MuteAll:
		p.Muted, p.MutedByChair = true, !s.SelfUnmute
	}
	return append(bodies, Joined{Participant: p}), nil
}

func (c Resume) decide(s *State, _ time.Time) ([]Body, error) {
	p := s.Find(c.Participant)
	switch {
	case p == nil:
		return nil, ErrParticipantNotFound
	case p.Connected:
		return nil, nil
	}
	return []Body{Resumed{Participant: p.ID}}, nil
}

func (c Disconnect) decide(s *State, _ time.Time) ([]Body, error) {
	p := s.Find(c.Participant)
	if p == nil || p.Encoder || !p.Connected {
		return nil, nil
	}
	return []Body{Disconnected{Participant: p.ID}}, nil
}

func (Tick) decide(s *State, now time.Time) ([]Body, error) {
	var bodies []Body
	for i := range s.Participants {
		p := &s.Participants[i]
		if !p.Connected && !p.Encoder && !now.Before(p.CutAt.Add(SeatTime)) {
			bodies = append(bodies, Left{Participant: p.ID, Reason: ReasonExpired})
		}
	}
	return bodies, nil
}

func (Restart) decide(s *State, _ time.Time) ([]Body, error) {
	if len(s.Participants) == 0 {
		return nil, nil
	}
	return []Body{Restarted{}}, nil
}

func (c Publish) decide(s *State, now time.Time) ([]Body, error) {
	p := s.Find(c.Participant)
	switch {
	case p == nil && !c.On:
		return nil, nil
	case p == nil:
		if len(s.Participants) >= MaxParticipants {
			return nil, ErrFull
		}
		name := c.Name
		if name == "" {
			name = string(c.Participant)
		}
		return []Body{Joined{Participant: Participant{
			ID: c.Participant, Name: name, Role: Member, Connected: true, Encoder: true,
			Publishing: true, Camera: c.Video, JoinedAt: At(now),
			Muted: s.MuteAll, MutedByChair: s.MuteAll && !s.SelfUnmute,
		}}}, nil
	case p.Encoder && !c.On:
		return []Body{Left{Participant: p.ID, Reason: ReasonMedia}}, nil
	}
	var bodies []Body
	if p.Publishing != c.On {
		bodies = append(bodies, PublishingChanged{Participant: p.ID, On: c.On})
	}
	if p.Encoder && p.Camera != c.Video {
		bodies = append(bodies, CameraSwitched{Participant: p.ID, On: c.Video})
	}
	return bodies, nil
}

func (c Leave) decide(s *State, _ time.Time) ([]Body, error) {
	if s.Find(c.By) == nil {
		return nil, nil
	}
	return []Body{Left{Participant: c.By, Reason: ReasonLeft}}, nil
}

func (c Mute) decide(s *State, _ time.Time) ([]Body, error) {
	if c.Participant != "" && c.Participant != c.By {
		return c.decideOther(s)
	}
	p, err := s.may(c.By, speak)
	switch {
	case err != nil:
		return nil, err
	case p.Muted == c.Muted:
		return nil, nil
	case !c.Muted && p.MutedByChair:
		return nil, ErrMutedByChair
	}
	return []Body{Muted{Participant: p.ID, Muted: c.Muted, By: c.By}}, nil
}

// decideOther is muting and asking somebody else.
func (c Mute) decideOther(s *State) ([]Body, error) {
	if _, err := s.may(c.By, muteOthers); err != nil {
		return nil, err
	}
	p := s.Find(c.Participant)
	if p == nil {
		return nil, ErrParticipantNotFound
	}
	locked := c.Muted && p.Role != Chair
	switch {
	case p.Role == Viewer:
		return nil, nil
	case !c.Muted && !p.Muted:
		return nil, nil
	case !c.Muted && !p.Encoder:
		// A microphone is opened by the one who sits at it, never from afar.
		return []Body{UnmuteRequested{Participant: p.ID, By: c.By}}, nil
	case p.Muted == c.Muted && p.MutedByChair == locked:
		return nil, nil
	}
	return []Body{Muted{Participant: p.ID, Muted: c.Muted, MutedByChair: locked, By: c.By}}, nil
}

func (c MuteAll) decide(s *State, _ time.Time) ([]Body, error) {
	if _, err := s.may(c.By, muteOthers); err != nil {
		return nil, err
	}
	if !c.Muted && !s.MuteAll {
		return nil, nil
	}
	return []Body{MutedAll{Muted: c.Muted, SelfUnmute: c.SelfUnmute || !c.Muted, By: c.By}}, nil
}

func (c Camera) decide(s *State, _ time.Time) ([]Body, error) {
	p, err := s.may(c.By, showCamera)
	if err != nil || p.Camera == c.On {
		return nil, err
	}
	return []Body{CameraSwitched{Participant: p.ID, On: c.On}}, nil
}

func (c Screen) decide(s *State, _ time.Time) ([]Body, error) {
	if c.Participant != "" && c.Participant != c.By {
		return c.decideOther(s)
	}
	p, err := s.may(c.By, shareScreen)
	if err != nil || p.Screen == c.On {
		return nil, err
	}
	var bodies []Body
	if holder := s.Find(s.Screen); c.On && holder != nil {
		// Who was cut may hold the seat, but not up the meeting.
		if holder.Connected {
			return nil, ErrScreenTaken
		}
		bodies = append(bodies, ScreenSwitched{Participant: holder.ID, On: false, By: c.By})
	}
	return append(bodies, ScreenSwitched{Participant: p.ID, On: c.On, By: c.By}), nil
}

// decideOther is stopping somebody else's screen.
func (c Screen) decideOther(s *State) ([]Body, error) {
	if _, err := s.may(c.By, stopShare); err != nil {
		return nil, err
	}
	p := s.Find(c.Participant)
	switch {
	case p == nil:
		return nil, ErrParticipantNotFound
	case c.On:
		return nil, Invalid{What: "sharing the screen of somebody else"}
	case !p.Screen:
		return nil, nil
	}
	return []Body{ScreenSwitched{Participant: p.ID, On: false, By: c.By}}, nil
}

func (c Hand) decide(s *State, _ time.Time) ([]Body, error) {
	target, what := c.By, raiseHand
	if c.Participant != "" && c.Participant != c.By {
		target, what = c.Participant, lowerOthers
	}
	if _, err := s.may(c.By, what); err != nil {
		return nil, err
	}
	p := s.Find(target)
	switch {
	case p == nil:
		return nil, ErrParticipantNotFound
	case what == lowerOthers && c.Raised:
		return nil, Invalid{What: "raising the hand of somebody else"}
	case p.Hand == c.Raised:
		return nil, nil
	}
	return []Body{HandMoved{Participant: p.ID, Raised: c.Raised, By: c.By}}, nil
}

func (c Chat) decide(s *State, _ time.Time) ([]Body, error) {
	p, err := s.may(c.By, chat)
	if err != nil {
		return nil, err
	}
	text := Clean(c.Text)
	if n := utf8.RuneCountInString(text); n == 0 || n > MaxText {
		return nil, Invalid{What: "the length of the text"}
	}
	return []Body{Said{From: p.ID, Name: p.Name, Text: text}}, nil
}

// Clean returns text without surrounding space and without control characters
// and the invisible ones that turn the direction of text around.
func Clean(text string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		switch {
		case r == '\n':
			return r
		case r == '\t':
			return ' '
		case unicode.IsControl(r), r >= 0x202A && r <= 0x202E, r >= 0x2066 && r <= 0x2069:
			return -1
		}
		return r
	}, strings.ToValidUTF8(text, "\uFFFD")))
}

func (c SetRole) decide(s *State, _ time.Time) ([]Body, error) {
	if _, err := s.may(c.By, giveRoles); err != nil {
		return nil, err
	}
	p := s.Find(c.Participant)
	switch {
	case p == nil:
		return nil, ErrParticipantNotFound
	case !c.Role.Valid():
		return nil, Invalid{What: "the role"}
	case p.Encoder:
		return nil, Invalid{What: "the role of an encoder"}
	case p.Role == c.Role:
		return nil, nil
	case p.Role == Chair && s.chairs() == 1:
		return nil, ErrLastChair
	}
	return []Body{RoleGiven{Participant: p.ID, Role: c.Role, By: c.By}}, nil
}

func (s *State) chairs() int {
	n := 0
	for i := range s.Participants {
		if s.Participants[i].Role == Chair {
			n++
		}
	}
	return n
}

func (c End) decide(s *State, _ time.Time) ([]Body, error) {
	if c.By != "" {
		if _, err := s.may(c.By, endMeeting); err != nil {
			return nil, err
		}
	}
	return []Body{MeetingEnded(c)}, nil
}
