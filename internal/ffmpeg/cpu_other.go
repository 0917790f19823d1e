//go:build !linux

package ffmpeg

import (
	"os/exec"
	"time"
)

// CPU cannot tell what a running child has used.
func CPU(*exec.Cmd) (used time.Duration, ok bool) { return 0, false }
