package server

import (
	"crypto/rand"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"tongxiang/ingest"
	"tongxiang/internal/auth"
	"tongxiang/internal/playout/playtest"
	"tongxiang/internal/stream"
)

const sdpType = "application/sdp"

// offer is an SDP offer as browsers make it, cut down, with the given media section.
func offer(section string) string {
	return "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n" + section
}

// section is one media section with a codec.
func section(codec string) string {
	return "m=video 9 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\na=sendonly\r\na=rtcp-mux\r\n" +
		"a=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\na=setup:actpass\r\n" +
		"a=fingerprint:sha-256 " + strings.TrimSuffix(strings.Repeat("AB:", 32), ":") + "\r\n" +
		"a=rtpmap:96 " + codec + "/90000\r\n"
}

// watching is a meeting with somebody in it, to show that others are not disturbed.
func watching(r *rig) (meeting string, undisturbed func()) {
	r.t.Helper()
	id := r.meeting()
	s := r.dial(id, r.token(auth.TokenRequest{Subject: "witness", Role: auth.Member}))
	s.send(`{"type":"hello","v":1}`)
	s.until("welcome")
	n := 0
	return id, func() {
		r.t.Helper()
		n++
		s.send(fmt.Sprintf(`{"type":"chat","id":"w%d","text":"在"}`, n))
		if m := s.until("ok"); m["id"] != fmt.Sprintf("w%d", n) {
			r.t.Errorf("the witness was answered %v", m)
		}
		if status, body := r.do("GET", "/readyz", "", "", ""); status != http.StatusOK {
			r.t.Errorf("the server is not ready: %d %s", status, body)
		}
	}
}

func TestBadWHIPRequestsGetACodeAndDisturbNobody(t *testing.T) {
	r := start(t, config(t, t.TempDir()))
	meeting, undisturbed := watching(r)
	own := stream.Participant(meeting, "enc")
	good := r.token(auth.TokenRequest{Subject: "enc", Role: auth.Member, Stream: string(own)})
	key, err := auth.LoadKey(r.cfg.KeysDir())
	if err != nil {
		t.Fatal(err)
	}
	expired, _, err := auth.Sign(key, auth.TokenRequest{
		Subject: "enc", Role: auth.Member, Stream: string(own), TTL: time.Hour,
	}, time.Now().Add(-2*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	other := r.token(auth.TokenRequest{Subject: "enc", Role: auth.Member, Stream: "meetings/other/enc"})
	path := "/whip/meetings/" + meeting
	for _, tc := range []struct {
		name, path, token, contentType, body, code string
	}{
		{"not SDP", path, good, sdpType, "hello", "bad_sdp"},
		{"empty", path, good, sdpType, "", "bad_sdp"},
		{"random bytes", path, good, sdpType, random(4096), "bad_sdp"},
		{"no media", path, good, sdpType, offer(""), "no_media"},
		{"unknown codec only", path, good, sdpType, offer(section("XYZ")), "no_common_codec"},
		{"a MiB", path, good, sdpType, offer(strings.Repeat("a=x\r\n", 1<<20/5)), "sdp_too_large"},
		{"not said to be SDP", path, good, "text/plain", offer(section("H264")), "unsupported_content_type"},
		{"no token", path, "", sdpType, offer(section("H264")), "not_signed_in"},
		{"expired token", path, expired, sdpType, offer(section("H264")), "token_expired"},
		{"not a token", path, "abc.def.ghi", sdpType, offer(section("H264")), "bad_token"},
		{"for another meeting", path, other, sdpType, offer(section("H264")), "wrong_stream"},
		{"for the programme", path + "/programme", good, sdpType, offer(section("H264")), "wrong_stream"},
		{"no such meeting", "/whip/meetings/nowhere", good, sdpType, offer(section("H264")), "stream_not_found"},
		{"no such channel", "/whep/channels/nowhere", r.admin(), sdpType, offer(section("H264")), "stream_not_found"},
		{"not a stream", "/whep/x", good, sdpType, offer(section("H264")), "stream_not_found"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			status, body := r.do("POST", tc.path, tc.token, tc.contentType, tc.body)
			refused(t, status, body, tc.code)
		})
	}
	undisturbed()
}

func random(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return string(b)
}

func TestBadWebSocketMessagesEndThatConnectionAlone(t *testing.T) {
	r := start(t, config(t, t.TempDir()))
	meeting, undisturbed := watching(r)
	token := r.token(auth.TokenRequest{Subject: "rude", Role: auth.Member})

	t.Run("malformed", func(t *testing.T) {
		s := r.dial(meeting, token)
		s.send(`{"type":"hello","v":1}`)
		s.until("welcome")
		for _, text := range []string{`{`, `[]`, `null`, `{"type":7}`, random(200)} {
			s.send(text)
			if m := s.until("error"); m["code"] != "malformed" && m["code"] != "invalid" {
				t.Errorf("%.20q is answered %v", text, m)
			}
		}
	})
	t.Run("huge", func(t *testing.T) {
		s := r.dial(meeting, token)
		s.send(`{"type":"hello","v":1}`)
		s.until("welcome")
		if err := s.conn.WriteMessage(websocket.TextMessage, make([]byte, 4<<20)); err == nil {
			s.ended("message_too_large")
		}
	})
	t.Run("too many", func(t *testing.T) {
		s := r.dial(meeting, token)
		s.send(`{"type":"hello","v":1}`)
		s.until("welcome")
		go func() {
			for range 5000 {
				if s.conn.WriteMessage(websocket.TextMessage, []byte(`{"type":"hand","raised":true}`)) != nil {
					return
				}
			}
		}()
		if m := s.until("error"); m["code"] != "too_many_messages" {
			t.Errorf("answered %v", m)
		}
	})
	t.Run("command before hello", func(t *testing.T) {
		s := r.dial(meeting, token)
		s.send(`{"type":"hand","raised":true}`)
		s.ended("hello_required")
	})
	undisturbed()
}

// ended reads until the connection's end and checks what it said of it, if it could.
func (s *seat) ended(code string) {
	s.t.Helper()
	if err := s.conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		s.t.Fatal(err)
	}
	for {
		_, b, err := s.conn.ReadMessage()
		if err != nil {
			if net, ok := err.(net.Error); ok && net.Timeout() {
				s.t.Errorf("the connection was left open")
			}
			return
		}
		if strings.Contains(string(b), `"bye"`) && !strings.Contains(string(b), code) {
			s.t.Errorf("ended with %s, want %s", b, code)
		}
	}
}

// channel adds one and returns a function that tells its state.
func (r *rig) channel(id, source string) func() ingest.Status {
	r.t.Helper()
	r.api("POST", "/channels", map[string]any{"id": id, "name": id, "source": source}, nil)
	return func() ingest.Status {
		s, ok := r.s.channels.Get(id)
		if !ok {
			r.t.Fatalf("channel %s is gone", id)
		}
		return s
	}
}

func TestBadSourcesSaySoAndDisturbNoOtherChannel(t *testing.T) {
	playtest.Tools(t)
	dir := t.TempDir()
	cfg := config(t, t.TempDir())
	r := start(t, cfg)
	file := func(name string, b []byte) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return "file://" + p
	}
	clip := playtest.TS(t, 2, "320x180", playtest.Plain)
	good := r.channel("good", file("good.ts", clip))
	noise := r.channel("noise", file("noise.ts", []byte(random(1<<20))))
	broken := r.channel("broken", file("broken.ts", breakPES(clip)))

	// An RTSP server that accepts, reads the first request and never answers.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_, _ = c.Read(make([]byte, 4096))
				_, _ = c.Write([]byte("RTSP/1.0 200 O"))
				<-t.Context().Done()
			}()
		}
	}()
	stalled := r.channel("stalled", "rtsp://"+l.Addr().String()+"/cam")

	eventually(t, "the good channel live", func() bool { return good().State == ingest.Live })
	eventually(t, "noise refused or lost with a reason", func() bool {
		s := noise()
		return (s.State == ingest.Lost || s.State == ingest.Refused) && s.Reason.Code != "" && s.Reason.ZH != ""
	})
	eventually(t, "the stalled one lost with a reason", func() bool {
		s := stalled()
		return s.State == ingest.Lost && s.Reason.Code != ""
	})
	eventually(t, "the broken one judged", func() bool { return broken().State != ingest.Connecting })
	if s := good(); s.State != ingest.Live || s.Attempts != 1 {
		t.Errorf("the good channel is %s after %d attempts", s.State, s.Attempts)
	}
	t.Logf("noise: %s %s; broken PES: %s %s; stalled: %s %s", noise().State, noise().Reason.Code,
		broken().State, broken().Reason.Code, stalled().State, stalled().Reason.Code)

	// And with all this going on the end is clean: rig.stop fails the test otherwise.
	began := time.Now()
	r.stop()
	t.Logf("ended in %v", time.Since(began).Round(time.Millisecond))
}

// breakPES writes nonsense into the length of every PES header.
func breakPES(ts []byte) []byte {
	out := append([]byte(nil), ts...)
	for at := 0; at+188 <= len(out); at += 188 {
		p := out[at : at+188]
		head := 4
		if p[3]&0x20 != 0 {
			head += 1 + int(p[4])
		}
		if p[1]&0x40 != 0 && head+6 <= 188 && p[head] == 0 && p[head+1] == 0 && p[head+2] == 1 {
			p[head+4], p[head+5] = 0, 7
		}
	}
	return out
}
