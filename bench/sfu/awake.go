package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A virtual machine's idle processor is given away by its host, and each wake-up
// begins with cold caches. What that costs is the machine's, not the server's: with
// a process that runs whenever nothing else wants to, the core never halts.

const spinMost = 2 * time.Hour // it ends by itself, whatever became of its parent

const schedIdle = 5 // SCHED_IDLE of sched(7): behind everybody, preempted at once

// keepAwake starts such a process on the server's core.
func keepAwake(o options) (end func(), err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	cmd := exec.Command(self, "-spin")
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := startOn(o.serverCore, 0, cmd); err != nil {
		return nil, fmt.Errorf("keep the core awake: %w", err)
	}
	return func() { _ = stop(cmd, time.Second) }, nil
}

func runSpin() error {
	runtime.LockOSThread() // the policy is this thread's
	a := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: schedIdle}
	if err := unix.SchedSetAttr(0, &a, 0); err != nil {
		return fmt.Errorf("run behind everybody: %w", err)
	}
	for end := time.Now().Add(spinMost); time.Now().Before(end); {
		continue // this is all it does
	}
	return nil
}
