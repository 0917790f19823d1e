package ffmpeg

import (
	"fmt"
	"os/exec"
	"syscall"
)

// dieWithParent makes the kernel end the child when the server is killed: two
// generations of a child would spoil each other's work.
func dieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}

// Group makes a child that has not started the head of a process group of its own:
// a tuner program may be a script, and what it started must end with it. When the
// child's context ends, the whole group is asked to.
func Group(cmd *exec.Cmd) {
	cmd.SysProcAttr.Setpgid = true
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
}

// EndGroup ends what is left of the group of a child that has been waited for.
func EndGroup(cmd *exec.Cmd) {
	// ESRCH, the usual answer, says that nobody is left.
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
}

// niceness of what may wait while media is forwarded and recorded.
const niceness = 10

// Background makes a started child give way to the server itself (setpriority(2)).
func Background(cmd *exec.Cmd) error {
	if err := syscall.Setpriority(syscall.PRIO_PROCESS, cmd.Process.Pid, niceness); err != nil {
		return fmt.Errorf("lower the priority of the child: %w", err)
	}
	return nil
}
