package mpegts

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"

	"tongxiang/ingest/source"
)

const (
	// receiveBuffer is asked of the kernel, which doubles it and counts its own
	// share of each datagram: 800 ms of a 40 Mbit/s multiplex.
	receiveBuffer = 8 << 20
	// datagram is the longest one that is read: that of a jumbo frame. Most have 7
	// packets, 1316 bytes.
	datagram = 9216
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
	sock, err := newSocket(conn)
	if err != nil {
		return source.Because(source.CauseFailed, err)
	}
	err = sock.receive(ctx, out.Clock, newDatagrams(a.rtp, sock, feed).take)
	if closing := sock.close(); closing != nil && ctx.Err() == nil {
		err = errors.Join(err, closing)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return source.Because(source.CauseFailed, fmt.Errorf("read from %s: %w", a.addr, err))
}

// datagrams feeds what comes in datagrams: transport packets as they are, or in
// RTP. Both are taken at either kind of address, because operators mix them up.
type datagrams struct {
	rtp    bool // the address says so
	socket *socket
	feed   feeder
	order  order
	next   int64 // when to tell the counters again
	told   uint64
}

func newDatagrams(rtp bool, s *socket, feed feeder) *datagrams {
	return &datagrams{rtp: rtp, socket: s, feed: feed, order: order{emit: feed.feed, fresh: feed.restart}}
}

// take takes one datagram.
func (d *datagrams) take(b []byte, arrival int64) {
	switch {
	case len(b) > 0 && b[0] == 0x47:
		d.feed.feed(b, arrival)
	case d.rtp || d.order.begun || carriesTS(b):
		d.order.take(b, arrival)
	default:
		// Packets may straddle datagrams, or begin with a time code.
		d.feed.feed(b, arrival)
	}
	if arrival >= d.next {
		d.next = arrival + reportEvery
		d.tell()
	}
}

// tell reports the counters when one of them has moved.
func (d *datagrams) tell() {
	m := map[string]uint64{"kernel_drops": d.socket.drops, "datagram_cut": d.socket.cut}
	d.order.count(m)
	sum := uint64(0)
	for _, n := range m {
		sum += n
	}
	if sum != d.told {
		d.told = sum
		d.feed.link(source.Link{Errors: m})
	}
}
