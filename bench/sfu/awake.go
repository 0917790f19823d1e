package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"os/exec"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"

	"tongxiang/bench/process"
)

// A small meeting leaves the server's core asleep for nine tenths of the time. What waking
// it costs is the machine's affair, above all of a virtual one, whose host runs somebody
// else meanwhile and hands it back with cold caches. With a process on the core that
// runs when nobody else wants to, it never sleeps: what is left is the server's own work.

// runSpin keeps a core busy until the process is ended.
func runSpin() {
	runtime.GOMAXPROCS(1)
	var turns atomic.Uint64
	for {
		turns.Add(1)
	}
}

// keepAwake runs this program so on the server's core until the function it returns is called.
func keepAwake(o options) (stop func(), err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	cmd := exec.Command(self, "-spin")
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := process.StartOn(o.serverCore, 0, cmd); err != nil {
		return nil, fmt.Errorf("keep core %d awake: %w", o.serverCore, err)
	}
	stop = func() {
		_ = cmd.Process.Kill() // it has nothing to finish
		_ = cmd.Wait()
	}
	if err := process.Yield(cmd.Process.Pid); err != nil {
		stop()
		return nil, err
	}
	return stop, nil
}

// measureAwake is the small meeting on a core that does not sleep.
func measureAwake(ctx context.Context, o options, id *identity) (r meetingResult, err error) {
	stop, err := keepAwake(o)
	if err != nil {
		return r, err
	}
	defer stop()
	if err := process.Pause(ctx, 500*time.Millisecond); err != nil {
		return r, err
	}
	log.Printf("  with core %d kept awake:", o.serverCore)
	return measureMeeting(ctx, o, id)
}
