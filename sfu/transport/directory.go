package transport

import (
	"net/netip"
	"slices"
	"time"
)

// Which peer a datagram is from: by our ICE user name in a check, and by the
// address that a check nominated in everything else.

// NewPeer prepares for a peer whose checks will come. The caller closes it.
func (t *Transport) NewPeer(cfg PeerConfig) *Peer {
	p := newPeer(t, cfg, t.now())
	t.mu.Lock()
	defer t.mu.Unlock()
	t.byName[p.local.Ufrag] = p
	if t.closed {
		p.cancel()
	}
	return p
}

// Attach makes a peer whose address and keys are known already: tests and
// benchmarks need no handshake.
func (t *Transport) Attach(cfg PeerConfig, to netip.AddrPort, k Keys) (*Peer, error) {
	p := t.NewPeer(cfg)
	r := &route{peer: p, from: to, to: t.udp.destination(to)}
	p.route.Store(r)
	t.moved(p, r)
	return p, p.setKeys(k)
}

// arrived sorts one datagram (RFC 7983).
func (t *Transport) arrived(c *check, b []byte, from netip.AddrPort) {
	now := t.now()
	kind := kindOf(b)
	switch kind {
	case kindOther:
		return
	case kindSTUN:
		t.check(c, b, from, nil, now)
		return
	}
	t.mu.RLock()
	p := t.byAddr[from]
	t.mu.RUnlock()
	if p != nil {
		p.datagram(kind, b, now)
	}
}

// check answers a connectivity check and returns whose it is.
func (t *Transport) check(c *check, b []byte, from netip.AddrPort, line *tcpLine, now int64) *Peer {
	if c.parse(b) != nil {
		return nil
	}
	t.mu.RLock()
	p := t.byName[c.ufrag]
	t.mu.RUnlock()
	if p == nil {
		t.refused.Add(1)
		return nil
	}
	p.mu.Lock()
	pwd := p.local.Pwd
	if c.ufrag != p.local.Ufrag {
		pwd = p.previous.Pwd
	}
	p.mu.Unlock()
	response, err := c.answer(pwd, from)
	if err != nil {
		t.refused.Add(1)
		return nil
	}
	r := p.route.Load()
	if r == nil || r.from != from || r.tcp != line {
		r = &route{peer: p, from: from, tcp: line}
		if line == nil {
			r.to = t.udp.destination(from)
		}
	}
	// The path is taken before the answer goes out: a client that has the answer
	// may count on it.
	p.checked(r, c, now)
	t.control(response, r)
	return p
}

// maxPaths bounds the addresses that one peer may be found by: a client with many
// networks moves between a few.
const maxPaths = 8

// moved notes where a peer is now.
func (t *Transport) moved(p *Peer, r *route) {
	if r.tcp != nil {
		return
	}
	var old netip.AddrPort
	p.mu.Lock()
	if !slices.Contains(p.addrs, r.from) {
		p.addrs = append(p.addrs, r.from)
	}
	if len(p.addrs) > maxPaths {
		old = p.addrs[0]
		p.addrs = slices.Delete(p.addrs, 0, 1)
	}
	p.mu.Unlock()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.byAddr[old] == p {
		delete(t.byAddr, old)
	}
	if p.ctx.Err() == nil {
		t.byAddr[r.from] = p
	}
}

// rename gives a peer another name, and takes one away.
func (t *Transport) rename(p *Peer, dropped, fresh string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.byName, dropped)
	if !t.closed && p.ctx.Err() == nil {
		t.byName[fresh] = p
	}
}

func (t *Transport) forget(p *Peer) {
	p.mu.Lock()
	names, addrs := []string{p.local.Ufrag, p.previous.Ufrag}, slices.Clone(p.addrs)
	p.mu.Unlock()
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, n := range names {
		delete(t.byName, n)
	}
	for _, a := range addrs {
		if t.byAddr[a] == p {
			delete(t.byAddr, a)
		}
	}
}

// sweep ends the peers that have been silent for too long.
func (t *Transport) sweep() {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	var silent []*Peer
	for {
		select {
		case <-tick.C:
		case <-t.done:
			return
		}
		now := t.now()
		t.mu.RLock()
		for _, p := range t.byName {
			if now-p.heard.Load() > silentFor {
				silent = append(silent, p)
			}
		}
		t.mu.RUnlock()
		for _, p := range silent {
			p.leave()
		}
		clear(silent)
		silent = silent[:0]
	}
}
