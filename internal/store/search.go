package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"tongxiang/internal/search"
)

// The search index holds the words of each recording under its number ord: in SQLite
// an FTS5 table that keeps nothing but its lists, in PostgreSQL a column of tsvector
// with a GIN index. Both are given words by internal/search and decide nothing about
// language. The index can be made anew from the tables, and is when its version changes.

const searchSetting = "search_version"

// searchVersion is that of the words and of their table; another one in the settings
// means that the index is of another version of the program.
func (s *Store) searchVersion() string {
	if s.postgres {
		return "2.2"
	}
	return "2"
}

// indexBatch is how many recordings are indexed in one transaction.
const indexBatch = 200

// prepareSearch makes the index, anew when it is of another version.
func (s *Store) prepareSearch(ctx context.Context) error {
	v, err := s.Setting(ctx, searchSetting)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	if v == s.searchVersion() {
		return nil
	}
	create := []string{
		"DROP TABLE IF EXISTS recording_search",
		"CREATE VIRTUAL TABLE recording_search USING fts5 (words, content = '', contentless_delete = 1, detail = none, tokenize = 'ascii')",
	}
	if s.postgres {
		// A search visits the row of each match for its number alone, and half of the
		// library may match: rows are to be short. PostgreSQL moves a value out of its row
		// when the row has more than 2 kB, and how far then is toast_tuple_target: padding,
		// which is packed to a few bytes, makes every row long enough for the words to go.
		create = []string{
			"DROP TABLE IF EXISTS recording_search",
			`CREATE TABLE recording_search (ord BIGINT PRIMARY KEY, words TSVECTOR NOT NULL, padding TEXT NOT NULL DEFAULT repeat(' ', 2100))
				WITH (toast_tuple_target = 128)`,
			"ALTER TABLE recording_search ALTER COLUMN padding SET STORAGE MAIN",
		}
	}
	for _, q := range create {
		if _, err := s.exec(ctx, q); err != nil {
			return fmt.Errorf("make the search index: %w", err)
		}
	}
	n := 0
	for after := int64(-1 << 62); ; {
		rows, err := many(ctx, s.read, scanIndexed, "SELECT ord, "+recordingColumns+" FROM recordings WHERE ord > $1 ORDER BY ord LIMIT $2", after, indexBatch)
		if err != nil {
			return fmt.Errorf("index recordings: %w", err)
		}
		if len(rows) == 0 {
			break
		}
		err = s.tx(ctx, func(tx *sql.Tx) error {
			for _, x := range rows {
				if err := s.index(ctx, tx, x.ord, x.Recording); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("index recordings: %w", err)
		}
		n += len(rows)
		after = rows[len(rows)-1].ord
	}
	if s.postgres { // now: it is made much faster of all rows than row by row
		// Words go into the index at once: a list of what is pending is read by every search.
		if _, err := s.exec(ctx, "CREATE INDEX recording_search_words ON recording_search USING gin (words) WITH (fastupdate = off)"); err != nil {
			return fmt.Errorf("make the search index: %w", err)
		}
	}
	if n > 0 {
		s.log.Info("search index made anew", "recordings", n)
	}
	return s.SetSetting(ctx, searchSetting, s.searchVersion())
}

type indexed struct {
	ord int64
	Recording
}

func scanIndexed(r scanner, x *indexed) error { return scanRecording(ahead{r, &x.ord}, &x.Recording) }

// ahead scans one column before those of another scan.
type ahead struct {
	r     scanner
	first any
}

func (a ahead) Scan(rest ...any) error { return a.r.Scan(append([]any{a.first}, rest...)...) }

// index writes the words of a recording, whose texts it reads, in place of those that
// are there.
func (s *Store) index(ctx context.Context, tx *sql.Tx, ord int64, x Recording) error {
	var body string
	err := tx.QueryRowContext(ctx, "SELECT body FROM recording_texts WHERE recording = $1", x.ID).Scan(&body)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	if err := s.unindex(ctx, tx, ord); err != nil {
		return err
	}
	words := strings.Join(search.Words(search.Text{
		Title: x.Title, Names: append(append([]string{}, x.People...), x.Units...), Body: body, Facets: facetsOf(x),
	}), " ")
	q := "INSERT INTO recording_search (rowid, words) VALUES ($1, $2)"
	if s.postgres {
		q = "INSERT INTO recording_search (ord, words) VALUES ($1, array_to_tsvector(string_to_array(CAST($2 AS TEXT), ' ')))"
	}
	_, err = tx.ExecContext(ctx, q, ord, words)
	return err
}

func (s *Store) unindex(ctx context.Context, tx *sql.Tx, ord int64) error {
	q := "DELETE FROM recording_search WHERE rowid = $1"
	if s.postgres {
		q = "DELETE FROM recording_search WHERE ord = $1"
	}
	_, err := tx.ExecContext(ctx, q, ord)
	return err
}

// Kinds of facets.
const (
	facetBin    = "bin" // only of what is in the recycle bin
	facetClass  = "class"
	facetStream = "stream"
	facetState  = "state"
	facetPerson = "person"
	facetUnit   = "unit"
)

func facetsOf(x Recording) []string {
	out := []string{search.Facet(facetClass, x.Class), search.Facet(facetStream, x.Stream), search.Facet(facetState, string(x.State))}
	if x.Deleted != nil {
		out = append(out, search.Facet(facetBin, ""))
	}
	for _, p := range x.People {
		out = append(out, search.Facet(facetPerson, p))
	}
	for _, u := range x.Units {
		out = append(out, search.Facet(facetUnit, u))
	}
	return out
}

// matching writes terms as the database wants them: all must be there, and the
// recording in the recycle bin or not.
func (s *Store) matching(terms []search.Term, bin bool) string {
	if bin {
		terms = append(terms, search.Term{Word: search.Facet(facetBin, "")})
	}
	out := make([]string, len(terms))
	for i, t := range terms {
		switch {
		case s.postgres && t.Prefix:
			out[i] = "'" + t.Word + "':*"
		case s.postgres:
			out[i] = "'" + t.Word + "'"
		case t.Prefix:
			out[i] = `"` + t.Word + `"*`
		default:
			out[i] = `"` + t.Word + `"`
		}
	}
	and, not := " ", ` NOT "`+search.Facet(facetBin, "")+`"`
	if s.postgres {
		and, not = " & ", " & !'"+search.Facet(facetBin, "")+"'"
	}
	if bin {
		not = ""
	}
	return strings.Join(out, and) + not
}

// searching runs f with what a search, or a list that is sorted, is to read from.
// PostgreSQL knows nothing of how common a pair of characters is, and believes that a
// look at all rows is cheap; compiling a plan, or starting workers for it, takes longer
// than the search.
func (s *Store) searching(ctx context.Context, f func(querier) error) error {
	if !s.postgres {
		return f(s.read)
	}
	tx, err := s.read.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return classify(err)
	}
	// Nothing was written.
	defer func() { _ = tx.Rollback() }()
	if _, err := tx.ExecContext(ctx, "SET LOCAL enable_seqscan = off; SET LOCAL jit = off; SET LOCAL max_parallel_workers_per_gather = 0"); err != nil {
		return classify(err)
	}
	return f(tx)
}
