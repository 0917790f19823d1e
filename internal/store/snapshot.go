package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
)

// Snapshot copies the SQLite database at path, as it is at one moment, to target,
// which must not be there yet. A server may use the database meanwhile; it waits for
// nothing (VACUUM INTO, https://sqlite.org/lang_vacuum.html). The copy is checked. What
// a failure leaves of it is removed.
func Snapshot(ctx context.Context, path, target string) error {
	if _, err := os.Stat(path); err != nil {
		return fmt.Errorf("copy store: %w", err)
	}
	// An empty file of our mode: SQLite would make one that others can read.
	f, err := os.OpenFile(target, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("copy store %q: %w", path, err)
	}
	if err = f.Close(); err == nil {
		err = vacuumInto(ctx, path, target)
	}
	if err == nil {
		err = Check(ctx, target)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("copy store %q: %w", path, err), os.Remove(target))
	}
	return nil
}

func vacuumInto(ctx context.Context, path, target string) (err error) {
	db, err := sql.Open("sqlite", sqliteDSN(path, "deferred"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	_, err = db.ExecContext(ctx, "VACUUM INTO ?", target)
	return err
}

// ErrDamaged: the file is no database, or not a whole one.
var ErrDamaged = errors.New("the database is damaged")

// Check reads the whole SQLite file at path, which nobody may be using, and reports
// [ErrDamaged] when it is not as it must be.
func Check(ctx context.Context, path string) (err error) {
	db, err := sql.Open("sqlite", sqliteDSN(path, "deferred", "query_only(1)"))
	if err != nil {
		return fmt.Errorf("check store %q: %w", path, err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	var said string
	if err := db.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&said); err != nil {
		return fmt.Errorf("check store %q: %w: %w", path, ErrDamaged, err)
	}
	if said != "ok" {
		return fmt.Errorf("check store %q: %w: %s", path, ErrDamaged, said)
	}
	return nil
}
