// Package store keeps what must survive a restart: accounts, sessions, meetings
// and their event logs, channels, the recording library, kiosk tokens, the audit
// trail and settings.
//
// SQLite in one file is the default; a PostgreSQL server takes the same SQL. For
// SQLite there is one writing connection, so writers queue in Go instead of
// meeting SQLITE_BUSY, and a few reading ones, which see the last commit (WAL).
// Every commit is synced to disk before a method returns (synchronous=FULL): a
// meeting's event that was announced is never lost with the power.
//
// Times come back in UTC, cut to microseconds. All methods are safe for
// concurrent use; the package starts no goroutines of its own.
package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
	"github.com/pressly/goose/v3"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// Errors that callers decide on. They are wrapped with what was tried.
var (
	// ErrNotFound: there is no such row, or the row it must belong to is missing.
	ErrNotFound = errors.New("not found")
	// ErrConflict: the id or the name is taken already.
	ErrConflict = errors.New("already exists")
)

//go:embed migrations/*.sql
var migrations embed.FS

const (
	// busyTimeout is how long a connection waits for another process (a backup,
	// the sqlite3 shell) to release the file before it gives up.
	busyTimeout = 10 * time.Second
	// readers is enough for a page load's parallel requests; each costs about 2 MB.
	readers = 4
	// postgresConns leaves a default server (100) room for several nodes.
	postgresConns = 16
)

// Store is an open database. Close it after everything that uses it has stopped.
type Store struct {
	read, write *sql.DB // the same pool for PostgreSQL
	postgres    bool
	log         *slog.Logger
}

// Open opens the database and brings its tables up to date. dsn is the path of a
// SQLite file, which is created when missing (its folder too), or a postgres:// URL.
func Open(ctx context.Context, dsn string, log *slog.Logger) (*Store, error) {
	s := &Store{log: log}
	var err error
	dialect := goose.DialectSQLite3
	if strings.HasPrefix(dsn, "postgres://") || strings.HasPrefix(dsn, "postgresql://") {
		dialect, s.postgres = goose.DialectPostgres, true
		err = s.openPostgres(dsn)
	} else {
		err = s.openSQLite(strings.TrimPrefix(dsn, "sqlite:"))
	}
	if err != nil {
		return nil, err
	}
	err = s.migrate(ctx, dialect)
	if err == nil {
		err = s.prepareSearch(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Store) openPostgres(dsn string) error {
	db, err := sql.Open("pgx", dsn)
	if err != nil {
		return fmt.Errorf("open PostgreSQL: %w", err)
	}
	db.SetMaxOpenConns(postgresConns)
	db.SetMaxIdleConns(postgresConns)
	s.read, s.write = db, db
	return nil
}

func (s *Store) openSQLite(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return fmt.Errorf("create the folder of store %q: %w", path, err)
	}
	// The file holds password and token hashes: only our user reads it. SQLite
	// gives its -wal and -shm files the same mode.
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("open store: %w", err)
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("open store: %w", err)
	}
	s.write, err = sql.Open("sqlite", sqliteDSN(path, "immediate", "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)"))
	if err != nil {
		return fmt.Errorf("open store %q: %w", path, err)
	}
	s.write.SetMaxOpenConns(1)
	s.read, err = sql.Open("sqlite", sqliteDSN(path, "deferred", "query_only(1)"))
	if err != nil {
		return errors.Join(fmt.Errorf("open store %q: %w", path, err), s.write.Close())
	}
	s.read.SetMaxOpenConns(min(readers, 2*runtime.NumCPU()))
	s.read.SetMaxIdleConns(readers)
	return nil
}

// sqliteDSN builds a file: URI, so that a path may contain "?" or "#".
func sqliteDSN(path, txlock string, pragmas ...string) string {
	q := url.Values{"_txlock": {txlock}}
	q.Add("_pragma", fmt.Sprintf("busy_timeout(%d)", busyTimeout.Milliseconds()))
	for _, p := range pragmas {
		q.Add("_pragma", p)
	}
	u := url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: q.Encode()}
	return u.String()
}

func (s *Store) migrate(ctx context.Context, dialect goose.Dialect) error {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return fmt.Errorf("read migrations: %w", err)
	}
	p, err := goose.NewProvider(dialect, s.write, files, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return fmt.Errorf("prepare migrations: %w", err)
	}
	done, err := p.Up(ctx)
	if err != nil {
		return fmt.Errorf("bring the store up to date: %w", err)
	}
	for _, m := range done {
		s.log.Info("store brought up to date", "version", m.Source.Version, "took", m.Duration)
	}
	return nil
}

// Close closes the database.
func (s *Store) Close() error {
	err := s.read.Close()
	if s.write != s.read {
		err = errors.Join(err, s.write.Close())
	}
	return err
}

// Ping reports whether the database answers and can be written; /readyz asks it.
func (s *Store) Ping(ctx context.Context) error {
	if err := s.SetSetting(ctx, "ping", "ok"); err != nil {
		return fmt.Errorf("ping the store: %w", err)
	}
	return nil
}

// exec runs one writing statement and says how many rows it touched.
func (s *Store) exec(ctx context.Context, query string, args ...any) (int64, error) {
	res, err := s.write.ExecContext(ctx, query, args...)
	if err != nil {
		return 0, classify(err)
	}
	n, err := res.RowsAffected()
	if err != nil {
		return 0, classify(err)
	}
	return n, nil
}

// execOne is exec for a statement that names one row; no such row is [ErrNotFound].
func (s *Store) execOne(ctx context.Context, query string, args ...any) error {
	n, err := s.exec(ctx, query, args...)
	if err == nil && n == 0 {
		err = ErrNotFound
	}
	return err
}

// tx runs f in a writing transaction.
func (s *Store) tx(ctx context.Context, f func(*sql.Tx) error) error {
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return classify(err)
	}
	if err := f(tx); err != nil {
		// The rollback's own error adds nothing to why we roll back.
		_ = tx.Rollback()
		return classify(err)
	}
	return classify(tx.Commit())
}

// classify turns the drivers' ways to say "taken" and "missing" into ours.
func classify(err error) error {
	if err == nil || errors.Is(err, ErrConflict) || errors.Is(err, ErrNotFound) {
		return err
	}
	if errors.Is(err, sql.ErrNoRows) {
		return ErrNotFound
	}
	var lite *sqlite.Error
	if errors.As(err, &lite) {
		switch lite.Code() {
		case sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY:
			return fmt.Errorf("%w: %w", ErrConflict, err)
		case sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY:
			return fmt.Errorf("%w: %w", ErrNotFound, err)
		}
	}
	// SQLSTATE class 23 (PostgreSQL, appendix A): unique_violation, foreign_key_violation.
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		switch pg.Code {
		case "23505":
			return fmt.Errorf("%w: %w", ErrConflict, err)
		case "23503":
			return fmt.Errorf("%w: %w", ErrNotFound, err)
		}
	}
	return err
}
