package sfu

import (
	"net/http"

	"tongxiang/internal/media"
	"tongxiang/internal/stream"
)

// whip starts a publication: POST /whip/{stream}.
func (e *Engine) whip(w http.ResponseWriter, r *http.Request) error {
	grant, offer, err := e.request(w, r, Publish)
	if err != nil {
		return err
	}
	if grant.Publish == "" {
		return errWrongStream
	}
	o, err := readOffer(offer, "sendonly")
	if err != nil {
		return err
	}
	if allH264(o.lines) {
		for _, l := range o.lines {
			l.without(media.VP8)
		}
	}
	if err := e.admit(); err != nil {
		return err
	}
	defer e.release()

	id := newID()
	log := e.log.With("peer", id[:8], "stream", grant.Publish)
	p := newPublication(e, grant, o.lines, log)
	if grant.Participant != "" {
		p.muted = e.Room(grant.Meeting).mutedFlag(grant.Participant)
	}
	peer, answer, err := p.prepare(id, o)
	if err != nil {
		return err
	}
	if !e.add(id, p, func() { e.ends.Go(p.run) }) {
		p.pub.Close()
		peer.Close()
		return errClosed
	}
	log.Info("publisher began", "from", r.RemoteAddr)
	created(w, "whip", peer, answer)
	return nil
}

// prepare makes the peer, and takes the stream's name over now that the newcomer
// can publish.
func (p *publication) prepare(id string, o *offer) (*peer, string, error) {
	p.receiving.Lock() // no packet comes before the client has the answer; the lock says so to the race detector
	defer p.receiving.Unlock()
	var answer string
	p.peer, answer = newPeer(p.eng.net, id, o, nil, p, p.log)
	var err error
	if p.pub, err = p.publisher(); err != nil {
		p.peer.Close()
		return nil, "", err
	}
	return p.peer, answer, nil
}

func (p *publication) publisher() (*stream.Publisher, error) {
	if p.grant.Open != nil {
		return p.grant.Open()
	}
	pub, err := p.eng.hub.Publish(p.grant.Publish, true)
	if err != nil {
		return nil, errClosed.Because(err)
	}
	return pub, nil
}

// allH264 reports whether every picture can come in H.264, which is then the only
// codec that the answer takes: it plays everywhere and is recorded as it is.
func allH264(lines []*mediaLine) bool {
	for _, l := range lines {
		if l.kind == media.Video && !l.has(media.H264) {
			return false
		}
	}
	return true
}
