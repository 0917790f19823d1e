// Package process runs and watches the processes of a measurement: on a core of
// their own, at a priority, with what they cost.
package process

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Usage is what a process has cost since it started.
type Usage struct {
	CPU    time.Duration // on a core, user and system together
	Waited time.Duration // ready to run while others had the core
	At     time.Time
}

// ReadUsage adds up the scheduler's figures of all threads of a process, which
// are in nanoseconds where /proc/PID/stat counts hundredths of a second. A Go
// program's threads do not end, so no time is lost with them.
func ReadUsage(pid int) (Usage, error) {
	u := Usage{At: time.Now()}
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if err != nil || len(files) == 0 {
		return u, fmt.Errorf("read the CPU time of process %d: it has no threads (%w)", pid, errors.Join(err, os.ErrProcessDone))
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			continue // a thread that ended meanwhile
		}
		fields := strings.Fields(string(b))
		if len(fields) < 2 {
			return u, fmt.Errorf("read %s: %q is not schedstat", f, b)
		}
		on, err1 := strconv.ParseInt(fields[0], 10, 64)
		off, err2 := strconv.ParseInt(fields[1], 10, 64)
		if err := errors.Join(err1, err2); err != nil {
			return u, fmt.Errorf("read %s: %w", f, err)
		}
		u.CPU += time.Duration(on)
		u.Waited += time.Duration(off)
	}
	return u, nil
}

// ReadWakes returns how often threads of a process have gone to sleep, and so were
// woken, since they started (proc_pid_status(5), "voluntary_ctxt_switches").
func ReadWakes(pid int) (int64, error) {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil || len(files) == 0 {
		return 0, fmt.Errorf("read the wake-ups of process %d: it has no threads (%w)", pid, errors.Join(err, os.ErrProcessDone))
	}
	total := int64(0)
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			continue // a thread that ended meanwhile
		}
		for line := range bytes.Lines(b) {
			if rest, ok := bytes.CutPrefix(line, []byte("voluntary_ctxt_switches:")); ok {
				n, err := strconv.ParseInt(strings.TrimSpace(string(rest)), 10, 64)
				if err != nil {
					return 0, fmt.Errorf("read %s: %w", f, err)
				}
				total += n
			}
		}
	}
	return total, nil
}

// ReadRSS returns the resident memory of a process in KiB.
func ReadRSS(pid int) (int, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, fmt.Errorf("read the memory of process %d: %w", pid, err)
	}
	for line := range bytes.Lines(b) {
		if rest, ok := bytes.CutPrefix(line, []byte("VmRSS:")); ok {
			return strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(string(rest)), " kB"))
		}
	}
	return 0, fmt.Errorf("read the memory of process %d: no VmRSS", pid)
}

// ReadStolen returns how long the machine's processors were ready to run and their
// host ran something else, since the machine started, all processors together
// (proc_stat(5), "steal"); in hundredths of a second.
func ReadStolen() (time.Duration, error) {
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, fmt.Errorf("read what the host took: %w", err)
	}
	line, _, _ := strings.Cut(string(b), "\n")
	return stolen(line)
}

func stolen(line string) (time.Duration, error) {
	const tick = 10 * time.Millisecond // USER_HZ
	fields := strings.Fields(line)
	if len(fields) < 9 || fields[0] != "cpu" {
		return 0, fmt.Errorf("read what the host took: %q is not the processors' line", line)
	}
	n, err := strconv.ParseInt(fields[8], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("read what the host took: %w", err)
	}
	return time.Duration(n) * tick, nil
}

// StartOn starts a command on one core at a priority. A child inherits both from
// the thread that forks it, so only that thread is changed for a moment.
func StartOn(core, nice int, cmd *exec.Cmd) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before, only unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return fmt.Errorf("read this thread's cores: %w", err)
	}
	only.Set(core)
	if err := unix.SchedSetaffinity(0, &only); err != nil {
		return fmt.Errorf("move to core %d: %w", core, err)
	}
	was, err := unix.Getpriority(unix.PRIO_PROCESS, 0)
	if err != nil {
		return fmt.Errorf("read this thread's priority: %w", err)
	}
	was = 20 - was // the system call returns 20 - nice, so that it is never negative
	if err := unix.Setpriority(unix.PRIO_PROCESS, 0, nice); err != nil {
		return fmt.Errorf("set the priority to %d: %w", nice, err)
	}
	if err = cmd.Start(); err == nil {
		err = unix.Setpriority(unix.PRIO_PROCESS, 0, was)
	} else {
		_ = unix.Setpriority(unix.PRIO_PROCESS, 0, was) // the error that matters is the first
	}
	if back := unix.SchedSetaffinity(0, &before); back != nil {
		return errors.Join(err, fmt.Errorf("move back from core %d: %w", core, back))
	}
	return err
}

// Yield makes a process one that runs only where no other wants to (SCHED_IDLE, sched(7)).
func Yield(pid int) error {
	if err := unix.SchedSetAttr(pid, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_IDLE}, 0); err != nil {
		return fmt.Errorf("make process %d one that waits for all others: %w", pid, err)
	}
	return nil
}

// PinSelf begins this program again on one core at a priority, with a mark set that says so.
// It returns only when that is done already, or fails.
func PinSelf(core, nice int) error {
	const mark = "BENCH_CORE"
	if os.Getenv(mark) != "" {
		return nil
	}
	runtime.LockOSThread()
	var only unix.CPUSet
	only.Set(core)
	if err := unix.SchedSetaffinity(0, &only); err != nil {
		return fmt.Errorf("move the load to core %d: %w", core, err)
	}
	if err := unix.Setpriority(unix.PRIO_PROCESS, 0, nice); err != nil {
		return fmt.Errorf("set the load's priority to %d: %w", nice, err)
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	return syscall.Exec(self, os.Args, append(os.Environ(), fmt.Sprintf("%s=%d", mark, core)))
}

// Stop asks a process to end and waits; after patience it is killed.
func Stop(cmd *exec.Cmd, patience time.Duration) error {
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop process %d: %w", cmd.Process.Pid, err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case err := <-ended:
		return err
	case <-time.After(patience):
		_ = cmd.Process.Kill() // it may have ended in this moment
		<-ended
		return fmt.Errorf("process %d did not stop within %v and was killed", cmd.Process.Pid, patience)
	}
}

// Pause waits; it is an error when ctx ends first.
func Pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Cores is how many cores the machine has, whatever this process may use.
func Cores() int {
	files, err := filepath.Glob("/sys/devices/system/cpu/cpu[0-9]*")
	if err != nil {
		return 0
	}
	return len(files)
}
