package transport

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/pion/dtls/v3"
	"github.com/pion/rtp"
	"github.com/pion/srtp/v3"
)

// Errors of opening a packet. A packet that fails leaves no trace.
var (
	ErrShort  = errors.New("too short to be SRTP")
	ErrReplay = errors.New("received before, or too old to know")
	ErrForged = errors.New("not authentic")
)

// Keys are the SRTP keys of one connection as the handshake exported them.
type Keys struct {
	Profile               dtls.SRTPProtectionProfile
	LocalKey, LocalSalt   []byte
	RemoteKey, RemoteSalt []byte
}

// protection is SRTP and SRTCP with the keys of one connection. It is safe for
// concurrent use, except that one SSRC is sealed by one goroutine at a time.
type protection interface {
	// overhead is how many bytes sealing adds to an RTP packet.
	overhead() int
	// sealRTP appends the protected packet to dst. The header may not overlap it.
	sealRTP(n *nonce, dst, header, payload []byte, roc uint32) ([]byte, error)
	// openRTP writes the plain packet to dst, header and payload, and returns it.
	openRTP(n *nonce, dst, b []byte, header int, roc uint32) ([]byte, error)
	sealRTCP(b []byte) ([]byte, error)
	openRTCP(b []byte) ([]byte, error)
}

// nonce is room for one initialization vector, kept by whoever seals so that no
// packet allocates one.
type nonce [12]byte

func newProtection(k Keys) (protection, error) {
	switch k.Profile {
	case dtls.SRTP_AEAD_AES_128_GCM, dtls.SRTP_AEAD_AES_256_GCM:
		return newGCM(k)
	}
	return newContexts(k)
}

// gcm is AEAD_AES_128_GCM and AEAD_AES_256_GCM (RFC 7714), made so that a shared
// payload is read once: it is sealed straight into the buffer that the kernel gets.
type gcm struct {
	outRTP, outRTCP, inRTP, inRTCP     cipher.AEAD
	outSalt, outSaltC, inSalt, inSaltC [12]byte

	index atomic.Uint32 // of the newest RTCP packet sent

	mu     sync.Mutex // guards replay
	replay windows
}

const gcmTag = 16

// Labels of key derivation (RFC 3711 section 4.3.1).
const (
	labelRTPKey, labelRTPSalt   = 0, 2
	labelRTCPKey, labelRTCPSalt = 3, 5
)

func newGCM(k Keys) (*gcm, error) {
	g := &gcm{}
	for _, d := range []struct {
		key, salt []byte
		label     byte
		aead      *cipher.AEAD
		to        *[12]byte
	}{
		{k.LocalKey, k.LocalSalt, labelRTPKey, &g.outRTP, &g.outSalt},
		{k.LocalKey, k.LocalSalt, labelRTCPKey, &g.outRTCP, &g.outSaltC},
		{k.RemoteKey, k.RemoteSalt, labelRTPKey, &g.inRTP, &g.inSalt},
		{k.RemoteKey, k.RemoteSalt, labelRTCPKey, &g.inRTCP, &g.inSaltC},
	} {
		session, err := derive(d.key, d.salt, d.label, len(d.key))
		if err != nil {
			return nil, err
		}
		salt, err := derive(d.key, d.salt, d.label+labelRTPSalt-labelRTPKey, len(d.to))
		if err != nil {
			return nil, err
		}
		copy(d.to[:], salt)
		block, err := aes.NewCipher(session)
		if err != nil {
			return nil, fmt.Errorf("SRTP session key: %w", err)
		}
		if *d.aead, err = cipher.NewGCM(block); err != nil {
			return nil, fmt.Errorf("SRTP session key: %w", err)
		}
	}
	return g, nil
}

// derive makes n bytes of key material: AES in counter mode over the label and
// the salt, which RFC 7714 section 11 pads to 14 bytes (RFC 3711 section 4.3.3).
func derive(key, salt []byte, label byte, n int) ([]byte, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("SRTP master key: %w", err)
	}
	var iv [aes.BlockSize]byte
	copy(iv[:14], salt)
	iv[7] ^= label
	out := make([]byte, n)
	cipher.NewCTR(block, iv[:]).XORKeyStream(out, out)
	return out, nil
}

func (g *gcm) overhead() int { return gcmTag }

// rtp sets the vector of RFC 7714 section 8.1.
func (n *nonce) rtp(salt *[12]byte, header []byte, roc uint32) {
	*n = nonce(*salt)
	for i, b := range header[8:12] {
		n[2+i] ^= b
	}
	n[6] ^= byte(roc >> 24)
	n[7] ^= byte(roc >> 16)
	n[8] ^= byte(roc >> 8)
	n[9] ^= byte(roc)
	n[10] ^= header[2]
	n[11] ^= header[3]
}

// rtcp sets the vector of RFC 7714 section 9.1.
func (n *nonce) rtcp(salt *[12]byte, ssrc []byte, index uint32) {
	*n = nonce(*salt)
	for i, b := range ssrc[:4] {
		n[2+i] ^= b
	}
	n[8] ^= byte(index >> 24)
	n[9] ^= byte(index >> 16)
	n[10] ^= byte(index >> 8)
	n[11] ^= byte(index)
}

func (g *gcm) sealRTP(n *nonce, dst, header, payload []byte, roc uint32) ([]byte, error) {
	n.rtp(&g.outSalt, header, roc)
	at := len(dst)
	dst = append(dst, header...)
	return g.outRTP.Seal(dst, n[:], payload, dst[at:]), nil
}

func (g *gcm) openRTP(n *nonce, dst, b []byte, header int, roc uint32) ([]byte, error) {
	if len(b) < header+gcmTag || len(dst) < len(b)-gcmTag {
		return nil, ErrShort
	}
	n.rtp(&g.inSalt, b, roc)
	copy(dst, b[:header])
	out, err := g.inRTP.Open(dst[:header], n[:], b[header:], b[:header])
	if err != nil {
		return nil, ErrForged
	}
	return out, nil
}

// rtcpHeader is what of an RTCP packet stays in the clear (RFC 7714 section 9.2).
const rtcpHeader = 8

const rtcpEncrypted = 1 << 31

func (g *gcm) sealRTCP(b []byte) ([]byte, error) {
	if len(b) < rtcpHeader {
		return nil, ErrShort
	}
	index := g.index.Add(1) &^ rtcpEncrypted
	var n nonce
	n.rtcp(&g.outSaltC, b[4:], index)
	aad := binary.BigEndian.AppendUint32(append(make([]byte, 0, 12), b[:rtcpHeader]...), rtcpEncrypted|index)
	out := append(make([]byte, 0, len(b)+gcmTag+4), b[:rtcpHeader]...)
	out = g.outRTCP.Seal(out, n[:], b[rtcpHeader:], aad)
	return binary.BigEndian.AppendUint32(out, rtcpEncrypted|index), nil
}

func (g *gcm) openRTCP(b []byte) ([]byte, error) {
	if len(b) < rtcpHeader+gcmTag+4 {
		return nil, ErrShort
	}
	sealed, trailer := b[:len(b)-4], b[len(b)-4:]
	word := binary.BigEndian.Uint32(trailer)
	if word&rtcpEncrypted == 0 {
		return nil, ErrForged // no browser sends RTCP that anybody may read
	}
	index, ssrc := word&^rtcpEncrypted, binary.BigEndian.Uint32(b[4:])
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.replay.fresh(ssrc, int64(index)) {
		return nil, ErrReplay
	}
	var n nonce
	n.rtcp(&g.inSaltC, b[4:], index)
	aad := append(append(make([]byte, 0, 12), b[:rtcpHeader]...), trailer...)
	out := append(make([]byte, 0, len(sealed)), b[:rtcpHeader]...)
	out, err := g.inRTCP.Open(out, n[:], sealed[rtcpHeader:], aad)
	if err != nil {
		return nil, ErrForged
	}
	g.replay.mark(ssrc, int64(index))
	return out, nil
}

// contexts is every other profile, by pion's contexts. It costs several times as
// much, and serves old encoders that do not know GCM.
type contexts struct {
	mu      sync.Mutex // guards both; they keep state for each SSRC
	out, in *srtp.Context
	tag     int
}

func newContexts(k Keys) (*contexts, error) {
	p := srtp.ProtectionProfile(k.Profile)
	tag, err := p.AuthTagRTPLen()
	if err != nil {
		return nil, fmt.Errorf("SRTP profile %v: %w", k.Profile, err)
	}
	out, err := srtp.CreateContext(k.LocalKey, k.LocalSalt, p)
	if err != nil {
		return nil, fmt.Errorf("SRTP keys to send with: %w", err)
	}
	in, err := srtp.CreateContext(k.RemoteKey, k.RemoteSalt, p, srtp.SRTCPReplayProtection(replayWindow))
	if err != nil {
		return nil, fmt.Errorf("SRTP keys to receive with: %w", err)
	}
	return &contexts{out: out, in: in, tag: tag}, nil
}

func (c *contexts) overhead() int { return c.tag }

func (c *contexts) sealRTP(_ *nonce, dst, header, payload []byte, _ uint32) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	plain := append(append(make([]byte, 0, len(header)+len(payload)), header...), payload...)
	sealed, err := c.out.EncryptRTP(nil, plain, nil)
	if err != nil {
		return dst, fmt.Errorf("seal RTP: %w", err)
	}
	return append(dst, sealed...), nil
}

func (c *contexts) openRTP(_ *nonce, dst, b []byte, header int, _ uint32) ([]byte, error) {
	if len(b) < header+c.tag || len(dst) < len(b) {
		return nil, ErrShort
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	out, err := c.in.DecryptRTP(dst[:0], b, &rtp.Header{})
	if err != nil {
		return nil, ErrForged
	}
	return out, nil
}

func (c *contexts) sealRTCP(b []byte) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.out.EncryptRTCP(nil, b, nil)
}

func (c *contexts) openRTCP(b []byte) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	out, err := c.in.DecryptRTCP(nil, b, nil)
	if err != nil {
		return nil, ErrForged
	}
	return out, nil
}
