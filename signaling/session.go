package signaling

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"

	"github.com/gorilla/websocket"
	"golang.org/x/time/rate"

	"tongxiang/internal/apierr"
	"tongxiang/signaling/meeting"
)

// Times and limits of a session (docs/protocol.md, sections 2 and 6).
const (
	helloTime   = 10 * time.Second
	pingEvery   = 5 * time.Second
	silenceTime = 15 * time.Second

	// writeTime is how long the kernel may refuse one message.
	writeTime = 5 * time.Second
	// farewellTime is how long a client may take to hear the bye and close.
	farewellTime = time.Second

	outboxSize = 256

	messageRate, messageBurst = 20, 60
	refusalRate, refusalBurst = 1, 100
	chatRate, chatBurst       = 1, 10
)

// session is one WebSocket. It belongs to the HTTP handler's goroutine, which
// reads; a second one writes.
type session struct {
	conn   *websocket.Conn
	room   *room
	who    Identity
	info   Info
	client string // remote address
	log    *slog.Logger

	out     chan []byte
	ended   chan struct{} // closed by end
	endOnce sync.Once
	bye     *apierr.Error // set before ended is closed; nil: nothing can be said any more
	read    chan struct{} // closed when reading is over
	written chan struct{} // closed when writing is over

	// Owned by the reading goroutine.
	messages, refusals, chats *rate.Limiter

	// lang is written before the session is posted to the room.
	lang string
	// Owned by the room.
	id meeting.ID
}

func newSession(conn *websocket.Conn, r *room, who Identity, info Info, lang string) *session {
	return &session{
		conn: conn, room: r, who: who, info: info, lang: lang,
		client:   conn.RemoteAddr().String(),
		log:      r.log.With("user", who.User),
		out:      make(chan []byte, outboxSize),
		ended:    make(chan struct{}),
		read:     make(chan struct{}),
		written:  make(chan struct{}),
		messages: rate.NewLimiter(messageRate, messageBurst),
		refusals: rate.NewLimiter(refusalRate, refusalBurst),
		chats:    rate.NewLimiter(chatRate, chatBurst),
	}
}

// run serves the connection until it ends.
func (s *session) run() {
	go s.writeLoop()
	s.readLoop()
	close(s.read)
	<-s.written
	s.room.post(nil, &gone{s})
}

// end ends the session with a last word; nil when nothing can be said any more.
// The first call counts. Any goroutine may call it.
func (s *session) end(bye *apierr.Error) {
	s.endOnce.Do(func() {
		s.bye = bye
		close(s.ended)
	})
}

// send queues a message; a client with a full queue is closed. Any goroutine may call it.
func (s *session) send(msg []byte) {
	select {
	case s.out <- msg:
	default:
		s.end(errSlow)
	}
}

// fail answers a message with an error.
func (s *session) fail(id string, err *apierr.Error, need meeting.Role) {
	s.send(Encode(Failure{ID: id, Code: err.Code, Message: err.Message(s.lang), Need: need}))
}

// readLoop reads until the socket ends. Once the session has ended it only
// discards, so that the bye is not lost to a reset.
func (s *session) readLoop() {
	deadline := time.Now().Add(helloTime)
	seated := false
	for {
		select {
		case <-s.ended:
		default:
			if err := s.conn.SetReadDeadline(deadline); err != nil {
				s.end(nil)
			}
		}
		data, err := s.next()
		if errors.Is(err, errTooLarge) {
			s.end(errTooLarge)
			continue
		}
		if err != nil {
			s.endReading(err, seated)
			return
		}
		select {
		case <-s.ended:
			continue
		default:
		}
		if !seated {
			// Until then no answered ping buys more time.
			if seated = s.hello(data); !seated {
				continue
			}
		} else {
			s.message(data)
		}
		deadline = time.Now().Add(silenceTime)
	}
}

// next returns the next message of at most [MaxMessage] bytes; a binary one is
// returned empty, which is malformed.
func (s *session) next() ([]byte, error) {
	kind, r, err := s.conn.NextReader()
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(r, MaxMessage+1))
	switch {
	case err != nil:
		return nil, err
	case len(data) > MaxMessage:
		return nil, errTooLarge
	case kind != websocket.TextMessage:
		return nil, nil
	}
	return data, nil
}

// endReading says why the socket gave nothing more.
func (s *session) endReading(err error, seated bool) {
	var timeout net.Error
	switch {
	case (errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout()) && seated:
		s.end(errHeartbeat)
	case errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout():
		s.end(errHelloRequired)
	default:
		s.end(nil)
	}
}

// hello takes the first message to the room and waits until the seat is taken. It
// reports whether it is.
func (s *session) hello(data []byte) bool {
	m, err := Decode(data)
	if _, ok := m.Body.(Pong); ok {
		return false // pings begin before the seat is taken
	}
	h, ok := m.Body.(Hello)
	switch {
	case err != nil || !ok:
		s.end(errHelloRequired)
		return false
	case h.V != Version:
		s.end(errVersion)
		return false
	}
	if h.Lang != "" {
		s.lang = h.Lang
	}
	q := &joining{session: s, hello: h, seated: make(chan struct{})}
	if !s.room.post(s.ended, q) {
		s.end(s.room.ending())
		return false
	}
	select {
	case <-q.seated:
		return true
	case <-s.ended:
	case <-s.room.done:
		s.end(s.room.ending())
	}
	return false
}

// message handles one message of a seated client.
func (s *session) message(data []byte) {
	m, err := Decode(data)
	if _, ok := m.Body.(Pong); ok {
		return
	}
	now := time.Now()
	if !s.messages.AllowN(now, 1) {
		s.refuse(m.ID, now)
		return
	}
	if err != nil {
		s.fail(m.ID, apierr.As(err), "")
		return
	}
	switch m.Body.(type) {
	case Hello:
		s.fail(m.ID, errAlreadySeated, "")
		return
	case meeting.Chat:
		if !s.chats.AllowN(now, 1) {
			s.refuse(m.ID, now)
			return
		}
	}
	if !s.room.post(s.ended, &command{session: s, msg: m}) {
		s.end(s.room.ending())
	}
}

// refuse answers a message that came too fast, and ends a client that does not stop.
func (s *session) refuse(id string, now time.Time) {
	if !s.refusals.AllowN(now, 1) {
		s.end(errTooManyMessages)
		return
	}
	s.fail(id, errTooManyMessages, "")
}

// writeLoop writes what is queued, and pings, until the session ends.
func (s *session) writeLoop() {
	defer close(s.written)
	ping := time.NewTicker(pingEvery)
	defer ping.Stop()
	for {
		var msg []byte
		select {
		case <-s.ended:
			s.farewell()
			return
		case msg = <-s.out:
		case now := <-ping.C:
			msg = Encode(Ping{T: now.UnixMilli()})
		}
		if err := s.write(msg, writeTime); err != nil {
			s.end(nil)
			s.farewell()
			return
		}
	}
}

func (s *session) write(msg []byte, within time.Duration) error {
	if err := s.conn.SetWriteDeadline(time.Now().Add(within)); err != nil {
		return err
	}
	return s.conn.WriteMessage(websocket.TextMessage, msg)
}

// farewell says the last word, if there is one, and closes the socket.
func (s *session) farewell() {
	if s.bye != nil {
		s.lastWords()
		t := time.NewTimer(farewellTime)
		defer t.Stop()
		select {
		case <-s.read:
		case <-t.C:
		}
	}
	// The socket is being given up: there is nobody to tell that closing it went wrong.
	_ = s.conn.Close()
}

func (s *session) lastWords() {
	// Who is too slow has no use for more of what he could not take.
	for s.bye.Code != errSlow.Code {
		select {
		case msg := <-s.out:
			if s.write(msg, writeTime) != nil {
				return
			}
			continue
		default:
		}
		break
	}
	if s.write(Encode(Bye{Code: s.bye.Code, Message: s.bye.Message(s.lang)}), writeTime) != nil {
		return
	}
	text := websocket.FormatCloseMessage(closeCode(s.bye.Code), s.bye.Code)
	_ = s.conn.WriteControl(websocket.CloseMessage, text, time.Now().Add(writeTime))
}
