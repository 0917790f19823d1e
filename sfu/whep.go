package sfu

import (
	"net/http"

	"tongxiang/internal/stream"
)

// whep starts a viewer: POST /whep/{stream}.
func (e *Engine) whep(w http.ResponseWriter, r *http.Request) error {
	grant, offer, err := e.request(w, r, Watch)
	if err != nil {
		return err
	}
	o, err := readOffer(offer, "recvonly")
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
		budget: newBudget(), bases: make(map[stream.Name]int64), done: make(chan struct{}),
	}
	streamID := ""
	if v.plain {
		v.log = log.With("stream", watch)
		streamID = "media" // one group: the browser keeps sound and picture together
	} else {
		v.log = log.With("room", grant.Meeting, "participant", grant.Participant)
		v.room, v.self = e.Room(grant.Meeting), grant.Participant
	}
	senders := newSenders(o.lines, streamID)
	v.addSlots(o.lines, senders)
	v.w = e.place()
	peer, answer := newPeer(e.net, id, o, senders, v, v.log)
	v.peer = peer
	if !e.add(id, v, v.post) {
		v.w.size.Add(-1)
		peer.Close()
		return errClosed
	}
	v.log.Info("viewer began", "from", r.RemoteAddr, "slots", len(v.slots))
	created(w, "whep", peer, answer)
	return nil
}
