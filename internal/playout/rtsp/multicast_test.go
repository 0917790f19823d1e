package rtsp

import (
	"net"
	"os"
	"os/exec"
	"testing"

	"github.com/bluenviron/gortsplib/v4"

	"tongxiang/internal/playout/playtest"
)

// inOwnNetwork runs the test again in a network namespace of its own, whose loopback
// carries multicast, so that nothing leaves this machine. It returns
// the interface's address there, and "" to the caller whose test is done by the other.
func inOwnNetwork(t *testing.T) string {
	t.Helper()
	const address, mark = "10.99.0.1", "TONGXIANG_TEST_NETWORK"
	if os.Getenv(mark) != "" {
		return address
	}
	const prepare = "ip link set lo up multicast on && ip addr add " + address + "/24 dev lo && ip route add 239.0.0.0/8 dev lo"
	if out, err := exec.CommandContext(t.Context(), "unshare", "-rn", "sh", "-c", prepare).CombinedOutput(); err != nil {
		t.Skipf("this test needs a network of its own: %v: %s", err, out)
	}
	cmd := exec.CommandContext(t.Context(), "unshare", "-rn", "sh", "-c", prepare+` && exec "$@"`, "sh", os.Args[0], "-test.run", "^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), mark+"=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return ""
}

func TestPlayersByMulticastShareOneStream(t *testing.T) {
	playtest.Tools(t)
	address := inOwnNetwork(t)
	if address == "" {
		return
	}
	clip := playtest.Make(t, 2, "320x180", playtest.Plain)
	r := newRig(t, func(c *Config) {
		c.Listen = net.JoinHostPort(address, "0")
		c.Multicast, c.MulticastPort = "239.255.77.0/24", freePort(t)&^1
	})
	r.show("channels/x", clip)
	a := r.view(gortsplib.TransportUDPMulticast, "channels/x")
	b := r.view(gortsplib.TransportUDPMulticast, "channels/x")
	eventually(t, "both", func() bool { return a.got("video") > 50 && b.got("video") > 50 && a.got("audio") > 20 })
	r.s.mu.Lock()
	n := len(r.s.groups)
	r.s.mu.Unlock()
	if n != 1 {
		t.Errorf("%d groups", n)
	}
	a.client.Close()
	m := b.got("video")
	eventually(t, "more for the other", func() bool { return b.got("video") > m+25 })
	b.client.Close()
	eventually(t, "the group's end", func() bool {
		r.s.mu.Lock()
		defer r.s.mu.Unlock()
		return len(r.s.groups) == 0
	})
}
