package server

import (
	"net/http"
	"sync"

	"tongxiang/internal/apierr"
	"tongxiang/internal/auth"
	"tongxiang/internal/stream"
	"tongxiang/sfu"
	"tongxiang/signaling"
	"tongxiang/signaling/meeting"
)

var errWrongStream = apierr.New(http.StatusForbidden, "wrong_stream",
	"The token is for another stream.", "该令牌不适用于这个流。")

// authorizeMedia says what a WHIP or WHEP request may do. A participant has a token
// whose scope is his own stream; an encoder one for a meeting; all others watch.
func (s *Server) authorizeMedia(r *http.Request, action sfu.Action, path stream.Name) (sfu.Grant, error) {
	p, err := s.auth.Authenticate(r)
	if err != nil {
		return sfu.Grant{}, err
	}
	if err := s.exists(r.Context(), path); err != nil {
		return sfu.Grant{}, err
	}
	segs := path.Segments()
	own := stream.Name(p.Stream)
	scope := own.Segments()
	seated := len(scope) == 3 && scope[0] == "meetings" && segs[0] == "meetings" && scope[1] == segs[1]
	if action == sfu.Publish {
		return s.mayPublish(r, p, path, seated)
	}
	if seated && len(segs) == 2 {
		return sfu.Grant{Meeting: scope[1], Participant: scope[2]}, nil
	}
	name := path
	if segs[0] == "meetings" && len(segs) == 2 {
		name = stream.Programme(segs[1])
	}
	if !p.May(auth.Watch, name) {
		return sfu.Grant{}, errWrongStream
	}
	return chosen(r, name)
}

func (s *Server) mayPublish(r *http.Request, p auth.Principal, path stream.Name, seated bool) (sfu.Grant, error) {
	segs := path.Segments()
	if segs[0] == "channels" {
		return s.grantPush(r, p, path)
	}
	if segs[0] != "meetings" || p.Stream == "" {
		return sfu.Grant{}, errWrongStream
	}
	name := path
	switch {
	case seated && len(segs) == 2:
		name = stream.Name(p.Stream)
	case len(segs) == 2: // an encoder: its subject is its seat
		if err := stream.CheckID(p.ID); err != nil {
			return sfu.Grant{}, errWrongStream.Because(err)
		}
		name = stream.Participant(segs[1], p.ID)
	}
	segs = name.Segments()
	if len(segs) != 3 || segs[2] == stream.ProgrammeID || !p.May(auth.Publish, name) {
		return sfu.Grant{}, errWrongStream
	}
	if err := s.signaling.Open(r.Context(), segs[1]); err != nil {
		return sfu.Grant{}, err
	}
	return sfu.Grant{Publish: name, Meeting: segs[1], Participant: segs[2]}, nil
}

// rooms joins the media of meetings to their signalling. Each meeting's media
// outlives the signalling's room, which comes and goes with its people.
type rooms struct {
	engine *sfu.Engine

	mu      sync.Mutex
	open    map[string]*roomMedia
	running sync.WaitGroup // one goroutine per room, ended by its room's closing
}

// roomMedia is an sfu room in the words of the signalling.
type roomMedia struct {
	meeting string
	room    *sfu.Room
	events  chan signaling.MediaEvent
	closed  chan struct{}
}

// of returns the media of a meeting.
func (r *rooms) of(id string) signaling.Media {
	r.mu.Lock()
	defer r.mu.Unlock()
	if m := r.open[id]; m != nil {
		return m
	}
	m := &roomMedia{meeting: id, room: r.engine.Room(id), events: make(chan signaling.MediaEvent), closed: make(chan struct{})}
	r.open[id] = m
	r.running.Go(m.translate)
	return m
}

// keepLayers says that the programme reads a participant's pictures. A meeting that
// is over is not opened again for it.
func (r *rooms) keepLayers(meetingID, participant string, keep bool) {
	r.mu.Lock()
	m := r.open[meetingID]
	r.mu.Unlock()
	if m != nil {
		m.room.KeepLayers(participant, keep)
	}
}

// end closes the media of a meeting that is over.
func (r *rooms) end(id string) {
	r.mu.Lock()
	m := r.open[id]
	delete(r.open, id)
	r.mu.Unlock()
	if m != nil {
		close(m.closed)
	}
	r.engine.CloseRoom(id)
}

// close ends all; the engine is closed after it.
func (r *rooms) close() {
	r.mu.Lock()
	for _, m := range r.open {
		close(m.closed)
	}
	clear(r.open)
	r.mu.Unlock()
}

// translate passes the room's events on until the room or the meeting ends.
func (m *roomMedia) translate() {
	for e := range m.room.Events() {
		select {
		case m.events <- translated(e):
		case <-m.closed:
			return
		}
	}
}

func translated(e sfu.RoomEvent) signaling.MediaEvent {
	switch e := e.(type) {
	case sfu.PublisherUp:
		up := signaling.PublisherUp{Participant: meeting.ID(e.Participant)}
		for _, t := range e.Tracks {
			up.Video = up.Video || t.Label == stream.LabelVideo
		}
		return up
	case sfu.PublisherDown:
		return signaling.PublisherDown{Participant: meeting.ID(e.Participant)}
	case sfu.ViewerUp:
		return signaling.ViewerUp{Participant: meeting.ID(e.Participant), VideoSlots: len(e.Video), AudioSlots: len(e.Audio)}
	case sfu.ViewerDown:
		return signaling.ViewerDown{Participant: meeting.ID(e.Participant)}
	case sfu.SpeakersChanged:
		return signaling.Speaking{Participants: ids(e.Participants)}
	case sfu.AudioSlotsChanged:
		return signaling.AudioChanged{Viewer: meeting.ID(e.Viewer), Slots: ids(e.Participants)}
	case sfu.VideoSlotChanged:
		out := signaling.VideoChanged{Viewer: meeting.ID(e.Viewer), Slot: e.Slot, Label: string(e.Label), Layer: e.Layer}
		if e.Source != "" {
			segs := e.Source.Segments()
			out.Participant = meeting.ID(segs[len(segs)-1])
		}
		return out
	case sfu.LayersWanted:
		return signaling.LayersWanted{Participant: meeting.ID(e.Participant), RIDs: e.RIDs}
	}
	return nil
}

func ids(names []string) []meeting.ID {
	out := make([]meeting.ID, len(names))
	for i, n := range names {
		out[i] = meeting.ID(n)
	}
	return out
}

// SetMuted closes or opens a participant's sound at the door.
func (m *roomMedia) SetMuted(p meeting.ID, muted bool) { m.room.SetMuted(string(p), muted) }

// Assign says what each video slot of a viewer shows.
func (m *roomMedia) Assign(viewer meeting.ID, slots []meeting.Assignment) {
	out := make([]sfu.VideoSlot, 0, len(slots))
	for _, a := range slots {
		v := sfu.VideoSlot{Slot: a.Slot, Label: stream.Label(a.Label), MaxHeight: a.MaxHeight}
		if a.Participant != "" {
			v.Source = stream.Participant(m.meeting, string(a.Participant))
		}
		out = append(out, v)
	}
	m.room.Assign(string(viewer), out)
}

// CloseParticipant ends all connections of a participant.
func (m *roomMedia) CloseParticipant(p meeting.ID) { m.room.CloseParticipant(string(p)) }

// Events returns what happens, in order.
func (m *roomMedia) Events() <-chan signaling.MediaEvent { return m.events }
