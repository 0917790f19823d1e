package signaling

import (
	"slices"
	"strconv"
	"time"

	"tongxiang/signaling/meeting"
)

// renewBefore is how long before its end a media token is replaced.
const renewBefore = 5 * time.Minute

// roomMedia is what a room knows of the media of its meeting, and what it has
// told it. It belongs to the room's goroutine.
type roomMedia struct {
	room   *room
	media  Media // nil: no media in this server
	events <-chan MediaEvent

	publishers map[meeting.ID]publisher
	viewers    map[meeting.ID]*viewer
	speaking   []meeting.ID
	wanted     map[meeting.ID][]string // layers of each publisher

	muted    map[meeting.ID]bool      // as last told to media
	expires  map[meeting.ID]time.Time // of the token that the page has
	told     meeting.ID               // the speaker that the pages know
	lastAir  AirInput
	wasOnAir bool
}

type publisher struct{ video bool }

// viewer is one participant who watches, or may begin to.
type viewer struct {
	up           bool
	video, audio int // slots
	wants        []meeting.Want
	assigned     []meeting.Assignment
	sent         []meeting.Assignment // as last told to media
	shown        []VideoChanged       // what each video slot carries
	heard        []meeting.ID
	dirty        bool // the page must be told
}

func newRoomMedia(r *room) *roomMedia {
	m := &roomMedia{
		room: r, publishers: make(map[meeting.ID]publisher), viewers: make(map[meeting.ID]*viewer),
		wanted: make(map[meeting.ID][]string), muted: make(map[meeting.ID]bool), expires: make(map[meeting.ID]time.Time),
	}
	if r.cfg.Media != nil {
		m.media = r.cfg.Media(r.id)
		m.events = m.media.Events()
	}
	return m
}

// close tells the director that nobody is here any more.
func (m *roomMedia) close() {
	if m.media != nil {
		for id := range m.muted {
			m.media.CloseParticipant(id)
		}
	}
	if m.room.cfg.OnAir != nil && m.wasOnAir {
		m.room.cfg.OnAir(m.room.id, AirInput{})
	}
}

// drain notices what else has happened, without waiting.
func (m *roomMedia) drain() {
	for range batchSize {
		select {
		case e, ok := <-m.events:
			if !ok {
				m.events = nil
				return
			}
			m.notice(e)
		default:
			return
		}
	}
}

// notice takes one event of media into account; follow acts on it.
func (m *roomMedia) notice(e MediaEvent) {
	switch e := e.(type) {
	case PublisherUp:
		if e.Participant == programmeID {
			return
		}
		m.publishers[e.Participant] = publisher{video: e.Video}
		delete(m.muted, e.Participant) // a new connection is told again
	case PublisherDown:
		delete(m.publishers, e.Participant)
		delete(m.wanted, e.Participant)
	case ViewerUp:
		v := m.viewer(e.Participant)
		v.up, v.video, v.audio = true, e.VideoSlots, e.AudioSlots
		v.sent, v.shown, v.heard, v.dirty = nil, nil, nil, true
	case ViewerDown:
		if v := m.viewers[e.Participant]; v != nil {
			v.up, v.shown, v.heard, v.dirty = false, nil, nil, true
		}
	case Speaking:
		m.speaking = e.Participants
	case AudioChanged:
		v := m.viewer(e.Viewer)
		v.heard, v.dirty = e.Slots, true
	case VideoChanged:
		v := m.viewer(e.Viewer)
		v.shown = slices.DeleteFunc(v.shown, func(s VideoChanged) bool { return s.Slot == e.Slot })
		v.shown, v.dirty = append(v.shown, e), true
	case LayersWanted:
		m.wanted[e.Participant] = e.RIDs
		m.sendLayers(e.Participant)
	case nil: // the channel was closed
		m.events = nil
	}
}

// programmeID is the last segment of the name of a meeting's programme.
const programmeID meeting.ID = "programme"

func (m *roomMedia) viewer(id meeting.ID) *viewer {
	v := m.viewers[id]
	if v == nil {
		v = &viewer{video: m.room.cfg.VideoSlots, audio: m.room.cfg.AudioSlots}
		m.viewers[id] = v
	}
	return v
}

// view takes what a page wants to show.
func (m *roomMedia) view(id meeting.ID, view View) error {
	wants, err := view.wants(m.room.cfg.VideoSlots)
	if err != nil {
		return err
	}
	m.viewer(id).wants = wants
	return nil
}

// speaker returns the loudest of those who are in the meeting, or nobody.
func (m *roomMedia) speaker() meeting.ID {
	for _, id := range m.speaking {
		if p := m.room.state.Find(id); p != nil && !p.Muted {
			return id
		}
	}
	return ""
}

// publisherIDs returns who publishes, in the order of the alphabet, so that the log does not depend on a map.
func (m *roomMedia) publisherIDs() []meeting.ID {
	ids := make([]meeting.ID, 0, len(m.publishers))
	for id := range m.publishers {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// access returns how a participant publishes and watches.
func (m *roomMedia) access(p *meeting.Participant) (MediaAccess, error) {
	publish := p.Role.AtLeast(meeting.Member)
	token, expires, err := m.room.cfg.MediaToken(m.room.id, p.ID, publish)
	if err != nil {
		return MediaAccess{}, err
	}
	a := MediaAccess{
		WHEP: "/whep/meetings/" + m.room.id, Token: token, Expires: meeting.At(expires),
		VideoSlots: m.room.cfg.VideoSlots, AudioSlots: m.room.cfg.AudioSlots,
	}
	if publish {
		a.WHIP = "/whip/meetings/" + m.room.id
	}
	return a, nil
}

// welcomed makes a page that has just been welcomed learn what the others know.
func (m *roomMedia) welcomed(id meeting.ID, access MediaAccess) {
	m.expires[id] = access.Expires.Time
	v := m.viewer(id)
	v.wants, v.dirty = nil, true
	if s := m.speaker(); s != "" {
		m.send(id, Speaker{Participant: s})
	}
	m.sendLayers(id)
}

func (m *roomMedia) sendLayers(id meeting.ID) {
	if rids, ok := m.wanted[id]; ok {
		if rids == nil {
			rids = []string{}
		}
		m.send(id, Layers{Active: rids})
	}
}

func (m *roomMedia) send(id meeting.ID, msg any) {
	if s := m.room.sessions[id]; s != nil {
		s.send(Encode(msg))
	}
}

// refresh sends a new token.
func (m *roomMedia) refresh(s *session) {
	p := m.room.state.Find(s.id)
	if p == nil {
		return
	}
	access, err := m.access(p)
	if err != nil {
		m.room.log.Error("no media token", "participant", p.ID, "err", err)
		return
	}
	m.expires[p.ID] = access.Expires.Time
	s.send(Encode(NewMedia{Media: access}))
}

// follow makes media, pages and the director agree with the state after a batch.
func (m *roomMedia) follow(events []meeting.Event, now time.Time) {
	for _, e := range events {
		b, ok := e.Body.(meeting.RoleGiven)
		if !ok {
			continue
		}
		if b.Role == meeting.Viewer && m.media != nil {
			m.media.CloseParticipant(b.Participant)
		}
		if s := m.room.sessions[b.Participant]; s != nil {
			m.refresh(s)
		}
	}
	for id, at := range m.expires {
		if s := m.room.sessions[id]; s != nil && !at.IsZero() && now.After(at.Add(-renewBefore)) {
			m.refresh(s)
		}
	}
	m.forgetGone()
	m.followMute()
	if now := m.speaker(); now != m.told {
		m.told = now
		for id := range m.room.sessions {
			m.send(id, Speaker{Participant: now})
		}
	}
	m.followLayouts()
	m.followAir()
}

// forgetGone ends the media of those who have left.
func (m *roomMedia) forgetGone() {
	for id := range m.viewers {
		if m.room.state.Find(id) == nil {
			delete(m.viewers, id)
			delete(m.expires, id)
		}
	}
	for id := range m.muted {
		if m.room.state.Find(id) != nil {
			continue
		}
		delete(m.muted, id)
		delete(m.publishers, id)
		delete(m.wanted, id)
		if m.media != nil {
			m.media.CloseParticipant(id)
		}
	}
}

// followMute has the mutes enforced where the sound comes in.
func (m *roomMedia) followMute() {
	for i := range m.room.state.Participants {
		p := &m.room.state.Participants[i]
		if was, known := m.muted[p.ID]; known && was == p.Muted {
			continue
		}
		m.muted[p.ID] = p.Muted
		if m.media != nil {
			m.media.SetMuted(p.ID, p.Muted)
		}
	}
}

// followLayouts assigns the slots of every viewer and tells the pages.
func (m *roomMedia) followLayouts() {
	speaker := m.speaker()
	for id, v := range m.viewers {
		next := meeting.Layout(m.room.state, speaker, meeting.View{Viewer: id, Slots: v.video, Wants: v.wants}, v.assigned)
		if !samePeople(next, v.assigned) {
			v.dirty = true
		}
		v.assigned = next
		if v.up && m.media != nil && !slices.Equal(v.sent, next) {
			v.sent = next
			m.media.Assign(id, slices.Clone(next))
		}
		if v.dirty && m.room.sessions[id] != nil {
			v.dirty = false
			m.send(id, v.slots())
		}
	}
}

func samePeople(a, b []meeting.Assignment) bool {
	return slices.EqualFunc(a, b, func(x, y meeting.Assignment) bool {
		return x.Participant == y.Participant && x.Label == y.Label
	})
}

// slots returns what a page is told of its slots.
func (v *viewer) slots() Slots {
	out := Slots{Video: []VideoState{}, Audio: []AudioState{}}
	for _, a := range v.assigned {
		s := VideoState{Slot: a.Slot, Mid: strconv.Itoa(a.Slot), Participant: a.Participant, Label: a.Label}
		for _, now := range v.shown {
			if now.Slot == a.Slot && now.Participant == a.Participant && now.Label == a.Label && a.Participant != "" {
				s.Live, s.Layer = true, now.Layer
			}
		}
		out.Video = append(out.Video, s)
	}
	for i := range v.audio {
		s := AudioState{Slot: i, Mid: strconv.Itoa(v.video + i)}
		if i < len(v.heard) {
			s.Participant = v.heard[i]
		}
		out.Audio = append(out.Audio, s)
	}
	return out
}

// followAir tells the director what it may choose from.
func (m *roomMedia) followAir() {
	if m.room.cfg.OnAir == nil {
		return
	}
	in := AirInput{Screen: m.room.state.Screen}
	for _, id := range m.speaking {
		if p := m.room.state.Find(id); p != nil && !p.Muted {
			in.Speakers = append(in.Speakers, id)
		}
	}
	for i := range m.room.state.Participants {
		if p := &m.room.state.Participants[i]; p.Publishing {
			in.Present = append(in.Present, p.ID)
		}
	}
	if m.wasOnAir && in.Screen == m.lastAir.Screen && slices.Equal(in.Speakers, m.lastAir.Speakers) && slices.Equal(in.Present, m.lastAir.Present) {
		return
	}
	m.lastAir, m.wasOnAir = in, true
	m.room.cfg.OnAir(m.room.id, in)
}
