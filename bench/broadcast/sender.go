package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"time"

	"golang.org/x/net/ipv4"

	"tongxiang/bench/multiplex"
	"tongxiang/bench/process"
)

const (
	packetSize = 188
	datagram   = 7 * packetSize
	// tick is how often packets that are due are sent: PCR-accurate to a
	// millisecond, which is less than a network's jitter.
	tick = time.Millisecond
	// burst is how many datagrams one system call sends.
	burst = 32
)

// sent is what the sender says it did, as JSON on its standard output when it ends.
type sent struct {
	Packets int64 `json:"packets"`
	Late    int64 `json:"late_ns"` // the most that a datagram was behind its time
	Refused int64 `json:"refused"` // datagrams that the kernel did not take
}

// choosePorts replaces port 0 by the first of as many free ones as there are multiplexes.
func (o *options) choosePorts() error {
	at, err := netip.ParseAddrPort(o.to)
	if err != nil {
		return fmt.Errorf("-to: %w", err)
	}
	if at.Port() != 0 {
		return nil
	}
	for range 100 {
		first := uint16(20000 + rand.IntN(40000))
		free := true
		for i := range o.muxes {
			c, err := net.ListenUDP("udp", &net.UDPAddr{Port: int(first) + i})
			if err != nil {
				free = false
				break
			}
			_ = c.Close()
		}
		if free {
			o.to = netip.AddrPortFrom(at.Addr(), first).String()
			return nil
		}
	}
	return errors.New("no free ports were found")
}

// destination returns where a multiplex is sent.
func (o options) destination(mux int) (netip.AddrPort, error) {
	at, err := netip.ParseAddrPort(o.to)
	if err != nil {
		return at, fmt.Errorf("-to: %w", err)
	}
	return netip.AddrPortFrom(at.Addr(), at.Port()+uint16(mux)), nil
}

// source is the address that the server is given for a multiplex.
func (o options) source(mux int) (string, error) {
	at, err := o.destination(mux)
	if err != nil {
		return "", err
	}
	if at.Addr().IsMulticast() {
		return fmt.Sprintf("udp://%s?interface=lo", at), nil
	}
	return "udp://" + at.String(), nil
}

// lane is one multiplex being sent.
type lane struct {
	loop     *multiplex.Loop
	conn     *ipv4.PacketConn
	next     int64 // packet
	messages []ipv4.Message
}

// sender sends all multiplexes at their rate until ctx ends. They begin at different
// places, so that the large pictures of all do not come at the same moment.
func (o options) sender(ctx context.Context) error {
	if err := process.PinSelf(o.senderCore, o.nice); err != nil {
		return err
	}
	files, err := multiplex.Make(ctx, o.dir, o.kind(), o.muxes)
	if err != nil {
		return err
	}
	var lanes []*lane
	for mux, file := range files {
		l := &lane{next: int64(mux * multiplex.Packets / len(files) / 7 * 7)}
		if l.loop, err = multiplex.Open(file); err != nil {
			return err
		}
		to, err := o.destination(mux)
		if err != nil {
			return err
		}
		if l.conn, err = connect(to); err != nil {
			return err
		}
		defer l.conn.Close()
		for range burst {
			l.messages = append(l.messages, ipv4.Message{Buffers: [][]byte{make([]byte, datagram)}})
		}
		lanes = append(lanes, l)
	}
	var s sent
	first := make([]int64, len(lanes))
	for i, l := range lanes {
		first[i] = l.next
	}
	begin := time.Now()
	for t := time.NewTicker(tick); ctx.Err() == nil; {
		select {
		case <-ctx.Done():
		case <-t.C:
		}
		due := int64(time.Since(begin)) * multiplex.PacketRate / int64(time.Second)
		for i, l := range lanes {
			behind := (first[i] + due - l.next) * int64(time.Second) / multiplex.PacketRate
			s.Late = max(s.Late, behind-int64(7*time.Second/multiplex.PacketRate))
			if err := l.send(first[i]+due, &s); err != nil {
				return err
			}
		}
	}
	return json.NewEncoder(os.Stdout).Encode(s)
}

// send sends whole datagrams up to a packet.
func (l *lane) send(due int64, s *sent) error {
	for l.next+7 <= due {
		n := min(burst, int(due-l.next)/7)
		for i := range n {
			l.loop.Fill(l.messages[i].Buffers[0], l.next+int64(i)*7)
		}
		for done := 0; done < n; {
			k, err := l.conn.WriteBatch(l.messages[done:n], 0)
			if err != nil {
				// A receiver that is not there yet answers with ICMP, which the next
				// call tells; the datagram is gone.
				s.Refused++
				k = 1
			}
			done += k
		}
		l.next += int64(n) * 7
		s.Packets += int64(n) * 7
	}
	return nil
}

// connect returns a socket that sends to an address; groups go over the loopback.
func connect(to netip.AddrPort) (*ipv4.PacketConn, error) {
	c, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(to))
	if err != nil {
		return nil, err
	}
	_ = c.SetWriteBuffer(4 << 20) // more than the default is worth having, not needed
	p := ipv4.NewPacketConn(c)
	if !to.Addr().IsMulticast() {
		return p, nil
	}
	lo, err := net.InterfaceByName("lo")
	if err != nil {
		return nil, err
	}
	return p, errors.Join(p.SetMulticastInterface(lo), p.SetMulticastLoopback(true), p.SetMulticastTTL(1))
}
