package server

import (
	"context"
	"fmt"
	"sync"

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

	mu    sync.Mutex
	rows  map[string]store.Channel
	fixed map[string]bool
}

func newChannelTable(ctx context.Context, running *ingest.Channels, fixed []configs.Channel, st *store.Store) (*channelTable, error) {
	t := &channelTable{running: running, rows: map[string]store.Channel{}, fixed: map[string]bool{}}
	for _, c := range fixed {
		row := store.Channel{ID: c.ID, Name: c.Name, Source: c.Source, Program: c.Program, Backup: c.Backup}
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
	if err := t.running.Add(ingest.ChannelConfig{ID: c.ID, Name: c.Name, Source: c.Source, Program: c.Program, Backup: c.Backup}); err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.rows[c.ID] = c
	return nil
}

// Remove stops a channel; one that is not there is no error.
func (t *channelTable) Remove(id string) {
	// The only error is that there is none.
	_ = t.running.Remove(id)
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.rows, id)
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
	for _, f := range s.Formats {
		out.Tracks = append(out.Tracks, api.Track{
			Kind: f.Format.Codec.Kind().String(), Codec: f.Codec, Width: f.Width, Height: f.Height, Language: f.Language, Note: f.Note,
		})
	}
	return out
}
