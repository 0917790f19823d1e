package transport

import (
	"encoding/binary"
	"io"
	"net"
	"testing"
	"time"

	"github.com/pion/stun/v4"
)

// checkOf is a connectivity check as a client makes it.
func checkOf(t *testing.T, c Credentials, nominate bool) []byte {
	t.Helper()
	set := []stun.Setter{stun.TransactionID, stun.BindingRequest, stun.NewUsername(c.Ufrag + ":them")}
	if nominate {
		set = append(set, stun.RawAttribute{Type: stun.AttrUseCandidate})
	}
	m, err := stun.Build(append(set, stun.NewShortTermIntegrity(c.Pwd), stun.Fingerprint)...)
	if err != nil {
		t.Fatal(err)
	}
	return m.Raw
}

func dialUDP(t *testing.T, tr *Transport) *net.UDPConn {
	t.Helper()
	c, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(tr.UDP()[0]))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// answered sends a check and returns whether a success came back for it.
func answered(t *testing.T, c net.Conn, check []byte) bool {
	t.Helper()
	if _, err := c.Write(check); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 1500)
	for range 100 {
		if err := c.SetReadDeadline(time.Now().Add(200 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		n, err := c.Read(b)
		if err != nil {
			return false
		}
		m := stun.Message{Raw: b[:n]}
		if m.Decode() == nil && m.Type == stun.BindingSuccess && string(m.TransactionID[:]) == string(check[8:20]) {
			return true
		}
	}
	return false
}

func TestOnlyChecksWithThePasswordAreAnswered(t *testing.T) {
	tr := listen(t, "127.0.0.1:0")
	p := tr.NewPeer(PeerConfig{Handler: &counting{}, Log: tr.log})
	defer p.Close()
	own := p.Credentials()
	c := dialUDP(t, tr)
	for name, bad := range map[string]Credentials{
		"another's name": {"nobody", own.Pwd}, "another's password": {own.Ufrag, "wrong"}, "none": {},
	} {
		if answered(t, c, checkOf(t, bad, true)) || p.route.Load() != nil {
			t.Errorf("a check with %s was believed", name)
		}
	}
	tampered := checkOf(t, own, false)
	tampered[len(tampered)-20] ^= 1
	if answered(t, c, tampered) {
		t.Error("a check that was changed on its way was believed")
	}
	if !answered(t, c, checkOf(t, own, true)) || p.route.Load() == nil {
		t.Error("a good check was not believed")
	}
	if tr.Stats().Refused < 3 {
		t.Errorf("%+v", tr.Stats())
	}
}

func TestPathFollowsNominationsAndARestartTakesNewNames(t *testing.T) {
	tr := listen(t, "127.0.0.1:0")
	h := &counting{}
	p, err := tr.Attach(PeerConfig{Handler: h, Log: tr.log}, addrOf(t), gcmKeys(16))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	old := p.Credentials()
	first, second := dialUDP(t, tr), dialUDP(t, tr)
	at := func(c *net.UDPConn) bool { return p.route.Load().from.String() == c.LocalAddr().String() }
	if !answered(t, first, checkOf(t, old, true)) || !at(first) {
		t.Fatal("the first path is not used")
	}
	if !answered(t, second, checkOf(t, old, false)) || at(second) {
		t.Error("a check without a nomination moved the path")
	}
	if !answered(t, second, checkOf(t, old, true)) || !at(second) {
		t.Error("a nomination did not move the path")
	}
	fresh := p.Restart()
	if fresh == old {
		t.Fatal("a restart changed nothing")
	}
	if !answered(t, second, checkOf(t, old, false)) {
		t.Error("the old name went away before the new one was used")
	}
	if !answered(t, first, checkOf(t, fresh, true)) || !at(first) {
		t.Error("the new name does not work")
	}
	p.Restart()
	if answered(t, first, checkOf(t, old, true)) {
		t.Error("a name from two restarts ago still works")
	}
	p.Close()
	if answered(t, first, checkOf(t, p.Credentials(), true)) || len(tr.byAddr) != 0 || len(tr.byName) != 0 {
		t.Errorf("a closed peer is remembered: %d names, %d addresses", len(tr.byName), len(tr.byAddr))
	}
}

func TestTCPLineThatIsNotReadIsFullAndHoldsUpNobody(t *testing.T) {
	tr := listen(t, "127.0.0.1:0")
	p, err := tr.Attach(PeerConfig{Handler: &counting{}, Log: tr.log}, addrOf(t), gcmKeys(16))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	c, err := net.Dial("tcp", tr.TCP()[0].String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	check := checkOf(t, p.Credentials(), true)
	if _, err := c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(check))), check...)); err != nil {
		t.Fatal(err)
	}
	var size [2]byte
	if _, err := io.ReadFull(c, size[:]); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c, make([]byte, binary.BigEndian.Uint16(size[:]))); err != nil {
		t.Fatal(err)
	}
	until(t, "the path over TCP", func() bool { return p.route.Load().tcp != nil })
	b := tr.NewBatch()
	header, payload := []byte{0x80, 96, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}, make([]byte, 1150)
	refused := 0
	for i := range 100_000 { // 115 MB: more than any buffer between
		binary.BigEndian.PutUint16(header[2:], uint16(i))
		if !b.Send(p, header, payload, uint32(i>>16)) {
			refused++
		}
	}
	if refused < 10_000 {
		t.Errorf("only %d of 100000 packets were refused", refused)
	}
	p.route.Load().tcp.mu.Lock()
	defer p.route.Load().tcp.mu.Unlock()
	if n := len(p.route.Load().tcp.pending); n > tcpBuffer {
		t.Errorf("%d bytes wait", n)
	}
}

func TestPeerThatIsSilentIsGone(t *testing.T) {
	tr := listen(t, "127.0.0.1:0")
	gone := make(chan struct{})
	p := tr.NewPeer(PeerConfig{Handler: &leaver{gone: gone}, Log: tr.log})
	defer p.Close()
	p.heard.Store(tr.now() - silentFor - 1)
	select {
	case <-gone:
	case <-time.After(20 * time.Second):
		t.Error("a peer that was silent for 15 s is still there")
	}
}

type leaver struct {
	counting
	gone chan struct{}
}

func (l *leaver) Gone() { close(l.gone) }

func TestLinesThatSayNothingOrNonsenseAreClosed(t *testing.T) {
	tr := listen(t, "127.0.0.1:0")
	c, err := net.Dial("tcp", tr.TCP()[0].String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write([]byte{0xff, 0xff, 1, 2, 3}); err != nil { // a frame of 65535 bytes
		t.Fatal(err)
	}
	if err := c.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Error("something came back")
	}
	until(t, "the line is forgotten", func() bool {
		tr.mu.RLock()
		defer tr.mu.RUnlock()
		return len(tr.lines) == 0
	})
}
