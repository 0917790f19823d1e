package server

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"tongxiang/configs"
	"tongxiang/ingest"
	"tongxiang/internal/api"
	"tongxiang/internal/store"
)

// channelTable is what the API sees of the channels: those of the configuration
// file, which cannot be changed by the API, and those of the store. It keeps what
// was asked for; internal/ingest knows how they are.
type channelTable struct {
	running *ingest.Channels
	removed func(id string) // told behind the end of a channel

	mu    sync.Mutex
	rows  map[string]store.Channel
	fixed map[string]bool
}

func newChannelTable(ctx context.Context, running *ingest.Channels, fixed []configs.Channel, st *store.Store, removed func(string)) (*channelTable, error) {
	t := &channelTable{running: running, removed: removed, rows: map[string]store.Channel{}, fixed: map[string]bool{}}
	for _, c := range fixed {
		row := store.Channel{ID: c.ID, Name: c.Name, Source: c.Source, Program: c.Program, Backup: c.Backup, Switch: fixedSwitch(c.Switch)}
		if err := t.Add(row); err != nil {
			return nil, fmt.Errorf("channel %q of the configuration: %w", c.ID, err)
		}
		t.fixed[c.ID] = true
	}
	rows, err := st.Channels(ctx)
	if err != nil {
		return nil, err
	}
	for _, row := range rows {
		if t.fixed[row.ID] { // the file wins; the row stays for when it is taken out of the file
			continue
		}
		if err := t.Add(row); err != nil {
			return nil, fmt.Errorf("channel %q of the store: %w", row.ID, err)
		}
	}
	return t, nil
}

// Add starts a channel.
func (t *channelTable) Add(c store.Channel) error {
	return t.put(c, t.running.Add)
}

// Update changes a channel in its course.
func (t *channelTable) Update(c store.Channel) error {
	return t.put(c, t.running.Update)
}

func (t *channelTable) put(c store.Channel, how func(ingest.ChannelConfig) error) error {
	rule, err := ruleOf(c.Switch)
	if err != nil {
		return err
	}
	if err := how(ingest.ChannelConfig{ID: c.ID, Name: c.Name, Source: c.Source, Program: c.Program, Backup: c.Backup, Switch: rule}); err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.rows[c.ID] = c
	return nil
}

// Switch puts a source of a channel on air.
func (t *channelTable) Switch(id string, source int) error {
	err := t.running.Switch(id, source)
	if errors.Is(err, ingest.ErrNoSource) {
		return fmt.Errorf("%w: %w", api.ErrNoSource, err)
	}
	return err
}

// Remove stops a channel; one that is not there is no error.
func (t *channelTable) Remove(id string) {
	// The only error is that there is none.
	_ = t.running.Remove(id)
	t.mu.Lock()
	delete(t.rows, id)
	t.mu.Unlock()
	t.removed(id)
}

// List returns all channels as they are.
func (t *channelTable) List() []api.ChannelState {
	all := t.running.List()
	out := make([]api.ChannelState, len(all))
	for i, s := range all {
		out[i] = t.state(s)
	}
	return out
}

// Get returns one channel as it is.
func (t *channelTable) Get(id string) (api.ChannelState, bool) {
	s, ok := t.running.Get(id)
	if !ok {
		return api.ChannelState{}, false
	}
	return t.state(s), true
}

func (t *channelTable) state(s ingest.Status) api.ChannelState {
	t.mu.Lock()
	row, fixed := t.rows[s.ID], t.fixed[s.ID]
	t.mu.Unlock()
	row.ID, row.Name = s.ID, s.Name
	reason := s.Reason
	if reason.Code == "" {
		reason = s.PlayReason
	}
	out := api.ChannelState{
		Channel: row, Fixed: fixed, State: string(s.State), Since: s.Since,
		Playable: string(s.Playable), Reason: api.Reason{Code: reason.Code, EN: reason.EN, ZH: reason.ZH}, Bitrate: s.Bitrate,
	}
	out.Service, out.Provider, out.OnBackup, out.Attempts, out.Errors = s.Service, s.Provider, s.Backup, s.Attempts, s.Errors
	out.ClockOffset = s.ClockOffset
	for _, w := range s.Warnings {
		out.Warnings = append(out.Warnings, api.Reason{Code: w.Code, EN: w.EN, ZH: w.ZH})
	}
	out.Rule, out.Switched, out.SwitchedFor = switchOf(s.Switch), s.Switched, string(s.SwitchedFor)
	for _, x := range s.Sources {
		out.Sources = append(out.Sources, api.Source{
			Address: x.Address, Active: x.Active, State: string(x.State), Since: x.Since.UTC(), Reason: reasonOf(x.Reason),
		})
	}
	for _, f := range s.Formats {
		out.Tracks = append(out.Tracks, api.Track{
			Kind: f.Format.Codec.Kind().String(), Codec: f.Codec, Width: f.Width, Height: f.Height, Language: f.Language, Note: f.Note,
		})
	}
	return out
}

// ruleOf reads a switching rule as it was asked for.
func ruleOf(s store.Switch) (ingest.Rule, error) {
	r := ingest.Rule{Back: ingest.Back(s.Back), Standby: s.Standby}
	bad := func(err error) (ingest.Rule, error) { return r, fmt.Errorf("%w: %w", api.ErrBadSwitch, err) }
	if s.On != nil {
		r.On = []ingest.Fault{}
	}
	for _, f := range s.On {
		r.On = append(r.On, ingest.Fault(f))
	}
	for f, text := range s.After {
		d, err := time.ParseDuration(text)
		if err != nil {
			return bad(fmt.Errorf("after.%s: %w", f, err))
		}
		if r.After == nil {
			r.After = make(map[ingest.Fault]time.Duration)
		}
		r.After[ingest.Fault(f)] = d
	}
	if s.BackAfter != "" {
		d, err := time.ParseDuration(s.BackAfter)
		if err != nil {
			return bad(fmt.Errorf("back_after: %w", err))
		}
		r.BackAfter = d
	}
	if err := r.Check(); err != nil {
		return bad(err)
	}
	return r, nil
}

// switchOf is the opposite of ruleOf.
func switchOf(r ingest.Rule) store.Switch {
	s := store.Switch{Back: string(r.Back), BackAfter: r.BackAfter.String(), Standby: r.Standby, On: []string{}, After: map[string]string{}}
	for _, f := range r.On {
		s.On = append(s.On, string(f))
	}
	for f, d := range r.After {
		s.After[string(f)] = d.String()
	}
	return s
}

// fixedSwitch is the rule of a channel in the configuration file.
func fixedSwitch(c configs.Switch) store.Switch {
	s := store.Switch{On: c.On, Back: c.Back, Standby: c.Standby}
	if c.BackAfter != 0 {
		s.BackAfter = c.BackAfter.String()
	}
	for f, d := range c.After.Map() {
		if s.After == nil {
			s.After = map[string]string{}
		}
		s.After[f] = d.String()
	}
	return s
}
