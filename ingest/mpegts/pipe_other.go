//go:build !linux

package mpegts

import "os"

func widen(*os.File) {}

// pollable returns the file itself: its reader ends with the next bytes.
func pollable(f *os.File) (*os.File, error) { return f, nil }
