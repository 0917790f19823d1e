package stream

import (
	"errors"
	"fmt"
	"strings"
)

// Name identifies a stream: "channels/cctv1", "meetings/42/li",
// "meetings/42/programme", "channels/cctv1/webrtc". It is two to four segments
// joined by slashes; each is 1 to 64 of the characters a-z A-Z 0-9 . _ - and does
// not begin with a dot, so a name is safe in a URL and as a folder.
type Name string

// ErrBadName is wrapped by every error of [ParseName].
var ErrBadName = errors.New("bad stream name")

const (
	maxSegments = 4
	maxSegment  = 64
)

// ParseName checks s and returns it as a Name.
func ParseName(s string) (Name, error) {
	segs := strings.Split(s, "/")
	if len(segs) < 2 || len(segs) > maxSegments {
		return "", fmt.Errorf("%w: %d segments, want 2 to %d", ErrBadName, len(segs), maxSegments)
	}
	for _, seg := range segs {
		if err := CheckID(seg); err != nil {
			return "", err
		}
	}
	return Name(s), nil
}

// CheckID reports whether s can be one segment of a name: the id of a channel, a
// meeting or a participant.
func CheckID(s string) error {
	if s == "" || len(s) > maxSegment {
		return fmt.Errorf("%w: a segment has %d bytes, want 1 to %d", ErrBadName, len(s), maxSegment)
	}
	if s[0] == '.' {
		return fmt.Errorf("%w: %q begins with a dot", ErrBadName, s)
	}
	for i := range len(s) {
		if c := s[i]; !isIDByte(c) {
			return fmt.Errorf("%w: %q has the character %q", ErrBadName, s, c)
		}
	}
	return nil
}

func isIDByte(c byte) bool {
	switch {
	case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		return true
	}
	return c == '.' || c == '_' || c == '-'
}

// Channel returns the name of a channel's stream.
func Channel(id string) Name { return Name("channels/" + id) }

// Push returns the name of what an encoder sends to a channel: the channel's source
// "push:" takes it from there, so that backups and switching work alike.
func Push(channel string) Name { return Name("push/" + channel) }

// Participant returns the name of what a participant publishes in a meeting.
func Participant(meeting, participant string) Name {
	return Name("meetings/" + meeting + "/" + participant)
}

// Programme returns the name of a meeting's programme.
func Programme(meeting string) Name { return Participant(meeting, ProgrammeID) }

// ProgrammeID is the last segment of a programme's name; no participant may have it.
const ProgrammeID = "programme"

// Transport returns the name of a stream's transport packets as they were received:
// one track of packets labelled [LabelTransport], whose payloads are runs of packets
// of 188 bytes, each beginning with the tables.
func (n Name) Transport() Name { return n.Rendition(transport) }

// transport is the last segment of what Transport returns.
const transport = "raw"

// IsTransport reports whether n is what Transport returns for another name, and for which.
func (n Name) IsTransport() (of Name, ok bool) {
	s, ok := strings.CutSuffix(string(n), "/"+transport)
	return Name(s), ok && strings.Contains(s, "/")
}

// Rendition returns the name of a transcoded form of a stream, such as "webrtc" or "hls".
func (n Name) Rendition(kind string) Name { return n + "/" + Name(kind) }

// Segments returns the parts between the slashes.
func (n Name) Segments() []string { return strings.Split(string(n), "/") }

// String returns the name as text.
func (n Name) String() string { return string(n) }
