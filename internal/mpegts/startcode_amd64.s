#include "textflag.h"

// func startCodeAVX2(p *byte, n int) int
//
// Looks for two zeros in a row at 128 positions at a time while 130 bytes are left:
// of a byte ored with the next one, the least of four is zero where there are any.
// Coded pictures have them once in some thousand bytes. Where they are, and at the
// end, it looks closer at 32 positions at a time: a start code is where the byte is
// 0, the next is 0 and the one after that is 1. The last 32 positions overlap others.
TEXT ·startCodeAVX2(SB), NOSPLIT, $0-24
	MOVQ p+0(FP), SI
	MOVQ n+8(FP), CX
	LEAQ -130(CX), DI // the last position for 128
	LEAQ -2(CX), R9   // where no start code can begin any more
	SUBQ $34, CX      // the last position for 32
	XORQ AX, AX
	VPXOR Y0, Y0, Y0
	VPCMPEQB Y1, Y1, Y1
	VPABSB Y1, Y1

wide:
	CMPQ AX, DI
	JGT last
	VMOVDQU (SI)(AX*1), Y2
	VMOVDQU 32(SI)(AX*1), Y3
	VMOVDQU 64(SI)(AX*1), Y4
	VMOVDQU 96(SI)(AX*1), Y5
	VPOR 1(SI)(AX*1), Y2, Y2
	VPOR 33(SI)(AX*1), Y3, Y3
	VPOR 65(SI)(AX*1), Y4, Y4
	VPOR 97(SI)(AX*1), Y5, Y5
	VPMINUB Y2, Y3, Y3
	VPMINUB Y4, Y5, Y5
	VPMINUB Y3, Y5, Y5
	VPCMPEQB Y5, Y0, Y5
	VPMOVMSKB Y5, DX
	TESTL DX, DX
	JNZ pair
	SUBQ $-128, AX
	JMP wide

pair:
	LEAQ 128(AX), R8 // from here on wide again
	JMP closer

last:
	MOVQ $-1, R8

narrow:
	CMPQ AX, R8
	JEQ wide
	CMPQ AX, CX
	JLE closer
	CMPQ AX, R9
	JGE none
	MOVQ CX, AX

closer:
	VPCMPEQB (SI)(AX*1), Y0, Y2
	VPCMPEQB 1(SI)(AX*1), Y0, Y3
	VPCMPEQB 2(SI)(AX*1), Y1, Y4
	VPAND Y2, Y3, Y3
	VPAND Y3, Y4, Y4
	VPMOVMSKB Y4, DX
	TESTL DX, DX
	JNZ found
	ADDQ $32, AX
	JMP narrow

none:
	VZEROUPPER
	MOVQ $-1, ret+16(FP)
	RET

found:
	VZEROUPPER
	BSFL DX, DX
	ADDQ DX, AX
	MOVQ AX, ret+16(FP)
	RET

// CLOSER sets in Y10 the bytes where a start code begins with one to be found behind
// it, of the 32 positions at an offset.
#define CLOSER(at) \
	VMOVDQU at(SI), Y0         \
	VPOR at+1(SI), Y0, Y0      \
	VPXOR at+2(SI), Y7, Y1     \
	VPOR Y1, Y0, Y0            \
	VPCMPEQB Y0, Y6, Y0        \
	VPADDB at+3(SI), Y9, Y2    \
	VPMAXUB Y2, Y8, Y3         \
	VPCMPEQB Y2, Y3, Y3        \
	VPAND Y0, Y3, Y3           \
	VPOR Y3, Y10, Y10

// func copyPayloadAVX2(to, from *byte, ignored byte) (found bool)
//
// The 184 bytes are read once, for the copy and for the search for two zeros in a
// row; blocks of 32 overlap at the end. Most payloads have none. Then the places are
// looked at closer, all without a branch: slices of MPEG-2 begin in every tenth packet,
// and a branch that nobody can foretell costs more than that.
TEXT ·copyPayloadAVX2(SB), NOSPLIT, $0-25
	MOVQ to+0(FP), DI
	MOVQ from+8(FP), SI
	VMOVDQU (SI), Y0
	VMOVDQU 32(SI), Y1
	VMOVDQU 64(SI), Y2
	VMOVDQU 96(SI), Y3
	VMOVDQU 128(SI), Y4
	VMOVDQU 152(SI), Y5
	VMOVDQU Y0, (DI)
	VMOVDQU Y1, 32(DI)
	VMOVDQU Y2, 64(DI)
	VMOVDQU Y3, 96(DI)
	VMOVDQU Y4, 128(DI)
	VMOVDQU Y5, 152(DI)

	// Where the stream's next payload goes to is fetched while those of others are
	// copied. A hint never faults, so it may point behind the slab.
	PREFETCHT0 248(DI)
	PREFETCHT0 312(DI)
	PREFETCHT0 376(DI)

	// And what is eight packets further in the input, which most often lies there: in a
	// file that is mapped, and in the buffer of a receiver.
	PREFETCHT0 1504(SI)
	PREFETCHT0 1568(SI)
	PREFETCHT0 1632(SI)
	VPOR 1(SI), Y0, Y0
	VPOR 33(SI), Y1, Y1
	VPOR 65(SI), Y2, Y2
	VPOR 97(SI), Y3, Y3
	VPOR 129(SI), Y4, Y4
	VPOR 151(SI), Y5, Y5
	VPMINUB Y0, Y1, Y1
	VPMINUB Y2, Y3, Y3
	VPMINUB Y4, Y5, Y5
	VPMINUB Y1, Y3, Y3
	VPMINUB Y3, Y5, Y5
	VPXOR Y6, Y6, Y6
	VPCMPEQB Y5, Y6, Y5
	VPMOVMSKB Y5, DX
	TESTL DX, DX
	JNZ zeros
	VZEROUPPER
	MOVB $0, found+24(FP)
	RET

zeros:
	VPBROADCASTB ignored+16(FP), Y8
	VPCMPEQB Y9, Y9, Y9
	VPABSB Y9, Y7
	VPXOR Y10, Y10, Y10
	CLOSER(0)
	CLOSER(32)
	CLOSER(64)
	CLOSER(96)
	CLOSER(128)
	CLOSER(149)
	VPMOVMSKB Y10, DX
	VZEROUPPER

	// What follows a start code in the last three bytes is not there: two zeros do.
	MOVWLZX 181(SI), AX
	CMPL AX, $1
	SBBL AX, AX
	ORL AX, DX
	SETNE found+24(FP)
	RET
