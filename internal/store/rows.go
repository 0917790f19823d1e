package store

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/base32"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// DefaultPage and MaxPage bound how many rows one list call returns.
const (
	DefaultPage = 50
	MaxPage     = 500
)

// Page chooses a part of a list. The zero value is the first [DefaultPage] rows.
type Page struct {
	Limit  int // rows; 0 means DefaultPage, more than MaxPage means MaxPage
	Offset int // rows to skip
}

func (p Page) bounds() (limit, offset int) {
	limit = p.Limit
	if limit <= 0 {
		limit = DefaultPage
	}
	return min(limit, MaxPage), max(p.Offset, 0)
}

// NewID returns a random id of 16 characters a-z 2-7 (80 bits), fit for a URL, a
// stream name and a file name.
func NewID() string {
	var b [10]byte
	rand.Read(b[:]) // never returns an error, see crypto/rand
	return strings.ToLower(base32.StdEncoding.EncodeToString(b[:]))
}

// micros is a time as a column value.
func micros(t time.Time) int64 { return t.UnixMicro() }

// microsOrNull is an optional time as a column value.
func microsOrNull(t *time.Time) any {
	if t == nil {
		return nil
	}
	return t.UnixMicro()
}

// at scans a time column.
type at struct{ t *time.Time }

// Scan reads microseconds.
func (a at) Scan(v any) error {
	n, ok := v.(int64)
	if !ok {
		return fmt.Errorf("scan a time from %T", v)
	}
	*a.t = time.UnixMicro(n).UTC()
	return nil
}

// maybe scans an optional time column.
type maybe struct{ t **time.Time }

// Scan reads microseconds or NULL.
func (m maybe) Scan(v any) error {
	*m.t = nil
	if v == nil {
		return nil
	}
	var t time.Time
	if err := (at{&t}).Scan(v); err != nil {
		return err
	}
	*m.t = &t
	return nil
}

// list scans a JSON list of strings.
type list struct{ l *[]string }

// Scan reads JSON text.
func (l list) Scan(v any) error {
	s, ok := v.(string)
	if !ok {
		return fmt.Errorf("scan a list from %T", v)
	}
	*l.l = nil
	return json.Unmarshal([]byte(s), l.l)
}

// listText is a list of strings as a column value.
func listText(l []string) (string, error) {
	if l == nil {
		l = []string{}
	}
	b, err := json.Marshal(l)
	return string(b), err
}

// scanner is *sql.Row and *sql.Rows.
type scanner interface{ Scan(...any) error }

// querier is *sql.DB and *sql.Tx.
type querier interface {
	QueryContext(context.Context, string, ...any) (*sql.Rows, error)
	QueryRowContext(context.Context, string, ...any) *sql.Row
}

// one reads a single row.
func one[T any](ctx context.Context, db querier, scan func(scanner, *T) error, query string, args ...any) (T, error) {
	var v T
	err := scan(db.QueryRowContext(ctx, query, args...), &v)
	return v, classify(err)
}

// many reads all rows.
func many[T any](ctx context.Context, db querier, scan func(scanner, *T) error, query string, args ...any) ([]T, error) {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, classify(err)
	}
	defer rows.Close()
	var out []T
	for rows.Next() {
		var v T
		if err := scan(rows, &v); err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, classify(rows.Err())
}

// where collects the conditions of a filtered list.
type where struct {
	conds []string
	args  []any
}

// add appends a condition; "?" in it stands for the next placeholder.
func (w *where) add(cond string, arg any) {
	w.args = append(w.args, arg)
	w.conds = append(w.conds, strings.Replace(cond, "?", fmt.Sprintf("$%d", len(w.args)), 1))
}

func (w *where) String() string {
	if len(w.conds) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(w.conds, " AND ")
}

// page reads one page of a table and the number of all rows that match.
func page[T any](ctx context.Context, s *Store, scan func(scanner, *T) error, columns, table, order string, w where, p Page) ([]T, int, error) {
	var total int
	if err := s.read.QueryRowContext(ctx, "SELECT COUNT(*) FROM "+table+w.String(), w.args...).Scan(&total); err != nil {
		return nil, 0, classify(err)
	}
	limit, offset := p.bounds()
	n := len(w.args)
	query := fmt.Sprintf("SELECT %s FROM %s%s ORDER BY %s LIMIT $%d OFFSET $%d", columns, table, w.String(), order, n+1, n+2)
	rows, err := many(ctx, s.read, scan, query, append(w.args, limit, offset)...)
	return rows, total, err
}
