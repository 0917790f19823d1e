//go:build unix

package server

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// freeBytes returns what an ordinary user may still write below a folder.
func freeBytes(dir string) (uint64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, fmt.Errorf("free space of %s: %w", dir, err)
	}
	return st.Bavail * uint64(st.Bsize), nil
}
