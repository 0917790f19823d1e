package store_test

import (
	"database/sql"
	"io/fs"
	"path/filepath"
	"testing"

	"github.com/pressly/goose/v3"

	"tongxiang/internal/store"
)

// TestLibraryOfBeforeIsFoundAfterTheUpgrade has recordings that were there before the
// library had an order and a search index.
func TestLibraryOfBeforeIsFoundAfterTheUpgrade(t *testing.T) {
	both(t, testLibraryOfBeforeIsFoundAfterTheUpgrade)
}

func testLibraryOfBeforeIsFoundAfterTheUpgrade(t *testing.T, db database) {
	dsn := db.dsn(t)
	driver, dialect := "pgx", goose.DialectPostgres
	path := dsn
	if db.postgres == nil {
		driver, dialect = "sqlite", goose.DialectSQLite3
		path = filepath.Join(t.TempDir(), "old.db")
		dsn = path
	}
	raw, err := sql.Open(driver, path)
	check(t, err)
	files, err := fs.Sub(store.Migrations, "migrations")
	check(t, err)
	p, err := goose.NewProvider(dialect, raw, files, goose.WithDisableGlobalRegistry(true))
	check(t, err)
	_, err = p.UpTo(t.Context(), 7)
	check(t, err)
	for _, id := range []string{"b", "a", "c"} { // begun at the same moment
		_, err = raw.ExecContext(t.Context(), `INSERT INTO recordings (id, stream, title, state, started, duration, bytes, file, reason)
			VALUES ($1, 'channels/x', '防汛会商', 'complete', $2, 0, 0, '', '')`, id, noon.UnixMicro())
		check(t, err)
	}
	check(t, raw.Close())
	s := openAt(t, dsn)
	same(t, ids(t, s, store.LibraryFilter{Text: "防汛"}), "c b a")
	same(t, ids(t, s, store.LibraryFilter{Text: "hs", Sort: "oldest"}), "a b c")
	x, err := s.Recording(t.Context(), "a")
	check(t, err)
	same(t, x, store.Recording{ID: "a", Stream: "channels/x", Title: "防汛会商", State: store.RecordingComplete, Started: noon, Format: "fmp4"})
	check(t, s.Close())

	raw, err = sql.Open(driver, path)
	check(t, err)
	p, err = goose.NewProvider(dialect, raw, files, goose.WithDisableGlobalRegistry(true))
	check(t, err)
	_, err = p.DownTo(t.Context(), 7)
	check(t, err)
	check(t, raw.Close())
}
