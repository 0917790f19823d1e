//go:build !linux

package ffmpeg

import (
	"os/exec"
	"syscall"
)

// dieWithParent does nothing where the kernel has no such promise.
func dieWithParent() *syscall.SysProcAttr { return nil }

// Group does nothing where process groups are something else.
func Group(*exec.Cmd) {}

// EndGroup does nothing there either.
func EndGroup(*exec.Cmd) {}

// Background does nothing where priorities mean something else.
func Background(*exec.Cmd) error { return nil }
