package ts

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"tongxiang/internal/apierr"
	"tongxiang/internal/media"
	"tongxiang/internal/mpegts"
	"tongxiang/internal/stream"
)

const patience = 30 * time.Second

// eventually waits until ok holds.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("not seen: %s", what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// station publishes a generated stream in real time, over and over.
type station struct {
	hub   *stream.Hub
	clock media.Clock
}

func newStation(t testing.TB) *station {
	hub := stream.NewHub(slog.New(slog.DiscardHandler))
	t.Cleanup(hub.Close)
	return &station{hub, media.NewClock()}
}

// play publishes s until the returned function is called or the test ends.
func (x *station) play(t testing.TB, name stream.Name, s sequence) (stop func()) {
	t.Helper()
	pub, err := x.hub.Publish(name, true)
	if err != nil {
		t.Fatal(err)
	}
	var infos []stream.TrackInfo
	for i, f := range s.formats {
		label := stream.LabelVideo
		if i > 0 {
			label = stream.LabelAudio
		}
		if i > 1 {
			label = stream.Label(fmt.Sprintf("audio%d", i))
		}
		infos = append(infos, stream.TrackInfo{Label: label, Form: stream.Frames, Format: f})
	}
	tracks := pub.SetTracks(infos)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		defer pub.Close()
		first := s.frames[0].frame.DTS
		length := s.frames[len(s.frames)-1].frame.DTS.Sub(first) + 40*time.Millisecond
		// The stream's clock is that of the process, as ingest makes it.
		origin := media.Time(x.clock.Now())
		for round := time.Duration(0); ; round++ {
			for _, f := range s.frames {
				shift := time.Duration(origin-first) + round*length
				g := *f.frame
				g.PTS, g.DTS = g.PTS.Add(shift), g.DTS.Add(shift)
				wait := time.Duration(int64(g.DTS) - x.clock.Now())
				select {
				case <-ctx.Done():
					return
				case <-time.After(wait):
				}
				g.Arrival = x.clock.Now()
				tracks[f.track].WriteFrame(&g)
			}
		}
	})
	stop = func() { cancel(); wg.Wait() }
	t.Cleanup(stop)
	return stop
}

// listener collects what comes to a loopback port.
type listener struct {
	conn net.PacketConn
	mu   sync.Mutex
	got  []byte
	gram []int
	rtp  [][]byte
}

func listen(t testing.TB, rtp bool) *listener {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.(*net.UDPConn).SetReadBuffer(4 << 20)
	l := &listener{conn: conn}
	var wg sync.WaitGroup
	wg.Go(func() {
		b := make([]byte, 2048)
		for {
			n, _, err := conn.ReadFrom(b)
			if err != nil {
				return
			}
			l.mu.Lock()
			p := b[:n]
			if rtp {
				l.rtp = append(l.rtp, append([]byte(nil), p[:rtpHeader]...))
				p = p[rtpHeader:]
			}
			l.got = append(l.got, p...)
			l.gram = append(l.gram, n)
			l.mu.Unlock()
		}
	})
	t.Cleanup(func() { _ = conn.Close(); wg.Wait() })
	return l
}

func (l *listener) bytes() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]byte(nil), l.got...)
}

func (l *listener) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.got = l.got[:0]
}

func (l *listener) wait(t *testing.T, bytes int) []byte {
	t.Helper()
	eventually(t, fmt.Sprintf("%d bytes", bytes), func() bool { return len(l.bytes()) >= bytes })
	return l.bytes()
}

func outputs(t testing.TB, x *station, cfg OutputsConfig) *Outputs {
	t.Helper()
	s := NewOutputs(cfg, x.hub, x.clock, slog.New(slog.DiscardHandler))
	t.Cleanup(s.Close)
	return s
}

func (s *Outputs) mustAdd(t testing.TB, cfg OutputConfig) {
	t.Helper()
	if err := s.Add(cfg); err != nil {
		t.Fatal(err)
	}
}

func (s *Outputs) await(t *testing.T, id string, want State) Status {
	t.Helper()
	eventually(t, fmt.Sprintf("%s of %s", want, id), func() bool {
		st, ok := s.Get(id)
		return ok && st.State == want
	})
	st, _ := s.Get(id)
	return st
}

func TestAStreamGoesOutByUDPAndRTPAtOnce(t *testing.T) {
	t.Parallel()
	x := newStation(t)
	s := generate(rand.New(rand.NewPCG(1, 1)), 4, 800_000, 90000, media.AAC, media.MPEGAudio)
	x.play(t, "channels/a", s)
	plain, rtp := listen(t, false), listen(t, true)
	o := outputs(t, x, OutputsConfig{})
	o.mustAdd(t, OutputConfig{ID: "1", Stream: "channels/a", Address: "udp://" + plain.conn.LocalAddr().String() + "?text=gb2312&time=utc", Bitrate: 3_000_000, Service: 42, Name: "测试", Provider: "通乡"})
	o.mustAdd(t, OutputConfig{ID: "2", Stream: "channels/a", Address: "rtp://" + rtp.conn.LocalAddr().String()})
	o.await(t, "1", OnAir)
	auto := o.await(t, "2", OnAir)
	plain.forget()
	got := plain.wait(t, 3_000_000/8*4)
	r := probe(t, got, true)
	if v := r.Services[0]; v.ID != 42 || v.Name != "测试" || len(v.Streams) != 3 || v.Streams[0].AccessUnits < 30 {
		t.Errorf("%+v", r)
	}
	if r.Bitrate < 2_999_000 || r.Bitrate > 3_001_000 {
		t.Errorf("%d bits a second", r.Bitrate)
	}
	probe(t, rtp.wait(t, int(auto.Rate/8*2)), true)
	if auto.Rate < 800_000 || auto.Rate > 6_000_000 {
		t.Errorf("the rate of its own accord is %d", auto.Rate)
	}
	rtp.mu.Lock()
	defer rtp.mu.Unlock()
	for i, h := range rtp.rtp {
		if h[0] != 0x80 || h[1] != 33 {
			t.Fatalf("RTP header %x", h)
		}
		if i > 0 && uint16(h[2])<<8|uint16(h[3]) != (uint16(rtp.rtp[i-1][2])<<8|uint16(rtp.rtp[i-1][3]))+1 {
			t.Errorf("sequence after %x is %x", rtp.rtp[i-1], h)
		}
		if n := rtp.gram[i]; (n-rtpHeader)%packetSize != 0 || n > 1328 {
			t.Fatalf("a datagram of %d bytes", n)
		}
	}
}

func TestAnOutputGoesOnWithoutItsStreamAndTakesItUpAgain(t *testing.T) {
	t.Parallel()
	x := newStation(t)
	l := listen(t, false)
	o := outputs(t, x, OutputsConfig{})
	o.mustAdd(t, OutputConfig{ID: "1", Stream: "channels/a", Address: "udp://" + l.conn.LocalAddr().String(), Bitrate: 2_000_000})
	if st := o.await(t, "1", Idle); st.Reason.Code != "no_stream" || st.Reason.ZH == "" {
		t.Errorf("%+v", st)
	}
	r := probe(t, l.wait(t, 200_000), true)
	if r.Nulls == 0 || len(r.Services) != 1 {
		t.Errorf("%+v", r)
	}
	s := generate(rand.New(rand.NewPCG(1, 1)), 3, 500_000, 90000, media.AAC)
	stop := x.play(t, "channels/a", s)
	o.await(t, "1", OnAir)
	stop()
	o.await(t, "1", Idle)
	x.play(t, "channels/a", s)
	o.await(t, "1", OnAir)
	l.wait(t, len(l.bytes())+500_000)
	p := mpegts.NewProber()
	_, _ = p.Write(l.bytes())
	e := p.Report(nil).TR101290
	e.PTSError = 0 // while it was away
	if e != (mpegts.TR101290{}) {
		t.Errorf("%+v", e)
	}
}

func TestAnOutputThatIsToldToIsSilentWithoutItsStream(t *testing.T) {
	t.Parallel()
	x := newStation(t)
	l := listen(t, false)
	o := outputs(t, x, OutputsConfig{})
	o.mustAdd(t, OutputConfig{ID: "1", Stream: "channels/a", Address: "udp://" + l.conn.LocalAddr().String() + "?idle=stop", Bitrate: 2_000_000})
	o.await(t, "1", Stopped)
	s := generate(rand.New(rand.NewPCG(1, 1)), 3, 500_000, 90000, media.AAC)
	stop := x.play(t, "channels/a", s)
	o.await(t, "1", OnAir)
	l.wait(t, 400_000)
	stop()
	st := o.await(t, "1", Stopped)
	before := st.Packets
	x.play(t, "channels/a", s)
	o.await(t, "1", OnAir)
	eventually(t, "packets again", func() bool { st, _ := o.Get("1"); return st.Packets > before+500 })
	p := mpegts.NewProber()
	_, _ = p.Write(l.bytes())
	e := p.Report(nil).TR101290
	e.PTSError = 0
	if e != (mpegts.TR101290{}) {
		t.Errorf("%+v", e)
	}
}

func TestAnOutputThatIsTooSlowSaysWhatItNeeds(t *testing.T) {
	t.Parallel()
	x := newStation(t)
	s := generate(rand.New(rand.NewPCG(6, 6)), 3, 2_500_000, 90000, media.AAC)
	x.play(t, "channels/a", s)
	l := listen(t, false)
	o := outputs(t, x, OutputsConfig{})
	o.mustAdd(t, OutputConfig{ID: "1", Stream: "channels/a", Address: "udp://" + l.conn.LocalAddr().String(), Bitrate: 1_500_000})
	st := o.await(t, "1", Overloaded)
	if st.Reason.Code != "output_bitrate_too_small" || !strings.Contains(st.Reason.EN, "Mbit/s") || st.Needed < 2_000_000 || st.Errors["overload"] == 0 {
		t.Errorf("%+v", st)
	}
}

func TestOutputsComeAndGoWithoutDisturbingOthers(t *testing.T) {
	t.Parallel()
	x := newStation(t)
	s := generate(rand.New(rand.NewPCG(1, 1)), 3, 500_000, 90000, media.AAC)
	x.play(t, "channels/a", s)
	l, other := listen(t, false), listen(t, false)
	o := outputs(t, x, OutputsConfig{})
	o.mustAdd(t, OutputConfig{ID: "keep", Stream: "channels/a", Address: "udp://" + l.conn.LocalAddr().String(), Bitrate: 2_000_000})
	o.await(t, "keep", OnAir)
	l.forget()
	for i := range 4 {
		id := fmt.Sprint(i)
		o.mustAdd(t, OutputConfig{ID: id, Stream: "channels/a", Address: "udp://" + other.conn.LocalAddr().String(), Bitrate: 1_000_000})
		if err := o.Add(OutputConfig{ID: id, Stream: "channels/a", Address: "udp://127.0.0.1:9", Bitrate: 1_000_000}); !errors.Is(err, ErrExists) {
			t.Errorf("twice: %v", err)
		}
		eventually(t, "it sends", func() bool { st, _ := o.Get(id); return st.Packets > 0 })
		if err := o.Remove(id); err != nil {
			t.Error(err)
		}
		if err := o.Remove(id); !errors.Is(err, ErrNoOutput) {
			t.Errorf("removed twice: %v", err)
		}
	}
	probe(t, l.wait(t, 600_000), true)
}

func TestMulticastReachesThoseWhoJoined(t *testing.T) {
	group := "239.255.77.77"
	conn, err := net.ListenMulticastUDP("udp4", loopback(t), &net.UDPAddr{IP: net.ParseIP(group), Port: 0})
	if err != nil {
		t.Skipf("no multicast on the loopback interface: %v", err)
	}
	defer conn.Close()
	port := conn.LocalAddr().(*net.UDPAddr).Port
	x := newStation(t)
	o := outputs(t, x, OutputsConfig{})
	o.mustAdd(t, OutputConfig{ID: "1", Stream: "channels/a", Address: fmt.Sprintf("udp://%s:%d?interface=%s&ttl=2&dscp=af41", group, port, loopback(t).Name), Bitrate: 2_000_000})
	if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 2048)
	n, _, err := conn.ReadFrom(b)
	if err != nil || n != 7*packetSize || b[0] != 0x47 {
		st, _ := o.Get("1")
		t.Errorf("%d bytes, %v; %+v", n, err, st)
	}
}

func loopback(t *testing.T) *net.Interface {
	t.Helper()
	all, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for i := range all {
		if all[i].Flags&net.FlagLoopback != 0 {
			return &all[i]
		}
	}
	t.Skip("no loopback interface")
	return nil
}

func TestAnInterfaceThatIsMissingIsSaidAndTriedAgain(t *testing.T) {
	x := newStation(t)
	o := outputs(t, x, OutputsConfig{})
	o.mustAdd(t, OutputConfig{ID: "1", Stream: "channels/a", Address: "udp://239.1.1.1:5000?interface=nosuch9", Bitrate: 1_000_000})
	if st := o.await(t, "1", Failed); st.Reason.Code != "output_interface_unknown" || st.Errors["socket_failures"] == 0 {
		t.Errorf("%+v", st)
	}
}

func TestAddressesAreReadWholeOrRefusedWithACode(t *testing.T) {
	a, err := ParseAddress("rtp://239.9.9.9:5000?interface=eth1&ttl=12&dscp=af41&idle=stop&text=gb2312&time=local&aac=latm&audio=mp2&delay=400ms&tables=50ms&pid=0x200&network=%E5%8E%BF&network_id=9&stream_id=8&loop=no&packets=3")
	if err != nil {
		t.Fatal(err)
	}
	if !a.RTP || a.Interface != "eth1" || a.TTL != 12 || a.DSCP != 34 || !a.Stop || a.Audio != "mp2" || a.Delay != 400*time.Millisecond || a.Loop || a.Packets != 3 {
		t.Errorf("%+v", a)
	}
	if s := a.Service; s.Text != GB2312 || s.Time != Local || !s.LATM || s.PID != 0x200 || s.Network != "县" || s.NetworkID != 9 || s.StreamID != 8 || s.Tables != 50*time.Millisecond {
		t.Errorf("%+v", s)
	}
	if a, err := ParseAddress("udp://[ff15::1]:5000"); err != nil || a.TTL != defaultTTL || !a.Loop || a.Packets != 7 {
		t.Errorf("%+v, %v", a, err)
	}
	for address, code := range map[string]string{
		"http://1.2.3.4:5":                     "output_bad_address",
		"://":                                  "output_bad_address",
		"udp://1.2.3.4":                        "output_bad_port",
		"udp://1.2.3.4:0":                      "output_bad_port",
		"udp://1.2.3.4:70000":                  "output_bad_port",
		"udp://example.com:5000":               "output_bad_host",
		"udp://0.0.0.0:5000":                   "output_bad_host",
		"udp://255.255.255.255:5000":           "output_bad_host",
		"udp://250.1.1.1:5000":                 "output_bad_host",
		"udp://224.0.0.1:5000":                 "output_bad_host",
		"udp://239.1.1.1:5000?ttl=0":           "output_bad_option",
		"udp://239.1.1.1:5000?ttl=x":           "output_bad_option",
		"udp://239.1.1.1:5000?dscp=af99":       "output_bad_option",
		"udp://239.1.1.1:5000?colour=red":      "output_bad_option",
		"udp://239.1.1.1:5000?delay=9s":        "output_bad_option",
		"udp://239.1.1.1:5000?pid=1":           "output_bad_option",
		"udp://239.1.1.1:5000?packets=8":       "output_bad_option",
		"udp://239.1.1.1:5000?idle=sometimes":  "output_bad_option",
		"udp://239.1.1.1:5000?network_id=0":    "output_bad_option",
		"udp://239.1.1.1:5000?loop=%zz&ttl=%%": "output_bad_option",
	} {
		_, err := ParseAddress(address)
		var e *apierr.Error
		if !errors.As(err, &e) || e.Code != code || e.Status != http.StatusUnprocessableEntity || e.ZH == "" || e.EN == "" {
			t.Errorf("%s: %v, want %s", address, err, code)
		}
	}
	for _, rate := range []int64{-1, 1, MinRate - 1, MaxRate + 1} {
		if CheckBitrate(rate) == nil {
			t.Errorf("rate %d was accepted", rate)
		}
	}
}

func FuzzParseAddress(f *testing.F) {
	f.Add("udp://239.9.9.9:5000?interface=eth1&ttl=8&dscp=af41")
	f.Add("rtp://[ff15::1]:1?delay=1ms&pid=0x20")
	f.Fuzz(func(t *testing.T, s string) {
		a, err := ParseAddress(s)
		if err != nil {
			var e *apierr.Error
			if !errors.As(err, &e) {
				t.Errorf("%q: %v has no code", s, err)
			}
			return
		}
		if !a.To.IsValid() || a.To.Port() == 0 || a.Packets < 1 || a.TTL < 0 || a.TTL > 255 || a.DSCP < 0 || a.DSCP > 63 {
			t.Errorf("%q became %+v", s, a)
		}
	})
}
