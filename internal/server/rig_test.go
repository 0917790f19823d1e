package server

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"tongxiang/configs"
	"tongxiang/internal/auth"
)

// patience bounds every wait for something that must happen; nothing is measured with it.
const patience = 30 * time.Second

// rig is a whole server on loopback sockets with a real data folder.
type rig struct {
	t    *testing.T
	s    *Server
	cfg  configs.Config
	url  string
	log  *syncBuffer
	stop context.CancelFunc
	done chan error
}

// syncBuffer is a log that tests can read while the server writes it.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func config(t *testing.T, dir string) configs.Config {
	t.Helper()
	cfg := configs.Default()
	cfg.Data, cfg.Log = dir, "debug"
	cfg.HTTP.Listen, cfg.HTTPS.Listen = "127.0.0.1:0", ""
	cfg.WebRTC = configs.WebRTC{UDP: "127.0.0.1:0", TCP: "127.0.0.1:0", Addresses: []string{"127.0.0.1"}}
	cfg.RTSP.Listen, cfg.RTSP.UDP = "127.0.0.1:0", ""
	return cfg
}

// start runs a server over a data folder until the test ends or end is called.
func start(t *testing.T, cfg configs.Config) *rig {
	t.Helper()
	r := &rig{t: t, cfg: cfg, log: new(syncBuffer), done: make(chan error, 1)}
	log := slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	s, err := New(t.Context(), cfg, "test", log)
	if err != nil {
		t.Fatal(err)
	}
	r.s = s
	ctx, stop := context.WithCancel(context.Background())
	r.stop = sync.OnceFunc(func() {
		stop()
		if err := <-r.done; err != nil {
			t.Errorf("run: %v", err)
		}
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	go func() { r.done <- s.Run(ctx) }()
	t.Cleanup(func() {
		r.stop()
		if t.Failed() {
			t.Log(r.log.String())
		}
	})
	plain, _ := s.Addresses()
	r.url = "http://" + plain.String()
	return r
}

// token returns a bearer token.
func (r *rig) token(q auth.TokenRequest) string {
	r.t.Helper()
	if q.TTL == 0 {
		q.TTL = time.Hour
	}
	token, _, err := r.s.auth.MediaToken(q)
	if err != nil {
		r.t.Fatal(err)
	}
	return token
}

func (r *rig) admin() string {
	return r.token(auth.TokenRequest{Subject: "boss", Role: auth.Administrator})
}

// do makes a request and returns the status and the body.
func (r *rig) do(method, path, token, contentType, body string) (int, string) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), method, r.url+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Accept-Language", "en")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// api makes a request that must succeed and decodes the answer into out.
func (r *rig) api(method, path string, body, out any) {
	r.t.Helper()
	text := ""
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			r.t.Fatal(err)
		}
		text = string(b)
	}
	status, answer := r.do(method, "/api/v1"+path, r.admin(), "application/json", text)
	if status >= 300 {
		r.t.Fatalf("%s %s: %d %s", method, path, status, answer)
	}
	if out != nil {
		if err := json.Unmarshal([]byte(answer), out); err != nil {
			r.t.Fatalf("%s %s: %v in %s", method, path, err, answer)
		}
	}
}

// refused checks that an answer is a problem with a code.
func refused(t *testing.T, status int, body, code string) {
	t.Helper()
	var p struct{ Code, Detail string }
	if err := json.Unmarshal([]byte(body), &p); err != nil {
		t.Fatalf("%d is no problem: %.200q", status, body)
	}
	if p.Code != code || p.Detail == "" || status < 400 {
		t.Errorf("got %d %s (%s), want %s", status, p.Code, p.Detail, code)
	}
}

// meeting makes one and returns its id.
func (r *rig) meeting() string {
	r.t.Helper()
	var m struct{ ID string }
	r.api("POST", "/meetings", map[string]string{"title": "防汛会商"}, &m)
	return m.ID
}

// seat is a WebSocket in a meeting.
type seat struct {
	t    *testing.T
	conn *websocket.Conn
}

func (r *rig) dial(meeting, token string) *seat {
	r.t.Helper()
	d := websocket.Dialer{Subprotocols: []string{"tongxiang.v1"}}
	conn, resp, err := d.DialContext(r.t.Context(), "ws"+strings.TrimPrefix(r.url, "http")+"/ws/meetings/"+meeting,
		http.Header{"Authorization": {"Bearer " + token}})
	if err != nil {
		r.t.Fatalf("dial: %v (%v)", err, resp)
	}
	r.t.Cleanup(func() { _ = conn.Close() })
	return &seat{r.t, conn}
}

func (s *seat) send(text string) {
	s.t.Helper()
	if err := s.conn.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
		s.t.Fatal(err)
	}
}

// until reads messages up to one of a type, answering pings on the way.
func (s *seat) until(typ string) map[string]any {
	s.t.Helper()
	if err := s.conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		s.t.Fatal(err)
	}
	for {
		_, b, err := s.conn.ReadMessage()
		if err != nil {
			s.t.Fatalf("waiting for %s: %v", typ, err)
		}
		var m map[string]any
		if err := json.Unmarshal(b, &m); err != nil {
			s.t.Fatal(err)
		}
		if m["type"] == "ping" {
			pong, err := json.Marshal(map[string]any{"type": "pong", "t": m["t"]})
			if err != nil {
				s.t.Fatal(err)
			}
			s.send(string(pong))
		}
		if m["type"] == typ {
			return m
		}
	}
}

// eventually waits until ok holds.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("not seen: %s", what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
