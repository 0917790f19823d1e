//go:build !amd64

package mpegts

// startCode returns where the next start code prefix 00 00 01 begins in b, at from
// or behind it; -1 when there is none.
func startCode(b []byte, from int) int { return startCodeGo(b, from) }

// copyPayload copies nothing: see the one for amd64.
func copyPayload(_, _ *[wholePayload]byte, _ byte) (found, done bool) { return false, false }
