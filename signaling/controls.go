package signaling

import (
	"encoding/json"

	"tongxiang/signaling/meeting"
)

// control is one message that a client may send.
type control struct {
	// required are the fields without which the message means nothing: a
	// missing "muted" must not open a microphone.
	required []string
	read     func([]byte) (any, error)
}

// controls lists them all. A new one of the meeting needs a line here, its command
// and events in signaling/meeting, and its example in docs/protocol.md.
var controls = map[string]control{
	"hello": {[]string{"v"}, as[Hello]},
	"pong":  {[]string{"t"}, as[Pong]},
	"view":  {[]string{"slots"}, as[View]},
	"media": {nil, as[Refresh]},

	"mute":     {[]string{"muted"}, as[meeting.Mute]},
	"mute_all": {[]string{"muted"}, as[meeting.MuteAll]},
	"camera":   {[]string{"on"}, as[meeting.Camera]},
	"screen":   {[]string{"on"}, as[meeting.Screen]},
	"hand":     {[]string{"raised"}, as[meeting.Hand]},
	"chat":     {[]string{"text"}, as[meeting.Chat]},
	"role":     {[]string{"participant", "role"}, as[meeting.SetRole]},
	"leave":    {nil, as[meeting.Leave]},
	"end":      {nil, as[meeting.End]},
}

func as[T any](data []byte) (any, error) {
	var v T
	err := json.Unmarshal(data, &v)
	return v, err
}
