package meeting

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"
)

// Claim is what a resume token says: this participant, since this event.
type Claim struct {
	Participant ID
	Epoch       int64
}

// Seat chooses the seat of an account that connects: the claimed one if it is
// still the same and belongs to the account, connected or not (the newest
// connection wins); else a cut seat of the account; else a new one. taken says
// that the seat exists.
func (s *State) Seat(user string, claim Claim) (id ID, taken bool) {
	if p := s.Find(claim.Participant); p != nil && !p.Encoder && p.User == user && p.Epoch == claim.Epoch {
		return p.ID, true
	}
	for i := range s.Participants {
		if p := &s.Participants[i]; p.User == user && !p.Connected && !p.Encoder {
			return p.ID, true
		}
	}
	base := BaseID(user)
	for n := 1; ; n++ {
		id := base
		if n > 1 {
			id = base + ID("-"+strconv.Itoa(n))
		}
		p := s.Find(id)
		if p == nil || p.Encoder && n == 1 {
			return id, false
		}
	}
}

// reserved are ids that name something else among a meeting's streams.
var reserved = map[ID]bool{"programme": true, "hls": true, "webrtc": true}

// BaseID returns the participant id of an account's first seat: the account's
// own if it can be part of a stream name, else one derived from it.
func BaseID(user string) ID {
	// Six bytes are left for the number of a second seat.
	const longest = 64 - 6
	ok := user != "" && len(user) <= longest && user[0] != '.' && !reserved[ID(user)]
	for i := 0; ok && i < len(user); i++ {
		c := user[i]
		ok = c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '_' || c == '-'
	}
	if ok {
		return ID(user)
	}
	sum := sha256.Sum256([]byte(user))
	return ID("u-" + hex.EncodeToString(sum[:6]))
}

// SeatNumber returns the number of an account's further seat, "2" for li-2, and
// nothing for the first.
func SeatNumber(user string, id ID) string {
	n, ok := strings.CutPrefix(string(id), string(BaseID(user))+"-")
	if !ok {
		return ""
	}
	return n
}
