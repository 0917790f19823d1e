package sfu

import (
	"log/slog"
	"sync"

	"github.com/pion/rtcp"

	"tongxiang/sfu/transport"
)

// peer is one client's path and what was negotiated for it. It belongs to a
// publication or a viewer.
type peer struct {
	*transport.Peer
	id      string
	net     *transport.Transport
	offer   *offer
	senders []*sender

	mu     sync.Mutex // guards what follows
	reply  reply
	remote transport.Credentials // the client's, as it said last
	etag   string                // of the ICE session (RFC 9725 section 4.3.1)
}

// newPeer makes a peer for an offer and returns the answer. senders are nil for a
// publisher. The caller closes the peer.
func newPeer(t *transport.Transport, id string, o *offer, senders []*sender, h transport.Handler, log *slog.Logger) (*peer, string) {
	p := &peer{
		Peer: t.NewPeer(transport.PeerConfig{Fingerprint: o.fingerprint, Active: o.passive, Handler: h, Log: log}),
		id:   id, net: t, offer: o, senders: senders, remote: o.ice, etag: newTag(),
	}
	p.reply = reply{
		session: newSession(), version: 1, ice: p.Credentials(), fingerprint: t.Fingerprint(),
		udp: t.UDP(), tcp: t.TCP(), senders: senders,
	}
	return p, o.answer(p.reply)
}

func newTag() string { return `"` + newID() + `"` }

// tag returns the ETag of the ICE session.
func (p *peer) tag() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.etag
}

// knows reports whether a fragment speaks of the ICE session as it is.
func (p *peer) knows(f fragment) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.remote.Ufrag == f.ufrag
}

// restart takes new ICE credentials of the client and returns the answer.
func (p *peer) restart(f fragment) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.remote = transport.Credentials{Ufrag: f.ufrag, Pwd: f.pwd}
	p.reply.ice = p.Restart()
	p.reply.version++
	p.etag = newTag()
	return p.offer.restart(p.reply)
}

// sendRTCP sends RTCP; what cannot be sent now is not worth keeping.
func (p *peer) sendRTCP(packets []rtcp.Packet, log *slog.Logger) {
	b, err := rtcp.Marshal(packets)
	if err != nil {
		log.Warn("make RTCP", "err", err)
		return
	}
	p.SendRTCP(b)
}
