package main

import (
	"fmt"
	"net"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// dropRTP makes the kernel drop incoming RTP before it reaches the socket's queue,
// so that a viewer that is only there to be sent to costs the load nothing. STUN,
// DTLS and RTCP pass (RFC 7983, RFC 5761). A filter of a UDP socket sees the
// datagram from its UDP header on, 8 bytes before the payload.
func dropRTP(c *net.UDPConn) error {
	const keep, drop = 1 << 16, 0
	program, err := bpf.Assemble([]bpf.Instruction{
		bpf.LoadAbsolute{Off: 8, Size: 1},
		bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: 0xc0},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: 0x80, SkipFalse: 3}, // not RTP or RTCP
		bpf.LoadAbsolute{Off: 9, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpLessThan, Val: 192, SkipTrue: 2},
		bpf.JumpIf{Cond: bpf.JumpGreaterThan, Val: 223, SkipTrue: 1},
		bpf.RetConstant{Val: keep},
		bpf.RetConstant{Val: drop},
	})
	if err != nil {
		return fmt.Errorf("assemble the socket filter: %w", err)
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return fmt.Errorf("attach the socket filter: %w", err)
	}
	code := make([]unix.SockFilter, len(program))
	for i, p := range program {
		code[i] = unix.SockFilter{Code: p.Op, Jt: p.Jt, Jf: p.Jf, K: p.K}
	}
	var attach error
	err = raw.Control(func(fd uintptr) {
		attach = unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_FILTER,
			&unix.SockFprog{Len: uint16(len(code)), Filter: &code[0]})
	})
	if err = firstOf(err, attach); err != nil {
		return fmt.Errorf("attach the socket filter: %w", err)
	}
	return nil
}
