// Package sfu brings browsers in and out: WHIP (RFC 9725) publishes into the hub,
// WHEP (draft-ietf-wish-whep) watches from it, without a renegotiation ever.
//
//	transport  one UDP and one TCP port: ICE-lite, DTLS, SRTP, batches
//	     │
//	WHIP ─> incoming.go ─> layer.go ─> hub ─> worker.go ─> slots.go ─> WHEP
//	         publish.go                │      viewer.go    rewrite.go  one stream per slot
//	         feedback.go               │                   layers.go   which simulcast layer
//	         (NACK, PLI, TWCC)      room.go ─ audio.go                 who is heard
//
// A viewer's offer has video and audio m-lines, the slots. What feeds a slot may
// change at any time: the rewriter makes one continuous RTP stream of it. In a
// meeting ([Grant.Participant]) the room assigns video slots ([Room.Assign]) and
// the loudest voices fill the audio slots by themselves. A plain viewer
// ([Grant.Watch]) gets one stream.
//
// The way of a packet: the transport's reader decrypts it into a buffer that the
// hub and all viewers share; each worker wakes, and for each of its viewers makes a
// header and seals it with the shared payload into what the kernel gets. That is
// one goroutine hop and one copy, which is the encryption. Header extensions end
// here: they are the hop's own.
//
//	goroutine                  owner        ends when
//	worker.run, per processor  Engine       Close
//	publication.run            Engine       session ends: DELETE, connection lost, takeover, Close
//	sources.watch, per stream  sources      the last viewer or room lets go
//	Room.run                   Engine       CloseRoom or Close
//
// Locks, in the order taken: Engine.mu, Room.mu, sources.mu, peer.mu,
// publication.receiving, publication.mu, layer.mu; none is held while waiting for the network.
package sfu

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net/http"
	"runtime"
	"slices"
	"sync"

	"tongxiang/internal/media"
	"tongxiang/internal/stream"
	"tongxiang/sfu/transport"
)

// Action is what a client wants to do with a stream.
type Action uint8

// The actions.
const (
	Publish Action = iota + 1
	Watch
)

// String returns "publish" or "watch".
func (a Action) String() string {
	if a == Publish {
		return "publish"
	}
	return "watch"
}

// Grant is what a client may do, as [Config.Authorize] decided.
type Grant struct {
	// Publish is the stream that WHIP publishes.
	Publish stream.Name
	// Open makes the publisher of Publish, for streams that are given out by a rule;
	// its error is what the client gets. Nil: the newest publisher wins.
	Open func() (*stream.Publisher, error)
	// Watch is the one stream that a plain WHEP client sees.
	Watch stream.Name
	// Audio is the sound that a plain WHEP client wants where there is a choice: a
	// language (ISO 639-2) or a track's label. Empty: Chinese, else the first.
	Audio string
	// Meeting and Participant, when Participant is set, make a WHEP client a
	// viewer with slots in the meeting's room, and a WHIP client one whose
	// sound the room can mute.
	Meeting, Participant string
}

// Config is set once. The zero values of the numbers mean their defaults.
type Config struct {
	// UDP is the one port of all media, ":8443" when empty.
	UDP string
	// TCP is the port of ICE-TCP for networks without UDP; empty: none.
	TCP string
	// Addresses are the IP addresses that answers announce; empty: the address
	// listened on, or those of the interfaces.
	Addresses []string
	// MaxPeers bounds publishers and viewers together; default 4000.
	MaxPeers int
	// MaxSDP bounds a request body in bytes; default 64 KiB.
	MaxSDP int64

	// Authorize says what a request may do. Its error is what the client gets,
	// an apierr: unauthorized, token_expired, wrong_stream.
	Authorize func(*http.Request, Action, stream.Name) (Grant, error)
	// Resolve returns the stream to send in place of one that browsers cannot
	// play as it is; nil: streams are sent as they are. Its error is the client's.
	Resolve func(context.Context, stream.Name) (stream.Name, error)
}

func (c *Config) setDefaults() {
	if c.UDP == "" {
		c.UDP = ":8443"
	}
	if c.MaxPeers <= 0 {
		c.MaxPeers = 4000
	}
	if c.MaxSDP <= 0 {
		c.MaxSDP = 64 << 10
	}
}

// Engine carries the peers. Create it with [New]; it is safe for concurrent use.
type Engine struct {
	cfg     Config
	hub     *stream.Hub
	clock   media.Clock
	log     *slog.Logger
	net     *transport.Transport
	sources *sources
	workers []*worker
	done    chan struct{} // closed by Close

	counters

	mu       sync.Mutex // guards what follows
	closed   bool
	sessions map[string]session
	joining  int // being negotiated, and counted against MaxPeers
	rooms    map[string]*Room
	ends     sync.WaitGroup
}

// session is a publication or a viewer.
type session interface {
	transport() *peer
	quit() // asks it to end
	stop() // and waits
}

// New opens the ports. The caller closes the engine, before the hub.
func New(cfg Config, hub *stream.Hub, clock media.Clock, log *slog.Logger) (*Engine, error) {
	if cfg.Authorize == nil {
		return nil, errors.New("sfu: Config.Authorize is missing")
	}
	cfg.setDefaults()
	t, err := transport.Listen(transport.Config{UDP: cfg.UDP, TCP: cfg.TCP, Addresses: cfg.Addresses, Now: clock.Now, Log: log})
	if err != nil {
		return nil, err
	}
	e := &Engine{
		cfg: cfg, hub: hub, clock: clock, log: log, net: t, sources: newSources(hub),
		done: make(chan struct{}), sessions: make(map[string]session), rooms: make(map[string]*Room),
	}
	for range runtime.GOMAXPROCS(0) {
		w, err := newWorker(e, t.NewBatch())
		if err != nil {
			return nil, errors.Join(err, e.Close())
		}
		e.workers = append(e.workers, w)
		e.ends.Go(w.run)
	}
	return e, nil
}

// place chooses the worker of a new viewer: the one with the fewest.
func (e *Engine) place() *worker {
	w := slices.MinFunc(e.workers, func(a, b *worker) int { return int(a.size.Load() - b.size.Load()) })
	w.size.Add(1)
	return w
}

// Close ends all sessions and rooms, waits for them, and closes the ports.
func (e *Engine) Close() error {
	e.mu.Lock()
	if e.closed {
		e.mu.Unlock()
		return nil
	}
	e.closed = true
	close(e.done)
	rooms := make([]*Room, 0, len(e.rooms))
	for _, r := range e.rooms {
		rooms = append(rooms, r)
	}
	e.mu.Unlock()
	e.ends.Wait()
	for _, r := range rooms {
		r.close()
	}
	return e.net.Close()
}

// admit makes room for one more session; release undoes it until add.
func (e *Engine) admit() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.closed:
		return errClosed
	case len(e.sessions)+e.joining >= e.cfg.MaxPeers:
		return errTooManyPeers
	}
	e.joining++
	return nil
}

func (e *Engine) release() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.joining--
}

// add registers a session and starts it. It is false when the engine was closed meanwhile.
func (e *Engine) add(id string, s session, start func()) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return false
	}
	e.sessions[id] = s
	start()
	return true
}

// forget is called by a session that has ended.
func (e *Engine) forget(id string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.sessions, id)
}

func (e *Engine) session(id string) (session, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	s, ok := e.sessions[id]
	return s, ok
}

// Room returns the room of a meeting, opening it when needed. After Close it is a
// room in which nothing happens any more.
func (e *Engine) Room(meeting string) *Room {
	e.mu.Lock()
	defer e.mu.Unlock()
	r := e.rooms[meeting]
	if r == nil {
		r = newRoom(e, meeting)
		e.rooms[meeting] = r
		if e.closed {
			r.quit()
		}
	}
	return r
}

// CloseRoom ends the connections in a meeting's room and forgets it. Its events end.
func (e *Engine) CloseRoom(meeting string) {
	e.mu.Lock()
	r := e.rooms[meeting]
	delete(e.rooms, meeting)
	e.mu.Unlock()
	if r == nil {
		return
	}
	for _, s := range e.members(meeting, "") {
		s.stop()
	}
	r.close()
}

// members returns the sessions in a meeting, of one participant when it is set.
func (e *Engine) members(meeting, participant string) []session {
	e.mu.Lock()
	defer e.mu.Unlock()
	var out []session
	for _, s := range e.sessions {
		var m, p string
		switch s := s.(type) {
		case *publication:
			m, p = s.grant.Meeting, s.grant.Participant
		case *viewer:
			m, p = s.grant.Meeting, s.grant.Participant
		}
		if m == meeting && p != "" && (participant == "" || p == participant) {
			out = append(out, s)
		}
	}
	return out
}

// newID returns an identifier that cannot be guessed: 130 bits in base 32.
func newID() string { return rand.Text() }
