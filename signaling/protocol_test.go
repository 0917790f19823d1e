package signaling

import (
	"encoding/json"
	"os"
	"reflect"
	"regexp"
	"testing"
)

var example = regexp.MustCompile("(?m)^```json (c2s|s2c) ([a-z_]+)( [a-z_]+)?\n((?s:.*?))^```$")

func examples(t testing.TB) [][]string {
	raw, err := os.ReadFile("../docs/protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	var out [][]string
	for _, m := range example.FindAllStringSubmatch(string(raw), -1) {
		out = append(out, m[1:])
	}
	if len(out) < 40 {
		t.Fatalf("only %d examples found in protocol.md", len(out))
	}
	return out
}

func requireSameJSON(t *testing.T, got []byte, want string) {
	t.Helper()
	var a, b any
	if err := json.Unmarshal(got, &a); err != nil {
		t.Fatalf("%v in %s", err, got)
	}
	if err := json.Unmarshal([]byte(want), &b); err != nil {
		t.Fatalf("%v in %s", err, want)
	}
	if !reflect.DeepEqual(a, b) {
		t.Errorf("encoded again:\n got %s\nwant %s", got, want)
	}
}

func TestEveryExampleOfTheProtocolDecodesAndEncodesAgain(t *testing.T) {
	seen := map[string]bool{}
	for _, ex := range examples(t) {
		side, name, text := ex[0], ex[1], ex[3]
		seen[side+" "+name] = true
		t.Run(side+"/"+name+ex[2], func(t *testing.T) {
			if side == "c2s" {
				m, err := Decode([]byte(text))
				if err != nil {
					t.Fatal(err)
				}
				if m.Type != name {
					t.Fatalf("type %q under the heading %q", m.Type, name)
				}
				again, err := json.Marshal(m)
				if err != nil {
					t.Fatal(err)
				}
				requireSameJSON(t, again, text)
				return
			}
			v, err := DecodeServer([]byte(text))
			if err != nil || v == nil {
				t.Fatalf("%v, %v", v, err)
			}
			if h, ok := v.(Happened); ok && " "+h.Event.Kind() != ex[2] {
				t.Fatalf("kind %q under the heading %q", h.Event.Kind(), ex[2])
			}
			if typeOf(v) != name {
				t.Fatalf("type %q under the heading %q", typeOf(v), name)
			}
			requireSameJSON(t, Encode(v), text)
		})
	}
	for name := range controls {
		if !seen["c2s "+name] {
			t.Errorf("%s has no example in protocol.md", name)
		}
	}
	for name := range serverMessages {
		if !seen["s2c "+name] {
			t.Errorf("%s has no example in protocol.md", name)
		}
	}
}

func TestMessagesWithoutWhatTheyMeanAreMalformed(t *testing.T) {
	for _, text := range []string{
		``, `null`, `[]`, `7`, `{`, `{}`, `{"type":7}`, `{"type":"fly"}`, `{"type":"mute"}`, `{"type":"mute","muted":null}`,
		`{"type":"mute","muted":"yes"}`, `{"type":"role","participant":"li"}`, `{"type":"view","slots":7}`,
		`{"type":"leave","id":7}`, "{\"type\":\"chat\",\"text\":\"\xff\"}",
	} {
		if _, err := Decode([]byte(text)); !isCode(err, "malformed") {
			t.Errorf("%q: %v, want malformed", text, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, ex := range examples(f) {
		f.Add([]byte(ex[3]))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if m, err := Decode(data); err == nil {
			again, err := json.Marshal(m)
			if err != nil {
				t.Fatal(err)
			}
			back, err := Decode(again)
			if err != nil || !reflect.DeepEqual(back, m) {
				t.Fatalf("%+v became %+v (%v)", m, back, err)
			}
			if v, ok := m.Body.(View); ok {
				_, _ = v.wants(9)
			}
		}
		if v, err := DecodeServer(data); err == nil && v != nil {
			if h, ok := v.(Happened); ok && h.Event.Body == nil {
				return // the field was missing
			}
			_ = typeOf(v)
		}
	})
}

func FuzzResumeToken(f *testing.F) {
	key := []byte("0123456789abcdef")
	good := signResume(key, "42", claimOf("li", 17))
	f.Add(good)
	f.Add("v1....")
	f.Fuzz(func(t *testing.T, token string) {
		if c := openResume(key, "42", token); c.Participant != "" && token != good && signResume(key, "42", c) != token {
			t.Fatalf("%q claims %+v", token, c)
		}
	})
}

func TestResumeTokenIsGoodForItsMeetingAndKeyOnly(t *testing.T) {
	key := []byte("0123456789abcdef")
	c := claimOf("li", 17)
	token := signResume(key, "42", c)
	if got := openResume(key, "42", token); got != c {
		t.Errorf("got %+v", got)
	}
	for name, got := range map[string]any{
		"another meeting": openResume(key, "43", token),
		"another key":     openResume([]byte("fedcba9876543210"), "42", token),
		"cut off":         openResume(key, "42", token[:len(token)-1]),
		"changed":         openResume(key, "42", "v1.NDI.bGk.18"+token[len("v1.NDI.bGk.17"):]),
	} {
		if got != claimOf("", 0) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
