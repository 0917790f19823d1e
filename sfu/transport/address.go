package transport

import (
	"fmt"
	"net"
	"net/netip"
)

// announced returns the addresses that answers carry: those configured, else the
// one listened on, else those of the interfaces (loopback only when alone).
func announced(configured []string, listen netip.AddrPort) ([]netip.AddrPort, error) {
	var out []netip.AddrPort
	for _, c := range configured {
		a, err := netip.ParseAddr(c)
		if err != nil {
			return nil, fmt.Errorf("announce address %q: %w", c, err)
		}
		out = append(out, netip.AddrPortFrom(a.Unmap(), listen.Port()))
	}
	if len(out) > 0 {
		return out, nil
	}
	if a := listen.Addr().Unmap(); !a.IsUnspecified() {
		return []netip.AddrPort{netip.AddrPortFrom(a, listen.Port())}, nil
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil, fmt.Errorf("list the addresses of this machine: %w", err)
	}
	var loopback []netip.AddrPort
	for _, n := range addrs {
		ipn, ok := n.(*net.IPNet)
		if !ok {
			continue
		}
		a, ok := netip.AddrFromSlice(ipn.IP)
		a = a.Unmap()
		if !ok || a.IsLinkLocalUnicast() || (a.Is6() && listen.Addr().Is4()) {
			continue
		}
		at := netip.AddrPortFrom(a, listen.Port())
		if a.IsLoopback() {
			loopback = append(loopback, at)
		} else {
			out = append(out, at)
		}
	}
	if len(out) == 0 {
		out = loopback
	}
	return out, nil
}
