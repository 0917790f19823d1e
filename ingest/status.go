package ingest

import (
	"maps"
	"time"

	"tongxiang/internal/media"
	"tongxiang/internal/mpegts"
)

// Status is how a channel is at a moment.
type Status struct {
	ID   string `json:"id"`
	Name string `json:"name"`

	State  State     `json:"state"`
	Since  time.Time `json:"since"`
	Reason Reason    `json:"reason,omitzero"` // why it does not play

	Playable   Playable `json:"playable"`
	PlayReason Reason   `json:"play_reason,omitzero"` // why not directly

	Source   string            `json:"source"`           // the address in use, without password
	Backup   bool              `json:"backup,omitempty"` // it is one of the backups
	Program  int               `json:"program,omitempty"`
	Service  string            `json:"service,omitempty"` // the name that the stream gives itself
	Provider string            `json:"provider,omitempty"`
	Formats  []Format          `json:"formats"`
	Bitrate  int64             `json:"bitrate"`          // bits a second that arrive, over about a second
	Attempts int               `json:"attempts"`         // how often a source was started, over all sources
	Errors   map[string]uint64 `json:"errors,omitempty"` // of the source in use, by name

	// Network, Stream and Program name the service for other multiplexes; 0: not known.
	Network int `json:"original_network_id,omitempty"`
	Stream  int `json:"transport_stream_id,omitempty"`
	// ClockOffset is the server's clock minus the broadcaster's, smoothed; nil: not known.
	ClockOffset *time.Duration `json:"-"`
	// Warnings are things that somebody should look at, though the channel plays.
	Warnings  []Reason        `json:"warnings,omitempty"`
	Transport *mpegts.Measure `json:"-"` // of the source in use; nil when it is no transport stream

	Sources []SourceStatus `json:"sources"` // the primary and the backups, in order
	Switch  Rule           `json:"switch"`  // the rule in force
	// Switched is when another source last went on air, and SwitchedFor why: a
	// [Fault], "manual", "back" (the primary is well again) or "removed".
	Switched    time.Time `json:"switched,omitzero"`
	SwitchedFor Fault     `json:"switched_for,omitempty"`
}

// SourceStatus is how one source of a channel is.
type SourceStatus struct {
	Address string    `json:"address"` // without password
	Active  bool      `json:"active"`  // it is the one on air, or to be on air
	State   State     `json:"state"`
	Since   time.Time `json:"since"`
	Reason  Reason    `json:"reason,omitzero"`
}

// Format is one picture or sound of a channel.
type Format struct {
	media.Format `json:"-"`
	Codec        string `json:"codec"`
	Published    bool   `json:"published"`
	Scrambled    bool   `json:"scrambled,omitempty"`
}

func (c *channel) status() Status {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.statusLocked()
}

func (c *channel) statusLocked() Status {
	s := Status{
		ID: c.cfg.ID, Name: c.cfg.Name, Backup: c.current > 0 && !c.places[c.current].gone,
		Switch: c.cfg.Switch.filled(), Switched: c.switched, SwitchedFor: c.why,
	}
	for i, p := range c.places {
		p.mu.Lock()
		s.Attempts += p.attempts
		if !p.gone {
			s.Sources = append(s.Sources, SourceStatus{
				Address: redacted(p.address), Active: i == c.current, State: p.state, Since: p.since, Reason: p.reason,
			})
		}
		if i == c.current {
			p.describe(&s)
		}
		p.mu.Unlock()
	}
	return s
}

// describe fills in what a channel says of its source in use. The caller holds p.mu.
func (p *place) describe(s *Status) {
	s.State, s.Since, s.Reason = p.state, p.since, p.reason
	if s.State == Idle { // it is about to be opened
		s.State = Connecting
	}
	s.Playable, s.PlayReason = p.playable, p.why
	s.Source, s.Bitrate = redacted(p.address), p.bitrate
	s.Program, s.Service, s.Provider = p.report.Program, p.report.Service, p.report.Provider
	s.Network, s.Stream = int(p.report.Network), int(p.report.Stream)
	if offset, ok := p.clock.read(); ok {
		s.ClockOffset = &offset
		if offset.Abs() > clockWarn {
			s.Warnings = append(s.Warnings, clockReason(offset))
		}
	}
	s.Errors, s.Transport = maps.Clone(p.report.Errors), p.report.Transport
	s.Formats = make([]Format, 0, len(p.report.Streams))
	if s.State != Live {
		s.Bitrate = 0
	}
	for _, st := range p.report.Streams {
		s.Formats = append(s.Formats, Format{
			Format: st.Format, Codec: codecName(st.Format), Published: st.Published, Scrambled: st.Scrambled,
		})
	}
}
