// Package signaling carries the control messages of meetings: docs/protocol.md is
// what it speaks, signaling/meeting is what it decides by.
//
//	browser ──WebSocket──> session ──inbox──> room ──Apply──> meeting.State
//	                          ^                 │ events: appended to the store, then
//	                          └──── outbox ─────┘ sent to all; muting and slots to Media
//
// Goroutines: a session has two (reading and writing its socket), a room has one,
// which owns the meeting's state. [Service.Close] ends them all and waits. Inbox
// and outbox are bounded: a session waits for a room, a room waits for nobody but
// the store, and a client that does not read is closed.
package signaling

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"tongxiang/internal/apierr"
	"tongxiang/signaling/meeting"
)

// Identity is who connects.
type Identity struct {
	User string       // the account; the same for all its devices. Never empty
	Name string       // shown to others; empty: the page may choose one
	Role meeting.Role // with which it enters this meeting; see [meeting.RoleOf]
}

// Info is what is known of a meeting outside its log.
type Info struct {
	ID    string `json:"id"`
	Title string `json:"title"`
	Ended bool   `json:"-"`
}

// Record is an event as the store keeps it.
type Record struct {
	Seq  int64 // 1, 2, 3, … within the meeting
	At   time.Time
	Kind string
	Data []byte // JSON
}

// AirInput is what the programme's director needs to know of a meeting.
type AirInput struct {
	Screen   meeting.ID   // who shares the screen, or empty
	Speakers []meeting.ID // who is heard, loudest first
	Present  []meeting.ID // who publishes, in joining order
}

// Config is what the service needs of the rest of the server. Functions are called
// from many goroutines. Those marked optional may be nil.
type Config struct {
	// Authenticate says who may enter a meeting. A bearer token that came as a
	// subprotocol is in the Authorization header. Errors that are *apierr.Error are answered as they are.
	Authenticate func(r *http.Request, meetingID string) (Identity, error)
	// Meeting returns what is known of a meeting; an *apierr.Error if there is none.
	Meeting func(ctx context.Context, id string) (Info, error)
	// Append writes events to a meeting's log, all or none, and returns when they are on disk.
	Append func(ctx context.Context, meetingID string, events []Record) error
	// Load returns a meeting's log from the beginning.
	Load func(ctx context.Context, meetingID string) ([]Record, error)
	// Ended is told that a meeting ended, after its log says so. Optional.
	Ended func(ctx context.Context, meetingID string) error
	// MediaToken makes a token for one participant's WHIP and WHEP.
	MediaToken func(meetingID string, participant meeting.ID, publish bool) (token string, expires time.Time, err error)
	// Media returns the media side of a meeting. Called once for each life of a
	// room. Optional: without it nobody publishes.
	Media func(meetingID string) Media
	// OnAir is told whenever the director's input changes; a zero input when the
	// room closes. It must not block. Optional.
	OnAir func(meetingID string, in AirInput)

	// Key signs resume tokens; the same after a restart. At least 16 bytes.
	Key []byte
	// Origins are further origins whose pages may connect, such as "https://a.example"; the server's own always may.
	Origins []string
	// VideoSlots and AudioSlots are offered to each page. Default 9 and 3.
	VideoSlots, AudioSlots int
	// MaxConnections bounds all WebSockets together. Default 2000.
	MaxConnections int
}

// Service serves the WebSocket and owns the rooms. Create it with [New]; it is
// safe for concurrent use.
type Service struct {
	cfg Config
	log *slog.Logger
	ctx context.Context // ended by Close
	end context.CancelFunc

	mu       sync.Mutex
	rooms    map[string]*room
	sessions int
	closed   bool
	running  sync.WaitGroup // sessions and rooms
}

// New returns a service without rooms. The error says what the config lacks.
func New(cfg Config, log *slog.Logger) (*Service, error) {
	switch {
	case cfg.Authenticate == nil || cfg.Meeting == nil || cfg.Append == nil || cfg.Load == nil || cfg.MediaToken == nil:
		return nil, errors.New("signaling: a required function is missing")
	case len(cfg.Key) < 16:
		return nil, fmt.Errorf("signaling: the key has %d bytes, want at least 16", len(cfg.Key))
	}
	if cfg.VideoSlots == 0 {
		cfg.VideoSlots = 9
	}
	if cfg.AudioSlots == 0 {
		cfg.AudioSlots = 3
	}
	if cfg.MaxConnections == 0 {
		cfg.MaxConnections = 2000
	}
	ctx, end := context.WithCancel(context.Background())
	return &Service{cfg: cfg, log: log, ctx: ctx, end: end, rooms: make(map[string]*room)}, nil
}

// Subprotocols that a client may offer.
const (
	Subprotocol       = "tongxiang.v1"
	bearerSubprotocol = "bearer."
)

// Handler serves GET /ws/meetings/{id}.
func (s *Service) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /ws/meetings/{id}", s.serve)
	return mux
}

func (s *Service) serve(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	who, info, err := s.admit(r, id)
	if err != nil {
		apierr.Write(w, r, s.log, err)
		return
	}
	room, err := s.enter(id)
	if err != nil {
		apierr.Write(w, r, s.log, err)
		return
	}
	defer s.leave(room)
	up := websocket.Upgrader{
		HandshakeTimeout: helloTime,
		ReadBufferSize:   4 << 10, WriteBufferSize: 4 << 10,
		Subprotocols: []string{Subprotocol},
		CheckOrigin:  func(*http.Request) bool { return true }, // admit has done it
	}
	conn, err := up.Upgrade(w, r, nil)
	if err != nil {
		s.log.Debug("upgrade refused", "room", id, "err", err)
		return
	}
	newSession(conn, room, who, info, r.Header.Get("Accept-Language")).run()
}

// admit says whether a request may become a connection.
func (s *Service) admit(r *http.Request, id string) (Identity, Info, error) {
	if !websocket.IsWebSocketUpgrade(r) {
		return Identity{}, Info{}, errNotWebSocket
	}
	if !s.originAllowed(r) {
		return Identity{}, Info{}, errOrigin
	}
	who, err := s.cfg.Authenticate(withBearer(r), id)
	if err != nil {
		return Identity{}, Info{}, err
	}
	if who.User == "" || !who.Role.Valid() {
		return Identity{}, Info{}, errNotAllowedHere
	}
	info, err := s.cfg.Meeting(r.Context(), id)
	if err != nil {
		return Identity{}, Info{}, err
	}
	if info.Ended {
		return Identity{}, Info{}, errMeetingEnded
	}
	return who, info, nil
}

// originAllowed reports whether a request comes from a page of ours or from no page at all.
func (s *Service) originAllowed(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" || slices.Contains(s.cfg.Origins, origin) {
		return true
	}
	u, err := url.Parse(origin)
	return err == nil && strings.EqualFold(u.Host, r.Host)
}

// withBearer moves a token that came as a subprotocol to where tokens are looked for.
func withBearer(r *http.Request) *http.Request {
	for _, p := range websocket.Subprotocols(r) {
		if token, ok := strings.CutPrefix(p, bearerSubprotocol); ok && r.Header.Get("Authorization") == "" {
			r = r.Clone(r.Context())
			r.Header.Set("Authorization", "Bearer "+token)
			return r
		}
	}
	return r
}

// enter counts a session and returns the running room of its meeting.
func (s *Service) enter(id string) (*room, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sessions >= s.cfg.MaxConnections {
		return nil, errTooManyConnections
	}
	r, err := s.hold(id)
	if err != nil {
		return nil, err
	}
	s.sessions++
	s.running.Add(1)
	return r, nil
}

func (s *Service) leave(r *room) {
	s.release(r)
	s.mu.Lock()
	s.sessions--
	s.mu.Unlock()
	s.running.Done()
}

// hold returns the room of a meeting, started if need be, that stays until
// released. The caller holds s.mu.
func (s *Service) hold(id string) (*room, error) {
	if s.closed {
		return nil, errShuttingDown
	}
	r := s.rooms[id]
	if r == nil {
		r = newRoom(s, id)
		s.rooms[id] = r
		s.running.Go(r.run)
	}
	r.holders++
	return r, nil
}

func (s *Service) release(r *room) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r.holders--
}

// retire takes a room out of the map unless somebody holds it.
func (s *Service) retire(r *room) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.holders > 0 {
		return false
	}
	s.remove(r)
	return true
}

// remove takes a room out of the map; a later connection starts a new one. The caller holds s.mu.
func (s *Service) remove(r *room) {
	if s.rooms[r.id] == r {
		delete(s.rooms, r.id)
	}
}

func (s *Service) abandon(r *room) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remove(r)
}

// Snapshot is a meeting as it is now, for the API.
type Snapshot struct {
	Participants []meeting.Participant // without User
	Screen       meeting.ID
	Speaker      meeting.ID
}

// Live returns who is in a meeting; false when nobody is.
func (s *Service) Live(meetingID string) (Snapshot, bool) {
	s.mu.Lock()
	r := s.rooms[meetingID]
	s.mu.Unlock()
	if r == nil {
		return Snapshot{}, false
	}
	snap := r.snapshot.Load()
	if snap == nil || len(snap.Participants) == 0 {
		return Snapshot{}, false
	}
	return *snap, true
}

// Open makes sure that the room of a meeting runs, so that an encoder that
// publishes without a page is noticed, and a meeting that was cut by a restart
// keeps time. It returns when the log has been replayed.
func (s *Service) Open(ctx context.Context, meetingID string) error {
	return s.ask(ctx, meetingID, &request{run: func(*room) error { return nil }})
}

// End ends a meeting for everybody. Ending one that has ended is no error.
func (s *Service) End(ctx context.Context, meetingID string) error {
	return s.ask(ctx, meetingID, &request{cmd: meeting.End{}})
}

func (s *Service) ask(ctx context.Context, meetingID string, q *request) error {
	s.mu.Lock()
	r, err := s.hold(meetingID)
	s.mu.Unlock()
	if err != nil {
		return err
	}
	defer s.release(r)
	q.done = make(chan error, 1)
	if !r.post(ctx.Done(), q) {
		return r.whyNot(ctx)
	}
	select {
	case err := <-q.done:
		if errors.Is(err, meeting.ErrEnded) {
			return nil
		}
		return err
	case <-ctx.Done():
		return ctx.Err()
	case <-r.done:
		return r.whyNot(ctx)
	}
}

// Close ends all sessions with "shutting_down" and waits for them and the rooms;
// it takes at most a few seconds.
func (s *Service) Close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.end()
	s.running.Wait()
}
