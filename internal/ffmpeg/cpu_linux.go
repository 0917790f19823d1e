package ffmpeg

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"time"
)

// clockTick is the unit of times in /proc (proc_pid_stat(5)): a hundredth of a second
// on every architecture that Go runs on.
const clockTick = 10 * time.Millisecond

// CPU returns the processor time that a running child has used; ok is false when that
// cannot be told.
func CPU(cmd *exec.Cmd) (used time.Duration, ok bool) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", cmd.Process.Pid))
	if err != nil {
		return 0, false
	}
	// The name may hold spaces and brackets; what follows its last bracket does not.
	f := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
	if len(f) < 13 {
		return 0, false
	}
	for _, field := range f[11:13] { // utime, stime
		n, err := strconv.ParseInt(string(field), 10, 64)
		if err != nil {
			return 0, false
		}
		used += time.Duration(n) * clockTick
	}
	return used, true
}
