package mpegts

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/netip"
	"net/url"
	"testing"
	"time"

	"tongxiang/ingest/source"
	"tongxiang/internal/media"
)

func parse(t *testing.T, s string) *url.URL {
	t.Helper()
	u, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestAddressesAreRead(t *testing.T) {
	at := netip.MustParseAddrPort
	for in, want := range map[string]udpAddress{
		"udp://239.1.1.1:5000":                                    {addr: at("239.1.1.1:5000")},
		"udp://@239.1.1.1:5000":                                   {addr: at("239.1.1.1:5000")},
		"udp://eth1@239.1.1.1:5000":                               {addr: at("239.1.1.1:5000"), iface: "eth1"},
		"udp://239.1.1.1:5000?interface=eth1":                     {addr: at("239.1.1.1:5000"), iface: "eth1"},
		"udp://232.1.1.1:5000?source=10.0.0.9&interface=enp3s0.7": {addr: at("232.1.1.1:5000"), iface: "enp3s0.7", source: netip.MustParseAddr("10.0.0.9")},
		"udp://:5000":                                             {addr: at("0.0.0.0:5000")},
		"udp://127.0.0.1:5000":                                    {addr: at("127.0.0.1:5000")},
		"udp://[ff3e::1]:5000?source=2001:db8::1":                 {addr: at("[ff3e::1]:5000"), source: netip.MustParseAddr("2001:db8::1")},
		"rtp://239.1.1.1:5000":                                    {addr: at("239.1.1.1:5000"), rtp: true},
	} {
		got, err := parseUDP(parse(t, in))
		if err != nil || got != want {
			t.Errorf("%s: %+v %v", in, got, err)
		}
	}
	for _, in := range []string{
		"udp://239.1.1.1", "udp://239.1.1.1:0", "udp://239.1.1.1:70000", "udp://satellite:5000",
		"udp://239.1.1.1:5000?source=x", "udp://239.1.1.1:5000?source=ff::1", "udp://10.0.0.1:5000?source=10.0.0.2",
	} {
		u, err := url.Parse(in)
		if err != nil {
			continue
		}
		if _, err := New(u, 0); source.CauseOf(err) != source.CauseBadAddress {
			t.Errorf("%s: %v", in, err)
		}
	}
	for _, in := range []string{"file://", "file:///a?loop=perhaps", "gopher://a"} {
		if _, err := New(parse(t, in), 0); source.CauseOf(err) != source.CauseBadAddress {
			t.Errorf("%s: %v", in, err)
		}
	}
	if _, err := New(parse(t, "udp://:5000"), 70000); source.CauseOf(err) != source.CauseBadAddress {
		t.Errorf("programme 70000: %v", err)
	}
}

// TestDatagramsComeThroughEveryKindOfAddress sends to sockets of each kind.
func TestDatagramsComeThroughEveryKindOfAddress(t *testing.T) {
	loopback := ""
	list, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range list {
		if i.Flags&net.FlagLoopback != 0 {
			loopback = i.Name
		}
	}
	payload := bytes.Repeat([]byte{0x47}, 1316)
	rtp := append([]byte{0x90, 33, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 9, 9, 9, 9}, payload...)
	for name, tc := range map[string]struct {
		address string // without port
		query   string
		send    []byte
	}{
		"unicast":            {"udp://127.0.0.1", "", payload},
		"multicast":          {"udp://" + loopback + "@239.77.1.1", "", payload},
		"one source of many": {"udp://232.77.1.1", "?source=127.0.0.1&interface=" + loopback, payload},
		"RTP with extension": {"rtp://127.0.0.1", "", rtp},
		"IPv6":               {"udp://[::1]", "", payload},
	} {
		t.Run(name, func(t *testing.T) {
			port := freePort(t)
			u := parse(t, tc.address+":"+port+tc.query)
			s, err := New(u, 0)
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			got := make(chan []byte, 1)
			ended := make(chan error, 1)
			go func() {
				ended <- s.Read(ctx, media.NewClock(), func(b []byte) {
					select {
					case got <- bytes.Clone(b):
					default:
					}
				})
			}()
			var local *net.UDPAddr
			if u.Hostname() != "::1" {
				local = &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)} // goes out by loopback
			}
			to, err := net.ResolveUDPAddr("udp", u.Host)
			if err != nil {
				t.Fatal(err)
			}
			conn, err := net.DialUDP("udp", local, to)
			if err != nil {
				t.Skipf("no way to %s here: %v", to, err)
			}
			defer conn.Close()
			tick := time.NewTicker(10 * time.Millisecond)
			defer tick.Stop()
			for received := false; !received; {
				select {
				case b := <-got:
					if !bytes.Equal(b, payload) {
						t.Errorf("%d other bytes", len(b))
					}
					received = true
				case err := <-ended:
					t.Fatalf("ended: %v", err)
				case <-tick.C:
					_, _ = conn.Write(tc.send) // refused until the receiver listens
				}
			}
			cancel()
			if err := <-ended; !errors.Is(err, context.Canceled) {
				t.Errorf("ended with %v", err)
			}
		})
	}
}

func freePort(t *testing.T) string {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, port, err := net.SplitHostPort(c.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

func TestPacerFollowsTheClockOfTheFile(t *testing.T) {
	const ms = int64(time.Millisecond)
	var p pacer
	if w := p.wait(0, 27000*1000, true, 1316); w != 0 {
		t.Errorf("first reference: %v", w)
	}
	if w := p.wait(1*ms, 27000*1040, true, 1316); w != 39*time.Millisecond {
		t.Errorf("40 ms later in the file, 1 ms later here: %v", w)
	}
	if w := p.wait(41*ms, 0, true, 1316); w != 0 {
		t.Errorf("a cut in the recording: %v", w)
	}
	if w := p.wait(41*ms, 27000*40, true, 1316); w != 39*time.Millisecond {
		t.Errorf("behind the cut: %v", w)
	}
	if w := p.wait(5000*ms, 27000*80, true, 1316); w > 0 {
		t.Errorf("after the machine slept: %v", w)
	}
	if w := p.wait(5000*ms, 27000*120, true, 1316); w != 40*time.Millisecond {
		t.Errorf("it must not catch up: %v", w)
	}
	var blind pacer
	total := time.Duration(0)
	for range 800 {
		if w := blind.wait(0, 0, false, 1316); w > fileNap {
			total += w
		}
	}
	if total < 900*time.Millisecond || total > 1100*time.Millisecond {
		t.Errorf("1 MB without clock takes %v", total)
	}
}
