package transport

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"github.com/pion/dtls/v3"
	"github.com/pion/dtls/v3/pkg/crypto/fingerprint"
	"github.com/pion/transport/v5/deadline"
)

// Fingerprint is a certificate's as SDP says it (RFC 8122 section 5).
type Fingerprint struct{ Hash, Value string }

const (
	handshakePatience = 20 * time.Second
	flightInterval    = 400 * time.Millisecond // before a lost flight is sent again; doubled each time
	dtlsQueue         = 16
)

var errFingerprint = errors.New("the certificate is not the one that the SDP announced")

// verify checks the peer's certificate against what its SDP said.
func (f Fingerprint) verify(raw [][]byte, _ [][]*x509.Certificate) error {
	if len(raw) == 0 {
		return errFingerprint
	}
	cert, err := x509.ParseCertificate(raw[0])
	if err != nil {
		return fmt.Errorf("the peer's certificate: %w", err)
	}
	hash, err := fingerprint.HashFromString(f.Hash)
	if err != nil {
		return fmt.Errorf("hash %q: %w", f.Hash, err)
	}
	got, err := fingerprint.Fingerprint(cert, hash)
	if err != nil {
		return fmt.Errorf("hash %q: %w", f.Hash, err)
	}
	if !strings.EqualFold(got, f.Value) {
		return errFingerprint
	}
	return nil
}

// handshake makes the connection's keys. It ends early with ctx.
func (p *Peer) handshake(ctx context.Context, conn net.PacketConn) (*dtls.Conn, Keys, error) {
	options := []dtls.Option{
		dtls.WithCertificates(p.t.certificates...),
		// The server chooses the SRTP profile, and a browser prefers AES-CM,
		// which costs several times what GCM does: put GCM first.
		dtls.WithSRTPProtectionProfiles(dtls.SRTP_AEAD_AES_128_GCM, dtls.SRTP_AEAD_AES_256_GCM, dtls.SRTP_AES128_CM_HMAC_SHA1_80),
		dtls.WithInsecureSkipVerify(true), // no authority signed it: its fingerprint is checked instead
		dtls.WithVerifyPeerCertificate(p.cfg.Fingerprint.verify),
		dtls.WithExtendedMasterSecret(dtls.RequestExtendedMasterSecret),
		dtls.WithFlightInterval(flightInterval),
		dtls.WithLoggerFactory(p.t.pionLog),
	}
	var c *dtls.Conn
	var err error
	if p.cfg.Active {
		var all []dtls.ClientOption
		for _, o := range options {
			all = append(all, o)
		}
		c, err = dtls.ClientWithOptions(conn, conn.LocalAddr(), all...)
	} else {
		all := []dtls.ServerOption{
			dtls.WithClientAuth(dtls.RequireAnyClientCert),
			// The cookie proves that the client's address is its own. The ICE check
			// before the handshake has proved that.
			dtls.WithInsecureSkipVerifyHello(true),
		}
		for _, o := range options {
			all = append(all, o)
		}
		c, err = dtls.ServerWithOptions(conn, conn.LocalAddr(), all...)
	}
	if err != nil {
		return nil, Keys{}, fmt.Errorf("begin the DTLS handshake: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, handshakePatience)
	defer cancel()
	k, err := p.export(ctx, c)
	if err != nil {
		return nil, Keys{}, errors.Join(err, c.Close())
	}
	return c, k, nil
}

// export waits for the handshake's end and takes the keys out (RFC 5764 section 4.2).
func (p *Peer) export(ctx context.Context, c *dtls.Conn) (k Keys, err error) {
	if err := c.HandshakeContext(ctx); err != nil {
		return k, fmt.Errorf("DTLS handshake: %w", err)
	}
	profile, ok := c.SelectedSRTPProtectionProfile()
	if !ok {
		return k, errors.New("DTLS handshake: the client knows none of our SRTP profiles")
	}
	k.Profile = profile
	key, salt := 16, 14
	switch profile {
	case dtls.SRTP_AEAD_AES_128_GCM:
		salt = 12
	case dtls.SRTP_AEAD_AES_256_GCM:
		key, salt = 32, 12
	}
	state, ok := c.ConnectionState()
	if !ok {
		return k, errors.New("DTLS handshake: no state")
	}
	b, err := state.ExportKeyingMaterial("EXTRACTOR-dtls_srtp", nil, 2*(key+salt))
	if err != nil {
		return k, fmt.Errorf("export SRTP keys: %w", err)
	}
	cut := func(n int) []byte {
		out := bytes.Clone(b[:n])
		b = b[n:]
		return out
	}
	clientKey, serverKey, clientSalt, serverSalt := cut(key), cut(key), cut(salt), cut(salt)
	k.LocalKey, k.LocalSalt, k.RemoteKey, k.RemoteSalt = serverKey, serverSalt, clientKey, clientSalt
	if p.cfg.Active {
		k.LocalKey, k.LocalSalt, k.RemoteKey, k.RemoteSalt = clientKey, clientSalt, serverKey, serverSalt
	}
	return k, nil
}

// records is the net.PacketConn that pion/dtls speaks over: what the transport
// found to be DTLS of one peer comes out, what goes in is sent to it.
type records struct {
	p    *Peer
	in   chan []byte
	read *deadline.Deadline
	end  context.Context
}

// ReadFrom implements net.PacketConn.
func (r *records) ReadFrom(b []byte) (int, net.Addr, error) {
	select {
	case <-r.read.Done():
		return 0, nil, os.ErrDeadlineExceeded
	default:
	}
	select {
	case got := <-r.in:
		return copy(b, got), r.LocalAddr(), nil
	case <-r.read.Done():
		return 0, nil, os.ErrDeadlineExceeded
	case <-r.end.Done():
		return 0, nil, net.ErrClosed
	}
}

// WriteTo implements net.PacketConn. What cannot be sent is sent again by DTLS.
func (r *records) WriteTo(b []byte, _ net.Addr) (int, error) {
	r.p.control(b)
	return len(b), nil
}

// Close implements net.PacketConn; the peer closes the transport's side.
func (r *records) Close() error { return nil }

// LocalAddr implements net.PacketConn. DTLS only compares it with itself: where
// the peer really is may change.
func (r *records) LocalAddr() net.Addr { return recordsAddr{} }

// SetDeadline implements net.PacketConn.
func (r *records) SetDeadline(t time.Time) error { return r.SetReadDeadline(t) }

// SetReadDeadline implements net.PacketConn.
func (r *records) SetReadDeadline(t time.Time) error {
	r.read.Set(t)
	return nil
}

// SetWriteDeadline implements net.PacketConn; writes do not wait.
func (r *records) SetWriteDeadline(time.Time) error { return nil }

type recordsAddr struct{}

func (recordsAddr) Network() string { return "dtls" }
func (recordsAddr) String() string  { return "peer" }
