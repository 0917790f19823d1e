package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// ErrInUse: another server works in this data folder.
var ErrInUse = errors.New("another server uses this data folder")

// DirLock keeps a data folder for one server.
type DirLock struct{ f *os.File }

// LockDir takes the data folder, creating it when missing, or says [ErrInUse]. The
// lock (flock(2) on the file "lock") ends with [DirLock.Unlock] or with the
// process, however it dies; nothing stale is left.
func LockDir(dir string) (*DirLock, error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, fmt.Errorf("lock data folder: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock data folder: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		// Nothing was written to f.
		_ = f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("lock data folder %q: %w", dir, ErrInUse)
		}
		return nil, fmt.Errorf("lock data folder %q: %w", dir, err)
	}
	return &DirLock{f}, nil
}

// Unlock gives the folder back.
func (l *DirLock) Unlock() error { return l.f.Close() }
