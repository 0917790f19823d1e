package sfu

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"github.com/pion/dtls/v3"
	"github.com/pion/ice/v4"
	"github.com/pion/logging"
	"github.com/pion/webrtc/v4"
)

// tcpBuffer is what one ICE-TCP peer may have unsent before packets are dropped:
// a quarter of a second at 4 Mbit/s. More would only be stale by the time it arrives.
const tcpBuffer = 128 << 10

// ICE's patience. A line that is cut for 10 s heals without a new session; a peer
// that vanished is gone 15 s after its last sign of life.
const (
	iceDisconnected = 10 * time.Second
	iceFailed       = 5 * time.Second
	iceKeepalive    = 2 * time.Second
)

// transport is the sockets of all peers and how pion is set up on them. All of it
// is set once in newTransport.
type transport struct {
	socket  *udpSocket
	udpMux  *ice.UDPMuxDefault
	tcpMux  *ice.TCPMuxDefault // nil without ICE-TCP
	tcp     net.Listener       // likewise
	udpAt   []netip.AddrPort   // what answers announce
	tcpAt   []netip.AddrPort
	setting webrtc.SettingEngine
	cert    webrtc.Certificate
}

func newTransport(cfg Config, now func() int64, log *slog.Logger) (_ *transport, err error) {
	t := &transport{}
	defer func() {
		if err != nil {
			err = errors.Join(err, t.close())
		}
	}()
	if t.socket, err = listenUDP(cfg.UDP, newSSRCGuard(), now); err != nil {
		return t, err
	}
	pionLog := pionLogs{log}
	t.udpMux = ice.NewUDPMuxDefault(ice.UDPMuxParams{UDPConn: t.socket, Logger: pionLog.NewLogger("ice")})
	local, _ := t.socket.LocalAddr().(*net.UDPAddr)
	if t.udpAt, err = announced(cfg.Addresses, local.AddrPort()); err != nil {
		return t, err
	}
	if cfg.TCP != "" {
		lc := net.ListenConfig{}
		if t.tcp, err = lc.Listen(context.Background(), "tcp", cfg.TCP); err != nil {
			return t, fmt.Errorf("listen for media on TCP %q: %w", cfg.TCP, err)
		}
		t.tcpMux = ice.NewTCPMuxDefault(ice.TCPMuxParams{
			Listener: t.tcp, Logger: pionLog.NewLogger("ice"),
			ReadBufferSize: 64, WriteBufferSize: tcpBuffer,
		})
		at, _ := t.tcp.Addr().(*net.TCPAddr)
		if t.tcpAt, err = announced(cfg.Addresses, at.AddrPort()); err != nil {
			return t, err
		}
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return t, fmt.Errorf("make the DTLS key: %w", err)
	}
	cert, err := webrtc.GenerateCertificate(key)
	if err != nil {
		return t, fmt.Errorf("make the DTLS certificate: %w", err)
	}
	t.cert = *cert
	return t, t.configure(pionLog)
}

func (t *transport) configure(pionLog logging.LoggerFactory) error {
	s := &t.setting
	s.LoggerFactory = pionLog
	s.SetLite(true)
	s.SetICEUDPMux(oneAddress{t.udpMux, t.udpAt})
	networks := []webrtc.NetworkType{webrtc.NetworkTypeUDP4, webrtc.NetworkTypeUDP6}
	if t.tcpMux != nil {
		s.SetICETCPMux(t.tcpMux)
		networks = append(networks, webrtc.NetworkTypeTCP4, webrtc.NetworkTypeTCP6)
	}
	s.SetNetworkTypes(networks)
	s.DisableActiveTCP(true)
	s.SetIncludeLoopbackCandidate(true) // gathered so that it works; announced only when nothing else is there
	s.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	s.SetICETimeouts(iceDisconnected, iceFailed, iceKeepalive)
	// The DTLS server chooses the SRTP profile, and a browser prefers AES-CM,
	// which costs several times what GCM does: be the server, and put GCM first.
	s.SetSRTPProtectionProfiles(dtls.SRTP_AEAD_AES_128_GCM, dtls.SRTP_AES128_CM_HMAC_SHA1_80)
	// Firefox probes for bandwidth by sending old packets again; a window this
	// wide takes them as what they are instead of as an attack.
	s.SetSRTPReplayProtectionWindow(512)
	return s.SetAnsweringDTLSRole(webrtc.DTLSRoleServer)
}

func (t *transport) close() error {
	var errs []error
	if t.udpMux != nil {
		errs = append(errs, t.udpMux.Close())
	} else if t.socket != nil {
		errs = append(errs, t.socket.Close())
	}
	if t.tcpMux != nil {
		errs = append(errs, t.tcpMux.Close())
	} else if t.tcp != nil {
		errs = append(errs, t.tcp.Close())
	}
	return errors.Join(errs...)
}

// oneAddress shows pion one local address of each family instead of every
// interface's: the socket is one, and pion starts a goroutine for each.
type oneAddress struct {
	*ice.UDPMuxDefault
	at []netip.AddrPort
}

// GetListenAddresses implements ice.UDPMux.
func (m oneAddress) GetListenAddresses() []net.Addr {
	local, ok := m.LocalAddr().(*net.UDPAddr)
	if !ok || !local.IP.IsUnspecified() {
		return []net.Addr{m.LocalAddr()}
	}
	var out []net.Addr
	var v4, v6 bool
	for _, a := range m.at {
		if is4 := a.Addr().Is4(); is4 && !v4 || !is4 && !v6 {
			v4, v6 = v4 || is4, v6 || !is4
			out = append(out, net.UDPAddrFromAddrPort(a))
		}
	}
	return out
}

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

// pionLogs passes pion's log on, one level lower: what it calls a warning is, for
// a server with many peers, the ordinary end of one of them.
type pionLogs struct{ log *slog.Logger }

// NewLogger implements logging.LoggerFactory.
func (p pionLogs) NewLogger(scope string) logging.LeveledLogger {
	return pionLog{p.log.With("pion", scope)}
}

type pionLog struct{ log *slog.Logger }

func (l pionLog) Trace(string)          {}
func (l pionLog) Tracef(string, ...any) {}
func (l pionLog) Debug(string)          {}
func (l pionLog) Debugf(string, ...any) {}
func (l pionLog) Info(string)           {}
func (l pionLog) Infof(string, ...any)  {}
func (l pionLog) Warn(msg string)       { l.log.Debug("pion warns", "what", msg) }
func (l pionLog) Error(msg string)      { l.log.Debug("pion reports an error", "what", msg) }

func (l pionLog) Warnf(format string, args ...any) {
	if l.log.Enabled(context.Background(), slog.LevelDebug) {
		l.Warn(fmt.Sprintf(format, args...))
	}
}

func (l pionLog) Errorf(format string, args ...any) {
	if l.log.Enabled(context.Background(), slog.LevelDebug) {
		l.Error(fmt.Sprintf(format, args...))
	}
}
