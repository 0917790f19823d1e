package mpegts

import (
	"strings"
	"unsafe"
)

// uncleared returns an empty slice with room for n bytes that are not set to zero:
// they are all written before anybody reads them, and clearing memory that is not in
// the cache costs a fifth of demuxing. Of the standard library only strings.Builder
// hands such memory out.
func uncleared(n int) []byte {
	var b strings.Builder
	b.Grow(n)
	b.WriteByte(0) // the string must not be empty for its data to be defined
	// Nobody has the string, so the rule that strings do not change is kept.
	return unsafe.Slice(unsafe.StringData(b.String()), b.Cap())[:0]
}
