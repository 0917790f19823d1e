package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"
)

// Seconds is a length of time: a number of seconds, or, in requests, a text such as
// "90s" or "5m".
type Seconds time.Duration

// MarshalJSON writes a number.
func (s Seconds) MarshalJSON() ([]byte, error) {
	return strconv.AppendFloat(nil, time.Duration(s).Seconds(), 'f', -1, 64), nil
}

// UnmarshalJSON reads either.
func (s *Seconds) UnmarshalJSON(b []byte) error {
	if bytes.HasPrefix(b, []byte(`"`)) {
		var text string
		if err := json.Unmarshal(b, &text); err != nil {
			return err
		}
		d, err := time.ParseDuration(text)
		*s = Seconds(d)
		return err
	}
	f, err := strconv.ParseFloat(string(b), 64)
	if err != nil || math.Abs(f) > 1e9 {
		return fmt.Errorf("%.20s is no number of seconds", b)
	}
	*s = Seconds(f * float64(time.Second))
	return nil
}

// Schema describes it.
func (s Seconds) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{OneOf: []*huma.Schema{
		{Type: huma.TypeNumber, Format: "double"},
		{Type: huma.TypeString, Pattern: `^([0-9]+(\.[0-9]+)?(h|m|s|ms))+$`},
	}, Description: "Seconds, or a text such as 90s or 5m"}
}
