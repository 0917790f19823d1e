package mpegts

// prefetch asks for the n bytes at p to be brought into the first cache, of which it
// does not wait for any. It reads nothing.
//
//go:noescape
func prefetch(p *byte, n int)
