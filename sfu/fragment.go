package sfu

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/pion/sdp/v3"
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

// restarted returns an offer with other ICE credentials and without candidates.
func restarted(offer string, f fragment) string {
	var b strings.Builder
	for line := range strings.SplitSeq(strings.TrimSuffix(offer, "\r\n"), "\r\n") {
		switch {
		case strings.HasPrefix(line, "a=ice-ufrag:"):
			line = "a=ice-ufrag:" + f.ufrag
		case strings.HasPrefix(line, "a=ice-pwd:"):
			line = "a=ice-pwd:" + f.pwd
		case strings.HasPrefix(line, "a=candidate:"), line == "a=end-of-candidates":
			continue
		}
		b.WriteString(line)
		b.WriteString("\r\n")
	}
	return b.String()
}

// answerFragment makes the answer to an ICE restart: the session's credentials
// and the candidates of the first m-line (RFC 9725 section 4.3.3).
func answerFragment(answer string) string {
	var b strings.Builder
	var d sdp.SessionDescription
	if d.UnmarshalString(answer) != nil || len(d.MediaDescriptions) == 0 {
		return ""
	}
	m := d.MediaDescriptions[0]
	get := func(key string) string {
		if v, ok := m.Attribute(key); ok {
			return v
		}
		v, _ := d.Attribute(key)
		return v
	}
	b.WriteString("a=ice-lite\r\n")
	fmt.Fprintf(&b, "a=ice-ufrag:%s\r\na=ice-pwd:%s\r\n", get("ice-ufrag"), get("ice-pwd"))
	fmt.Fprintf(&b, "m=%s\r\na=mid:%s\r\n", m.MediaName.String(), get("mid"))
	for _, a := range m.Attributes {
		if a.Key == "candidate" {
			fmt.Fprintf(&b, "a=candidate:%s\r\n", a.Value)
		}
	}
	b.WriteString("a=end-of-candidates\r\n")
	return b.String()
}
