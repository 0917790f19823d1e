package store

import (
	"context"
	"fmt"
)

// Output is a transport-stream output added through the API. Those of the
// configuration file are not stored.
type Output struct {
	ID       string
	Stream   string // name of the stream that goes out
	Address  string // URL: udp or rtp, with options
	Bitrate  int64  // bits a second; 0: what the stream needs and a tenth
	Service  int    // service_id; 0: 1
	Name     string // service name; empty: the stream's
	Provider string
}

const outputColumns = "id, stream, address, bitrate, service_id, name, provider"

func scanOutput(r scanner, o *Output) error {
	return r.Scan(&o.ID, &o.Stream, &o.Address, &o.Bitrate, &o.Service, &o.Name, &o.Provider)
}

// CreateOutput adds an output; a taken id is [ErrConflict].
func (s *Store) CreateOutput(ctx context.Context, o Output) error {
	_, err := s.exec(ctx, "INSERT INTO outputs ("+outputColumns+") VALUES ($1, $2, $3, $4, $5, $6, $7)",
		o.ID, o.Stream, o.Address, o.Bitrate, o.Service, o.Name, o.Provider)
	if err != nil {
		return fmt.Errorf("create output %q: %w", o.ID, err)
	}
	return nil
}

// UpdateOutput writes every field but the id.
func (s *Store) UpdateOutput(ctx context.Context, o Output) error {
	err := s.execOne(ctx, "UPDATE outputs SET stream = $1, address = $2, bitrate = $3, service_id = $4, name = $5, provider = $6 WHERE id = $7",
		o.Stream, o.Address, o.Bitrate, o.Service, o.Name, o.Provider, o.ID)
	if err != nil {
		return fmt.Errorf("update output %q: %w", o.ID, err)
	}
	return nil
}

// Output returns an output.
func (s *Store) Output(ctx context.Context, id string) (Output, error) {
	o, err := one(ctx, s.read, scanOutput, "SELECT "+outputColumns+" FROM outputs WHERE id = $1", id)
	if err != nil {
		return Output{}, fmt.Errorf("output %q: %w", id, err)
	}
	return o, nil
}

// Outputs returns all outputs by id.
func (s *Store) Outputs(ctx context.Context) ([]Output, error) {
	l, err := many(ctx, s.read, scanOutput, "SELECT "+outputColumns+" FROM outputs ORDER BY id")
	if err != nil {
		return nil, fmt.Errorf("list outputs: %w", err)
	}
	return l, nil
}

// DeleteOutput removes an output.
func (s *Store) DeleteOutput(ctx context.Context, id string) error {
	if err := s.execOne(ctx, "DELETE FROM outputs WHERE id = $1", id); err != nil {
		return fmt.Errorf("delete output %q: %w", id, err)
	}
	return nil
}
