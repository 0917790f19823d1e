package meeting

import (
	"encoding/json"
	"errors"
	"fmt"
)

// Event is one thing that happened, in the order of Seq.
type Event struct {
	Seq  int64
	At   Time
	Body Body
}

// Body is what happened. Its kinds are listed in [newBody].
type Body interface {
	// Kind is the name of the event on the wire and in the log.
	Kind() string
	replay(s *State, e Event)
}

// The reasons of [Left].
const (
	ReasonLeft    = "left"    // gave up the seat
	ReasonExpired = "expired" // cut for [SeatTime]
	ReasonMedia   = "media"   // an encoder stopped sending
)

// The events; docs/protocol.md, sections 4 and 5, says what each does.
type (
	// Joined: somebody took a seat.
	Joined struct {
		Participant Participant `json:"participant"`
	}
	// Left: a seat was given up.
	Left struct {
		Participant ID     `json:"participant"`
		Reason      string `json:"reason"`
	}
	// Disconnected: a connection was cut, the seat is kept for [SeatTime].
	Disconnected struct {
		Participant ID `json:"participant"`
	}
	// Resumed: a cut participant is back.
	Resumed struct {
		Participant ID `json:"participant"`
	}
	// Muted: a microphone was closed or opened.
	Muted struct {
		Participant  ID   `json:"participant"`
		Muted        bool `json:"muted"`
		MutedByChair bool `json:"muted_by_chair"`
		By           ID   `json:"by"`
	}
	// UnmuteRequested: a chair asks a participant to open the microphone.
	UnmuteRequested struct {
		Participant ID `json:"participant"`
		By          ID `json:"by"`
	}
	// MutedAll: a chair muted everybody, or lifted that.
	MutedAll struct {
		Muted      bool `json:"muted"`
		SelfUnmute bool `json:"self_unmute"`
		By         ID   `json:"by"`
	}
	// CameraSwitched: a camera began or stopped sending a picture.
	CameraSwitched struct {
		Participant ID   `json:"participant"`
		On          bool `json:"on"`
	}
	// ScreenSwitched: somebody began or stopped sharing the screen.
	ScreenSwitched struct {
		Participant ID   `json:"participant"`
		On          bool `json:"on"`
		By          ID   `json:"by"`
	}
	// HandMoved: a hand was raised or lowered.
	HandMoved struct {
		Participant ID   `json:"participant"`
		Raised      bool `json:"raised"`
		By          ID   `json:"by"`
	}
	// Said: a chat line.
	Said struct {
		From ID     `json:"from"`
		Name string `json:"name"`
		Text string `json:"text"`
	}
	// RoleGiven: a chair changed somebody's role.
	RoleGiven struct {
		Participant ID   `json:"participant"`
		Role        Role `json:"role"`
		By          ID   `json:"by"`
	}
	// PublishingChanged: media of a participant began or stopped arriving.
	PublishingChanged struct {
		Participant ID   `json:"participant"`
		On          bool `json:"on"`
	}
	// MeetingEnded: everybody has left for good.
	MeetingEnded struct {
		By ID `json:"by"`
	}
	// Restarted: the server began anew; everybody is cut.
	Restarted struct{}
)

// Kind names the event.
func (Joined) Kind() string            { return "joined" }
func (Left) Kind() string              { return "left" }
func (Disconnected) Kind() string      { return "disconnected" }
func (Resumed) Kind() string           { return "resumed" }
func (Muted) Kind() string             { return "muted" }
func (UnmuteRequested) Kind() string   { return "unmute_requested" }
func (MutedAll) Kind() string          { return "muted_all" }
func (CameraSwitched) Kind() string    { return "camera" }
func (ScreenSwitched) Kind() string    { return "screen" }
func (HandMoved) Kind() string         { return "hand" }
func (Said) Kind() string              { return "chat" }
func (RoleGiven) Kind() string         { return "role" }
func (PublishingChanged) Kind() string { return "publishing" }
func (MeetingEnded) Kind() string      { return "ended" }
func (Restarted) Kind() string         { return "restarted" }

// newBody returns how the body of a kind is read, or nil.
func newBody(kind string) func([]byte) (Body, error) {
	switch kind {
	case "joined":
		return read[Joined]
	case "left":
		return read[Left]
	case "disconnected":
		return read[Disconnected]
	case "resumed":
		return read[Resumed]
	case "muted":
		return read[Muted]
	case "unmute_requested":
		return read[UnmuteRequested]
	case "muted_all":
		return read[MutedAll]
	case "camera":
		return read[CameraSwitched]
	case "screen":
		return read[ScreenSwitched]
	case "hand":
		return read[HandMoved]
	case "chat":
		return read[Said]
	case "role":
		return read[RoleGiven]
	case "publishing":
		return read[PublishingChanged]
	case "ended":
		return read[MeetingEnded]
	case "restarted":
		return read[Restarted]
	}
	return nil
}

func read[T Body](b []byte) (Body, error) {
	var v T
	err := json.Unmarshal(b, &v)
	return v, err
}

// ErrUnknownKind is wrapped by [DecodeBody] for a kind that this version does not
// know, such as one written by a later version.
var ErrUnknownKind = errors.New("unknown event kind")

// EncodeBody returns the fields of an event without its kind.
func EncodeBody(b Body) ([]byte, error) { return json.Marshal(b) }

// DecodeBody is the inverse of [EncodeBody]. It ignores a field "kind".
func DecodeBody(kind string, data []byte) (Body, error) {
	f := newBody(kind)
	if f == nil {
		return nil, fmt.Errorf("%w %q", ErrUnknownKind, kind)
	}
	b, err := f(data)
	if err != nil {
		return nil, fmt.Errorf("decode event %q: %w", kind, err)
	}
	return b, nil
}

// Public returns the event without what participants may not know of each other.
func (e Event) Public() Event {
	if j, ok := e.Body.(Joined); ok {
		j.Participant.User = ""
		e.Body = j
	}
	return e
}
