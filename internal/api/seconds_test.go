package api

import (
	"encoding/json"
	"testing"
	"time"
)

func TestSecondsAreANumberOrAText(t *testing.T) {
	for text, want := range map[string]time.Duration{`60`: time.Minute, `1.5`: 1500 * time.Millisecond, `"5m"`: 5 * time.Minute, `"1h30m"`: 90 * time.Minute, `-3`: -3 * time.Second} {
		var s Seconds
		if err := json.Unmarshal([]byte(text), &s); err != nil || time.Duration(s) != want {
			t.Errorf("%s is %v, %v", text, time.Duration(s), err)
		}
	}
}

func FuzzSecondsComeBack(f *testing.F) {
	for _, s := range []string{"60", `"5m"`, "1e300", "NaN", `"x"`, "{}", "-0", `"9999999h"`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var s, back Seconds
		if json.Unmarshal([]byte(text), &s) != nil {
			return
		}
		b, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		if time.Duration(s).Abs() > 1e9*time.Second { // a text may say more than a number
			return
		}
		if err := json.Unmarshal(b, &back); err != nil || (time.Duration(s)-time.Duration(back)).Abs() > time.Microsecond {
			t.Fatalf("%q is %v and came back as %v: %v", text, time.Duration(s), time.Duration(back), err)
		}
	})
}
