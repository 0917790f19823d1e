package transport

import (
	"context"
	"encoding/binary"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/pion/dtls/v3"
	"github.com/pion/transport/v5/deadline"
)

// Handler is what a peer's owner does with it. The calls come from the
// transport's goroutines, RTP and RTCP from the one that reads the socket of all
// peers: they must not block, and may not keep the bytes.
type Handler interface {
	// Up says, once, that media can flow.
	Up()
	// RTP is a packet as it came: [Peer.OpenRTP] makes it plain.
	RTP(b []byte, now int64)
	// RTCP is an authentic compound packet in the clear.
	RTCP(b []byte, now int64)
	// Gone says, once, that the peer has said goodbye or has been silent for too long.
	Gone()
}

// PeerConfig is set once.
type PeerConfig struct {
	Fingerprint Fingerprint // of the certificate that the peer must show
	Active      bool        // we begin the DTLS handshake; else the peer does
	Handler     Handler
	Log         *slog.Logger
}

// Peer is one client's path: what its ICE checks nominated, and the keys for it.
// Its methods may be called from any goroutine.
type Peer struct {
	t   *Transport
	cfg PeerConfig

	route      atomic.Pointer[route]
	crypt      atomic.Pointer[protection]
	heard      atomic.Int64 // when something authentic came last; when made, before that
	noSegments atomic.Bool  // its path does not take UDP_SEGMENT

	ctx      context.Context // ends with Close
	cancel   context.CancelFunc
	records  *records
	up, gone sync.Once

	mu       sync.Mutex // guards what follows
	local    Credentials
	previous Credentials      // before an ICE restart whose new path was not used yet
	running  bool             // the handshake was begun
	addrs    []netip.AddrPort // where it can be found, the newest last
	early    [][]byte         // media that came before the keys were ready
	opening  nonce            // for OpenRTP
}

// maxEarly bounds what is kept of a peer that is quicker than we are: its side of
// the handshake ends a moment before ours, and its first packets begin a picture.
const maxEarly = 64

// route is where a peer is. It does not change; a peer that moves gets another.
type route struct {
	peer *Peer
	from netip.AddrPort
	to   destination
	tcp  *tcpLine // nil: by UDP
}

// Credentials returns our side's ICE credentials as they are now.
func (p *Peer) Credentials() Credentials {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.local
}

// protection returns the keys, or nil before the handshake is done.
func (p *Peer) protection() protection {
	if c := p.crypt.Load(); c != nil {
		return *c
	}
	return nil
}

// OpenRTP decrypts a packet that [Handler.RTP] was given into dst, which must have
// room for it, and returns it in the clear. in is the state of its SSRC; calls for
// one peer must not overlap. On an error nothing has changed.
func (p *Peer) OpenRTP(in *Inbound, dst, b []byte) ([]byte, error) {
	crypt := p.protection()
	header := rtpHeaderSize(b)
	if crypt == nil || header == 0 {
		return nil, ErrShort
	}
	i := in.index(binary.BigEndian.Uint16(b[2:]))
	if !in.seen.fresh(i) {
		return nil, ErrReplay
	}
	out, err := crypt.openRTP(&p.opening, dst, b, header, uint32(i>>16))
	if err != nil {
		return nil, err
	}
	in.seen.mark(i)
	return out, nil
}

// rtpHeaderSize returns the size of the header with its extensions; 0: not whole.
func rtpHeaderSize(b []byte) int {
	if len(b) < 12 {
		return 0
	}
	n := 12 + 4*int(b[0]&0x0f)
	if b[0]&0x10 != 0 {
		if len(b) < n+4 {
			return 0
		}
		n += 4 + 4*int(binary.BigEndian.Uint16(b[n+2:]))
	}
	if len(b) < n {
		return 0
	}
	return n
}

// SendRTCP sends a compound packet at once. What cannot be sent now is not worth keeping.
func (p *Peer) SendRTCP(b []byte) {
	crypt := p.protection()
	if crypt == nil {
		return
	}
	sealed, err := crypt.sealRTCP(b)
	if err != nil {
		p.cfg.Log.Debug("seal RTCP", "err", err)
		return
	}
	p.control(sealed)
}

// control sends what must not wait behind media, or be lost because of it.
func (p *Peer) control(b []byte) {
	if to := p.route.Load(); to != nil {
		p.t.control(b, to)
	}
}

// Restart makes new ICE credentials for our side (RFC 8445 section 9). Media goes
// on by the old path until the client nominates a new one.
func (p *Peer) Restart() Credentials {
	fresh := newCredentials()
	p.mu.Lock()
	dropped := p.previous
	p.previous, p.local = p.local, fresh
	p.mu.Unlock()
	p.t.rename(p, dropped.Ufrag, fresh.Ufrag)
	return fresh
}

// checked is called for each check whose integrity is right.
func (p *Peer) checked(r *route, c *check, now int64) {
	silent := now-p.heard.Swap(now) > pathSilent
	cur := p.route.Load()
	if cur != nil && cur.from == r.from && cur.tcp == r.tcp {
		return
	}
	// A client that nominated once says nothing when its NAT gives it another
	// port: the check from there is followed when the old path has gone silent.
	if cur == nil || c.nominates || silent {
		p.mu.Lock()
		begin := !p.running && p.ctx.Err() == nil
		p.running = p.running || begin
		p.mu.Unlock()
		p.route.Store(r)
		p.cfg.Log.Debug("path", "address", r.from, "tcp", r.tcp != nil)
		p.t.moved(p, r)
		if begin {
			p.t.running.Go(p.run)
		}
	}
}

// run makes the handshake and stays to hear the peer say goodbye.
func (p *Peer) run() {
	conn, err := p.secure()
	if err != nil {
		p.cfg.Log.Debug("peer does not connect", "err", err)
		p.leave()
		return
	}
	b := make([]byte, maxDatagram) // application data, which no peer of ours has
	for p.ctx.Err() == nil {
		if _, err := conn.Read(b); err != nil {
			break
		}
	}
	p.leave()
	if err := conn.Close(); err != nil {
		p.cfg.Log.Debug("close DTLS", "err", err)
	}
	if r := p.route.Load(); r != nil && r.tcp != nil {
		r.tcp.finish()
	}
}

// secure makes the handshake and puts its keys to work.
func (p *Peer) secure() (*dtls.Conn, error) {
	conn, keys, err := p.handshake(p.ctx, p.records)
	if err != nil {
		return nil, err
	}
	if err := p.setKeys(keys); err != nil {
		return nil, err
	}
	return conn, nil
}

func (p *Peer) setKeys(k Keys) error {
	crypt, err := newProtection(k)
	if err != nil {
		return err
	}
	p.mu.Lock()
	p.crypt.Store(&crypt)
	early := p.early
	p.early = nil
	p.mu.Unlock()
	p.up.Do(p.cfg.Handler.Up)
	for _, b := range early {
		p.datagram(kindOf(b), b, p.t.now())
	}
	return nil
}

// keep puts media aside until there are keys. It is false when there are.
func (p *Peer) keep(b []byte) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.crypt.Load() != nil {
		return false
	}
	if len(p.early) < maxEarly {
		p.early = append(p.early, append([]byte(nil), b...))
	}
	return true
}

// leave tells the owner that the peer is gone.
func (p *Peer) leave() {
	p.gone.Do(p.cfg.Handler.Gone)
}

// Close says goodbye and forgets the peer. It does not wait, and may be called
// again; the handler is not told.
func (p *Peer) Close() {
	p.gone.Do(func() {})
	p.Heed()
	p.t.forget(p)
	p.cancel()
}

// datagram takes what came from the peer's path.
func (p *Peer) datagram(kind int, b []byte, now int64) {
	if kind != kindDTLS && p.crypt.Load() == nil && p.keep(b) {
		return
	}
	switch kind {
	case kindRTP:
		p.cfg.Handler.RTP(b, now)
	case kindRTCP:
		plain, err := p.protection().openRTCP(b)
		if err != nil {
			p.t.refused.Add(1)
			return
		}
		p.heard.Store(now)
		p.cfg.Handler.RTCP(plain, now)
	case kindDTLS:
		select {
		case p.records.in <- append([]byte(nil), b...):
		default: // DTLS sends again what is lost
		}
	}
}

func newPeer(t *Transport, cfg PeerConfig, now int64) *Peer {
	p := &Peer{t: t, cfg: cfg, local: newCredentials()}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.records = &records{p: p, in: make(chan []byte, dtlsQueue), read: deadline.New(), end: p.ctx}
	p.heard.Store(now)
	return p
}
