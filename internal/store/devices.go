package store

import (
	"context"
	"fmt"
	"time"
)

// Device is a kiosk that signs in with a token of its own. The token is not stored.
type Device struct {
	ID        string
	Name      string // where it hangs
	TokenHash string // internal/auth decides how
	Created   time.Time
	Seen      *time.Time // when it last signed in
	Revoked   *time.Time // nil while the token works
}

const deviceColumns = "id, name, token_hash, created, seen, revoked"

func scanDevice(r scanner, d *Device) error {
	return r.Scan(&d.ID, &d.Name, &d.TokenHash, at{&d.Created}, maybe{&d.Seen}, maybe{&d.Revoked})
}

// CreateDevice adds a device.
func (s *Store) CreateDevice(ctx context.Context, d Device) error {
	_, err := s.exec(ctx, "INSERT INTO devices ("+deviceColumns+") VALUES ($1, $2, $3, $4, $5, $6)",
		d.ID, d.Name, d.TokenHash, micros(d.Created), microsOrNull(d.Seen), microsOrNull(d.Revoked))
	if err != nil {
		return fmt.Errorf("create device %q: %w", d.Name, err)
	}
	return nil
}

// Device returns a device.
func (s *Store) Device(ctx context.Context, id string) (Device, error) {
	d, err := one(ctx, s.read, scanDevice, "SELECT "+deviceColumns+" FROM devices WHERE id = $1", id)
	if err != nil {
		return Device{}, fmt.Errorf("device %q: %w", id, err)
	}
	return d, nil
}

// DeviceByToken returns the device with a token hash, revoked or not.
func (s *Store) DeviceByToken(ctx context.Context, hash string) (Device, error) {
	d, err := one(ctx, s.read, scanDevice, "SELECT "+deviceColumns+" FROM devices WHERE token_hash = $1", hash)
	if err != nil {
		return Device{}, fmt.Errorf("device of a token: %w", err)
	}
	return d, nil
}

// Devices returns a page of devices by name, and how many there are.
func (s *Store) Devices(ctx context.Context, p Page) ([]Device, int, error) {
	l, total, err := page(ctx, s, scanDevice, deviceColumns, "devices", "name, id", where{}, p)
	if err != nil {
		return nil, 0, fmt.Errorf("list devices: %w", err)
	}
	return l, total, nil
}

// SeeDevice notes that a device signed in.
func (s *Store) SeeDevice(ctx context.Context, id string, now time.Time) error {
	if err := s.execOne(ctx, "UPDATE devices SET seen = $1 WHERE id = $2", micros(now), id); err != nil {
		return fmt.Errorf("see device %q: %w", id, err)
	}
	return nil
}

// RevokeDevice makes a device's token useless. A second time keeps the first date.
func (s *Store) RevokeDevice(ctx context.Context, id string, now time.Time) error {
	if err := s.execOne(ctx, "UPDATE devices SET revoked = COALESCE(revoked, $1) WHERE id = $2", micros(now), id); err != nil {
		return fmt.Errorf("revoke device %q: %w", id, err)
	}
	return nil
}
