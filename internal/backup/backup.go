// Package backup writes to one file what of a server cannot be made anew: its
// database, its keys and its configuration. It does so while the server runs. Recordings
// are too large for it; each has all that the library knows of it beside it, so they
// are copied as they lie.
//
// The file is a gzip-compressed tar archive with the entries "tongxiang.db",
// "keys/NAME" and "tongxiang.yaml", so that tar(1) can open it. It holds private keys
// and password hashes: only its owner can read it.
package backup

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"tongxiang/internal/store"
)

// Errors that callers decide on. They are wrapped with what was tried.
var (
	// ErrExists: the file, or something that would be replaced, is there already.
	ErrExists = errors.New("is there already")
	// ErrNotBackup: the file was not written by [Write], or is torn.
	ErrNotBackup = errors.New("is not a whole backup of tongxiang")
)

// Names of the entries.
const (
	databaseEntry = "tongxiang.db"
	configEntry   = "tongxiang.yaml"
	keysEntry     = "keys/"
)

// Place is where a server keeps what is saved: paths.
type Place struct {
	Database string
	Keys     string // a folder of files
	Config   string // empty: the server has none
}

// Summary says what was saved or brought back.
type Summary struct {
	Database int64 // bytes
	Keys     int   // files
	Config   bool
	Size     int64 // bytes of the backup
}

// Write saves a server to a new file. The file appears when it is complete and on
// disk. Its folder needs room for the database twice.
func Write(ctx context.Context, from Place, file string) (sum Summary, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("back up to %s: %w", file, err)
		}
	}()
	if _, err := os.Lstat(file); err == nil {
		return sum, ErrExists
	}
	work, err := os.MkdirTemp(filepath.Dir(file), ".backup-*")
	if err != nil {
		return sum, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	copied := filepath.Join(work, databaseEntry)
	if err := store.Snapshot(ctx, from.Database, copied); err != nil {
		return sum, err
	}
	part := filepath.Join(work, "part")
	out, err := os.OpenFile(part, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return sum, err
	}
	sum, err = pack(ctx, from, copied, out)
	if err == nil {
		err = out.Sync()
	}
	if err = errors.Join(err, out.Close()); err != nil {
		return sum, err
	}
	info, err := os.Stat(part)
	if err != nil {
		return sum, err
	}
	sum.Size = info.Size()
	if err := os.Rename(part, file); err != nil {
		return sum, err
	}
	return sum, syncDir(filepath.Dir(file))
}

// pack writes the archive.
func pack(ctx context.Context, from Place, database string, out io.Writer) (Summary, error) {
	var sum Summary
	zipped := gzip.NewWriter(out)
	w := tar.NewWriter(zipped)
	var err error
	if sum.Database, err = add(ctx, w, databaseEntry, database); err != nil {
		return sum, err
	}
	keys, err := os.ReadDir(from.Keys)
	if err != nil {
		return sum, err
	}
	for _, k := range keys {
		if !k.Type().IsRegular() {
			continue
		}
		if _, err := add(ctx, w, keysEntry+k.Name(), filepath.Join(from.Keys, k.Name())); err != nil {
			return sum, err
		}
		sum.Keys++
	}
	if from.Config != "" {
		if _, err := add(ctx, w, configEntry, from.Config); err != nil {
			return sum, err
		}
		sum.Config = true
	}
	if err := w.Close(); err != nil {
		return sum, err
	}
	return sum, zipped.Close()
}

// add writes one file into the archive and returns its size.
func add(ctx context.Context, w *tar.Writer, name, path string) (size int64, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	h := &tar.Header{Name: name, Mode: 0o600, Size: info.Size(), ModTime: info.ModTime().UTC().Truncate(time.Second), Format: tar.FormatPAX}
	if err := w.WriteHeader(h); err != nil {
		return 0, err
	}
	return io.Copy(w, whileAlive{ctx, f})
}

// whileAlive stops reading when its context ends.
type whileAlive struct {
	ctx context.Context
	io.Reader
}

func (r whileAlive) Read(b []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(b)
}

// syncDir makes the names in a folder survive a power cut.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
