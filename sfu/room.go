package sfu

import (
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"tongxiang/internal/media"
	"tongxiang/internal/stream"
)

const (
	rankEvery   = 100 * time.Millisecond
	layersEvery = 200 * time.Millisecond
	// layerLinger is how long a layer counts as wanted after the last viewer left
	// it, so that a page that pages to and fro does not stop and start an encoder.
	layerLinger = 3000 * ms
)

// VideoSlot says what one video slot of a viewer shows.
type VideoSlot struct {
	Slot   int         // the n-th video m-line of the viewer's offer, from 0
	Source stream.Name // empty: nothing
	Label  stream.Label
	// MaxHeight is how high the picture needs to be, in samples: the smallest
	// simulcast layer that reaches it is chosen. 0: as high as there is.
	MaxHeight int
}

// Room is the media of one meeting: who publishes, who watches what, who is
// heard. Its goroutine follows the sound of all participants, decides who is
// loudest and reports what happens. Make it with [Engine.Room]; its methods may be
// called from any goroutine and do not block.
type Room struct {
	eng    *Engine
	id     string
	log    *slog.Logger
	reader *stream.Reader
	events chan RoomEvent
	wake   chan struct{}
	end    chan struct{}
	once   sync.Once
	done   chan struct{}
	dirty  atomic.Bool // a participant's tracks changed

	mu       sync.Mutex // guards what follows
	muted    map[string]*atomic.Bool
	always   map[string]bool
	kept     map[string]bool
	assigned map[string][]VideoSlot
	paused   map[string]bool
	viewers  map[string]*seated // by participant: its newest viewer
	left     []string           // participants whose viewer ended

	// owned by run
	parts   map[string]*part
	held    []string // who is to be heard
	spoke   []string // who was last said to speak
	ranked  int64
	layered int64
	pending []pendingEvent
}

// seated is a viewer as the room knows it.
type seated struct {
	v     *viewer
	up    bool // its event was sent
	video []shown
	audio []string
	said  []shown // as in the last events; owned by run
	heard []string
	given bool // knows who speaks
}

// shown is what a video slot shows, and what would suit it better.
type shown struct {
	mid    string
	now    shownAs
	source stream.Name
	label  stream.Label
	rid    string // wanted layer
}

// part is a participant who publishes. It belongs to run.
type part struct {
	src    *source
	sound  *stream.Track
	cursor *stream.Cursor[media.Packet]
	voice  voice
	tracks []stream.TrackInfo // as in the last event
	wanted map[string]int64   // rid of the camera: when it was last wanted
	said   []string
}

func newRoom(e *Engine, id string) *Room {
	r := &Room{
		eng: e, id: id, log: e.log.With("room", id), reader: stream.NewReader(nil),
		events: make(chan RoomEvent, 64), wake: make(chan struct{}, 1),
		end: make(chan struct{}), done: make(chan struct{}),
		muted: make(map[string]*atomic.Bool), always: make(map[string]bool), kept: make(map[string]bool),
		assigned: make(map[string][]VideoSlot), paused: make(map[string]bool),
		viewers: make(map[string]*seated), parts: make(map[string]*part),
	}
	watch, stop := e.hub.Watch()
	go r.run(watch, stop)
	return r
}

// Events returns what happens in the room, in order. It is the same channel each
// time, and is closed with the room. When nobody reads it, an event that a newer
// one makes stale is dropped, so the state that events describe is never lost.
func (r *Room) Events() <-chan RoomEvent { return r.events }

// SetMuted closes or opens a participant's sound at the door: what is muted is not
// written to the hub, so nobody hears, ranks or records it.
func (r *Room) SetMuted(participant string, muted bool) {
	was := r.mutedFlag(participant).Swap(muted)
	if !was || muted {
		return
	}
	for _, s := range r.eng.members(r.id, participant) {
		if p, ok := s.(*publication); ok {
			p.heed()
		}
	}
}

func (r *Room) mutedFlag(participant string) *atomic.Bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	f := r.muted[participant]
	if f == nil {
		f = new(atomic.Bool)
		r.muted[participant] = f
	}
	return f
}

// SetAlwaysHeard gives a participant, such as the chair, a place among those heard
// whatever others' levels are.
func (r *Room) SetAlwaysHeard(participant string, always bool) {
	r.mu.Lock()
	r.always[participant] = always
	r.mu.Unlock()
	r.poke()
}

// KeepLayers says that somebody outside the room, such as the programme or a
// recorder, reads a participant's picture: all its layers count as wanted.
func (r *Room) KeepLayers(participant string, keep bool) {
	r.mu.Lock()
	r.kept[participant] = keep
	r.mu.Unlock()
	r.poke()
}

// Assign says what the video slots of a participant's viewer show; slots that are
// not named show nothing. It holds for viewers that come later, too. A source need
// not publish yet.
func (r *Room) Assign(participant string, slots []VideoSlot) {
	slots = slices.Clone(slots)
	r.mu.Lock()
	r.assigned[participant] = slots
	s := r.viewers[participant]
	r.mu.Unlock()
	if s != nil {
		s.v.assign(slots)
	}
}

// Pause stops all pictures to a participant's viewer, for a page that is hidden or
// a line that carries only sound, and starts them again.
func (r *Room) Pause(participant string, paused bool) {
	r.mu.Lock()
	r.paused[participant] = paused
	s := r.viewers[participant]
	r.mu.Unlock()
	if s != nil {
		s.v.pause(paused)
	}
}

// CloseParticipant ends the connections of a participant and forgets what was set for it.
func (r *Room) CloseParticipant(participant string) {
	r.mu.Lock()
	delete(r.muted, participant)
	delete(r.always, participant)
	delete(r.kept, participant)
	delete(r.assigned, participant)
	delete(r.paused, participant)
	r.mu.Unlock()
	for _, s := range r.eng.members(r.id, participant) {
		s.quit()
	}
}

// sourceChanged implements watcher.
func (r *Room) sourceChanged() {
	r.dirty.Store(true)
	r.poke()
}

func (r *Room) poke() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// viewerUp is called by a viewer that is connected. The newest of a participant
// stays; a page that was reloaded leaves one behind.
func (r *Room) viewerUp(v *viewer) {
	r.mu.Lock()
	old := r.viewers[v.self]
	r.viewers[v.self] = &seated{v: v}
	assigned, any := r.assigned[v.self]
	paused := r.paused[v.self]
	r.mu.Unlock()
	if old != nil && old.v != v {
		old.v.quit()
	}
	if any {
		v.assign(assigned)
	}
	if paused {
		v.pause(true)
	}
	r.poke()
}

// viewerShows is called by a viewer when its slots changed.
func (r *Room) viewerShows(v *viewer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.viewers[v.self]
	if s == nil || s.v != v {
		return
	}
	video := make([]shown, len(v.video))
	for i, sl := range v.video {
		video[i] = shown{mid: sl.out.mid, now: sl.shown, label: sl.label}
		if sl.src != nil {
			video[i].source = sl.src.name
		}
		if sl.wanted != nil {
			video[i].rid = sl.wanted.Info().RID
		}
	}
	if slices.Equal(video, s.video) && slices.Equal(v.speakers, s.audio) {
		return
	}
	s.video, s.audio = video, slices.Clone(v.speakers)
	r.poke()
}

func (r *Room) viewerDown(v *viewer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s := r.viewers[v.self]; s != nil && s.v == v {
		delete(r.viewers, v.self)
		r.left = append(r.left, v.self)
		r.poke()
	}
}

// quit asks run to end.
func (r *Room) quit() { r.once.Do(func() { close(r.end) }) }

// close ends the room and waits.
func (r *Room) close() {
	r.quit()
	<-r.done
}
