// Command library fills a store with recordings of ten years and measures how long
// searches take, on SQLite and on PostgreSQL.
package main

import (
	"bytes"
	"context"
	"database/sql"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
	_ "modernc.org/sqlite"             // the driver "sqlite"

	"tongxiang/internal/store"
	"tongxiang/internal/store/pgtest"
)

func main() {
	n := flag.Int("recordings", 100_000, "how many")
	rounds := flag.Int("rounds", 20, "how often each question is asked")
	clients := flag.Int("clients", 4, "how many ask at once, the second time")
	out := flag.String("out", "", "file to append the table to")
	commit := flag.String("commit", "", "what was measured, for the table")
	only := flag.String("fill", "", "fill this store of a server (data/tongxiang.db) and measure nothing: for measurements of the pages")
	flag.Parse()
	if *only != "" {
		s, took, err := prepare(context.Background(), "sqlite", *only, *n)
		if err == nil {
			err = s.Close()
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Printf("%d recordings, indexed in %s\n", *n, took.Round(time.Second))
		return
	}
	if err := run(*n, *rounds, *clients, *out, *commit); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(n, rounds, clients int, out, commit string) (err error) {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "tongxiang-library-")
	if err != nil {
		return fmt.Errorf("make a folder: %w", err)
	}
	defer os.RemoveAll(dir)
	pg, err := pgtest.Start(ctx, "fsync=on", "shared_buffers=256MB")
	if err != nil {
		return err
	}
	defer pg.Close()
	version, err := pg.Version(ctx)
	if err != nil {
		return err
	}
	url, _, err := pg.Database(ctx)
	if err != nil {
		return err
	}
	var report bytes.Buffer
	fmt.Fprintf(&report, "\n## %s, %s\n\n`make bench-library`: %d recordings of ten years, a page of 50 and the number of matches a question, %d times each. %d CPUs, %s.\n\n",
		commit, time.Now().UTC().Format("2006-01-02"), n, rounds, runtime.NumCPU(), runtime.Version())
	for _, x := range []struct{ name, driver, dsn string }{
		{"SQLite", "sqlite", filepath.Join(dir, "library.db")}, {"PostgreSQL " + version, "pgx", url},
	} {
		if err := measure(ctx, &report, x.name, x.driver, x.dsn, n, rounds, clients); err != nil {
			return fmt.Errorf("%s: %w", x.name, err)
		}
	}
	fmt.Print(report.String())
	if out == "" {
		return nil
	}
	f, err := os.OpenFile(out, os.O_APPEND|os.O_WRONLY|os.O_CREATE, 0o644)
	if err != nil {
		return fmt.Errorf("append the table: %w", err)
	}
	if _, err := f.Write(report.Bytes()); err != nil {
		return fmt.Errorf("append the table: %w", err)
	}
	return f.Close()
}

// prepare fills a new store and has it indexed; it says how long the index took.
func prepare(ctx context.Context, driver, dsn string, n int) (*store.Store, time.Duration, error) {
	log := slog.New(slog.DiscardHandler)
	s, err := store.Open(ctx, dsn, log) // makes the tables
	if err != nil {
		return nil, 0, err
	}
	if err := s.Close(); err != nil {
		return nil, 0, err
	}
	db, err := sql.Open(driver, dsn)
	if err != nil {
		return nil, 0, err
	}
	db.SetMaxOpenConns(1)
	if err := fill(ctx, db, n); err != nil {
		return nil, 0, err
	}
	if _, err := db.ExecContext(ctx, "UPDATE settings SET value = '0' WHERE name = 'search_version'"); err != nil {
		return nil, 0, err
	}
	began := time.Now()
	if s, err = store.Open(ctx, dsn, log); err != nil {
		return nil, 0, err
	}
	took := time.Since(began)
	if driver == "pgx" { // as the server's own vacuum does a minute later
		if _, err := db.ExecContext(ctx, "VACUUM ANALYZE"); err != nil {
			return nil, 0, err
		}
	}
	return s, took, db.Close()
}

// questions are what people ask: by words that are in many recordings and in few.
var questions = []struct {
	name string
	f    store.LibraryFilter
}{
	{"two characters, common (会议)", store.LibraryFilter{Text: "会议"}},
	{"two characters, common in texts (水位)", store.LibraryFilter{Text: "水位"}},
	{"two characters (防汛)", store.LibraryFilter{Text: "防汛"}},
	{"one character (水)", store.LibraryFilter{Text: "水"}},
	{"a person (张伟)", store.LibraryFilter{Text: "张伟"}},
	{"a unit (青山镇)", store.LibraryFilter{Text: "青山镇"}},
	{"eight characters (水稻病虫害防治)", store.LibraryFilter{Text: "水稻病虫害防治"}},
	{"initials (fxhs)", store.LibraryFilter{Text: "fxhs"}},
	{"two initials (sp)", store.LibraryFilter{Text: "sp"}},
	{"Latin, in half of all (cctv)", store.LibraryFilter{Text: "cctv"}},
	{"two words (cctv 新闻)", store.LibraryFilter{Text: "cctv 新闻"}},
	{"common and rare (会议 青山镇)", store.LibraryFilter{Text: "会议 青山镇"}},
	{"not there (量子)", store.LibraryFilter{Text: "量子"}},
	{"a class and a word", store.LibraryFilter{Text: "培训", Class: "meeting"}},
	{"a year and a word", store.LibraryFilter{Text: "会议", From: day(2020), To: day(2021)}},
	{"a state and a word", store.LibraryFilter{Text: "会议", State: store.RecordingInterrupted}},
	{"a class", store.LibraryFilter{Class: "news"}},
	{"a person's name as filter", store.LibraryFilter{Person: "王伟"}},
	{"common words, longest first", store.LibraryFilter{Text: "cctv 新闻", Sort: "longest"}},
	{"in half of all, by title", store.LibraryFilter{Text: "cctv", Sort: "title"}},
	{"everything", store.LibraryFilter{}},
	{"everything, oldest first", store.LibraryFilter{Sort: "oldest"}},
	{"everything, by title", store.LibraryFilter{Sort: "title"}},
	{"everything, largest first", store.LibraryFilter{Sort: "largest"}},
}

func day(year int) *time.Time {
	t := time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC)
	return &t
}

func measure(ctx context.Context, out *bytes.Buffer, name, driver, dsn string, n, rounds, clients int) error {
	s, took, err := prepare(ctx, driver, dsn, n)
	if err != nil {
		return err
	}
	defer s.Close()
	fmt.Fprintf(out, "### %s\n\nThe search index was made in %.0f s.\n\n| question | matches | p50, ms | p95, ms | p95 with %d at once, ms |\n|---|---|---|---|---|\n", name, took.Seconds(), clients)
	var one, many []time.Duration
	for _, q := range questions {
		l, err := s.Library(ctx, q.f, store.LibraryPage{}) // the first warms up
		if err != nil {
			return err
		}
		alone, err := ask(ctx, s, q.f, rounds, 1)
		if err != nil {
			return err
		}
		crowd, err := ask(ctx, s, q.f, rounds, clients)
		if err != nil {
			return err
		}
		matches := fmt.Sprint(l.Total)
		if l.More {
			matches += "+"
		}
		fmt.Fprintf(out, "| %s | %s | %s | %s | %s |\n", q.name, matches, ms(alone, 50), ms(alone, 95), ms(crowd, 95))
		one, many = append(one, alone...), append(many, crowd...)
	}
	fmt.Fprintf(out, "| **all questions** | | %s | **%s** | **%s** |\n\n", ms(one, 50), ms(one, 95), ms(many, 95))
	return deep(ctx, out, s, n)
}

// deep measures a page far down, as a scroll bar asks for it.
func deep(ctx context.Context, out *bytes.Buffer, s *store.Store, n int) error {
	var all []time.Duration
	for i := range 20 {
		began := time.Now()
		if _, err := s.Library(ctx, store.LibraryFilter{}, store.LibraryPage{Limit: 100, Offset: n * i / 21}); err != nil {
			return err
		}
		all = append(all, time.Since(began))
	}
	fmt.Fprintf(out, "A page of 100 anywhere in the list by its offset: p50 %s ms, p95 %s ms.\n\n", ms(all, 50), ms(all, 95))
	return nil
}

func ask(ctx context.Context, s *store.Store, f store.LibraryFilter, rounds, clients int) ([]time.Duration, error) {
	var mu sync.Mutex
	var all []time.Duration
	var failed error
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			for range rounds {
				began := time.Now()
				_, err := s.Library(ctx, f, store.LibraryPage{})
				took := time.Since(began)
				mu.Lock()
				all = append(all, took)
				if err != nil {
					failed = err
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return all, failed
}

func ms(l []time.Duration, percentile int) string {
	l = slices.Sorted(slices.Values(l))
	d := l[min(len(l)*percentile/100, len(l)-1)]
	return strings.TrimSuffix(fmt.Sprintf("%.1f", d.Seconds()*1000), ".0")
}
