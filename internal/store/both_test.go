package store_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"tongxiang/internal/store"
	"tongxiang/internal/store/pgtest"
)

// database is what a test of the suite runs on: each runs on both, with an empty one
// of its own. dsn may be asked for once a test.
type database struct{ postgres *pgtest.Server } // nil: SQLite

// server is the PostgreSQL server of this test binary, from TestMain to its end.
var server struct {
	*pgtest.Server
	missing error // why there is none
}

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	var err error
	server.Server, err = pgtest.Start(context.Background())
	if errors.Is(err, pgtest.ErrNotInstalled) {
		server.missing = err
		return m.Run()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code := m.Run()
	if err := server.Close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// both runs a test on SQLite and on PostgreSQL.
func both(t *testing.T, test func(*testing.T, database)) {
	t.Run("SQLite", func(t *testing.T) { test(t, database{}) })
	t.Run("PostgreSQL", func(t *testing.T) {
		if server.missing != nil {
			t.Skipf("no PostgreSQL to test on (scripts/install.sh test installs it): %v", server.missing)
		}
		test(t, database{server.Server})
	})
}

// dsn returns the address of an empty database, which is removed after the test.
func (d database) dsn(t *testing.T) string {
	t.Helper()
	if d.postgres == nil {
		return filepath.Join(t.TempDir(), "a folder #1?", "tongxiang.db")
	}
	dsn, drop, err := d.postgres.Database(t.Context())
	check(t, err)
	t.Cleanup(func() {
		if err := drop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return dsn
}

// open returns a new store.
func (d database) open(t *testing.T) *store.Store {
	t.Helper()
	s := openAt(t, d.dsn(t))
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func openAt(t *testing.T, dsn string) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), dsn, slog.New(slog.DiscardHandler))
	check(t, err)
	return s
}
