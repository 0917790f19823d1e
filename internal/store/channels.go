package store

import (
	"context"
	"fmt"
)

// Channel is a channel added through the API. Those of the configuration file are
// not stored.
type Channel struct {
	ID       string
	Name     string
	Source   string   // URL
	Program  int      // MPEG-TS program number; 0: the first playable one
	Backup   []string // URLs, tried in order when Source is lost
	Position int      // place in lists; equal ones are ordered by id
	Switch   Switch
}

const channelColumns = "id, name, source, program, backup, position, switching"

func scanChannel(r scanner, c *Channel) error {
	return r.Scan(&c.ID, &c.Name, &c.Source, &c.Program, list{&c.Backup}, &c.Position, switchColumn{&c.Switch})
}

// CreateChannel adds a channel; a taken id is [ErrConflict].
func (s *Store) CreateChannel(ctx context.Context, c Channel) error {
	backup, err := listText(c.Backup)
	if err != nil {
		return fmt.Errorf("create channel %q: %w", c.ID, err)
	}
	rule, err := switchText(c.Switch)
	if err != nil {
		return fmt.Errorf("create channel %q: %w", c.ID, err)
	}
	_, err = s.exec(ctx, "INSERT INTO channels ("+channelColumns+") VALUES ($1, $2, $3, $4, $5, $6, $7)",
		c.ID, c.Name, c.Source, c.Program, backup, c.Position, rule)
	if err != nil {
		return fmt.Errorf("create channel %q: %w", c.ID, err)
	}
	return nil
}

// UpdateChannel writes every field but the id.
func (s *Store) UpdateChannel(ctx context.Context, c Channel) error {
	backup, err := listText(c.Backup)
	if err != nil {
		return fmt.Errorf("update channel %q: %w", c.ID, err)
	}
	rule, err := switchText(c.Switch)
	if err != nil {
		return fmt.Errorf("update channel %q: %w", c.ID, err)
	}
	err = s.execOne(ctx, "UPDATE channels SET name = $1, source = $2, program = $3, backup = $4, position = $5, switching = $6 WHERE id = $7",
		c.Name, c.Source, c.Program, backup, c.Position, rule, c.ID)
	if err != nil {
		return fmt.Errorf("update channel %q: %w", c.ID, err)
	}
	return nil
}

// Channel returns a channel.
func (s *Store) Channel(ctx context.Context, id string) (Channel, error) {
	c, err := one(ctx, s.read, scanChannel, "SELECT "+channelColumns+" FROM channels WHERE id = $1", id)
	if err != nil {
		return Channel{}, fmt.Errorf("channel %q: %w", id, err)
	}
	return c, nil
}

// Channels returns all channels by position.
func (s *Store) Channels(ctx context.Context) ([]Channel, error) {
	l, err := many(ctx, s.read, scanChannel, "SELECT "+channelColumns+" FROM channels ORDER BY position, id")
	if err != nil {
		return nil, fmt.Errorf("list channels: %w", err)
	}
	return l, nil
}

// DeleteChannel removes a channel.
func (s *Store) DeleteChannel(ctx context.Context, id string) error {
	if err := s.execOne(ctx, "DELETE FROM channels WHERE id = $1", id); err != nil {
		return fmt.Errorf("delete channel %q: %w", id, err)
	}
	return nil
}
