package main

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"tongxiang/bench/process"
)

// The floors: what sealing a packet with AES-128-GCM and giving it to the kernel
// costs in Go when nothing else is done, to another destination each packet.

// floors is microseconds of CPU for one packet.
type floors struct {
	WriteTo  float64 `json:"write_to"`
	Sendmmsg float64 `json:"sendmmsg"`
	GSO      float64 `json:"gso"`
	// Wake is microseconds of CPU for one wake-up of a Go program that has nothing to do:
	// what sleeping and being woken costs any server when little is said. A processor that
	// slept finds its caches cold, and of a virtual one the host decides when it runs.
	Wake float64 `json:"wake"`
	// Apart and Burst are for each packet more at the publisher's rhythm: see rhythm.
	Apart float64 `json:"apart"`
	Burst float64 `json:"burst"`
}

// medianFloors is the median of each.
func medianFloors(fs []floors) floors {
	each := func(f func(floors) float64) float64 {
		var all []float64
		for _, x := range fs {
			all = append(all, f(x))
		}
		return median(all)
	}
	return floors{
		WriteTo:  each(func(f floors) float64 { return f.WriteTo }),
		Sendmmsg: each(func(f floors) float64 { return f.Sendmmsg }),
		GSO:      each(func(f floors) float64 { return f.GSO }),
		Wake:     each(func(f floors) float64 { return f.Wake }),
		Apart:    each(func(f floors) float64 { return f.Apart }),
		Burst:    each(func(f floors) float64 { return f.Burst }),
	}
}

const (
	floorSockets = 200
	floorTime    = 1500 * time.Millisecond
	floorBatch   = 64
	floorRun     = 4 // packets in one GSO send
	sealedSize   = packetSize + 16
)

// measureFloors runs this program on the server's core to measure them.
func measureFloors(ctx context.Context, o options) (floors, error) {
	var f floors
	self, err := os.Executable()
	if err != nil {
		return f, fmt.Errorf("find this program: %w", err)
	}
	out, err := os.CreateTemp("", "bench-floor-")
	if err != nil {
		return f, err
	}
	defer os.Remove(out.Name())
	defer out.Close()
	cmd := exec.CommandContext(ctx, self, "-floor")
	cmd.Stdout, cmd.Stderr = out, os.Stderr
	if err := process.StartOn(o.serverCore, o.nice, cmd); err != nil {
		return f, fmt.Errorf("measure the floors: %w", err)
	}
	if err := cmd.Wait(); err != nil {
		return f, fmt.Errorf("measure the floors: %w", err)
	}
	b, err := os.ReadFile(out.Name())
	if err != nil {
		return f, err
	}
	return f, json.Unmarshal(b, &f)
}

// floorBench holds what the three ways of sending share.
type floorBench struct {
	aead    cipher.AEAD
	nonce   [12]byte
	plain   [packetSize]byte
	sealed  [floorBatch][sealedSize]byte
	conn    *net.UDPConn
	fd      int
	to      []netip.AddrPort
	raw     []unix.RawSockaddrInet4
	message [floorBatch]mmsghdr
	vectors [floorBatch]unix.Iovec
}

// mmsghdr is struct mmsghdr of sendmmsg(2).
type mmsghdr struct {
	header unix.Msghdr
	length uint32
	_      [4]byte
}

// runFloors measures in this process and prints JSON.
func runFloors() error {
	b := &floorBench{}
	block, err := aes.NewCipher(make([]byte, 16))
	if err != nil {
		return err
	}
	if b.aead, err = cipher.NewGCM(block); err != nil {
		return err
	}
	if b.conn, err = net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}); err != nil {
		return err
	}
	defer b.conn.Close()
	for range floorSockets {
		sink, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			return err
		}
		defer sink.Close()
		if err := dropRTP(sink); err != nil {
			return err
		}
		at, _ := sink.LocalAddr().(*net.UDPAddr)
		b.to = append(b.to, at.AddrPort())
		b.raw = append(b.raw, unix.RawSockaddrInet4{
			Family: unix.AF_INET, Addr: [4]byte{127, 0, 0, 1},
			Port: binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, uint16(at.Port))),
		})
	}
	b.plain[0], b.plain[1] = 0x80, ptVideo
	file, err := b.conn.File() // a blocking descriptor: the kernel's work without the runtime's poller
	if err != nil {
		return err
	}
	defer file.Close()
	b.fd = int(file.Fd())
	var f floors
	for _, m := range []struct {
		out  *float64
		step func(i int) (int, error)
	}{{&f.WriteTo, b.writeTo}, {&f.Sendmmsg, b.sendmmsg}, {&f.GSO, b.gso}} {
		if *m.out, err = perPacket(m.step); err != nil {
			return err
		}
	}
	if f.Wake, err = perWake(); err != nil {
		return err
	}
	r, err := newRhythm(b.fd, b.raw, b.plain)
	if err != nil {
		return err
	}
	if f.Apart, err = r.marginal(rhythmApart); err != nil {
		return err
	}
	if f.Burst, err = r.marginal(rhythmBurst); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(f)
}

// wakeEvery is how far the wake-ups of the floor lie apart: as in a meeting of eight.
const wakeEvery = 2 * time.Millisecond

// perWake sleeps and does nothing else, and returns microseconds of CPU for each time
// that a thread was woken: the runtime's own are among them, as they are in the server.
func perWake() (float64, error) {
	before, err := process.ReadWakes(os.Getpid())
	if err != nil {
		return 0, err
	}
	cpu := ownCPU()
	for end := time.Now().Add(floorTime); time.Now().Before(end); {
		time.Sleep(wakeEvery)
	}
	cpu = ownCPU() - cpu
	after, err := process.ReadWakes(os.Getpid())
	if err != nil || after == before {
		return 0, err
	}
	return float64(cpu.Nanoseconds()) / 1000 / float64(after-before), nil
}

// perPacket runs step for a while and returns microseconds of CPU for each packet.
func perPacket(step func(i int) (packets int, err error)) (float64, error) {
	sent := 0
	for i := range 2000 {
		if _, err := step(i); err != nil {
			return 0, err
		}
	}
	before := ownCPU()
	for i, end := 0, time.Now().Add(floorTime); time.Now().Before(end); {
		for range 16 {
			n, err := step(i)
			if err != nil {
				return 0, err
			}
			sent += n
			i++
		}
	}
	return float64((ownCPU() - before).Nanoseconds()) / 1000 / float64(sent), nil
}

// ownCPU returns what this process has cost.
func ownCPU() time.Duration {
	var r unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &r) != nil {
		return 0
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// seal encrypts one packet behind a copied RTP header, as SRTP does (RFC 7714).
func (b *floorBench) seal(out []byte) {
	binary.BigEndian.PutUint64(b.nonce[4:], binary.BigEndian.Uint64(b.nonce[4:])+1)
	copy(out, b.plain[:12])
	b.aead.Seal(out[:12], b.nonce[:], b.plain[12:], out[:12])
}

func (b *floorBench) writeTo(i int) (int, error) {
	b.seal(b.sealed[0][:])
	_, err := b.conn.WriteToUDPAddrPort(b.sealed[0][:], b.to[i%len(b.to)])
	return 1, err
}

func (b *floorBench) sendmmsg(i int) (int, error) {
	for k := range floorBatch {
		b.seal(b.sealed[k][:])
		b.vectors[k] = unix.Iovec{Base: &b.sealed[k][0], Len: sealedSize}
		b.message[k].header = unix.Msghdr{
			Name: (*byte)(unsafe.Pointer(&b.raw[(i*floorBatch+k)%len(b.raw)])), Namelen: unix.SizeofSockaddrInet4,
			Iov: &b.vectors[k], Iovlen: 1,
		}
	}
	n, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, uintptr(b.fd), uintptr(unsafe.Pointer(&b.message[0])), floorBatch, 0, 0, 0)
	if errno != 0 {
		return 0, fmt.Errorf("sendmmsg: %w", errno)
	}
	return int(n), nil
}

func (b *floorBench) gso(i int) (int, error) {
	for k := range floorRun {
		b.seal(b.sealed[k][:])
		b.vectors[k] = unix.Iovec{Base: &b.sealed[k][0], Len: sealedSize}
	}
	var control [24]byte
	segmentSize(&control, sealedSize)
	m := unix.Msghdr{
		Name: (*byte)(unsafe.Pointer(&b.raw[i%len(b.raw)])), Namelen: unix.SizeofSockaddrInet4,
		Iov: &b.vectors[0], Iovlen: floorRun, Control: &control[0], Controllen: uint64(len(control)),
	}
	if _, _, errno := unix.Syscall(unix.SYS_SENDMSG, uintptr(b.fd), uintptr(unsafe.Pointer(&m)), 0); errno != 0 {
		return 0, fmt.Errorf("sendmsg with UDP_SEGMENT: %w", errno)
	}
	return floorRun, nil
}
