package recorder

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"tongxiang/internal/playout/fmp4"
)

// file is what a disk writes to: the seam where tests put a disk that fails.
type file interface {
	io.WriterAt
	Truncate(size int64) error
	Sync() error // of the bytes and the length (fdatasync)
	Close() error
}

// osFile is a file of the operating system.
type osFile struct{ *os.File }

// Sync waits until the bytes are on disk, and not also the times of the file.
func (f osFile) Sync() error {
	for {
		if err := unix.Fdatasync(int(f.Fd())); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// createFile makes a file that must not be there.
func createFile(path string) (file, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY|unix.O_NOFOLLOW, 0o640)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

// writeIndex writes the index of a file over the space kept for it at space: the
// body first and, when that is on disk, the head that makes it one.
func writeIndex(f file, space int64, index []fmp4.Fragment, e extent, lead fmp4.Format) error {
	head, body := fmp4.Index(index, e.duration, e.bytes, lead)
	if head == nil {
		return nil
	}
	for _, w := range []struct {
		b  []byte
		at int64
	}{{body, space + int64(len(head))}, {head, space}} {
		if _, err := f.WriteAt(w.b, w.at); err != nil {
			return fmt.Errorf("write the index of the recording: %w", err)
		}
		if err := f.Sync(); err != nil {
			return fmt.Errorf("write the index of the recording: %w", err)
		}
	}
	return nil
}

// diskReason returns the stable code of what is wrong with a disk, "" for nothing.
func diskReason(err error) string {
	switch {
	case err == nil:
		return ""
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return ReasonDiskFull
	case errors.Is(err, syscall.EROFS), errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM):
		return ReasonDiskReadOnly
	}
	return ReasonDiskError
}
