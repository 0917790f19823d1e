package ts

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

// socket sends the datagrams of one output. It never waits: what the kernel does not
// take at once is lost and counted. It belongs to one goroutine.
type socket struct {
	conn *net.UDPConn
	raw  syscall.RawConn
	sender

	counts *grams
	row    int   // failures since something was sent
	err    error // the newest failure
}

// grams counts datagrams over the sockets of one output.
type grams struct {
	sent    uint64
	full    uint64 // not taken: the network is slower than the output
	refused uint64 // an ICMP error said that nobody listens there
	failed  uint64 // any other error
}

// sendBuffer is what the kernel may hold for us: 200 ms of 40 Mbit/s.
const sendBuffer = 1 << 20

// dial opens the socket of an address.
func dial(ctx context.Context, a Address, counts *grams) (*socket, error) {
	device, err := a.device()
	if err != nil {
		return nil, err
	}
	d := net.Dialer{}
	multicast := a.To.Addr().IsMulticast()
	if device != nil {
		d.Control = func(_, _ string, c syscall.RawConn) error {
			if multicast { // before connect(2), which asks for a route
				return multicastBy(c, device.Index, a.To.Addr().Is6())
			}
			return bindTo(c, device.Name)
		}
	}
	if device != nil && multicast && a.To.Addr().Is4() {
		// The interface's address is the source that receivers of one source choose.
		if ip := firstAddress(device); ip != nil {
			d.LocalAddr = &net.UDPAddr{IP: ip}
		}
	}
	to := net.UDPAddrFromAddrPort(a.To)
	if device != nil && a.To.Addr().Is6() {
		to.Zone = device.Name
	}
	pc, err := d.DialContext(ctx, "udp", to.String())
	if err != nil {
		return nil, fmt.Errorf("open a socket for %s: %w", a.To, err)
	}
	conn := pc.(*net.UDPConn)
	// The kernel grants what it may; less is worth going on with.
	_ = conn.SetWriteBuffer(sendBuffer)
	if err := a.adjust(conn, device, multicast); err != nil {
		return nil, errors.Join(fmt.Errorf("set up the socket for %s: %w", a.To, err), conn.Close())
	}
	s := &socket{conn: conn, counts: counts}
	if s.raw, err = conn.SyscallConn(); err != nil {
		return nil, errors.Join(fmt.Errorf("set up the socket for %s: %w", a.To, err), conn.Close())
	}
	s.bind()
	return s, nil
}

// adjust sets what the address asks for.
func (a Address) adjust(conn *net.UDPConn, device *net.Interface, multicast bool) error {
	var errs []error
	note := func(err error) { errs = append(errs, err) }
	if a.To.Addr().Is4() {
		p := ipv4.NewConn(conn)
		g := ipv4.NewPacketConn(conn)
		if multicast {
			if device != nil {
				note(g.SetMulticastInterface(device))
			}
			note(g.SetMulticastTTL(a.TTL))
			note(g.SetMulticastLoopback(a.Loop))
		} else if a.TTL > 0 {
			note(p.SetTTL(a.TTL))
		}
		if a.DSCP > 0 {
			note(p.SetTOS(a.DSCP << 2))
		}
		return errors.Join(errs...)
	}
	p := ipv6.NewConn(conn)
	g := ipv6.NewPacketConn(conn)
	if multicast {
		if device != nil {
			note(g.SetMulticastInterface(device))
		}
		note(g.SetMulticastHopLimit(a.TTL))
		note(g.SetMulticastLoopback(a.Loop))
	} else if a.TTL > 0 {
		note(p.SetHopLimit(a.TTL))
	}
	if a.DSCP > 0 {
		note(p.SetTrafficClass(a.DSCP << 2))
	}
	return errors.Join(errs...)
}

// firstAddress returns the first IPv4 address of an interface, or nil.
func firstAddress(device *net.Interface) net.IP {
	addrs, err := device.Addrs()
	if err != nil {
		return nil
	}
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok && n.IP.To4() != nil {
			return n.IP.To4()
		}
	}
	return nil
}

func (s *socket) close() error { return s.conn.Close() }
