package transport

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/pion/srtp/v3"
)

// ear is a socket that keeps and opens what it gets.
type ear struct {
	t    *testing.T
	conn *net.UDPConn
	ctx  *srtp.Context
}

func newEar(t *testing.T) *ear {
	t.Helper()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetReadBuffer(4 << 20); err != nil {
		t.Fatal(err)
	}
	k := gcmKeys(16)
	ctx, err := srtp.CreateContext(k.LocalKey, k.LocalSalt, srtp.ProtectionProfileAeadAes128Gcm)
	if err != nil {
		t.Fatal(err)
	}
	return &ear{t, conn, ctx}
}

func (e *ear) at() netip.AddrPort {
	a, _ := e.conn.LocalAddr().(*net.UDPAddr)
	return a.AddrPort()
}

// next returns the payload of the next packet.
func (e *ear) next() []byte {
	e.t.Helper()
	b := make([]byte, 2000)
	if err := e.conn.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		e.t.Fatal(err)
	}
	n, err := e.conn.Read(b)
	if err != nil {
		e.t.Fatal(err)
	}
	plain, err := e.ctx.DecryptRTP(nil, b[:n], nil)
	if err != nil {
		e.t.Fatal(err)
	}
	return plain[12:]
}

// Whatever the sizes, the destinations and what the kernel can do, each packet
// arrives once, whole, in order.
func TestBatchesArriveAsTheyWereSent(t *testing.T) {
	for _, segments := range []string{"whole runs", "no segments at all", "not to these peers"} {
		t.Run(segments, func(t *testing.T) {
			tr := listen(t, "127.0.0.1:0")
			tr.udp.noSegments.Store(segments == "no segments at all")
			var ears []*ear
			var peers []*Peer
			for range 3 {
				e := newEar(t)
				p, err := tr.Attach(PeerConfig{Handler: &counting{}, Log: tr.log}, e.at(), gcmKeys(16))
				if err != nil {
					t.Fatal(err)
				}
				p.noSegments.Store(segments == "not to these peers")
				ears, peers = append(ears, e), append(peers, p)
			}
			b := tr.NewBatch()
			sent := make([][][]byte, len(peers))
			seq := 0
			send := func(to, size int) {
				seq++
				h := [12]byte{0x80, 96}
				binary.BigEndian.PutUint16(h[2:], uint16(seq))
				payload := bytes.Repeat([]byte{byte(seq)}, size)
				if !b.Send(peers[to], h[:], payload, 0) {
					t.Fatal("not sent")
				}
				sent[to] = append(sent[to], payload)
			}
			for round := range 6 {
				for range 70 + round { // more than one run holds, of one size
					send(0, 1150)
				}
				for i := range 80 { // more messages than one system call holds
					send(i%3, 100+i)
				}
				for i := range 30 { // runs that end with a smaller packet
					send(1, []int{1100, 1100, 1100, 300}[i%4])
				}
				send(2, 0)
				b.Flush()
				b.Flush() // of nothing
				for i, e := range ears {
					for k, want := range sent[i] {
						if got := e.next(); !bytes.Equal(got, want) {
							t.Fatalf("round %d, peer %d, packet %d: %d bytes of %x, want %d of %x", round, i, k, len(got), got[:min(1, len(got))], len(want), want[:min(1, len(want))])
						}
					}
					sent[i] = nil
				}
			}
			if s := tr.Stats(); s.PacketsOut != uint64(seq) || s.Full+s.Failed != 0 {
				t.Errorf("%+v after %d packets", s, seq)
			}
		})
	}
}

func TestSendingNeverWaitsAndAllocatesNothing(t *testing.T) {
	tr := listen(t, "127.0.0.1:0")
	e := newEar(t) // nobody reads it
	p, err := tr.Attach(PeerConfig{Handler: &counting{}, Log: tr.log}, e.at(), gcmKeys(16))
	if err != nil {
		t.Fatal(err)
	}
	b := tr.NewBatch()
	header, payload := make([]byte, 12), make([]byte, 1150)
	header[0] = 0x80
	i := uint16(0)
	if n := testing.AllocsPerRun(20_000, func() {
		i++
		binary.BigEndian.PutUint16(header[2:], i)
		b.Send(p, header, payload, 0)
		if i%5 == 0 {
			b.Flush()
		}
	}); n != 0 {
		t.Errorf("%v allocations for each packet", n)
	}
	b.Flush()
	if s := tr.Stats(); s.PacketsOut+s.Full < 20_000 {
		t.Errorf("%+v", s)
	}
}

func TestSendToNobodyIsRefused(t *testing.T) {
	tr := listen(t, "127.0.0.1:0")
	b := tr.NewBatch()
	p := tr.NewPeer(PeerConfig{Handler: &counting{}, Log: tr.log})
	if b.Send(p, make([]byte, 12), nil, 0) {
		t.Error("a peer that never connected was sent to")
	}
	// An address that the kernel refuses costs the others nothing.
	bad, err := tr.Attach(PeerConfig{Handler: &counting{}, Log: tr.log}, netip.MustParseAddrPort("127.0.0.1:0"), gcmKeys(16))
	if err != nil {
		t.Fatal(err)
	}
	e := newEar(t)
	good, err := tr.Attach(PeerConfig{Handler: &counting{}, Log: tr.log}, e.at(), gcmKeys(16))
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		h := []byte{0x80, 96, 0, byte(i), 0, 0, 0, 0, 0, 0, 0, 0}
		for range 3 {
			b.Send(bad, h, []byte("to nobody"), 0)
		}
		b.Send(good, h, fmt.Appendf(nil, "packet %d", i), 0)
	}
	b.Flush()
	for i := range 3 {
		if got := string(e.next()); got != fmt.Sprintf("packet %d", i) {
			t.Errorf("got %q", got)
		}
	}
	if s := tr.Stats(); s.Failed != 9 {
		t.Errorf("%+v, want 9 failed", s)
	}
}

// BenchmarkSend is sealing and sending, alone and as a run of five.
func BenchmarkSend(b *testing.B) {
	for _, run := range []int{1, 5} {
		b.Run(fmt.Sprintf("runs of %d", run), func(b *testing.B) {
			tr := listen(b, "127.0.0.1:0")
			var peers []*Peer
			for range 200 {
				c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
				if err != nil {
					b.Fatal(err)
				}
				b.Cleanup(func() { _ = c.Close() })
				at, _ := c.LocalAddr().(*net.UDPAddr)
				p, err := tr.Attach(PeerConfig{Handler: &counting{}, Log: tr.log}, at.AddrPort(), gcmKeys(16))
				if err != nil {
					b.Fatal(err)
				}
				peers = append(peers, p)
			}
			batch := tr.NewBatch()
			header, payload := make([]byte, 12), make([]byte, 1138)
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				i++
				binary.BigEndian.PutUint16(header[2:], uint16(i))
				batch.Send(peers[i/run%len(peers)], header, payload, uint32(i>>16))
			}
			batch.Flush()
		})
	}
}
