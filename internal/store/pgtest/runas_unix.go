//go:build unix

package pgtest

import (
	"os/exec"
	"syscall"
)

// runAs makes a command run as another user, in a process group of its own, so that
// the terminal's interrupt reaches us first.
func runAs(c *exec.Cmd, uid, gid int) {
	c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, Setpgid: true}
}
