//go:build !linux

package ffmpeg

import "syscall"

// dieWithParent does nothing where the kernel has no such promise.
func dieWithParent() *syscall.SysProcAttr { return nil }
