package transport

import (
	"encoding/binary"
	"log/slog"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"
)

// counting is a handler that counts.
type counting struct{ rtp, rtcp atomic.Int64 }

func (c *counting) Up()                {}
func (c *counting) Gone()              {}
func (c *counting) RTP([]byte, int64)  { c.rtp.Add(1) }
func (c *counting) RTCP([]byte, int64) { c.rtcp.Add(1) }

func listen(t testing.TB, udp string) *Transport {
	t.Helper()
	begin := time.Now()
	tr, err := Listen(Config{
		UDP: udp, TCP: "127.0.0.1:0", Log: slog.New(slog.DiscardHandler),
		Now: func() int64 { return int64(time.Since(begin)) + 1 },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := tr.Close(); err != nil {
			t.Error(err)
		}
	})
	return tr
}

// until polls a condition that must come true.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
		<-time.After(time.Millisecond)
	}
}

// rtpOf is an RTP packet of an SSRC; nothing in it is sealed.
func rtpOf(ssrc uint32) []byte {
	return binary.BigEndian.AppendUint32([]byte{0x80, 111, 0, 1, 0, 0, 0, 0}, ssrc)
}

// dialled is a peer of a transport, the socket that it sends from, and what counts
// what is heard of it.
func dialled(t *testing.T, tr *Transport, address string) (net.Conn, *counting, *Peer) {
	t.Helper()
	c, err := net.Dial("udp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	h := &counting{}
	p, err := tr.Attach(PeerConfig{Handler: h, Log: tr.log}, netip.MustParseAddrPort(c.LocalAddr().String()), gcmKeys(16))
	if err != nil {
		t.Fatal(err)
	}
	return c, h, p
}

func write(t *testing.T, c net.Conn, b []byte) {
	t.Helper()
	if _, err := c.Write(b); err != nil {
		t.Fatal(err)
	}
}

func TestKernelDropsWhatIsIgnoredAndNothingElse(t *testing.T) {
	for _, listenOn := range []string{"127.0.0.1:0", "[::1]:0", ":0"} {
		t.Run(listenOn, func(t *testing.T) {
			tr := listen(t, listenOn)
			_, port, err := net.SplitHostPort(tr.udp.conn.LocalAddr().String())
			if err != nil {
				t.Fatal(err)
			}
			host := "127.0.0.1"
			if listenOn[0] == '[' {
				host = "::1"
			}
			dial := func() (net.Conn, *counting, *Peer) { return dialled(t, tr, net.JoinHostPort(host, port)) }
			send := func(c net.Conn, b []byte) { write(t, c, b) }
			muted, heardOf, p := dial()
			other, otherHeard, _ := dial()
			for i := range uint32(maxIgnored - 2) {
				p.Ignore(100_000 + i)
			}
			_, _, same := dial()
			same.Ignore(7) // a third peer's, of the same SSRC
			p.Ignore(7)
			until(t, "the kernel drops it", func() bool {
				at := heardOf.rtp.Load()
				send(muted, rtpOf(7))
				send(muted, rtpOf(8)) // comes after it
				until(t, "the other stream of the same peer", func() bool { return heardOf.rtp.Load() > at })
				return heardOf.rtp.Load() == at+1
			})
			at := otherHeard.rtp.Load()
			send(other, rtpOf(7)) // the same SSRC, of another peer
			until(t, "another's stream of the same SSRC", func() bool { return otherHeard.rtp.Load() == at+1 })
			before := tr.Stats().PacketsIn
			rtcp := append([]byte{0x80, 200, 0, 6, 0, 0, 0, 7}, make([]byte, 20)...)
			send(muted, rtcp)
			send(muted, []byte{22, 1, 2}) // short, and not RTP
			until(t, "all else", func() bool { return tr.Stats().PacketsIn == before+2 })
			p.Heed()
			at = heardOf.rtp.Load()
			send(muted, rtpOf(7))
			until(t, "the stream is heard again", func() bool { return heardOf.rtp.Load() == at+1 })
		})
	}
}

func TestKernelDropsAFloodOfRTCPForAWhile(t *testing.T) {
	tr := listen(t, "127.0.0.1:0")
	dial := func() (net.Conn, *counting, *Peer) { return dialled(t, tr, tr.udp.conn.LocalAddr().String()) }
	send := func(c net.Conn, b []byte) { write(t, c, b) }
	rtcp := append([]byte{0x80, 205, 0, 6, 0, 0, 0, 7}, make([]byte, 20)...)
	bad, heard, p := dial()
	other, _, _ := dial()
	p.Ignore(7)
	p.IgnoreRTCP(time.Hour)
	p.IgnoreRTCP(time.Hour) // each packet of the flood says so
	until(t, "the kernel drops it", func() bool {
		before, rtp := tr.Stats().PacketsIn, heard.rtp.Load()
		send(bad, rtcp)
		send(bad, rtpOf(7))
		send(bad, rtpOf(8)) // comes after them
		until(t, "what is not RTCP", func() bool { return heard.rtp.Load() > rtp })
		return tr.Stats().PacketsIn == before+1
	})
	before := tr.Stats().PacketsIn
	send(other, rtcp)
	until(t, "another's RTCP", func() bool { return tr.Stats().PacketsIn == before+1 })
	p.Heed()
	before = tr.Stats().PacketsIn
	send(bad, rtcp)
	until(t, "it is heard again", func() bool { return tr.Stats().PacketsIn == before+1 })
	p.IgnoreRTCP(time.Millisecond)
	until(t, "the time to be over", func() bool {
		tr.ignored.mu.Lock()
		defer tr.ignored.mu.Unlock()
		return len(tr.ignored.entries) == 0
	})
}

func addrOf(testing.TB) netip.AddrPort { return netip.MustParseAddrPort("192.0.2.1:5000") }
