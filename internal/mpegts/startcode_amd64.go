package mpegts

import "golang.org/x/sys/cpu"

// startCodeAVX2 returns where the first start code prefix begins in the n bytes at
// p, of which there are 34 or more; -1 when it begins nowhere.
//
//go:noescape
func startCodeAVX2(p *byte, n int) int

// copyPayloadAVX2 is copyPayload.
//
//go:noescape
func copyPayloadAVX2(to, from *byte, ignored byte) (found bool)

// startCode returns where the next start code prefix 00 00 01 begins in b, at from
// or behind it; -1 when there is none.
func startCode(b []byte, from int) int {
	if !cpu.X86.HasAVX2 || len(b)-from < 34 {
		return startCodeGo(b, from)
	}
	at := startCodeAVX2(&b[from], len(b)-from)
	if at < 0 {
		return -1
	}
	return from + at
}

// copyPayload copies a payload that fills its packet and reports whether a start code
// that matters begins in it: none that is followed by a byte from 1 up to ignored.
// Two zeros at the start of the last three bytes matter, as what follows is not known.
// Zeros at the end of the payload before and of this one are not looked at. done is false when this processor cannot do both at once; nothing is copied then.
func copyPayload(to, from *[wholePayload]byte, ignored byte) (found, done bool) {
	if !cpu.X86.HasAVX2 {
		return false, false
	}
	return copyPayloadAVX2(&to[0], &from[0], ignored), true
}
