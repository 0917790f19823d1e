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

// niceness of what may wait while media is forwarded and recorded.
const niceness = 10

// Background makes a started child give way to the server itself (setpriority(2)).
func Background(cmd *exec.Cmd) error {
	if err := syscall.Setpriority(syscall.PRIO_PROCESS, cmd.Process.Pid, niceness); err != nil {
		return fmt.Errorf("lower the priority of the child: %w", err)
	}
	return nil
}
