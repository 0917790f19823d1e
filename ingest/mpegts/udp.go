package mpegts

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"time"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"

	"tongxiang/ingest/source"
)

const (
	// receiveBuffer holds about 400 ms of a 40 Mbit/s multiplex; the kernel caps
	// it at net.core.rmem_max.
	receiveBuffer = 2 << 20
	// batch is how many datagrams one system call fetches.
	batch = 32
	// datagram is the longest one that is read: TS datagrams have 7 packets, 1316 bytes.
	datagram = 2048
)

// udpAddress is what a udp:// or rtp:// address says.
type udpAddress struct {
	addr   netip.AddrPort
	iface  string     // empty: the kernel's choice
	source netip.Addr // of a source-specific group; zero: any
	rtp    bool
}

// parseUDP reads an address. The interface may stand before the @, as in other
// players, or in ?interface=; udp://@group:port is the same as udp://group:port.
func parseUDP(u *url.URL) (udpAddress, error) {
	a := udpAddress{rtp: u.Scheme == "rtp", iface: u.Query().Get("interface")}
	if u.User != nil && u.User.Username() != "" {
		a.iface = u.User.Username()
	}
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	if err != nil || port == 0 {
		return a, fmt.Errorf("%q: port %q is not 1 to 65535", u.Redacted(), u.Port())
	}
	host := u.Hostname()
	ip := netip.IPv4Unspecified()
	if host != "" {
		if ip, err = netip.ParseAddr(host); err != nil {
			return a, fmt.Errorf("%q: host %q is not an IP address", u.Redacted(), host)
		}
	}
	a.addr = netip.AddrPortFrom(ip.Unmap(), uint16(port))
	if s := u.Query().Get("source"); s != "" {
		if a.source, err = netip.ParseAddr(s); err != nil {
			return a, fmt.Errorf("%q: source %q is not an IP address", u.Redacted(), s)
		}
		a.source = a.source.Unmap()
		if a.source.Is4() != a.addr.Addr().Is4() {
			return a, fmt.Errorf("%q: source and group are of different IP versions", u.Redacted())
		}
		if !a.addr.Addr().IsMulticast() {
			return a, fmt.Errorf("%q: a source is chosen for a multicast group only", u.Redacted())
		}
	}
	return a, nil
}

// listen opens the socket and joins the group.
func (a udpAddress) listen(ctx context.Context) (*net.UDPConn, error) {
	multicast := a.addr.Addr().IsMulticast()
	lc := net.ListenConfig{}
	if multicast {
		lc.Control = control
	}
	// Bound to the group, the socket does not get what is sent to other groups on
	// the same port.
	pc, err := lc.ListenPacket(ctx, "udp", a.addr.String())
	if err != nil {
		return nil, fmt.Errorf("listen at %s: %w", a.addr, err)
	}
	conn := pc.(*net.UDPConn)
	// The kernel grants what it may; less is worth going on with.
	_ = conn.SetReadBuffer(receiveBuffer)
	if multicast {
		if err := a.join(conn); err != nil {
			return nil, errors.Join(err, conn.Close())
		}
	}
	return conn, nil
}

// join joins the group, for one source where the address names one (RFC 3376, RFC 3810).
func (a udpAddress) join(conn *net.UDPConn) error {
	var iface *net.Interface
	if a.iface != "" {
		i, err := net.InterfaceByName(a.iface)
		if err != nil {
			return fmt.Errorf("interface %q: %w", a.iface, err)
		}
		iface = i
	}
	group := &net.UDPAddr{IP: a.addr.Addr().AsSlice()}
	from := &net.UDPAddr{IP: a.source.AsSlice()}
	var err error
	switch p4, p6 := ipv4.NewPacketConn(conn), ipv6.NewPacketConn(conn); {
	case a.addr.Addr().Is4() && a.source.IsValid():
		err = p4.JoinSourceSpecificGroup(iface, group, from)
	case a.addr.Addr().Is4():
		err = p4.JoinGroup(iface, group)
	case a.source.IsValid():
		err = p6.JoinSourceSpecificGroup(iface, group, from)
	default:
		err = p6.JoinGroup(iface, group)
	}
	if err != nil {
		return fmt.Errorf("join %s: %w", a.addr.Addr(), err)
	}
	return nil
}

// runUDP reads datagrams until ctx ends or the socket fails.
func runUDP(ctx context.Context, s *Source, out *source.Output, feed feeder) error {
	a, err := parseUDP(s.url)
	if err != nil {
		return source.Because(source.CauseBadAddress, err)
	}
	conn, err := a.listen(ctx)
	if err != nil {
		return source.Because(source.CauseUnreachable, err)
	}
	defer conn.Close()
	// A deadline in the past wakes the reader.
	defer context.AfterFunc(ctx, func() { _ = conn.SetReadDeadline(time.Unix(1, 0)) })()
	reader := ipv4.NewPacketConn(conn) // its ReadBatch serves both versions
	messages := make([]ipv4.Message, batch)
	for i := range messages {
		messages[i].Buffers = [][]byte{make([]byte, datagram)}
	}
	for {
		n, err := reader.ReadBatch(messages, 0)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			return source.Because(source.CauseFailed, fmt.Errorf("read from %s: %w", a.addr, err))
		}
		now := out.Clock.Now()
		for _, m := range messages[:n] {
			b := m.Buffers[0][:m.N]
			if a.rtp {
				if b = rtpPayload(b); b == nil {
					continue
				}
			}
			feed.feed(b, now)
		}
	}
}

// rtpPayload returns the payload of an RTP packet (RFC 3550 5.1), or nil.
func rtpPayload(b []byte) []byte {
	if len(b) < 12 || b[0]>>6 != 2 {
		return nil
	}
	n := 12 + 4*int(b[0]&0x0F)
	if b[0]&0x10 != 0 {
		if len(b) < n+4 {
			return nil
		}
		n += 4 + 4*(int(b[n+2])<<8|int(b[n+3]))
	}
	end := len(b)
	if b[0]&0x20 != 0 {
		end -= int(b[end-1])
	}
	if n >= end {
		return nil
	}
	return b[n:end]
}
