#include "textflag.h"

// func startCodeAVX2(p *byte, n int) int
//
// Looks at 32 positions at a time while 34 bytes are left: a position is one where
// the byte is 0, the next is 0 and the one after that is 1.
TEXT ·startCodeAVX2(SB), NOSPLIT, $0-24
	MOVQ p+0(FP), SI
	MOVQ n+8(FP), CX
	SUBQ $34, CX
	XORQ AX, AX
	VPXOR Y0, Y0, Y0
	VPCMPEQB Y1, Y1, Y1
	VPABSB Y1, Y1
	CMPQ AX, CX
	JGT none

loop:
	VPCMPEQB (SI)(AX*1), Y0, Y2
	VPCMPEQB 1(SI)(AX*1), Y0, Y3
	VPCMPEQB 2(SI)(AX*1), Y1, Y4
	VPAND Y2, Y3, Y3
	VPAND Y3, Y4, Y4
	VPMOVMSKB Y4, DX
	TESTL DX, DX
	JNZ found
	ADDQ $32, AX
	CMPQ AX, CX
	JLE loop

none:
	VZEROUPPER
	NOTQ AX
	MOVQ AX, ret+16(FP)
	RET

found:
	VZEROUPPER
	BSFL DX, DX
	ADDQ DX, AX
	MOVQ AX, ret+16(FP)
	RET
