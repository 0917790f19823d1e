package srt

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	gosrt "github.com/datarhei/gosrt"
	"github.com/datarhei/gosrt/packet"

	"tongxiang/ingest/source"
)

func parse(t *testing.T, s string) (Address, error) {
	t.Helper()
	u, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return Parse(u)
}

func TestAddressesAreRead(t *testing.T) {
	for in, want := range map[string]Address{
		"srt://10.0.0.9:9000":                                      {"10.0.0.9:9000", false, "", "", 16, 120 * time.Millisecond},
		"srt://studio.local:9000?mode=caller":                      {"studio.local:9000", false, "", "", 16, 120 * time.Millisecond},
		"srt://:9000":                                              {":9000", true, "", "", 16, 120 * time.Millisecond},
		"srt://0.0.0.0:9000?mode=listener":                         {"0.0.0.0:9000", true, "", "", 16, 120 * time.Millisecond},
		"srt://[::1]:9000?mode=listener":                           {"[::1]:9000", true, "", "", 16, 120 * time.Millisecond},
		"srt://a:1?streamid=%23!::r=x&latency=80":                  {"a:1", false, "#!::r=x", "", 16, 80 * time.Millisecond},
		"srt://a:1?passphrase=0123456789&pbkeylen=32&latency=2000": {"a:1", false, "", "0123456789", 32, 2 * time.Second},
	} {
		if got, err := parse(t, in); err != nil || got != want {
			t.Errorf("%s: %+v %v", in, got, err)
		}
	}
	for _, in := range []string{
		"srt://a", "srt://a:0", "srt://:9000?mode=caller", "srt://a:1?mode=rendezvous", "srt://studio:9000?mode=listener",
		"srt://a:1?passphrase=short", "srt://a:1?passphrase=" + strings.Repeat("x", 81), "srt://a:1?pbkeylen=8",
		"srt://a:1?latency=-1", "srt://a:1?latency=60000", "srt://a:1?latency=much", "srt://a:1?streamid=" + strings.Repeat("x", 513),
	} {
		if a, err := parse(t, in); err == nil {
			t.Errorf("%s is taken: %+v", in, a)
		} else if strings.Contains(err.Error(), "short") {
			t.Errorf("the passphrase is in the error: %v", err)
		}
	}
}

// link runs an address until the test ends and keeps what it says.
type link struct {
	mu    sync.Mutex // guards all
	bytes []byte
	fresh int
	state source.Link
	ended chan error
	stop  context.CancelFunc
}

func run(t *testing.T, a Address) *link {
	t.Helper()
	l := &link{ended: make(chan error, 1)}
	ctx, cancel := context.WithCancel(t.Context())
	l.stop = cancel
	go func() {
		l.ended <- a.Run(ctx, Output{
			Feed:  func(b []byte) { l.mu.Lock(); l.bytes = append(l.bytes, b...); l.mu.Unlock() },
			Fresh: func() { l.mu.Lock(); l.fresh++; l.mu.Unlock() },
			Tell:  func(s source.Link) { l.mu.Lock(); l.state = s; l.mu.Unlock() },
		})
	}()
	t.Cleanup(cancel)
	return l
}

func (l *link) see(f func() bool) func() bool {
	return func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return f()
	}
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
		<-time.After(5 * time.Millisecond)
	}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.LocalAddr().String()
}

// sender calls a listener and writes until the test ends or leave is called.
func sender(t *testing.T, to, passphrase, streamID string) (conn gosrt.Conn, err error) {
	t.Helper()
	c := gosrt.DefaultConfig()
	c.Passphrase, c.StreamId, c.ConnectionTimeout = passphrase, streamID, 10*time.Second
	conn, err = gosrt.Dial("srt", to, c)
	if err == nil {
		t.Cleanup(func() { conn.Close() })
	}
	return conn, err
}

func TestAListenerTakesOneSenderAndNamesThoseThatItRefuses(t *testing.T) {
	to := freeAddress(t)
	a, err := parse(t, "srt://"+to+"?mode=listener&passphrase=0123456789&streamid=studio")
	if err != nil {
		t.Fatal(err)
	}
	l := run(t, a)
	eventually(t, "it waits", l.see(func() bool { return l.state.Waiting }))
	for _, tc := range []struct {
		passphrase, streamID string
		counter              string
		cause                source.Cause
		reason               gosrt.RejectionReason
	}{
		{"987654321000", "studio", "srt_refused_passphrase", source.CausePassphrase, gosrt.REJ_BADSECRET},
		{"", "studio", "srt_refused_passphrase", source.CausePassphrase, gosrt.REJ_UNSECURE},
		{"0123456789", "kitchen", "srt_refused_streamid", source.CauseCredentials, gosrt.REJX_FORBIDDEN},
	} {
		l.mu.Lock()
		before := l.state.Errors[tc.counter]
		l.mu.Unlock()
		_, err := sender(t, to, tc.passphrase, tc.streamID)
		if err == nil {
			t.Fatalf("%+v was let in", tc)
		}
		if got := source.CauseOf(refusal(err)); tc.cause != got {
			t.Errorf("%+v: a caller of ours would say %s: %v", tc, got, err)
		}
		eventually(t, "the refusal is counted", l.see(func() bool {
			return l.state.Errors[tc.counter] > before && l.state.Cause == tc.cause && strings.Contains(l.state.Detail, "127.0.0.1")
		}))
	}
	first, err := sender(t, to, "0123456789", "studio")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := first.Write([]byte("first")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "what it sends arrives", l.see(func() bool { return string(l.bytes) == "first" && l.state.Cause == "" }))
	if _, err := sender(t, to, "0123456789", "studio"); err == nil {
		t.Error("a second sender was let in")
	}
	eventually(t, "the second is counted, and is no reason while the first sends", l.see(func() bool {
		return l.state.Errors["srt_refused_second"] == 1 && l.state.Cause == ""
	}))
	first.Close()
	var next gosrt.Conn
	eventually(t, "the next sender is let in", func() bool {
		next, err = sender(t, to, "0123456789", "studio")
		return err == nil
	})
	if _, err := next.Write([]byte(" second")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "what it sends arrives", l.see(func() bool { return string(l.bytes) == "first second" && l.fresh == 2 }))
	// One that says nothing any more does not keep the place.
	eventually(t, "another takes over from the one that is silent", func() bool {
		other, err := sender(t, to, "0123456789", "studio")
		if err == nil {
			_, err = other.Write([]byte(" third"))
		}
		return err == nil
	})
	eventually(t, "what it sends arrives", l.see(func() bool { return string(l.bytes) == "first second third" }))
	l.stop()
	if err := <-l.ended; !errors.Is(err, context.Canceled) {
		t.Errorf("ended by %v", err)
	}
}

func TestGarbageDisturbsNoListener(t *testing.T) {
	to := freeAddress(t)
	a, err := parse(t, "srt://"+to+"?mode=listener")
	if err != nil {
		t.Fatal(err)
	}
	l := run(t, a)
	eventually(t, "it waits", l.see(func() bool { return l.state.Waiting }))
	conn, err := net.Dial("udp", to)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	r := rand.New(rand.NewPCG(1, 2))
	for i := range 3000 {
		b := make([]byte, r.IntN(200))
		for k := range b {
			b[k] = byte(r.Uint32())
		}
		if i%2 == 0 && len(b) >= 16 { // a handshake by its header
			copy(b, []byte{0x80, 0, 0, 0, 0, 0, 0, 0})
			copy(b[12:16], []byte{0, 0, 0, 0})
		}
		_, _ = conn.Write(b)
	}
	var s gosrt.Conn
	eventually(t, "a sender is let in all the same", func() bool {
		s, err = sender(t, to, "", "")
		return err == nil
	})
	_, _ = s.Write([]byte("picture"))
	eventually(t, "what it sends arrives", l.see(func() bool { return string(l.bytes) == "picture" }))
}

func TestACallerReceivesAndEndsWithItsSender(t *testing.T) {
	to := freeAddress(t)
	ln, err := gosrt.Listen("srt", to, gosrt.DefaultConfig())
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	conns := make(chan gosrt.Conn, 1)
	go func() {
		req, err := ln.Accept2()
		if err != nil {
			return
		}
		if req.SetPassphrase("0123456789") != nil || req.StreamId() != "cctv1" {
			req.Reject(gosrt.REJ_PEER)
			return
		}
		if conn, err := req.Accept(); err == nil {
			conns <- conn
		}
	}()
	a, err := parse(t, "srt://"+to+"?passphrase=0123456789&streamid=cctv1&pbkeylen=24")
	if err != nil {
		t.Fatal(err)
	}
	l := run(t, a)
	conn := <-conns
	_, _ = conn.Write([]byte("picture"))
	eventually(t, "it arrives", l.see(func() bool { return string(l.bytes) == "picture" && l.state.Errors != nil }))
	conn.Close()
	if err := <-l.ended; source.CauseOf(err) != source.CauseEnded {
		t.Errorf("ended by %v", err)
	}
}

func TestCallsThatFailLeaveNothingBehind(t *testing.T) {
	to := freeAddress(t)
	silent, err := net.ListenPacket("udp", to) // takes all and answers nothing
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	a, err := parse(t, "srt://"+to)
	if err != nil {
		t.Fatal(err)
	}
	before := gosrtGoroutines()
	var links []*link
	for range 4 {
		links = append(links, run(t, a))
	}
	stopped := run(t, a)
	stopped.stop()
	if err := <-stopped.ended; !errors.Is(err, context.Canceled) {
		t.Errorf("a call that was stopped ended by %v", err)
	}
	for _, l := range links {
		if err := <-l.ended; source.CauseOf(err) != source.CauseUnreachable {
			t.Errorf("ended by %v", err)
		}
	}
	eventually(t, "all goroutines of the calls end", func() bool { return gosrtGoroutines() <= before })
}

// gosrtGoroutines counts the goroutines that the library runs.
func gosrtGoroutines() int {
	b := make([]byte, 1<<20)
	n := 0
	for g := range strings.SplitSeq(string(b[:runtime.Stack(b, true)]), "\n\n") {
		if strings.Contains(g, "datarhei/gosrt.") {
			n++
		}
	}
	return n
}

func FuzzParse(f *testing.F) {
	f.Add("srt://:9000?mode=listener&latency=1")
	f.Fuzz(func(t *testing.T, s string) {
		u, err := url.Parse(s)
		if err != nil {
			return
		}
		a, err := Parse(u)
		if err != nil {
			return
		}
		c := a.config()
		if err := c.Validate(); err != nil {
			t.Errorf("%q is taken, yet %v", s, err)
		}
	})
}

// FuzzPackets is for the library: it parses what strangers send, in our process.
func FuzzPackets(f *testing.F) {
	f.Add([]byte{0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5})
	f.Add(slices.Repeat([]byte{0x80, 2, 0, 1}, 30))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, cif := range []packet.CIF{
			new(packet.CIFHandshake), new(packet.CIFHandshakeExtension), new(packet.CIFKeyMaterialExtension),
			new(packet.CIFACK), new(packet.CIFNAK), new(packet.CIFShutdown),
		} {
			p, err := packet.NewPacketFromData(&net.UDPAddr{}, b)
			if err != nil {
				return
			}
			if err := p.UnmarshalCIF(cif); err == nil {
				_ = fmt.Sprint(cif)
			}
		}
	})
}
