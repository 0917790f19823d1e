package mpegts

import (
	"os"

	"golang.org/x/sys/unix"
)

// pipeSize is asked for a tuner program's output: 200 ms of a multiplex, which the
// program throws away when the pipe is full.
const pipeSize = 1 << 20

// widen makes room in a pipe. The kernel may refuse; what there is works.
func widen(r *os.File) {
	raw, err := r.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) { _, _ = unix.FcntlInt(fd, unix.F_SETPIPE_SZ, pipeSize) })
}

// pollable returns a second handle of a file whose Close wakes its reader, when it
// is a pipe or a terminal.
func pollable(f *os.File) (*os.File, error) {
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), f.Name()), nil
}
