//go:build unix

package folder

import "golang.org/x/sys/unix"

// noFollow refuses a symbolic link and does not wait at a pipe.
const noFollow = unix.O_NOFOLLOW | unix.O_NONBLOCK | unix.O_CLOEXEC
