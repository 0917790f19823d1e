package sfu

import (
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/webrtc/v4"

	"tongxiang/internal/media"
)

// relay is a line between clients and a node's UDP port that can be cut.
type relay struct {
	conn *net.UDPConn
	to   netip.AddrPort
	cut  atomic.Bool
	rate atomic.Int64 // bit/s towards the clients; 0: all
	down atomic.Int64 // bytes offered to that direction
	went atomic.Int64 // bytes that fitted
	mu   sync.Mutex
	back map[netip.AddrPort]*net.UDPConn
}

func newRelay(t *testing.T, n *node) *relay {
	t.Helper()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{conn: conn, to: n.eng.net.UDP()[0], back: map[netip.AddrPort]*net.UDPConn{}}
	var running sync.WaitGroup
	running.Go(func() {
		b := make([]byte, 2000)
		for {
			size, from, err := conn.ReadFromUDPAddrPort(b)
			if err != nil {
				return
			}
			r.mu.Lock()
			up := r.back[from]
			if up == nil {
				if up, err = net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(r.to)); err != nil {
					r.mu.Unlock()
					return
				}
				r.back[from] = up
				running.Go(func() {
					b := make([]byte, 2000)
					line := narrow{at: time.Now()}
					for {
						size, err := up.Read(b)
						if err != nil {
							return
						}
						r.down.Add(int64(size))
						if !r.cut.Load() && line.fits(size, r.rate.Load()) {
							r.went.Add(int64(size))
							_, _ = conn.WriteToUDPAddrPort(b[:size], from)
						}
					}
				})
			}
			r.mu.Unlock()
			if !r.cut.Load() {
				_, _ = up.Write(b[:size])
			}
		}
	})
	t.Cleanup(func() {
		_ = conn.Close()
		r.mu.Lock()
		for _, c := range r.back {
			_ = c.Close()
		}
		r.mu.Unlock()
		running.Wait()
	})
	return r
}

// narrow is a line with a queue of 200 ms: what does not fit is lost. (Packets that
// fit are not delayed: how much is lost is what matters here.)
type narrow struct {
	at     time.Time
	queued float64 // bytes
}

func (n *narrow) fits(size int, rate int64) bool {
	now := time.Now()
	passed := now.Sub(n.at).Seconds()
	n.at = now
	if rate == 0 {
		n.queued = 0
		return true
	}
	n.queued = max(0, n.queued-passed*float64(rate)/8)
	if n.queued+float64(size) > float64(rate)/8/5 {
		return false
	}
	n.queued += float64(size)
	return true
}

// through makes an answer lead over the relay.
func (r *relay) through(answer string) string {
	at, _ := r.conn.LocalAddr().(*net.UDPAddr)
	var out []string
	for l := range strings.SplitSeq(answer, "\r\n") {
		if strings.HasPrefix(l, "a=candidate:") {
			if strings.Contains(l, " tcp ") {
				continue
			}
			l = strings.Replace(l, " "+r.to.Addr().String()+" "+port(r.to.Port())+" ", " 127.0.0.1 "+port(uint16(at.Port))+" ", 1)
		}
		out = append(out, l)
	}
	return strings.Join(out, "\r\n")
}

func TestCutLineHealsWithoutANewSessionAndADeadOneEndsIt(t *testing.T) {
	t.Parallel()
	n := newNode(t, nil)
	line := newRelay(t, n)
	pub := newClient(n, clientOptions{h264: true})
	pub.edit = line.through
	cam := pub.addVideo(media.H264)[0]
	pub.post("whip", "channels/a", "x")
	cam.play(videoStep, 0)
	view := newClient(n, clientOptions{h264: true})
	view.edit = line.through
	v, _ := view.receive(1, 0)
	view.post("whep", "channels/a", "x")
	until(t, "picture", func() bool { return v[0].count() > 50 })

	line.cut.Store(true)
	<-time.After(8 * time.Second) // the cut itself: longer than ICE needs to call the line disconnected
	line.cut.Store(false)
	at := v[0].count()
	until(t, "picture after the cut", func() bool { return v[0].count() > at+100 })
	if s := n.eng.Stats(); s.Publishers != 1 || s.Viewers != 1 {
		t.Errorf("%+v", s)
	}
	all := v[0].all()
	if all[len(all)-1].SSRC != all[0].SSRC {
		t.Error("the slot began anew")
	}

	line.cut.Store(true)
	until(t, "the end of both, who never said goodbye", func() bool {
		s := n.eng.Stats()
		return s.Publishers == 0 && s.Viewers == 0 && !n.hub.Published("channels/a")
	})
}

func TestMediaFlowsOverTCPWhereUDPIsBlocked(t *testing.T) {
	n := newNode(t, nil)
	tcp := func(s *webrtc.SettingEngine) { s.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeTCP4}) }
	pub := newClient(n, clientOptions{h264: true, setting: tcp})
	cam := pub.addVideo(media.H264)[0]
	pub.post("whip", "channels/a", "x")
	cam.play(videoStep, 0)
	view := newClient(n, clientOptions{h264: true, setting: tcp})
	v, _ := view.receive(1, 0)
	view.post("whep", "channels/a", "x")
	until(t, "picture", func() bool { return v[0].count() > 50 })
	continuous(t, v[0].all())
	if got := n.eng.net.Stats().PacketsIn; got != 0 {
		t.Errorf("%d datagrams came by UDP", got)
	}
}

func TestCloseEndsEverything(t *testing.T) {
	n := newNode(t, nil)
	cam, mic, _ := participant(n, "a", media.H264, 30)
	cam.play(videoStep, 0)
	mic.play(audioStep, 0)
	view := newClient(n, clientOptions{h264: true})
	_, a := view.receive(2, 2)
	view.post("whep", "meetings/1", "z")
	until(t, "sound", func() bool { return a[0].count() > 5 })
	events := n.eng.Room("1").Events()
	if err := n.eng.Close(); err != nil {
		t.Fatal(err)
	}
	for range events { // ends when the channel is closed
	}
	if s := n.eng.Stats(); s.Publishers+s.Viewers != 0 {
		t.Errorf("%+v", s)
	}
	resp, _ := n.request("POST", "/whep/channels/a", "x", typeSDP, offerOf(t, n, webrtc.RTPTransceiverDirectionRecvonly))
	if resp.StatusCode != 503 {
		t.Errorf("after Close: %s", resp.Status)
	}
}
