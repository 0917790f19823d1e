package store

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// AuditEntry says who did what to which thing, and how it went. Entries are added
// and read, never changed or removed by the program.
type AuditEntry struct {
	Seq     int64 // given by [Store.AppendAudit]: 1, 2, 3 … without gaps
	At      time.Time
	Actor   string // user or device id; empty when nobody was signed in
	Name    string // as it was then
	Action  string // "login", "meeting.create" …
	Target  string // id of what it was done to
	Result  string // "ok" or an error code
	Address string // of the client
	Detail  string // for a person
}

const auditColumns = "seq, at, actor, name, action, target, result, address, detail"

func scanAudit(r scanner, e *AuditEntry) error {
	return r.Scan(&e.Seq, at{&e.At}, &e.Actor, &e.Name, &e.Action, &e.Target, &e.Result, &e.Address, &e.Detail)
}

// auditTries is how often AppendAudit takes the next number when another node was
// faster; SQLite needs one.
const auditTries = 20

// AppendAudit adds an entry with the next number.
func (s *Store) AppendAudit(ctx context.Context, e AuditEntry) error {
	var err error
	for range auditTries {
		_, err = s.exec(ctx, "INSERT INTO audit ("+auditColumns+`)
			SELECT COALESCE(MAX(seq), 0) + 1, CAST($1 AS BIGINT), CAST($2 AS TEXT), CAST($3 AS TEXT), CAST($4 AS TEXT),
			CAST($5 AS TEXT), CAST($6 AS TEXT), CAST($7 AS TEXT), CAST($8 AS TEXT) FROM audit`,
			micros(e.At), e.Actor, e.Name, e.Action, e.Target, e.Result, e.Address, e.Detail)
		if !errors.Is(err, ErrConflict) {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("append %s to the audit: %w", e.Action, err)
	}
	return nil
}

// AuditFilter chooses entries; empty fields mean any.
type AuditFilter struct {
	Actor  string
	Action string
	Target string
	From   *time.Time // inclusive
	To     *time.Time // exclusive
}

// Audit returns a page of entries, newest first, and how many match.
func (s *Store) Audit(ctx context.Context, f AuditFilter, p Page) ([]AuditEntry, int, error) {
	var w where
	if f.Actor != "" {
		w.add("actor = ?", f.Actor)
	}
	if f.Action != "" {
		w.add("action = ?", f.Action)
	}
	if f.Target != "" {
		w.add("target = ?", f.Target)
	}
	if f.From != nil {
		w.add("at >= ?", micros(*f.From))
	}
	if f.To != nil {
		w.add("at < ?", micros(*f.To))
	}
	l, total, err := page(ctx, s, scanAudit, auditColumns, "audit", "seq DESC", w, p)
	if err != nil {
		return nil, 0, fmt.Errorf("list audit: %w", err)
	}
	return l, total, nil
}

// Setting returns a stored setting; one never set is [ErrNotFound].
func (s *Store) Setting(ctx context.Context, name string) (string, error) {
	v, err := one(ctx, s.read, func(r scanner, v *string) error { return r.Scan(v) }, "SELECT value FROM settings WHERE name = $1", name)
	if err != nil {
		return "", fmt.Errorf("setting %q: %w", name, err)
	}
	return v, nil
}

// SetSetting stores a setting.
func (s *Store) SetSetting(ctx context.Context, name, value string) error {
	_, err := s.exec(ctx, "INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value", name, value)
	if err != nil {
		return fmt.Errorf("set %q: %w", name, err)
	}
	return nil
}
