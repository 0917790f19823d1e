//go:build unix

package folder

import "golang.org/x/sys/unix"

// noFollow refuses a symbolic link and does not wait at a pipe.
const noFollow = unix.O_NOFOLLOW | unix.O_NONBLOCK | unix.O_CLOEXEC

// errReadOnly is what opening for writing says of a disk that cannot be written.
var errReadOnly error = unix.EROFS
