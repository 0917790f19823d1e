package signaling

import (
	"encoding/json"
	"fmt"

	"tongxiang/signaling/meeting"
)

// The messages of the server; docs/protocol.md, section 4, says when each is sent.
type (
	// Welcome answers hello.
	Welcome struct {
		V       int            `json:"v"`
		You     meeting.ID     `json:"you"`
		Resumed bool           `json:"resumed"`
		Resume  string         `json:"resume"`
		Seq     int64          `json:"seq"`
		Meeting Info           `json:"meeting"`
		State   *meeting.State `json:"state"`
		Media   MediaAccess    `json:"media"`
	}
	// MediaAccess is how a page publishes and watches.
	MediaAccess struct {
		WHIP       string       `json:"whip"` // empty: may not publish
		WHEP       string       `json:"whep"`
		Token      string       `json:"token"`
		Expires    meeting.Time `json:"expires"`
		VideoSlots int          `json:"video_slots"`
		AudioSlots int          `json:"audio_slots"`
	}
	// NewMedia replaces the access of the welcome.
	NewMedia struct {
		Media MediaAccess `json:"media"`
	}
	// OK answers a command that was carried out.
	OK struct {
		ID string `json:"id"`
	}
	// Failure answers a command that was not.
	Failure struct {
		ID      string       `json:"id,omitempty"`
		Code    string       `json:"code"`
		Message string       `json:"message"`
		Need    meeting.Role `json:"need,omitempty"`
	}
	// Ping asks for a pong.
	Ping struct {
		T int64 `json:"t"`
	}
	// Happened is an event of the meeting.
	Happened struct {
		Seq   int64        `json:"seq"`
		At    meeting.Time `json:"at"`
		Event eventBody    `json:"event"`
	}
	// Slots says who is in which slot of this viewer.
	Slots struct {
		Video []VideoState `json:"video"`
		Audio []AudioState `json:"audio"`
	}
	// VideoState is one video slot.
	VideoState struct {
		Slot        int        `json:"slot"`
		Mid         string     `json:"mid"`
		Participant meeting.ID `json:"participant"`
		Label       string     `json:"label"`
		Live        bool       `json:"live"`
		Layer       int        `json:"layer"`
	}
	// AudioState is one audio slot.
	AudioState struct {
		Slot        int        `json:"slot"`
		Mid         string     `json:"mid"`
		Participant meeting.ID `json:"participant"`
	}
	// Speaker says who speaks loudest.
	Speaker struct {
		Participant meeting.ID `json:"participant"`
	}
	// Layers says which simulcast layers of this publisher are wanted.
	Layers struct {
		Active []string `json:"active"`
	}
	// Bye is the last message.
	Bye struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	}
)

// eventBody writes a [meeting.Body] with its kind.
type eventBody struct{ meeting.Body }

// MarshalJSON writes the body's fields after its kind.
func (e eventBody) MarshalJSON() ([]byte, error) {
	return join(struct {
		Kind string `json:"kind"`
	}{e.Kind()}, e.Body)
}

// UnmarshalJSON reads the body of the kind that the object names.
func (e *eventBody) UnmarshalJSON(data []byte) error {
	var head struct {
		Kind string `json:"kind"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return err
	}
	body, err := meeting.DecodeBody(head.Kind, data)
	e.Body = body
	return err
}

// typeOf returns the name of a server's message on the wire.
func typeOf(v any) string {
	switch v.(type) {
	case Welcome:
		return "welcome"
	case NewMedia:
		return "media"
	case OK:
		return "ok"
	case Failure:
		return "error"
	case Ping:
		return "ping"
	case Happened:
		return "event"
	case Slots:
		return "slots"
	case Speaker:
		return "speaker"
	case Layers:
		return "layers"
	case Bye:
		return "bye"
	}
	panic(fmt.Sprintf("signaling: %T is not a message of the server", v))
}

// Encode writes a message of the server; v is one of the types above.
func Encode(v any) []byte {
	b, err := join(struct {
		Type string `json:"type"`
	}{typeOf(v)}, v)
	if err != nil {
		// Only a time outside the years 0 to 9999 could do that.
		panic(fmt.Sprintf("signaling: encode %T: %v", v, err))
	}
	return b
}

// DecodeServer reads a message of the server, for clients in Go. An unknown type
// gives nil without an error: clients ignore what they do not know.
func DecodeServer(data []byte) (any, error) {
	var head struct {
		Type string `json:"type"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return nil, fmt.Errorf("decode message of the server: %w", err)
	}
	read, ok := serverMessages[head.Type]
	if !ok {
		return nil, nil
	}
	v, err := read(data)
	if err != nil {
		return nil, fmt.Errorf("decode %s: %w", head.Type, err)
	}
	return v, nil
}

var serverMessages = map[string]func([]byte) (any, error){
	"welcome": as[Welcome], "media": as[NewMedia], "ok": as[OK], "error": as[Failure], "ping": as[Ping],
	"event": as[Happened], "slots": as[Slots], "speaker": as[Speaker], "layers": as[Layers], "bye": as[Bye],
}
