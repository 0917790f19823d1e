package store

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"tongxiang/internal/search"
)

// Errors of a question to the library.
var (
	ErrBadCursor = errors.New("not a cursor of this list")
	ErrBadSort   = errors.New("not an order of the library")
)

// Sorts are the orders of the library; the first is the default.
func Sorts() []string { return []string{"newest", "oldest", "longest", "largest", "title"} }

// order returns one of [Sorts] in SQL; ord, the number's column, makes each total.
func (s *Store) order(sort, ord string) (string, error) {
	switch sort {
	case "newest":
		return ord + " DESC", nil
	case "oldest":
		return ord, nil
	case "longest":
		return "duration DESC, " + ord + " DESC", nil
	case "largest":
		return "bytes DESC, " + ord + " DESC", nil
	case "title":
		if s.postgres { // by code points as SQLite does, wherever the server stands
			return `title COLLATE "C", ` + ord, nil
		}
		return "title, " + ord, nil
	}
	return "", fmt.Errorf("order %q: %w", sort, ErrBadSort)
}

// MaxMatches is how many matches of a search are counted; a page is found all the same.
const MaxMatches = 10000

// LibraryFilter chooses recordings; empty fields mean any.
type LibraryFilter struct {
	// Text is looked for in titles, people, units and further texts; see internal/search.
	Text    string
	Class   string
	Stream  string
	Person  string
	Unit    string
	State   RecordingState
	From    *time.Time // begun then or later
	To      *time.Time // begun before
	Deleted bool       // those in the recycle bin, instead of all others
	Sort    string     // one of Sorts
}

// LibraryPage chooses a part of a list.
type LibraryPage struct {
	Limit  int    // as of [Page]
	Offset int    // rows to skip; a cursor counts instead
	Cursor string // Next of the page before
}

// LibraryList is a page of recordings.
type LibraryList struct {
	Recordings []Recording
	Total      int    // how many match
	More       bool   // there are more than Total, which is [MaxMatches] then
	Next       string // cursor of the next page; empty: this is the last
}

// libraryQuery is a filter in SQL.
type libraryQuery struct {
	from  string // after FROM
	count string // likewise, where only the number of rows matters
	ord   string // the column of the number
	w     where

	searched bool // it asks the search index
}

// Library returns a page of the library.
func (s *Store) Library(ctx context.Context, f LibraryFilter, p LibraryPage) (LibraryList, error) {
	if f.Sort == "" {
		f.Sort = "newest"
	}
	q, possible := s.libraryQuery(f)
	order, err := s.order(f.Sort, q.ord)
	if err != nil {
		return LibraryList{}, fmt.Errorf("list the library: %w", err)
	}
	if !possible {
		return LibraryList{}, nil
	}
	read := func(f func(querier) error) error { return f(s.read) }
	if q.searched || f.Sort != "newest" && f.Sort != "oldest" {
		read = func(f func(querier) error) error { return s.searching(ctx, f) }
	}
	var out LibraryList
	err = read(func(db querier) error {
		out, err = s.libraryPage(ctx, db, f, p, q, order)
		return err
	})
	return out, err
}

// libraryPage reads what was asked for.
func (s *Store) libraryPage(ctx context.Context, db querier, f LibraryFilter, p LibraryPage, q libraryQuery, order string) (LibraryList, error) {
	var out LibraryList
	count := "SELECT COUNT(*) FROM " + q.count + q.w.String()
	if f.Text != "" {
		count = fmt.Sprintf("SELECT COUNT(*) FROM (SELECT 1 FROM %s%s LIMIT %d) matches", q.count, q.w.String(), MaxMatches+1)
	}
	if err := db.QueryRowContext(ctx, count, q.w.args...).Scan(&out.Total); err != nil {
		return out, fmt.Errorf("count the library: %w", classify(err))
	}
	if f.Text != "" && out.Total > MaxMatches {
		out.Total, out.More = MaxMatches, true
	}
	limit, offset := Page{p.Limit, p.Offset}.bounds()
	byOrd := f.Sort == "newest" || f.Sort == "oldest"
	if p.Cursor != "" {
		n, err := readCursor(f.Sort, p.Cursor)
		switch {
		case err != nil:
			return out, fmt.Errorf("list the library: %w", err)
		case !byOrd:
			offset = int(n)
		default:
			offset = 0
			q.w.add(q.ord+" "+map[string]string{"newest": "<", "oldest": ">"}[f.Sort]+" ?", n)
		}
	}
	n := len(q.w.args)
	part := fmt.Sprintf("LIMIT $%d OFFSET $%d", n+1, n+2)
	query := s.pageQuery(f, q, order, part, offset)
	found, err := many(ctx, db, scanIndexed, query, append(q.w.args, limit+1, offset)...)
	if err != nil {
		return out, fmt.Errorf("list the library: %w", err)
	}
	if len(found) > limit {
		found = found[:limit]
		next := found[limit-1].ord
		if !byOrd {
			next = int64(offset + limit)
		}
		out.Next = cursor(f.Sort, next)
	}
	for _, x := range found {
		out.Recordings = append(out.Recordings, x.Recording)
	}
	return out, nil
}

// pageQuery returns the question for a part of a list. Where more is looked at than is
// read, the page is found by what indexes alone know, and read in the end: half of the
// library is not to be read for fifty rows.
func (s *Store) pageQuery(f LibraryFilter, q libraryQuery, order, part string, offset int) string {
	byOrd := f.Sort == "newest" || f.Sort == "oldest"
	inner, by := "SELECT recordings.ord FROM "+q.from, order
	switch {
	case q.searched && byOrd && s.postgres:
		inner = "SELECT recording_search.ord FROM " + q.count
	case q.searched && !byOrd:
	case !byOrd && !s.postgres && f.Class == "" && f.Stream == "" && f.State == "":
		inner += " INDEXED BY recordings_sorts"
	case !byOrd:
	case !q.searched && byOrd && !f.Deleted && offset > 0: // by an index that begins with deleted
		by = strings.Replace("deleted"+order, q.ord, "", 1) + ", " + order
	default:
		return "SELECT recordings.ord, " + recordingColumns + " FROM " + q.from + q.w.String() + " ORDER BY " + order + " " + part
	}
	return "SELECT recordings.ord, " + recordingColumns + " FROM (" + inner + q.w.String() + " ORDER BY " + by + " " + part +
		") found JOIN recordings ON recordings.ord = found.ord ORDER BY " + strings.Replace(order, q.ord, "found.ord", 1)
}

// libraryQuery returns false when nothing can match.
func (s *Store) libraryQuery(f LibraryFilter) (libraryQuery, bool) {
	q := libraryQuery{ord: "recordings.ord"}
	var terms []search.Term
	if f.Text != "" {
		if terms = search.Ask(f.Text); len(terms) == 0 {
			return q, false
		}
	}
	facet := func(kind, value string) {
		if value != "" {
			terms = append(terms, search.Term{Word: search.Facet(kind, value)})
		}
	}
	facet(facetPerson, f.Person)
	facet(facetUnit, f.Unit)
	if len(terms) > 0 { // else the table's own indexes are better
		facet(facetClass, f.Class)
		facet(facetStream, f.Stream)
		facet(facetState, string(f.State))
	}
	switch {
	case len(terms) == 0:
		q.from, q.count, q.ord = "recordings", "recordings", "recordings.ord"
		q.w.conds = append(q.w.conds, map[bool]string{true: "deleted IS NOT NULL", false: "deleted IS NULL"}[f.Deleted])
		if f.Class != "" {
			q.w.add("class = ?", f.Class)
		}
		if f.Stream != "" {
			q.w.add("stream = ?", f.Stream)
		}
		if f.State != "" {
			q.w.add("state = ?", string(f.State))
		}
	default:
		q.searched = true
		if s.postgres {
			// A sum is in no index: else the planner walks down the list and looks at the words
			// of each, which takes seconds when what matches is old.
			q.ord = "(recording_search.ord + 0)"
			q.from = "recording_search JOIN recordings ON recordings.ord = recording_search.ord"
			q.w.add("recording_search.words @@ CAST(? AS TSQUERY)", s.matching(terms, f.Deleted))
		} else {
			q.ord = "recording_search.rowid"
			// CROSS: the index is to lead, whatever SQLite believes.
			q.from = "recording_search CROSS JOIN recordings INDEXED BY recordings_sorts ON recordings.ord = recording_search.rowid"
			q.w.add("recording_search MATCH ?", s.matching(terms, f.Deleted))
		}
		q.count = "recording_search"
	}
	if f.From != nil {
		q.w.add(q.ord+" >= ?", micros(*f.From))
	}
	if f.To != nil {
		q.w.add(q.ord+" < ?", micros(*f.To))
	}
	return q, true
}

// cursor is where a list goes on; opaque to those who are given it.
func cursor(sort string, n int64) string {
	return base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "%s %d", sort, n))
}

func readCursor(sort, c string) (int64, error) {
	b, err := base64.RawURLEncoding.DecodeString(c)
	if err != nil {
		return 0, fmt.Errorf("%w: %w", ErrBadCursor, err)
	}
	of, digits, _ := strings.Cut(string(b), " ")
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || of != sort || n < 0 && sort != "newest" && sort != "oldest" {
		return 0, fmt.Errorf("%w: %q", ErrBadCursor, b)
	}
	return n, nil
}

// EachRecording calls f for every recording, in order of their beginning, until f
// returns an error. It reads them in pieces, so that a long list holds up nobody.
func (s *Store) EachRecording(ctx context.Context, f func(Recording) error) error {
	for after := int64(-1 << 62); ; {
		l, err := many(ctx, s.read, scanIndexed, "SELECT ord, "+recordingColumns+" FROM recordings WHERE ord > $1 ORDER BY ord LIMIT 1000", after)
		if err != nil {
			return fmt.Errorf("read the library: %w", err)
		}
		for _, x := range l {
			if err := f(x.Recording); err != nil {
				return err
			}
			after = x.ord
		}
		if len(l) == 0 {
			return nil
		}
	}
}
