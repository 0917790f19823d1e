package store

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// ShiftEntry is an entry of the shift log. Entries are added and read, never changed
// or removed by the program: what was wrong is corrected by another one.
type ShiftEntry struct {
	ID     string
	At     time.Time
	Author string // id of the account
	Name   string // as it was then
	Kind   string // note, fault or handover
	Text   string
}

const shiftColumns = "id, at, author, name, kind, text"

func scanShift(r scanner, e *ShiftEntry) error {
	return r.Scan(&e.ID, at{&e.At}, &e.Author, &e.Name, &e.Kind, &e.Text)
}

// AddShiftEntry adds an entry; a taken id is [ErrConflict].
func (s *Store) AddShiftEntry(ctx context.Context, e ShiftEntry) error {
	_, err := s.exec(ctx, "INSERT INTO shift_log ("+shiftColumns+") VALUES ($1, $2, $3, $4, $5, $6)",
		e.ID, micros(e.At), e.Author, e.Name, e.Kind, e.Text)
	if err != nil {
		return fmt.Errorf("add entry %q to the shift log: %w", e.ID, err)
	}
	return nil
}

// ShiftFilter chooses entries; empty fields mean any.
type ShiftFilter struct {
	Kind string
	Text string     // contained in the text or in the author's name
	From *time.Time // inclusive
	To   *time.Time // exclusive
}

// ShiftLog returns a page of entries, newest first, and how many match.
func (s *Store) ShiftLog(ctx context.Context, f ShiftFilter, p Page) ([]ShiftEntry, int, error) {
	var w where
	if f.Kind != "" {
		w.add("kind = ?", f.Kind)
	}
	if f.Text != "" {
		like := "%" + strings.NewReplacer(`\`, `\\`, "%", `\%`, "_", `\_`).Replace(strings.ToLower(f.Text)) + "%"
		// One argument for both, which a space in between keeps apart.
		w.add(`LOWER(name || '  ' || text) LIKE ? ESCAPE '\'`, like)
	}
	if f.From != nil {
		w.add("at >= ?", micros(*f.From))
	}
	if f.To != nil {
		w.add("at < ?", micros(*f.To))
	}
	l, total, err := page(ctx, s, scanShift, shiftColumns, "shift_log", "at DESC, id DESC", w, p)
	if err != nil {
		return nil, 0, fmt.Errorf("list the shift log: %w", err)
	}
	return l, total, nil
}
