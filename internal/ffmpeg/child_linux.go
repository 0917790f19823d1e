package ffmpeg

import "syscall"

// dieWithParent makes the kernel end the child when the server is killed: two
// generations of a child would spoil each other's work.
func dieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
