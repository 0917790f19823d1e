package store

import (
	"context"
	"database/sql"
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
	if q.searched {
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
	query := "SELECT recordings.ord, " + recordingColumns + " FROM " + q.from + q.w.String() + " ORDER BY " + order + " " + part
	if q.searched && s.postgres && byOrd {
		// What matches is to be found first and sorted then, by nothing but its number:
		// walking down the list and looking at each takes seconds when what matches is old.
		query = "SELECT recordings.ord, " + recordingColumns + " FROM (SELECT " + q.ord + " FROM " + q.count + q.w.String() +
			" ORDER BY " + strings.Replace(order, q.ord, q.ord+" + 0", 1) + " " + part +
			") found JOIN recordings ON recordings.ord = found.ord ORDER BY " + strings.Replace(order, q.ord, "found.ord", 1)
	}
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
			q.ord = "recording_search.ord"
			q.from = "recording_search JOIN recordings ON recordings.ord = recording_search.ord"
			q.w.add("recording_search.words @@ CAST(? AS TSQUERY)", s.matching(terms, f.Deleted))
		} else {
			q.ord = "recording_search.rowid"
			// CROSS: the index is to lead, whatever SQLite believes.
			q.from = "recording_search CROSS JOIN recordings ON recordings.ord = recording_search.rowid"
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

// RecordingChange is what people may change of a recording; nil: it stays.
type RecordingChange struct {
	Title     *string
	Class     *string
	Retention *string
	Expires   *time.Time // with Retention "date"
	Hold      *bool
	People    *[]string
	Units     *[]string
}

// ChangeRecording changes a recording and returns it as it is then.
func (s *Store) ChangeRecording(ctx context.Context, id string, c RecordingChange) (Recording, error) {
	return s.edit(ctx, "change", id, func(x *Recording) {
		set(&x.Title, c.Title)
		set(&x.Class, c.Class)
		set(&x.Hold, c.Hold)
		set(&x.People, c.People)
		set(&x.Units, c.Units)
		if c.Retention != nil {
			x.Retention, x.Expires = *c.Retention, c.Expires
		}
	})
}

func set[T any](to *T, from *T) {
	if from != nil {
		*to = *from
	}
}

// BinRecording puts a recording into the recycle bin, or takes it out (nil), and
// returns it as it is then. One that is in it keeps its first date.
func (s *Store) BinRecording(ctx context.Context, id string, when *time.Time) (Recording, error) {
	return s.edit(ctx, "delete", id, func(x *Recording) {
		if when == nil || x.Deleted == nil {
			x.Deleted = when
		}
	})
}

// edit changes what is the library's of a recording, and its words.
func (s *Store) edit(ctx context.Context, what, id string, change func(*Recording)) (Recording, error) {
	var out Recording
	err := s.tx(ctx, func(tx *sql.Tx) error {
		x, err := s.lockRecording(ctx, tx, id)
		if err != nil {
			return err
		}
		change(&x.Recording)
		people, err := rowsText(x.People)
		if err != nil {
			return err
		}
		units, err := rowsText(x.Units)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `UPDATE recordings SET title = $1, class = $2, retention = $3, expires = $4, hold = $5, deleted = $6,
			people = $7, units = $8 WHERE id = $9`,
			x.Title, x.Class, x.Retention, microsOrNull(x.Expires), x.Hold, microsOrNull(x.Deleted), people, units, id)
		if err != nil {
			return err
		}
		out = x.Recording
		return s.index(ctx, tx, x.ord, x.Recording)
	})
	if err != nil {
		return Recording{}, fmt.Errorf("%s recording %q: %w", what, id, err)
	}
	return out, nil
}

// lockRecording reads a recording that nobody else changes until tx ends.
func (s *Store) lockRecording(ctx context.Context, tx *sql.Tx, id string) (indexed, error) {
	q := "SELECT ord, " + recordingColumns + " FROM recordings WHERE id = $1"
	if s.postgres { // in SQLite only one writes at a time
		q += " FOR UPDATE"
	}
	var x indexed
	err := scanIndexed(tx.QueryRowContext(ctx, q, id), &x)
	return x, err
}

// Chapter is a place in a recording that somebody may look for.
type Chapter struct {
	AtMS  int64  `json:"at_ms"`
	Kind  string `json:"kind"` // speaker, screen, programme
	Title string `json:"title"`
	Who   string `json:"who,omitempty"`
}

// PutRecordingTexts sets what is to be found in a recording beside its title and
// names, and its chapters.
func (s *Store) PutRecordingTexts(ctx context.Context, id, body string, chapters []Chapter) error {
	text, err := rowsText(chapters)
	if err == nil {
		err = s.tx(ctx, func(tx *sql.Tx) error {
			x, err := s.lockRecording(ctx, tx, id)
			if err != nil {
				return err
			}
			_, err = tx.ExecContext(ctx, `INSERT INTO recording_texts (recording, body, chapters) VALUES ($1, $2, $3)
				ON CONFLICT (recording) DO UPDATE SET body = excluded.body, chapters = excluded.chapters`, id, body, text)
			if err != nil {
				return err
			}
			return s.index(ctx, tx, x.ord, x.Recording)
		})
	}
	if err != nil {
		return fmt.Errorf("put the texts of recording %q: %w", id, err)
	}
	return nil
}

// RecordingTexts returns what [Store.PutRecordingTexts] set; nothing is no error.
func (s *Store) RecordingTexts(ctx context.Context, id string) (body string, chapters []Chapter, err error) {
	err = s.read.QueryRowContext(ctx, "SELECT body, chapters FROM recording_texts WHERE recording = $1", id).Scan(&body, rows[Chapter]{&chapters})
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return "", nil, fmt.Errorf("texts of recording %q: %w", id, classify(err))
	}
	return body, chapters, nil
}

// UndescribedRecordings returns the ids of recordings that ended and have no texts yet,
// newest first.
func (s *Store) UndescribedRecordings(ctx context.Context, most int) ([]string, error) {
	l, err := many(ctx, s.read, func(r scanner, id *string) error { return r.Scan(id) }, `SELECT id FROM recordings
		WHERE state NOT IN ('recording', 'waiting') AND NOT EXISTS (SELECT 1 FROM recording_texts WHERE recording = recordings.id)
		ORDER BY ord DESC LIMIT $1`, most)
	if err != nil {
		return nil, fmt.Errorf("list recordings without texts: %w", err)
	}
	return l, nil
}

// RecordingView is where somebody stopped in a recording.
type RecordingView struct {
	Recording string
	Viewer    string // user id
	Position  time.Duration
	Watched   bool
	At        time.Time
}

// PutRecordingView notes where somebody stopped; a recording that does not exist is
// [ErrNotFound].
func (s *Store) PutRecordingView(ctx context.Context, v RecordingView) error {
	_, err := s.exec(ctx, `INSERT INTO recording_views (recording, viewer, position, watched, at) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (recording, viewer) DO UPDATE SET position = excluded.position, watched = excluded.watched, at = excluded.at`,
		v.Recording, v.Viewer, v.Position.Milliseconds(), v.Watched, micros(v.At))
	if err != nil {
		return fmt.Errorf("note where %q stopped in recording %q: %w", v.Viewer, v.Recording, err)
	}
	return nil
}

// RecordingViews returns where somebody stopped in each of some recordings, by their ids.
func (s *Store) RecordingViews(ctx context.Context, viewer string, recordings []string) (map[string]RecordingView, error) {
	if len(recordings) == 0 {
		return nil, nil
	}
	args := []any{viewer}
	marks := make([]string, len(recordings))
	for i, id := range recordings {
		args = append(args, id)
		marks[i] = fmt.Sprintf("$%d", i+2)
	}
	l, err := many(ctx, s.read, func(r scanner, v *RecordingView) error {
		var ms int64
		err := r.Scan(&v.Recording, &v.Viewer, &ms, &v.Watched, at{&v.At})
		v.Position = time.Duration(ms) * time.Millisecond
		return err
	}, "SELECT recording, viewer, position, watched, at FROM recording_views WHERE viewer = $1 AND recording IN ("+strings.Join(marks, ", ")+")", args...)
	if err != nil {
		return nil, fmt.Errorf("where %q stopped: %w", viewer, err)
	}
	out := make(map[string]RecordingView, len(l))
	for _, v := range l {
		out[v.Recording] = v
	}
	return out, nil
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

// MeetingShot is what went on air in a meeting at a moment.
type MeetingShot struct {
	At          time.Time
	Participant string // empty: nobody
	Screen      bool   // the shared screen
}

// AppendMeetingShot notes what went on air. A second one in the same microsecond
// takes the first one's place.
func (s *Store) AppendMeetingShot(ctx context.Context, meeting string, x MeetingShot) error {
	_, err := s.exec(ctx, `INSERT INTO meeting_shots (meeting, at, participant, screen) VALUES ($1, $2, $3, $4)
		ON CONFLICT (meeting, at) DO UPDATE SET participant = excluded.participant, screen = excluded.screen`, meeting, micros(x.At), x.Participant, x.Screen)
	if err != nil {
		return fmt.Errorf("note what is on air in meeting %q: %w", meeting, err)
	}
	return nil
}

// MeetingShots returns what was on air in a meeting before a moment, in order.
func (s *Store) MeetingShots(ctx context.Context, meeting string, before time.Time) ([]MeetingShot, error) {
	l, err := many(ctx, s.read, func(r scanner, x *MeetingShot) error { return r.Scan(at{&x.At}, &x.Participant, &x.Screen) },
		"SELECT at, participant, screen FROM meeting_shots WHERE meeting = $1 AND at < $2 ORDER BY at", meeting, micros(before))
	if err != nil {
		return nil, fmt.Errorf("what was on air in meeting %q: %w", meeting, err)
	}
	return l, nil
}
