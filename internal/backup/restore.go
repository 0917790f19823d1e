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
	"strings"

	"tongxiang/internal/store"
)

// Restore brings back what [Write] saved to where no server ever was: with a database
// or keys in the place the error is [ErrExists], and nothing is touched. The server
// must not run. The configuration is written to to.Config, when that is given and
// nothing is there. Everything is read and checked before anything is put in its place.
func Restore(ctx context.Context, file string, to Place) (sum Summary, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("restore %s: %w", file, err)
		}
	}()
	if err := vacant(to); err != nil {
		return sum, err
	}
	in, err := os.Open(file)
	if err != nil {
		return sum, err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	home := filepath.Dir(to.Database)
	work, err := os.MkdirTemp(home, ".restore-*")
	if err != nil {
		return sum, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	if sum, err = unpack(ctx, in, work); err != nil {
		return sum, err
	}
	if err := store.Check(ctx, filepath.Join(work, databaseEntry)); err != nil {
		return sum, err
	}
	err = place(work, to, &sum)
	return sum, err
}

// vacant reports [ErrExists] for what would be replaced.
func vacant(to Place) error {
	// What SQLite wrote beside a database that was moved away alone would be taken for
	// changes of this one.
	for _, suffix := range [...]string{"", "-wal", "-shm", "-journal"} {
		if _, err := os.Lstat(to.Database + suffix); err == nil {
			return fmt.Errorf("%s %w: stop the server and move it away", to.Database+suffix, ErrExists)
		}
	}
	if keys, err := os.ReadDir(to.Keys); err == nil && len(keys) > 0 {
		return fmt.Errorf("%s %w: stop the server and move it away", filepath.Join(to.Keys, keys[0].Name()), ErrExists)
	}
	return nil
}

// unpack writes the entries below a folder. An archive with anything else in it is
// not ours, and no name leads out of the folder.
func unpack(ctx context.Context, in io.Reader, dir string) (Summary, error) {
	var sum Summary
	zipped, err := gzip.NewReader(in)
	if err != nil {
		return sum, fmt.Errorf("%w: %w", ErrNotBackup, err)
	}
	if err := os.Mkdir(filepath.Join(dir, keysEntry), 0o700); err != nil {
		return sum, err
	}
	r := tar.NewReader(zipped)
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return sum, fmt.Errorf("%w: %w", ErrNotBackup, err)
		}
		key, isKey := strings.CutPrefix(h.Name, keysEntry)
		switch {
		case h.Typeflag != tar.TypeReg:
			return sum, fmt.Errorf("%w: %q is no file", ErrNotBackup, h.Name)
		case h.Name == databaseEntry:
			sum.Database = h.Size
		case h.Name == configEntry:
			sum.Config = true
		case isKey && filepath.IsLocal(key) && filepath.Base(key) == key:
			sum.Keys++
		default:
			return sum, fmt.Errorf("%w: it has %q in it", ErrNotBackup, h.Name)
		}
		if err := extract(archived{whileAlive{ctx, r}}, filepath.Join(dir, h.Name)); err != nil {
			return sum, err
		}
	}
	// Only behind the last entry is the archive's checksum.
	if _, err := io.Copy(io.Discard, zipped); err != nil {
		return sum, fmt.Errorf("%w: %w", ErrNotBackup, err)
	}
	if sum.Database == 0 {
		return sum, fmt.Errorf("%w: it has no database", ErrNotBackup)
	}
	return sum, nil
}

// extract writes one file and syncs it.
func extract(r io.Reader, path string) (err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := io.Copy(f, r); err != nil {
		return err
	}
	return f.Sync()
}

// archived tells what is wrong with the archive from what is wrong with the disk.
type archived struct{ io.Reader }

func (r archived) Read(b []byte) (int, error) {
	n, err := r.Reader.Read(b)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, context.Canceled) {
		err = fmt.Errorf("%w: %w", ErrNotBackup, err)
	}
	return n, err
}

// place moves what was unpacked to where it belongs, the database last: a server that
// finds one starts with it.
func place(work string, to Place, sum *Summary) error {
	if sum.Config {
		sum.Config = false
		if _, err := os.Lstat(to.Config); to.Config != "" && errors.Is(err, os.ErrNotExist) {
			if err := os.Rename(filepath.Join(work, configEntry), to.Config); err != nil {
				return err
			}
			sum.Config = true
		}
	}
	if err := os.Remove(to.Keys); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err // an empty folder: see vacant
	}
	if err := os.Rename(filepath.Join(work, keysEntry), to.Keys); err != nil {
		return err
	}
	if err := os.Rename(filepath.Join(work, databaseEntry), to.Database); err != nil {
		return err
	}
	return syncDir(filepath.Dir(to.Database))
}
