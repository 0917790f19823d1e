package sfu

import (
	"bytes"
	"fmt"
	"strings"
)

// fragment is what a PATCH of application/trickle-ice-sdpfrag (RFC 8840) says.
type fragment struct {
	ufrag, pwd string
	candidates int
}

// readFragment parses an SDP fragment. Attributes may stand at the session or
// the media level; under BUNDLE they must agree, so the first counts.
func readFragment(b []byte) (fragment, error) {
	var f fragment
	for line := range bytes.SplitSeq(b, []byte("\n")) {
		s := strings.TrimSuffix(string(line), "\r")
		if s == "" {
			continue
		}
		if len(s) < 2 || s[1] != '=' {
			return fragment{}, errBadFragment.Because(fmt.Errorf("line %q", s))
		}
		key, value, _ := strings.Cut(s[2:], ":")
		if s[0] != 'a' {
			continue
		}
		switch key {
		case "ice-ufrag":
			if f.ufrag == "" {
				f.ufrag = value
			}
		case "ice-pwd":
			if f.pwd == "" {
				f.pwd = value
			}
		case "candidate":
			f.candidates++
		}
	}
	if f.ufrag == "" && f.candidates == 0 && f.pwd == "" {
		return fragment{}, errBadFragment.Because(fmt.Errorf("neither credentials nor candidates"))
	}
	// RFC 8839 section 5.4: 4 to 256 and 22 to 256 characters.
	if (f.ufrag != "" || f.pwd != "") && (!iceChars(f.ufrag, 4) || !iceChars(f.pwd, 22)) {
		return fragment{}, errBadFragment.Because(fmt.Errorf("bad ICE credentials"))
	}
	return f, nil
}

func iceChars(s string, atLeast int) bool {
	if len(s) < atLeast || len(s) > 256 {
		return false
	}
	for _, c := range []byte(s) {
		ok := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '+' || c == '/'
		if !ok {
			return false
		}
	}
	return true
}
