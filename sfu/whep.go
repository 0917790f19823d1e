package sfu

import (
	"context"
	"net/http"

	"tongxiang/internal/stream"
)

// whep starts a viewer: POST /whep/{stream}.
func (e *Engine) whep(w http.ResponseWriter, r *http.Request) error {
	grant, offer, err := e.request(w, r, Watch)
	if err != nil {
		return err
	}
	lines, err := readOffer(offer, "recvonly")
	if err != nil {
		return err
	}
	if grant.Participant == "" && grant.Watch == "" {
		return errWrongStream
	}
	watch := grant.Watch
	if grant.Participant == "" && e.cfg.Resolve != nil {
		if watch, err = e.cfg.Resolve(r.Context(), watch); err != nil {
			return err
		}
	}
	if err := e.admit(); err != nil {
		return err
	}
	defer e.release()

	id := newID()
	log := e.log.With("peer", id[:8])
	v := &viewer{
		eng: e, grant: grant, plain: grant.Participant == "", watch: watch,
		reader: stream.NewReader(&e.drops), budget: newBudget(), bases: make(map[stream.Name]int64),
		wake: make(chan struct{}, 1), end: make(chan struct{}), done: make(chan struct{}),
		feedback: make(chan feedback, maxFeedback),
	}
	if v.plain {
		v.log = log.With("stream", watch)
	} else {
		v.log = log.With("room", grant.Meeting, "participant", grant.Participant)
		v.room, v.self = e.Room(grant.Meeting), grant.Participant
	}
	ctx, cancel := context.WithTimeout(r.Context(), answerTimeout)
	defer cancel()
	peer, answer, err := newPeer(ctx, e.net, peerSetup{
		id: id, offer: offer, lines: lines, senders: v.addSlots(lines), vp8: true,
	}, v.log)
	if err != nil {
		return err
	}
	v.peer = peer
	if !e.add(id, v, v.run) {
		peer.close()
		return errClosed
	}
	v.log.Info("viewer began", "from", r.RemoteAddr, "slots", len(v.slots))
	created(w, "whep", peer, answer)
	return nil
}
