package signaling

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"tongxiang/internal/apierr"
	"tongxiang/signaling/meeting"
)

func isCode(err error, code string) bool {
	var e *apierr.Error
	return errors.As(err, &e) && e.Code == code
}

func claimOf(id meeting.ID, epoch int64) meeting.Claim {
	return meeting.Claim{Participant: id, Epoch: epoch}
}

// memoryStore keeps logs, and refuses when told to.
type memoryStore struct {
	mu     sync.Mutex
	logs   map[string][]Record
	refuse bool
}

func (m *memoryStore) Append(_ context.Context, id string, events []Record) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.refuse {
		return errors.New("disk full")
	}
	for _, e := range events {
		if e.Seq != int64(len(m.logs[id])+1) {
			return fmt.Errorf("event %d after %d", e.Seq, len(m.logs[id]))
		}
		m.logs[id] = append(m.logs[id], e)
	}
	return nil
}

func (m *memoryStore) Load(_ context.Context, id string) ([]Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.logs[id]), nil
}

func (m *memoryStore) setRefuse(on bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.refuse = on
}

func (m *memoryStore) kinds(id string) []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []string
	for _, e := range m.logs[id] {
		out = append(out, e.Kind)
	}
	return out
}

// fakeMedia records what the room tells it.
type fakeMedia struct {
	events chan MediaEvent
	mu     sync.Mutex
	muted  map[meeting.ID]bool
	slots  map[meeting.ID][]meeting.Assignment
	closed []meeting.ID
}

func newFakeMedia() *fakeMedia {
	return &fakeMedia{events: make(chan MediaEvent, 64), muted: map[meeting.ID]bool{}, slots: map[meeting.ID][]meeting.Assignment{}}
}

func (m *fakeMedia) SetMuted(id meeting.ID, on bool) { m.mu.Lock(); m.muted[id] = on; m.mu.Unlock() }
func (m *fakeMedia) Assign(id meeting.ID, a []meeting.Assignment) {
	m.mu.Lock()
	m.slots[id] = a
	m.mu.Unlock()
}
func (m *fakeMedia) CloseParticipant(id meeting.ID) {
	m.mu.Lock()
	m.closed = append(m.closed, id)
	m.mu.Unlock()
}
func (m *fakeMedia) Events() <-chan MediaEvent { return m.events }
func (m *fakeMedia) see(f func()) bool         { m.mu.Lock(); defer m.mu.Unlock(); f(); return true }

// world is a service on a network of pipes, so that it runs in a synctest bubble too.
type world struct {
	t     testing.TB
	svc   *Service
	http  *http.Server
	pipes *pipeListener
	media *fakeMedia
	air   chan AirInput
	store *memoryStore
}

var roles = map[string]meeting.Role{"wang": meeting.Chair, "sun": meeting.Viewer}

func newWorld(t testing.TB, store *memoryStore) *world {
	if store == nil {
		store = &memoryStore{logs: map[string][]Record{}}
	}
	w := &world{t: t, pipes: newPipeListener(), media: newFakeMedia(), air: make(chan AirInput, 4096), store: store}
	svc, err := New(Config{
		Authenticate: func(r *http.Request, _ string) (Identity, error) {
			user, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
			if !ok {
				return Identity{}, apierr.New(401, "unauthenticated", "Log in.", "请登录。")
			}
			role := roles[user]
			if role == "" {
				role = meeting.Member
			}
			return Identity{User: user, Name: strings.ToUpper(user), Role: role}, nil
		},
		Meeting: func(_ context.Context, id string) (Info, error) {
			switch id {
			case "404":
				return Info{}, errMeetingNotFound
			case "410":
				return Info{ID: id, Ended: true}, nil
			}
			return Info{ID: id, Title: "会议 " + id}, nil
		},
		Append: store.Append, Load: store.Load,
		MediaToken: func(m string, p meeting.ID, publish bool) (string, time.Time, error) {
			return fmt.Sprintf("%s/%s/%v", m, p, publish), time.Now().Add(time.Hour), nil
		},
		Media: func(string) Media { return w.media },
		OnAir: func(_ string, in AirInput) { w.air <- in },
		Key:   []byte("0123456789abcdef"),
	}, slog.New(slog.NewTextHandler(io.Discard, nil)))
	if err != nil {
		t.Fatal(err)
	}
	w.svc = svc
	w.http = &http.Server{Handler: svc.Handler()}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = w.http.Serve(w.pipes)
	}()
	t.Cleanup(func() {
		w.svc.Close()
		_ = w.http.Close()
		<-served
	})
	return w
}

// client is a page without a window. It reads in its own goroutine.
type client struct {
	t    testing.TB
	conn *websocket.Conn
	in   chan any    // closed with the socket
	err  error       // of the socket, once in is closed
	mute atomic.Bool // does not answer pings

	welcome Welcome
	state   *meeting.State
	writing sync.Mutex
}

func (w *world) dial(user, path string, header http.Header) (*websocket.Conn, *http.Response, error) {
	d := websocket.Dialer{
		NetDialContext: func(context.Context, string, string) (net.Conn, error) { return w.pipes.dial() },
		Subprotocols:   []string{Subprotocol, bearerSubprotocol + user},
	}
	if user == "" {
		d.Subprotocols = nil
	}
	return d.Dial("ws://server"+path, header)
}

func (w *world) connect(user string) *client {
	w.t.Helper()
	conn, _, err := w.dial(user, "/ws/meetings/42", nil)
	if err != nil {
		w.t.Fatal(err)
	}
	c := &client{t: w.t, conn: conn, in: make(chan any, 4096)}
	done := make(chan struct{})
	w.t.Cleanup(func() { _ = conn.Close(); <-done })
	go func() {
		defer close(done)
		defer close(c.in)
		for {
			_, data, err := conn.ReadMessage()
			if err != nil {
				c.err = err
				return
			}
			v, err := DecodeServer(data)
			if err != nil || v == nil {
				w.t.Errorf("server sent %s: %v", data, err)
				return
			}
			if p, ok := v.(Ping); ok {
				if !c.mute.Load() {
					c.raw(fmt.Sprintf(`{"type":"pong","t":%d}`, p.T))
				}
				continue
			}
			c.in <- v
		}
	}()
	return c
}

// join connects and takes a seat.
func (w *world) join(user, resume string) *client {
	w.t.Helper()
	c := w.connect(user)
	c.raw(fmt.Sprintf(`{"type":"hello","v":1,"lang":"en","resume":%q}`, resume))
	c.welcome = next[Welcome](c)
	c.state = c.welcome.State
	c.state.Seq = c.welcome.Seq
	return c
}

func (c *client) raw(text string) {
	c.writing.Lock()
	defer c.writing.Unlock()
	// A server that has closed is noticed by reading.
	_ = c.conn.WriteMessage(websocket.TextMessage, []byte(text))
}

// next returns the next message of a type, replaying events into the client's state on the way.
func next[T any](c *client) T {
	c.t.Helper()
	timeout := time.NewTimer(2 * time.Minute)
	defer timeout.Stop()
	for {
		select {
		case v, ok := <-c.in:
			if !ok {
				var zero T
				c.t.Fatalf("socket closed (%v) while waiting for %T", c.err, zero)
			}
			if h, isEvent := v.(Happened); isEvent && c.state != nil {
				if h.Seq != c.state.Seq+1 {
					c.t.Fatalf("event %d after %d", h.Seq, c.state.Seq)
				}
				c.state.Replay(meeting.Event{Seq: h.Seq, At: h.At, Body: h.Event.Body})
			}
			if want, ok := v.(T); ok {
				return want
			}
		case <-timeout.C:
			var zero T
			c.t.Fatalf("no %T came", zero)
		}
	}
}

// event waits for an event of a kind.
func event[T meeting.Body](c *client) T {
	c.t.Helper()
	for {
		if b, ok := next[Happened](c).Event.Body.(T); ok {
			return b
		}
	}
}

// do sends a command and returns the code of the error, or "".
func (c *client) do(format string, args ...any) string {
	c.t.Helper()
	text := fmt.Sprintf(format, args...)
	c.raw(`{"id":"x",` + text[1:])
	timeout := time.NewTimer(2 * time.Minute)
	defer timeout.Stop()
	for {
		switch v := next[any](c).(type) {
		case OK:
			return ""
		case Failure:
			return v.Code
		}
	}
}

// closed waits for the end of the socket and returns the bye's code and the close code.
func (c *client) closed() (string, int) {
	c.t.Helper()
	code := ""
	for v := range c.in {
		if b, ok := v.(Bye); ok {
			code = b.Code
		}
	}
	var ce *websocket.CloseError
	if errors.As(c.err, &ce) {
		return code, ce.Code
	}
	return code, 0
}

func requireBye(t *testing.T, c *client, code string, closeCode int) {
	t.Helper()
	if gotBye, gotCode := c.closed(); gotBye != code || gotCode != closeCode {
		t.Fatalf("bye %q with %d, want %q with %d", gotBye, gotCode, code, closeCode)
	}
}

// eventually polls until ok.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for range 3000 {
		if ok() {
			return
		}
		pause := time.NewTimer(10 * time.Millisecond)
		<-pause.C
	}
	t.Fatal("never: " + what)
}

// pipeListener is a network of net.Pipe connections.
type pipeListener struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newPipeListener() *pipeListener {
	return &pipeListener{conns: make(chan net.Conn), done: make(chan struct{})}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error   { l.once.Do(func() { close(l.done) }); return nil }
func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }

func (l *pipeListener) dial() (net.Conn, error) {
	a, b := net.Pipe()
	select {
	case l.conns <- b:
		return a, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}
