package signaling

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"strconv"
	"strings"

	"tongxiang/signaling/meeting"
)

// A resume token says which seat a client had:
//
//	v1.<meeting>.<participant>.<epoch>.<HMAC-SHA256 of what is before>
//
// with the first two and the last in base64url. It proves nothing about who
// connects (the login does, and the seat must be of the same account), so it
// needs no end; it survives a restart because the key does.

var b64 = base64.RawURLEncoding

func signResume(key []byte, meetingID string, c meeting.Claim) string {
	head := "v1." + b64.EncodeToString([]byte(meetingID)) + "." +
		b64.EncodeToString([]byte(c.Participant)) + "." + strconv.FormatInt(c.Epoch, 10)
	return head + "." + b64.EncodeToString(resumeMAC(key, head))
}

// openResume returns the claim of a token, or none when it is damaged or of another meeting.
func openResume(key []byte, meetingID, token string) meeting.Claim {
	i := strings.LastIndexByte(token, '.')
	if i < 0 {
		return meeting.Claim{}
	}
	mac, err := b64.DecodeString(token[i+1:])
	if err != nil || !hmac.Equal(mac, resumeMAC(key, token[:i])) {
		return meeting.Claim{}
	}
	parts := strings.Split(token[:i], ".")
	if len(parts) != 4 || parts[0] != "v1" || parts[1] != b64.EncodeToString([]byte(meetingID)) {
		return meeting.Claim{}
	}
	id, err := b64.DecodeString(parts[2])
	if err != nil {
		return meeting.Claim{}
	}
	epoch, err := strconv.ParseInt(parts[3], 10, 64)
	if err != nil {
		return meeting.Claim{}
	}
	return meeting.Claim{Participant: meeting.ID(id), Epoch: epoch}
}

func resumeMAC(key []byte, head string) []byte {
	m := hmac.New(sha256.New, key)
	m.Write([]byte("tongxiang resume\n"))
	m.Write([]byte(head))
	return m.Sum(nil)
}
