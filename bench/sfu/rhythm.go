package main

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"fmt"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The other floors send without a pause, so that keys, sockets and code stay in the
// cache. A server of one meeting sleeps between two pictures. These loops do the least
// that must be done at the publisher's rhythm: with a key for each destination, packets
// of one picture to one destination as one message, 64 messages in a call.

// beat is one moment of a cycle.
type beat struct {
	at      time.Duration
	packets int // to each destination, as one message
	size    int // of each before it is sealed
}

const (
	rhythmCycle = time.Second / framesPerSecond
	rhythmTime  = 50 * rhythmCycle
	rhythmRun   = 5 // packets of a picture
	rhythmFew   = 10
)

// A picture and two packets of sound. With its packets apart two of them share a
// message, as they do in the server: longer none of them may wait.
var (
	rhythmApart = []beat{{2500 * time.Microsecond, 2, packetSize}, {5 * time.Millisecond, 1, soundSize}, {7500 * time.Microsecond, 2, packetSize},
		{10 * time.Millisecond, 1, packetSize}, {25 * time.Millisecond, 1, soundSize}}
	rhythmBurst = []beat{{0, rhythmRun, packetSize}, {5 * time.Millisecond, 1, soundSize}, {25 * time.Millisecond, 1, soundSize}}
)

// rhythm is the sending of one such loop.
type rhythm struct {
	fd      int
	to      []unix.RawSockaddrInet4
	keys    []cipher.AEAD
	nonce   [12]byte
	plain   [packetSize]byte
	arena   [floorBatch][rhythmRun * sealedSize]byte
	message [floorBatch]mmsghdr
	vectors [floorBatch]unix.Iovec
	control [floorBatch][24]byte
}

func newRhythm(fd int, to []unix.RawSockaddrInet4, plain [packetSize]byte) (*rhythm, error) {
	r := &rhythm{fd: fd, to: to, plain: plain}
	for i := range to {
		block, err := aes.NewCipher(binary.BigEndian.AppendUint64(make([]byte, 8, 16), uint64(i)))
		if err != nil {
			return nil, err
		}
		key, err := cipher.NewGCM(block)
		if err != nil {
			return nil, err
		}
		r.keys = append(r.keys, key)
	}
	return r, nil
}

// marginal returns microseconds of CPU for each packet more from few destinations to all.
func (r *rhythm) marginal(beats []beat) (float64, error) {
	few, fewSent, err := r.play(beats, rhythmFew)
	if err != nil {
		return 0, err
	}
	all, allSent, err := r.play(beats, len(r.to))
	if err != nil {
		return 0, err
	}
	return float64((all - few).Nanoseconds()) / 1000 / float64(allSent-fewSent), nil
}

// play sends to the first n destinations for a while and returns what it cost.
func (r *rhythm) play(beats []beat, n int) (cpu time.Duration, sent int, err error) {
	before := ownCPU()
	start := time.Now()
	for cycle := time.Duration(0); cycle < rhythmTime; cycle += rhythmCycle {
		for _, b := range beats {
			time.Sleep(time.Until(start.Add(cycle + b.at)))
			if err := r.beat(b, n); err != nil {
				return 0, 0, err
			}
			sent += n * b.packets
		}
	}
	return ownCPU() - before, sent, nil
}

func (r *rhythm) beat(b beat, n int) error {
	for first := 0; first < n; first += floorBatch {
		m := min(floorBatch, n-first)
		for k := range m {
			r.prepare(k, first+k, b)
		}
		for done := 0; done < m; {
			sent, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, uintptr(r.fd), uintptr(unsafe.Pointer(&r.message[done])), uintptr(m-done), 0, 0, 0)
			if errno != 0 {
				return fmt.Errorf("sendmmsg at the publisher's rhythm: %w", errno)
			}
			done += int(sent)
		}
	}
	return nil
}

// prepare makes message k: packets for one destination.
func (r *rhythm) prepare(k, to int, b beat) {
	sealed := b.size + r.keys[to].Overhead()
	for i := range b.packets {
		out := r.arena[k][i*sealed : (i+1)*sealed]
		binary.BigEndian.PutUint64(r.nonce[4:], binary.BigEndian.Uint64(r.nonce[4:])+1)
		copy(out, r.plain[:12])
		r.keys[to].Seal(out[:12], r.nonce[:], r.plain[12:b.size], out[:12])
	}
	r.vectors[k] = unix.Iovec{Base: &r.arena[k][0], Len: uint64(b.packets * sealed)}
	h := &r.message[k].header
	*h = unix.Msghdr{Name: (*byte)(unsafe.Pointer(&r.to[to])), Namelen: unix.SizeofSockaddrInet4, Iov: &r.vectors[k], Iovlen: 1}
	if b.packets > 1 {
		segmentSize(&r.control[k], sealed)
		h.Control, h.Controllen = &r.control[k][0], uint64(len(r.control[k]))
	}
}

// segmentSize writes a control message of type UDP_SEGMENT, padded (cmsg(3), udp(7)).
func segmentSize(control *[24]byte, size int) {
	binary.NativeEndian.PutUint64(control[0:], 18)
	binary.NativeEndian.PutUint32(control[8:], unix.SOL_UDP)
	binary.NativeEndian.PutUint32(control[12:], unix.UDP_SEGMENT)
	binary.NativeEndian.PutUint16(control[16:], uint16(size))
}
