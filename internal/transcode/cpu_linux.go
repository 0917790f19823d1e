package transcode

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"syscall"
	"time"
)

// clockTick is the unit of processor times in /proc; every Linux has 100 a second (sysconf(3)).
const clockTick = 10 * time.Millisecond

// ownTime returns the processor time that this process has used.
func ownTime() (time.Duration, bool) {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0, false
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), true
}

// childTime returns the processor time that a child has used (proc(5), fields 14 and
// 15 of stat; the second field, in parentheses, may contain blanks).
func childTime(pid int) (time.Duration, bool) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, false
	}
	f := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
	if len(f) < 13 {
		return 0, false
	}
	var total time.Duration
	for _, w := range f[11:13] {
		n, err := strconv.ParseInt(string(w), 10, 64)
		if err != nil {
			return 0, false
		}
		total += time.Duration(n) * clockTick
	}
	return total, true
}
