package jobs

import (
	"fmt"
	"time"
)

// Hours is a time of day, in the zone of the times that are asked about. It may pass
// midnight; from and to alike are the whole day. The zero value is the whole day.
type Hours struct{ from, to time.Duration } // since midnight

// ParseHours reads "01:00-06:00". Empty is the whole day.
func ParseHours(s string) (Hours, error) {
	if s == "" {
		return Hours{}, nil
	}
	var h [4]int
	var rest string
	if n, _ := fmt.Sscanf(s+"\n", "%2d:%2d-%2d:%2d%s\n", &h[0], &h[1], &h[2], &h[3], &rest); n != 4 {
		return Hours{}, fmt.Errorf("%q is not of the form 01:00-06:00", s)
	}
	at := func(hour, minute int) time.Duration {
		return time.Duration(hour)*time.Hour + time.Duration(minute)*time.Minute
	}
	for i := 0; i < 4; i += 2 {
		if h[i] < 0 || h[i+1] < 0 || h[i+1] > 59 || at(h[i], h[i+1]) > 24*time.Hour {
			return Hours{}, fmt.Errorf("%q has a time that no day has", s)
		}
	}
	return Hours{at(h[0], h[1]) % (24 * time.Hour), at(h[2], h[3]) % (24 * time.Hour)}, nil
}

// Contain reports whether a time lies within.
func (h Hours) Contain(t time.Time) bool {
	at := time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute + time.Duration(t.Second())*time.Second
	switch {
	case h.from == h.to:
		return true
	case h.from < h.to:
		return at >= h.from && at < h.to
	}
	return at >= h.from || at < h.to
}
