package rtsp

import (
	"fmt"
	"math/rand/v2"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/bluenviron/gortsplib/v4"

	"tongxiang/internal/playout/playtest"
	"tongxiang/internal/push"
	"tongxiang/internal/stream"
)

func (r *rig) encoder() push.Encoder { return push.Encoder{Protocol: "rtsp", Subject: "first"} }

func (r *rig) dial() net.Conn {
	r.t.Helper()
	c, err := net.Dial("tcp", r.s.Addr().String())
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = c.Close() })
	return c
}

// ends waits until the server closes a connection.
func ends(t *testing.T, c net.Conn) {
	t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 4096)
	for {
		if _, err := c.Read(b); err != nil {
			if e, ok := err.(net.Error); ok && e.Timeout() {
				t.Error("the connection is still open")
			}
			return
		}
	}
}

func TestConnectionsThatSayNothingOfUseAreClosed(t *testing.T) {
	r := newRig(t, nil)
	random := rand.New(rand.NewPCG(1, 2))
	garbage := make([]byte, 1<<16)
	for i := range garbage {
		garbage[i] = byte(random.UintN(256))
	}
	for name, say := range map[string]func(net.Conn){
		"nothing":        func(net.Conn) {},
		"garbage":        func(c net.Conn) { _, _ = c.Write(garbage) },
		"half a request": func(c net.Conn) { fmt.Fprint(c, "DESCRIBE rtsp://x/channels/x RTSP/1.0\r\nCSeq: 1\r\n") },
		"half a body": func(c net.Conn) {
			fmt.Fprint(c, "ANNOUNCE rtsp://x/channels/x RTSP/1.0\r\nCSeq: 1\r\nContent-Length: 1000\r\n\r\nv=0")
		},
		"a body of 4 GB": func(c net.Conn) {
			fmt.Fprint(c, "ANNOUNCE rtsp://x/channels/x RTSP/1.0\r\nCSeq: 1\r\nContent-Length: 4294967295\r\n\r\n")
		},
		"an endless header": func(c net.Conn) { fmt.Fprint(c, "OPTIONS * RTSP/1.0\r\nX: "+strings.Repeat("a", 1<<20)) },
		"options only":      func(c net.Conn) { fmt.Fprint(c, "OPTIONS rtsp://x/ RTSP/1.0\r\nCSeq: 1\r\n\r\n") },
		"media of nobody":   func(c net.Conn) { fmt.Fprint(c, "$\x00\xff\xff") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := r.dial()
			say(c)
			ends(t, c)
		})
	}
	t.Run("a byte now and then", func(t *testing.T) {
		t.Parallel()
		c := r.dial()
		done := make(chan struct{})
		go func() {
			defer close(done)
			for _, b := range []byte("OPTIONS rtsp://x/ RTSP/1.0\r\nCSeq: 1\r\nA: " + strings.Repeat("b", 200)) {
				if _, err := c.Write([]byte{b}); err != nil {
					return
				}
				time.Sleep(200 * time.Millisecond) // what is tried here is slowness itself
			}
		}()
		ends(t, c)
		_ = c.Close()
		<-done
	})
}

// TestConnectionsAreBounded opens more than there may be: those too many are closed
// at once, a player that is there plays on, and afterwards there is room again.
func TestConnectionsAreBounded(t *testing.T) {
	playtest.Tools(t)
	clip := playtest.Make(t, 2, "320x180", playtest.Plain)
	r := newRig(t, func(c *Config) { c.MaxConnections = 20 })
	r.show("channels/x", clip)
	v := r.view(gortsplib.TransportTCP, "channels/x")
	before := runtime.NumGoroutine()
	var conns []net.Conn
	for range 1000 {
		c, err := net.Dial("tcp", r.s.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, c)
	}
	eventually(t, "those too many", func() bool { return r.s.Stats().Refused >= 900 })
	if n := r.s.Stats().Connections; n > 20 {
		t.Errorf("%d connections", n)
	}
	if n := runtime.NumGoroutine() - before; n > 200 {
		t.Errorf("%d goroutines more", n)
	}
	n := v.got("video")
	eventually(t, "pictures meanwhile", func() bool { return v.got("video") > n+25 })
	for _, c := range conns {
		_ = c.Close()
	}
	eventually(t, "room again", func() bool { return r.s.Stats().Connections <= 1 })
	r.view(gortsplib.TransportTCP, "channels/x")
}

// TestAbsurdAnnouncementsAreRefused sends descriptions that no encoder would.
func TestAbsurdAnnouncementsAreRefused(t *testing.T) {
	r := newRig(t, nil)
	head := "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\n"
	h264 := "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:t%d\r\n"
	many := head
	for i := range 200 {
		many += fmt.Sprintf(h264, i)
	}
	for name, tc := range map[string]struct{ sdp, want string }{
		"empty":            {"", "400"},
		"no media":         {head, "4"},
		"rubbish":          {strings.Repeat("\x00\xff=\r\n", 1000), "400"},
		"200 media":        {many, "415"},
		"nothing known":    {head + "m=application 0 RTP/AVP 107\r\na=rtpmap:107 vnd.onvif.metadata/90000\r\na=control:t\r\n", "415"},
		"clock of zero":    {head + "m=audio 0 RTP/AVP 97\r\na=rtpmap:97 AC3/0\r\na=control:t\r\n", "4"},
		"AAC without conf": {head + "m=audio 0 RTP/AVP 97\r\na=rtpmap:97 mpeg4-generic/48000/2\r\na=control:t\r\n", "4"},
		"bad sprop":        {head + "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=fmtp:96 sprop-parameter-sets=Z2Q=,aA==\r\na=control:t\r\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			c := r.dial()
			u := r.url("channels/news", "send")
			fmt.Fprintf(c, "ANNOUNCE %s RTSP/1.0\r\nCSeq: 1\r\nContent-Type: application/sdp\r\nContent-Length: %d\r\n\r\n%s", u, len(tc.sdp), tc.sdp)
			b := make([]byte, 4096)
			if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
				t.Fatal(err)
			}
			n, err := c.Read(b)
			if err != nil {
				t.Fatal(err)
			}
			if _, status, _ := strings.Cut(string(b[:n]), " "); !strings.HasPrefix(status, tc.want) {
				t.Errorf("answer %.60q, want %s", b[:n], tc.want)
			}
		})
	}
	if r.hub.Published(stream.Push("news")) {
		t.Error("somebody sends")
	}
}
