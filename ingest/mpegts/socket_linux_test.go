package mpegts

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tongxiang/ingest/source"
	"tongxiang/internal/media"
)

// packets returns n transport packets of a private PID whose payload is their number.
func packets(n int) []byte {
	out := make([]byte, 0, n*188)
	for i := range n {
		p := bytes.Repeat([]byte{0xFF}, 188)
		copy(p, []byte{0x47, 0x01, 0x00, 0x10 | byte(i&0x0F), byte(i >> 8), byte(i)})
		out = append(out, p...)
	}
	return out
}

// collector is a feeder that keeps what it is given.
type collector struct {
	mu       sync.Mutex // guards all
	b        []byte
	arrivals []int64
	last     source.Link
}

func (c *collector) feed(b []byte, at int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.b, c.arrivals = append(c.b, b...), append(c.arrivals, at)
}
func (c *collector) restart()            {}
func (c *collector) pace() (int64, bool) { return 0, false }
func (c *collector) link(l source.Link) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last = l
}

func (c *collector) len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.b)
}

// listenFor opens an address and receives into a collector until the test ends.
func listenFor(t *testing.T, a udpAddress, rtp bool) (*socket, *collector, func()) {
	t.Helper()
	conn, err := a.listen(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s, err := newSocket(conn)
	if err != nil {
		t.Fatal(err)
	}
	c := new(collector)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	start := func() {
		go func() {
			defer close(ended)
			_ = s.receive(ctx, media.NewClock(), newDatagrams(rtp, s, c).take)
		}()
	}
	t.Cleanup(func() {
		cancel()
		<-ended
		if err := s.close(); err != nil {
			t.Error(err)
		}
	})
	return s, c, start
}

func loopbackAddress(t *testing.T) udpAddress {
	t.Helper()
	a, err := parseUDP(parse(t, "udp://127.0.0.1:"+freePort(t)))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestPacketsThatStraddleDatagramsComeOutAsTheyWere(t *testing.T) {
	data := packets(700)
	for name, tc := range map[string]struct {
		size int
		rtp  bool
	}{
		"7 packets": {1316, false}, "one packet": {188, false}, "straddling": {1000, false}, "odd": {77, false},
		"jumbo": {47 * 188, false}, "in RTP": {1316, true}, "straddling in RTP": {1000, true},
	} {
		t.Run(name, func(t *testing.T) {
			a := loopbackAddress(t)
			_, c, start := listenFor(t, a, tc.rtp)
			start()
			conn, err := net.Dial("udp", a.addr.String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			seq := uint16(65530)
			for at := 0; at < len(data); at += tc.size {
				b := data[at:min(at+tc.size, len(data))]
				if tc.rtp {
					b = append(rtp(9, seq)[:12], b...)
					seq++
				}
				if _, err := conn.Write(b); err != nil {
					t.Fatal(err)
				}
			}
			eventually(t, "all bytes", func() bool { return c.len() == len(data) })
			if !bytes.Equal(c.b, data) {
				t.Error("other bytes than were sent")
			}
			for i, at := range c.arrivals {
				if i > 0 && at < c.arrivals[i-1] {
					t.Fatal("time of arrival runs back")
				}
			}
		})
	}
}

func TestRTPAtAUDPAddressIsRecognised(t *testing.T) {
	a := loopbackAddress(t)
	_, c, start := listenFor(t, a, false)
	start()
	conn, err := net.Dial("udp", a.addr.String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	data := packets(28)
	for i, seq := range []int{0, 2, 1, 3} {
		b := append(rtp(9, uint16(seq))[:12], data[seq*7*188:(seq+1)*7*188]...)
		if _, err := conn.Write(b); err != nil {
			t.Fatal(i, err)
		}
	}
	eventually(t, "all bytes", func() bool { return c.len() == len(data) })
	if !bytes.Equal(c.b, data) {
		t.Error("the packets are not in order")
	}
}

func TestDatagramsDroppedByTheKernelAreCounted(t *testing.T) {
	a := loopbackAddress(t)
	s, c, start := listenFor(t, a, false)
	if err := unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 4096); err != nil { // takes back what newSocket asked for
		t.Fatal(err)
	}
	conn, err := net.Dial("udp", a.addr.String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	data := packets(7)
	const sent = 200
	for range sent { // nobody reads
		if _, err := conn.Write(data); err != nil {
			t.Fatal(err)
		}
	}
	start()
	// The count travels with the next datagram that has room.
	eventually(t, "a datagram after the drops", func() bool {
		_, _ = conn.Write(data)
		return c.len() > 20*len(data)
	})
	eventually(t, "the count is told", func() bool {
		_, _ = conn.Write(data)
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.last.Errors["kernel_drops"] > sent/2
	})
}

func TestALargeBufferIsAskedOfTheKernel(t *testing.T) {
	s, _, start := listenFor(t, loopbackAddress(t), false)
	start()
	granted, err := unix.GetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_RCVBUF)
	if err != nil {
		t.Fatal(err)
	}
	limit, err := os.ReadFile("/proc/sys/net/core/rmem_max")
	if err != nil {
		t.Skipf("the kernel does not tell its largest buffer here: %v", err)
	}
	var most int
	if _, err := fmt.Sscan(string(limit), &most); err != nil {
		t.Fatal(err)
	}
	want := 2 * min(receiveBuffer, most) // the kernel doubles it
	if os.Geteuid() == 0 {
		want = 2 * receiveBuffer
	}
	if granted < want {
		t.Errorf("a buffer of %d, want %d", granted, want)
	}
}

// TestMulticastIsJoinedAtItsInterfaceAndFromItsSource has two Ethernet cables in a
// network namespace of its own and sends one group, from two senders, through both.
func TestMulticastIsJoinedAtItsInterfaceAndFromItsSource(t *testing.T) {
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip("iproute2 is not installed: this test needs cables of its own")
	}
	impossible := make(chan error, 1)
	go func() {
		// Not unlocked: the thread ends with the goroutine, and the namespace with it.
		runtime.LockOSThread()
		err := layCables(t.Context())
		if err == nil {
			testJoins(t)
		}
		impossible <- err
	}()
	if err := <-impossible; err != nil {
		t.Skipf("no network namespace with cables of our own: %v", err)
	}
}

// layCables gives the thread a network with two cables, one–rx1 and two–rx2.
func layCables(ctx context.Context) error {
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return err
	}
	for _, c := range []string{
		"ip link set lo up",
		"ip link add one type veth peer name rx1", "ip link add two type veth peer name rx2",
		"ip addr add 10.71.1.1/24 dev one", "ip addr add 10.71.1.2/24 dev one", "ip addr add 10.71.2.1/24 dev two",
		"ip addr add 10.71.1.9/24 dev rx1", "ip addr add 10.71.2.9/24 dev rx2",
		"ip link set one up", "ip link set two up", "ip link set rx1 up", "ip link set rx2 up",
	} {
		f := strings.Fields(c)
		if out, err := exec.CommandContext(ctx, f[0], f[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %s", c, err, out)
		}
	}
	// Both ends are ours: what comes from an address of our own would be refused.
	for _, key := range []string{"all/rp_filter 0", "rx1/rp_filter 0", "rx2/rp_filter 0", "rx1/accept_local 1", "rx2/accept_local 1"} {
		name, value, _ := strings.Cut(key, " ")
		if err := os.WriteFile("/proc/sys/net/ipv4/conf/"+name, []byte(value), 0); err != nil {
			return err
		}
	}
	return nil
}

// testJoins runs in the namespace's thread: sockets belong to the thread that opens them.
func testJoins(t *testing.T) {
	for _, tc := range []struct {
		name, address string
		want          []string // of the senders' names
	}{
		{"any source at one interface", "udp://239.71.0.1:5000?interface=rx1", []string{"one.1", "one.2"}},
		{"any source at the other, by the short form", "udp://rx2@239.71.0.1:5000", []string{"two.1"}},
		{"one source", "udp://232.71.0.1:5000?interface=rx1&source=10.71.1.2", []string{"one.2"}},
	} {
		u, err := url.Parse(tc.address)
		if err != nil {
			t.Error(err)
			return
		}
		a, err := parseUDP(u)
		if err != nil {
			t.Error(err)
			return
		}
		conn, err := a.listen(t.Context())
		if err != nil {
			t.Errorf("%s: %v", tc.name, err)
			continue
		}
		// Another program of the machine joins the group at both interfaces: what
		// comes to it must not come to us.
		other, err := net.ListenUDP("udp4", &net.UDPAddr{Port: 5999})
		if err != nil {
			t.Error(err)
			return
		}
		for _, name := range []string{"rx1", "rx2"} {
			if err := (udpAddress{addr: a.addr, iface: name}).join(other); err != nil {
				t.Error(err)
			}
		}
		for file, want := range map[string]string{"igmp": hexAddress(a), "mcfilter": fmt.Sprintf("0x%x", a.source.AsSlice())} {
			if file == "mcfilter" && !a.source.IsValid() {
				continue
			}
			b, err := os.ReadFile("/proc/thread-self/net/" + file)
			if err != nil || !strings.Contains(string(b), want) {
				t.Errorf("%s: the kernel joined nothing with %s in %s: %v\n%s", tc.name, want, file, err, b)
			}
		}
		got := map[string]bool{}
		b := make([]byte, 100)
		for round := 0; round < 200 && len(got) < len(tc.want); round++ {
			send(t, a, "one", "10.71.1.1", "one.1")
			send(t, a, "one", "10.71.1.2", "one.2")
			send(t, a, "two", "10.71.2.1", "two.1")
			_ = conn.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
			for {
				n, err := conn.Read(b)
				if err != nil {
					break
				}
				got[string(b[:n])] = true
			}
		}
		for _, w := range tc.want {
			if !got[w] {
				t.Errorf("%s: nothing from %s", tc.name, w)
			}
			delete(got, w)
		}
		for g := range got {
			t.Errorf("%s: got what %s sent", tc.name, g)
		}
		if err := errors.Join(conn.Close(), other.Close()); err != nil {
			t.Error(err)
		}
	}
}

// hexAddress is how /proc/net/igmp shows a group.
func hexAddress(a udpAddress) string {
	b := a.addr.Addr().As4()
	return fmt.Sprintf("%02X%02X%02X%02X", b[3], b[2], b[1], b[0])
}

func send(t *testing.T, a udpAddress, device, from, text string) {
	t.Helper()
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var err error
		e := c.Control(func(fd uintptr) { err = unix.BindToDevice(int(fd), device) })
		return errors.Join(e, err)
	}}
	pc, err := lc.ListenPacket(t.Context(), "udp4", from+":0")
	if err != nil {
		t.Error(err)
		return
	}
	defer pc.Close()
	if _, err := pc.WriteTo([]byte(text), net.UDPAddrFromAddrPort(a.addr)); err != nil {
		t.Error(err)
	}
}
