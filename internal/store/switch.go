package store

import (
	"encoding/json"
	"fmt"
)

// Switch is when a channel leaves its source for a backup and when it returns, as
// it was asked for: what is empty has its default. Durations are as in Go: "10s".
type Switch struct {
	// On lists the faults that count; nil: the default ones; empty: none.
	On []string `json:"on,omitzero" required:"false" maxItems:"16" doc:"no_packets, no_media, no_pcr, scrambled, black, frozen, silent"`
	// After is how long each is borne.
	After map[string]string `json:"after,omitzero" required:"false" doc:"How long each fault is borne, such as 10s"`
	Back  string            `json:"back,omitzero" required:"false" doc:"auto, manual or never"`
	// BackAfter is how long the primary must have been well before the return.
	BackAfter string `json:"back_after,omitzero" required:"false" doc:"How long the primary must be well before the return, such as 60s"`
	// Standby keeps the next source open, at the price of what it costs.
	Standby bool `json:"standby,omitzero" required:"false" doc:"Keep the next source open"`
}

// IsZero reports whether everything is left to the defaults.
func (s Switch) IsZero() bool {
	return s.On == nil && len(s.After) == 0 && s.Back == "" && s.BackAfter == "" && !s.Standby
}

// switchText is a switch as a column value.
func switchText(s Switch) (string, error) {
	if s.IsZero() {
		return "", nil
	}
	b, err := json.Marshal(s)
	return string(b), err
}

// switchColumn scans a switch.
type switchColumn struct{ s *Switch }

// Scan reads JSON text.
func (c switchColumn) Scan(v any) error {
	*c.s = Switch{}
	text, ok := v.(string)
	if !ok {
		return fmt.Errorf("scan a switching rule from %T", v)
	}
	if text == "" {
		return nil
	}
	return json.Unmarshal([]byte(text), c.s)
}
