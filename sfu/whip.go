package sfu

import (
	"context"
	"net/http"

	"github.com/pion/interceptor/pkg/twcc"

	"tongxiang/internal/media"
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
	lines, err := readOffer(offer, "sendonly")
	if err != nil {
		return err
	}
	if err := e.admit(); err != nil {
		return err
	}
	defer e.release()

	id := newID()
	log := e.log.With("peer", id[:8], "stream", grant.Publish)
	p := &publication{
		eng: e, log: log, grant: grant, lines: lines,
		ready: make(chan struct{}), wake: make(chan struct{}, 1),
		end: make(chan struct{}), done: make(chan struct{}),
		arrivals: twcc.NewRecorder(feedbackSSRC),
	}
	if grant.Participant != "" {
		p.muted = e.Room(grant.Meeting).mutedFlag(grant.Participant)
	}
	ctx, cancel := context.WithTimeout(r.Context(), answerTimeout)
	defer cancel()
	peer, answer, err := newPeer(ctx, e.net, peerSetup{
		id: id, offer: offer, lines: lines, vp8: !allH264(lines),
		onTrack: p.receive, arrivals: p.arrived,
	}, log)
	if err != nil {
		return err
	}
	p.peer = peer
	// Only now, when the newcomer can publish, does it take the name over.
	if p.pub, err = e.hub.Publish(grant.Publish, true); err != nil {
		peer.close()
		return errClosed.Because(err)
	}
	close(p.ready)
	if !e.add(id, p, p.run) {
		p.pub.Close()
		peer.close()
		return errClosed
	}
	log.Info("publisher began", "from", r.RemoteAddr)
	created(w, "whip", peer, answer)
	return nil
}

// allH264 reports whether every picture can come in H.264, which is then the only
// codec that the answer takes: it plays everywhere and is recorded as it is.
func allH264(lines []mediaLine) bool {
	for _, l := range lines {
		if l.kind == media.Video && !l.codec[media.H264] {
			return false
		}
	}
	return true
}
