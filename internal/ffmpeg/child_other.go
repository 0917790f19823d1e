//go:build !linux

package ffmpeg

import (
	"os/exec"
	"syscall"
)

// dieWithParent does nothing where the kernel has no such promise.
func dieWithParent() *syscall.SysProcAttr { return nil }

// Background does nothing where priorities mean something else.
func Background(*exec.Cmd) error { return nil }
