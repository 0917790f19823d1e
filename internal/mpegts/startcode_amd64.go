package mpegts

import "golang.org/x/sys/cpu"

// startCodeAVX2 returns where the first start code prefix begins in the n bytes at
// p, or ^i when it begins nowhere before i, which is then within 34 bytes of the end.
//
//go:noescape
func startCodeAVX2(p *byte, n int) int

// startCode returns where the next start code prefix 00 00 01 begins in b, at from
// or behind it; -1 when there is none.
func startCode(b []byte, from int) int {
	if !cpu.X86.HasAVX2 || len(b)-from < 34 {
		return startCodeGo(b, from)
	}
	at := startCodeAVX2(&b[from], len(b)-from)
	if at >= 0 {
		return from + at
	}
	return startCodeGo(b, from+^at)
}
