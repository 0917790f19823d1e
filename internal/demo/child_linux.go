package demo

import "syscall"

// dieWithParent makes the kernel end the child when the server is killed: two
// generations of the test programme on one port would spoil each other.
func dieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
