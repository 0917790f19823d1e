package signaling

import (
	"encoding/json"
	"fmt"
	"unicode/utf8"

	"tongxiang/signaling/meeting"
)

// Version is the version of the protocol.
const Version = 1

// Limits of what a client sends (docs/protocol.md, section 6).
const (
	// MaxMessage is the largest message of a client, in bytes.
	MaxMessage = 16 << 10
	maxID      = 64
	maxWants   = 64
	maxHeight  = 4320
)

// The messages of a client that are not commands of the meeting.
type (
	// Hello asks for a seat.
	Hello struct {
		V      int    `json:"v"`
		Resume string `json:"resume,omitempty"`
		Name   string `json:"name,omitempty"`
		Lang   string `json:"lang,omitempty"`
		Muted  *bool  `json:"muted,omitempty"`
		Camera *bool  `json:"camera,omitempty"`
	}
	// Pong answers a ping.
	Pong struct {
		T int64 `json:"t"`
	}
	// View says what a page shows.
	View struct {
		Slots []Want `json:"slots"`
	}
	// Want is one slot of a [View].
	Want struct {
		Slot   int    `json:"slot"`
		Want   string `json:"want"` // "auto" or a participant
		Label  string `json:"label,omitempty"`
		Height int    `json:"height"`
	}
	// Refresh asks for a new media token.
	Refresh struct{}
)

// Message is one message of a client.
type Message struct {
	Type string
	ID   string // chosen by the client; empty: only errors are answered
	Body any    // [Hello], [Pong], [View], [Refresh] or a [meeting.Request]
}

// Decode reads a message of a client. When the error is not nil the message still
// has the ID, if that could be read.
func Decode(data []byte) (Message, error) {
	var m Message
	if !utf8.Valid(data) {
		return m, errMalformed.Because(fmt.Errorf("not UTF-8"))
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(data, &fields); err != nil {
		return m, errMalformed.Because(err)
	}
	if raw, ok := fields["id"]; ok {
		if err := json.Unmarshal(raw, &m.ID); err != nil || len(m.ID) > maxID {
			m.ID = ""
			return m, errMalformed.Because(fmt.Errorf("id: not a string of up to %d bytes", maxID))
		}
	}
	if err := json.Unmarshal(fields["type"], &m.Type); err != nil {
		return m, errMalformed.Because(fmt.Errorf("type: %w", err))
	}
	c, ok := controls[m.Type]
	if !ok {
		return m, errMalformed.Because(fmt.Errorf("unknown type %.40q", m.Type))
	}
	for _, name := range c.required {
		if raw, ok := fields[name]; !ok || string(raw) == "null" {
			return m, errMalformed.Because(fmt.Errorf("%s: %s is missing", m.Type, name))
		}
	}
	body, err := c.read(data)
	if err != nil {
		return m, errMalformed.Because(err)
	}
	m.Body = body
	return m, nil
}

// MarshalJSON writes the message as a client sends it.
func (m Message) MarshalJSON() ([]byte, error) {
	head := struct {
		Type string `json:"type"`
		ID   string `json:"id,omitempty"`
	}{m.Type, m.ID}
	return join(head, m.Body)
}

// join returns the fields of both as one JSON object.
func join(a, b any) ([]byte, error) {
	x, err := json.Marshal(a)
	if err != nil {
		return nil, err
	}
	y, err := json.Marshal(b)
	if err != nil {
		return nil, err
	}
	if string(y) == "{}" {
		return x, nil
	}
	return append(append(x[:len(x)-1], ','), y[1:]...), nil
}

// wants checks a view and returns it in the words of the layout.
func (v View) wants(slots int) ([]meeting.Want, error) {
	if len(v.Slots) > maxWants {
		return nil, errInvalid.Because(fmt.Errorf("%d slots", len(v.Slots)))
	}
	var out []meeting.Want
	for _, w := range v.Slots {
		if w.Slot < 0 || w.Slot >= slots || w.Height < 0 {
			return nil, errInvalid.Because(fmt.Errorf("slot %d of %d, height %d", w.Slot, slots, w.Height))
		}
		one := meeting.Want{Slot: w.Slot, Label: w.Label, Height: min(w.Height, maxHeight)}
		switch w.Label {
		case "":
			one.Label = meeting.LabelVideo
		case meeting.LabelVideo, meeting.LabelScreen:
		default:
			return nil, errInvalid.Because(fmt.Errorf("label %.40q", w.Label))
		}
		if w.Want != "auto" {
			one.Participant = meeting.ID(w.Want)
		}
		out = append(out, one)
	}
	return out, nil
}
