package jobs

import (
	"fmt"
	"strings"
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
	from, to, ok := strings.Cut(s, "-")
	if !ok {
		return Hours{}, fmt.Errorf("%q is not of the form 01:00-06:00", s)
	}
	var h Hours
	for text, at := range map[string]*time.Duration{from: &h.from, to: &h.to} {
		if text == "24:00" {
			continue // midnight
		}
		t, err := time.Parse("15:04", text)
		if err != nil {
			return Hours{}, fmt.Errorf("%q is not of the form 01:00-06:00", s)
		}
		*at = time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute
	}
	if from == to {
		h.to = h.from
	}
	return h, nil
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
