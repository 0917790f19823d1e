package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/dtls/v3"
	"github.com/pion/dtls/v3/pkg/crypto/selfsign"
	"github.com/pion/srtp/v3"
	"github.com/pion/stun/v4"
	"github.com/pion/transport/v5/packetio"
	"golang.org/x/sys/unix"
)

const (
	checkEvery   = 50 * time.Millisecond // of ICE checks until one is answered
	consentEvery = 4 * time.Second
	joinPatience = 15 * time.Second
)

// identity is the certificate that all peers share: making one for each would only
// cost the load.
type identity struct {
	cert        tls.Certificate
	fingerprint string
}

func newIdentity() (*identity, error) {
	cert, err := selfsign.GenerateSelfSigned()
	if err != nil {
		return nil, fmt.Errorf("make the clients' certificate: %w", err)
	}
	sum := sha256.Sum256(cert.Certificate[0])
	hex := make([]string, len(sum))
	for i, b := range sum {
		hex[i] = fmt.Sprintf("%02X", b)
	}
	return &identity{cert, strings.Join(hex, ":")}, nil
}

// peer is one client: a socket, an ICE agent that knows one candidate pair, DTLS
// and SRTP. It is what a browser is on the wire, without what makes a browser
// heavy, so that hundreds of them fit in one process.
//
// One goroutine reads the socket; close ends it and waits.
type peer struct {
	identity   *identity
	ufrag, pwd string
	remote     answer
	location   string
	token      string
	url        string
	http       *http.Client

	conn    *net.UDPConn
	inbox   *packetio.Buffer // DTLS records for the DTLS client
	dtls    *dtls.Conn
	in, out *srtp.Context // out is guarded by outMu
	outMu   sync.Mutex
	checked chan struct{}
	once    sync.Once
	reading sync.WaitGroup
	closed  atomic.Bool

	// onRTP and onRTCP get what arrives once DTLS is done, encrypted, on the
	// reading goroutine; at is when the kernel took it in.
	onRTP, onRTCP func(b []byte, at time.Time)
	open          atomic.Bool // in and out are set
	stamps        bool        // ask the kernel for times of arrival
}

func newPeer(id *identity, s *server, token string) *peer {
	return &peer{
		identity: id, ufrag: rand.Text()[:8], pwd: rand.Text(), token: token, url: s.url, http: s.http,
		inbox: packetio.NewBuffer(), checked: make(chan struct{}),
	}
}

// join posts an offer, and returns when media can flow.
func (p *peer) join(ctx context.Context, path, direction string, video, audio int) error {
	ctx, cancel := context.WithTimeout(ctx, joinPatience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url+path, strings.NewReader(offerFor(p, direction, video, audio)))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+p.token)
	req.Header.Set("Content-Type", "application/sdp")
	res, err := p.http.Do(req)
	if err != nil {
		return fmt.Errorf("post %s: %w", path, err)
	}
	body, err := io.ReadAll(res.Body)
	_ = res.Body.Close()
	if err != nil {
		return fmt.Errorf("read the answer of %s: %w", path, err)
	}
	if res.StatusCode != http.StatusCreated {
		return fmt.Errorf("post %s: %s: %s", path, res.Status, body)
	}
	p.location = res.Header.Get("Location")
	if p.remote, err = readAnswer(string(body)); err != nil {
		return err
	}
	return p.connect(ctx)
}

// connect runs ICE and DTLS.
func (p *peer) connect(ctx context.Context) error {
	var err error
	if p.conn, err = net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(p.remote.at)); err != nil {
		return fmt.Errorf("open a client's socket: %w", err)
	}
	if p.stamps {
		if err := askForStamps(p.conn); err != nil {
			return err
		}
	}
	p.reading.Go(p.read)
	for done := false; !done; {
		if err := p.check(); err != nil {
			return err
		}
		select {
		case <-p.checked:
			done = true
		case <-time.After(checkEvery):
		case <-ctx.Done():
			return fmt.Errorf("no answer to ICE checks: %w", context.Cause(ctx))
		}
	}
	p.dtls, err = dtls.ClientWithOptions(dtlsPipe{p.inbox, p.conn}, p.conn.RemoteAddr(),
		dtls.WithCertificates(p.identity.cert),
		dtls.WithInsecureSkipVerify(true), // the offer's peer is a process of ours
		dtls.WithSRTPProtectionProfiles(dtls.SRTP_AEAD_AES_128_GCM),
		dtls.WithExtendedMasterSecret(dtls.RequireExtendedMasterSecret),
	)
	if err != nil {
		return fmt.Errorf("begin DTLS: %w", err)
	}
	if err := p.dtls.HandshakeContext(ctx); err != nil {
		return fmt.Errorf("DTLS handshake: %w", err)
	}
	if profile, _ := p.dtls.SelectedSRTPProtectionProfile(); profile != dtls.SRTP_AEAD_AES_128_GCM {
		return fmt.Errorf("the server chose SRTP profile %#x, want AES-128-GCM", profile)
	}
	return p.key()
}

// key derives the SRTP keys.
func (p *peer) key() error {
	state, ok := p.dtls.ConnectionState()
	if !ok {
		return fmt.Errorf("derive SRTP keys: DTLS is not connected")
	}
	c := srtp.Config{Profile: srtp.ProtectionProfileAeadAes128Gcm}
	if err := c.ExtractSessionKeysFromDTLS(&state, true); err != nil {
		return fmt.Errorf("derive SRTP keys: %w", err)
	}
	var err error
	if p.out, err = srtp.CreateContext(c.Keys.LocalMasterKey, c.Keys.LocalMasterSalt, c.Profile); err != nil {
		return fmt.Errorf("make the SRTP context: %w", err)
	}
	if p.in, err = srtp.CreateContext(c.Keys.RemoteMasterKey, c.Keys.RemoteMasterSalt, c.Profile); err != nil {
		return fmt.Errorf("make the SRTP context: %w", err)
	}
	p.open.Store(true)
	return nil
}

// check sends one ICE connectivity check (RFC 8445 section 7.2.2), which is also
// the consent that the server waits for (RFC 7675).
func (p *peer) check() error {
	m, err := stun.Build(stun.TransactionID, stun.BindingRequest,
		stun.NewUsername(p.remote.ufrag+":"+p.ufrag),
		stun.RawAttribute{Type: stun.AttrICEControlling, Value: []byte{1, 2, 3, 4, 5, 6, 7, 8}},
		stun.RawAttribute{Type: stun.AttrPriority, Value: []byte{0x6e, 0, 0x1e, 0xff}},
		stun.RawAttribute{Type: stun.AttrUseCandidate},
		stun.NewShortTermIntegrity(p.remote.pwd), stun.Fingerprint)
	if err != nil {
		return fmt.Errorf("build an ICE check: %w", err)
	}
	_, err = p.conn.Write(m.Raw)
	return err
}

// read takes everything that arrives until the socket is closed.
func (p *peer) read() {
	b, oob := make([]byte, 2048), make([]byte, 128)
	for {
		n, on, _, _, err := p.conn.ReadMsgUDPAddrPort(b, oob)
		if err != nil {
			if p.closed.Load() || errors.Is(err, net.ErrClosed) {
				return // a viewer that vanishes closes its socket and nothing else
			}
			continue // a port that is unreachable for a moment
		}
		if n == 0 {
			continue
		}
		switch {
		case b[0] < 4:
			p.answer(b[:n])
		case b[0] >= 20 && b[0] < 64:
			_, _ = p.inbox.Write(b[:n], nil) // DTLS sends again what a full buffer drops
		case b[0] >= 128 && b[0] < 192 && p.open.Load():
			at := arrival(oob[:on])
			if b[1] >= 192 && b[1] <= 223 {
				if p.onRTCP != nil {
					p.onRTCP(b[:n], at)
				}
			} else if p.onRTP != nil {
				p.onRTP(b[:n], at)
			}
		}
	}
}

// answer handles STUN.
func (p *peer) answer(b []byte) {
	m := &stun.Message{Raw: append([]byte(nil), b...)}
	if m.Decode() != nil {
		return
	}
	switch m.Type {
	case stun.BindingSuccess:
		p.once.Do(func() { close(p.checked) })
	case stun.BindingRequest:
		local, _ := p.conn.RemoteAddr().(*net.UDPAddr)
		r, err := stun.Build(m, stun.BindingSuccess,
			&stun.XORMappedAddress{IP: local.IP, Port: local.Port},
			stun.NewShortTermIntegrity(p.pwd), stun.Fingerprint)
		if err == nil {
			_, _ = p.conn.Write(r.Raw)
		}
	}
}

// leave ends the session at the server, and the peer.
func (p *peer) leave(ctx context.Context) error {
	defer p.close()
	if p.location == "" {
		return nil
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodDelete, p.url+p.location, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+p.token)
	res, err := p.http.Do(req)
	if err != nil {
		return fmt.Errorf("delete %s: %w", p.location, err)
	}
	return res.Body.Close()
}

func (p *peer) close() {
	p.closed.Store(true)
	if p.dtls != nil {
		_ = p.dtls.Close() // the server may be gone
	}
	_ = p.inbox.Close()
	if p.conn != nil {
		_ = p.conn.Close()
	}
	p.reading.Wait()
}

// dtlsPipe is the DTLS part of a peer's socket.
type dtlsPipe struct {
	*packetio.Buffer
	conn *net.UDPConn
}

// ReadFrom implements net.PacketConn.
func (d dtlsPipe) ReadFrom(b []byte) (int, net.Addr, error) {
	n, _, err := d.Read(b, nil)
	return n, d.conn.RemoteAddr(), err
}

// WriteTo implements net.PacketConn.
func (d dtlsPipe) WriteTo(b []byte, _ net.Addr) (int, error) { return d.conn.Write(b) }

// LocalAddr implements net.PacketConn.
func (d dtlsPipe) LocalAddr() net.Addr { return d.conn.LocalAddr() }

// SetDeadline implements net.PacketConn.
func (d dtlsPipe) SetDeadline(t time.Time) error { return d.SetReadDeadline(t) }

// SetWriteDeadline implements net.PacketConn; writes do not wait.
func (d dtlsPipe) SetWriteDeadline(time.Time) error { return nil }

// Close implements net.PacketConn. The socket is the peer's.
func (d dtlsPipe) Close() error { return d.Buffer.Close() }

// askForStamps makes the kernel note when each datagram came in, and gives the
// socket a queue that a busy load does not overflow: neither the delay nor the
// loss of the load's own scheduling counts as the server's.
func askForStamps(c *net.UDPConn) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return fmt.Errorf("ask for times of arrival: %w", err)
	}
	var set error
	err = raw.Control(func(fd uintptr) {
		set = firstOf(unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1),
			unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, 8<<20))
	})
	if err = firstOf(err, set); err != nil {
		return fmt.Errorf("ask for times of arrival: %w", err)
	}
	return nil
}

// arrival reads the kernel's time of arrival; without one it is now.
func arrival(oob []byte) time.Time {
	if len(oob) >= unix.CmsgSpace(16) && binary.NativeEndian.Uint32(oob[8:]) == unix.SOL_SOCKET &&
		binary.NativeEndian.Uint32(oob[12:]) == unix.SCM_TIMESTAMPNS {
		return time.Unix(int64(binary.NativeEndian.Uint64(oob[16:])), int64(binary.NativeEndian.Uint64(oob[24:])))
	}
	return time.Now()
}
