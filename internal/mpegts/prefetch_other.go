//go:build !amd64

package mpegts

// prefetch does nothing: see the one for amd64.
func prefetch(*byte, int) {}
