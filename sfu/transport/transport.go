// Package transport carries media between the server and its peers: one UDP port
// and one TCP port for all of them, ICE-lite (RFC 8445), DTLS-SRTP (RFC 5764) with
// AES-GCM (RFC 7714).
//
//	socket.go   reads all that has come with one system call, and never waits to write
//	stun.go     answers connectivity checks, believes what the client nominates
//	dtls.go     makes the keys, by pion/dtls
//	srtp.go     seals and opens packets, without a copy or an allocation
//	batch.go    sends packets to many peers with one system call
//	ignore.go   has the kernel drop what nobody may hear
//	tcp.go      the same for a client whose network lets no UDP through (RFC 4571, RFC 6544)
//
//	goroutine         owner      ends when
//	UDP reader        Transport  Close
//	TCP listener      Transport  Close
//	TCP line, two     Transport  the line breaks, or Close
//	sweep, insist,    Transport  Close
//	ignoring
//	Peer.run          Transport  the peer says goodbye, or Close of either
//
// No goroutine belongs to a packet: what comes in is handled by the reader, what
// goes out is sealed and sent by whoever owns the [Batch].
package transport

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/dtls/v3/pkg/crypto/selfsign"
	"github.com/pion/logging"
)

const (
	// silentFor ends a peer. A line that is cut for 10 s heals without a new
	// session; a peer that vanished is gone 15 s after its last sign of life.
	silentFor = int64(15 * time.Second)
	// pathSilent is when a check from another address is followed without a nomination.
	pathSilent   = int64(3 * time.Second)
	sweepEvery   = time.Second
	controlQueue = 1024
)

// Config is set once.
type Config struct {
	UDP       string   // address to listen on
	TCP       string   // address for ICE-TCP; empty: none
	Addresses []string // IP addresses to announce; empty: those of the machine
	Now       func() int64
	Log       *slog.Logger
}

// Transport is the sockets of all peers. It is safe for concurrent use.
type Transport struct {
	udp          *udpSocket
	tcp          net.Listener // nil without ICE-TCP
	udpAt, tcpAt []netip.AddrPort
	certificates []tls.Certificate
	fingerprint  Fingerprint
	now          func() int64
	log          *slog.Logger
	pionLog      logging.LoggerFactory
	waiting      chan urgent
	done         chan struct{}
	running      sync.WaitGroup
	ignored      ignored

	refused atomic.Uint64 // packets that were not authentic, or checks of nobody we know

	mu     sync.RWMutex // guards what follows
	closed bool
	byName map[string]*Peer         // by our ufrag
	byAddr map[netip.AddrPort]*Peer // by a UDP address that was nominated
	lines  map[*tcpLine]struct{}
}

// urgent is control data that the kernel would not take at once.
type urgent struct {
	b  []byte
	to *route
}

// Stats are counters since the start, and how many peers there are now.
type Stats struct {
	Peers                                    int
	PacketsIn, BytesIn, PacketsOut, BytesOut uint64
	// Full counts datagrams that the kernel would not take, Failed sends that it
	// refused, Refused packets that were not authentic.
	Full, Failed, Refused uint64
}

// Listen opens the ports. The caller closes the transport.
func Listen(cfg Config) (_ *Transport, err error) {
	t := &Transport{
		now: cfg.Now, log: cfg.Log, pionLog: PionLogs(cfg.Log),
		waiting: make(chan urgent, controlQueue), done: make(chan struct{}),
		byName: make(map[string]*Peer), byAddr: make(map[netip.AddrPort]*Peer), lines: make(map[*tcpLine]struct{}),
	}
	if err := t.identify(); err != nil {
		return nil, err
	}
	if t.udp, err = listenUDP(cfg.UDP); err != nil {
		return nil, err
	}
	t.ignored = ignored{soon: make(chan struct{}, 1), entries: make(map[ignoredStream]ignoredBy)}
	defer func() {
		if err != nil {
			err = errors.Join(err, t.Close())
		}
	}()
	local, _ := t.udp.conn.LocalAddr().(*net.UDPAddr)
	if t.udpAt, err = announced(cfg.Addresses, local.AddrPort()); err != nil {
		return nil, err
	}
	if cfg.TCP != "" {
		if t.tcp, err = net.Listen("tcp", cfg.TCP); err != nil {
			return nil, fmt.Errorf("listen for media on TCP %q: %w", cfg.TCP, err)
		}
		at, _ := t.tcp.Addr().(*net.TCPAddr)
		if t.tcpAt, err = announced(cfg.Addresses, at.AddrPort()); err != nil {
			return nil, err
		}
		t.running.Go(t.accept)
	}
	var scratch check
	t.running.Go(func() {
		t.udp.receive(func(b []byte, from netip.AddrPort) { t.arrived(&scratch, b, from) })
	})
	t.running.Go(t.sweep)
	t.running.Go(t.insist)
	t.running.Go(t.ignoring)
	return t, nil
}

// identify makes the certificate of this process.
func (t *Transport) identify() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("make the DTLS key: %w", err)
	}
	cert, err := selfsign.SelfSign(key)
	if err != nil {
		return fmt.Errorf("make the DTLS certificate: %w", err)
	}
	t.certificates = []tls.Certificate{cert}
	sum := sha256.Sum256(cert.Certificate[0])
	var pairs []string
	for _, b := range sum {
		pairs = append(pairs, strings.ToUpper(hex.EncodeToString([]byte{b})))
	}
	t.fingerprint = Fingerprint{"sha-256", strings.Join(pairs, ":")}
	return nil
}

// Close ends all peers, waits for their goroutines and closes the ports.
func (t *Transport) Close() error {
	t.mu.Lock()
	if t.closed {
		t.mu.Unlock()
		return nil
	}
	t.closed = true
	close(t.done)
	var peers []*Peer
	for _, p := range t.byName {
		peers = append(peers, p)
	}
	for l := range t.lines {
		l.close()
	}
	t.mu.Unlock()
	for _, p := range peers {
		p.Close()
	}
	errs := []error{t.udp.conn.Close()}
	if t.tcp != nil {
		errs = append(errs, t.tcp.Close())
	}
	t.running.Wait()
	return errors.Join(errs...)
}

// UDP returns the addresses that answers announce, with their port.
func (t *Transport) UDP() []netip.AddrPort { return t.udpAt }

// TCP returns the addresses for ICE-TCP; none without it.
func (t *Transport) TCP() []netip.AddrPort { return t.tcpAt }

// Fingerprint returns that of our certificate.
func (t *Transport) Fingerprint() Fingerprint { return t.fingerprint }

// Stats returns the counters.
func (t *Transport) Stats() Stats {
	t.mu.RLock()
	n := len(t.byName)
	t.mu.RUnlock()
	return Stats{
		Peers: n, PacketsIn: t.udp.packetsIn.Load(), BytesIn: t.udp.bytesIn.Load(),
		PacketsOut: t.udp.packetsOut.Load(), BytesOut: t.udp.bytesOut.Load(),
		Full: t.udp.full.Load(), Failed: t.udp.failed.Load(), Refused: t.refused.Load(),
	}
}

// control sends now, or as soon as the kernel takes it.
func (t *Transport) control(b []byte, to *route) {
	if to.tcp != nil {
		to.tcp.send(b)
		return
	}
	if !t.udp.send(b, &to.to) {
		select {
		case t.waiting <- urgent{append([]byte(nil), b...), to}:
		default:
		}
	}
}

// insist sends control data that found the buffer full: unlike media it waits.
func (t *Transport) insist() {
	for {
		select {
		case u := <-t.waiting:
			if _, err := t.udp.conn.WriteToUDPAddrPort(u.b, u.to.from); err != nil {
				t.udp.failed.Add(1)
			}
		case <-t.done:
			return
		}
	}
}
