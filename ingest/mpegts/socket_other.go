//go:build !linux

package mpegts

import "syscall"

// control does nothing where the options of Linux do not exist: one socket a group and port.
func control(_, _ string, _ syscall.RawConn) error { return nil }
