package ingest

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bluenviron/gortsplib/v4/pkg/base"
	"github.com/bluenviron/gortsplib/v4/pkg/conn"
	"github.com/pion/rtp"

	"tongxiang/internal/media"
	"tongxiang/internal/stream"
)

// oddCamera is an RTSP server over TCP that does what a test says, which no library
// would do.
type oddCamera struct {
	t        *testing.T
	listener net.Listener
	running  sync.WaitGroup

	sdp     string
	public  string        // methods that OPTIONS offers
	session string        // parameters behind the session's id
	udp     string        // what a SETUP by UDP gets: "refuse" or "silence"; else it is an error
	expire  time.Duration // ends a session that OPTIONS does not keep alive; 0: never
	last    time.Duration // ends a connection after so long, without a word; 0: never
	// play writes packets until it is told that the connection is over.
	play func(send func(*rtp.Packet), over <-chan struct{})

	mu       sync.Mutex
	conns    int
	requests [][]base.Method // of each connection
}

func startOdd(t *testing.T, c *oddCamera) *oddCamera {
	t.Helper()
	c.t = t
	var err error
	if c.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	if c.public == "" {
		c.public = "OPTIONS, DESCRIBE, SETUP, TEARDOWN, PLAY"
	}
	c.running.Go(func() {
		for {
			nc, err := c.listener.Accept()
			if err != nil {
				return
			}
			c.mu.Lock()
			n := c.conns
			c.conns++
			c.requests = append(c.requests, nil)
			c.mu.Unlock()
			c.running.Go(func() { c.serve(nc, n) })
		}
	})
	t.Cleanup(func() {
		_ = c.listener.Close()
		c.running.Wait()
	})
	return c
}

func (c *oddCamera) address() string { return c.listener.Addr().String() }

// asked returns how often the n-th connection asked for a method.
func (c *oddCamera) asked(n int, m base.Method) (count int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n >= len(c.requests) {
		return 0
	}
	for _, r := range c.requests[n] {
		if r == m {
			count++
		}
	}
	return count
}

func (c *oddCamera) serve(nc net.Conn, n int) {
	defer nc.Close()
	over := make(chan struct{})
	var playing sync.WaitGroup
	defer playing.Wait()
	defer close(over)
	var writing sync.Mutex
	rc := conn.NewConn(nc)
	var expiry *time.Timer
	interleaved := false
	for {
		what, err := rc.Read()
		if err != nil {
			return
		}
		q, ok := what.(*base.Request)
		if !ok {
			continue
		}
		c.mu.Lock()
		c.requests[n] = append(c.requests[n], q.Method)
		c.mu.Unlock()
		res := &base.Response{StatusCode: base.StatusOK, Header: base.Header{"CSeq": q.Header["CSeq"]}}
		begin := false
		switch q.Method {
		case base.Options:
			res.Header["Public"] = base.HeaderValue{c.public}
			if expiry != nil {
				expiry.Reset(c.expire)
			}
		case base.Describe:
			res.Header["Content-Type"] = base.HeaderValue{"application/sdp"}
			res.Header["Content-Base"] = base.HeaderValue{q.URL.String() + "/"}
			res.Body = []byte(c.sdp)
		case base.Setup:
			interleaved = c.setup(q, res)
		case base.Play:
			res.Header["Session"] = base.HeaderValue{"odd" + c.session}
			begin = true
		case base.Teardown:
			return
		default:
			res.StatusCode = base.StatusNotImplemented
		}
		writing.Lock()
		err = rc.WriteResponse(res)
		writing.Unlock()
		if err != nil {
			return
		}
		if !begin {
			continue
		}
		if c.expire > 0 {
			expiry = time.AfterFunc(c.expire, func() { _ = nc.Close() })
			defer expiry.Stop()
		}
		if c.last > 0 {
			end := time.AfterFunc(c.last, func() { _ = nc.Close() })
			defer end.Stop()
		}
		if c.play == nil || !interleaved {
			continue
		}
		playing.Go(func() {
			c.play(func(p *rtp.Packet) {
				b, err := p.Marshal()
				if err != nil {
					c.t.Error(err)
					return
				}
				writing.Lock()
				defer writing.Unlock()
				_ = rc.WriteInterleavedFrame(&base.InterleavedFrame{Payload: b}, make([]byte, len(b)+4))
			}, over)
		})
	}
}

func (c *oddCamera) setup(q *base.Request, res *base.Response) (interleaved bool) {
	res.Header["Session"] = base.HeaderValue{"odd" + c.session}
	transport := strings.Join(q.Header["Transport"], ",")
	switch {
	case strings.Contains(transport, "TCP"):
		res.Header["Transport"] = base.HeaderValue{"RTP/AVP/TCP;unicast;interleaved=0-1"}
		return true
	case c.udp == "silence":
		_, ports, _ := strings.Cut(transport, "client_port=")
		ports, _, _ = strings.Cut(ports, ";")
		res.Header["Transport"] = base.HeaderValue{"RTP/AVP;unicast;client_port=" + ports + ";server_port=40000-40001"}
	default:
		res.StatusCode = base.StatusUnsupportedTransport
	}
	return false
}

const sdpHead = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=odd\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\n"

// sdpH264 describes a picture, with its parameter sets when sets is true.
func sdpH264(sets bool) string {
	s := sdpHead + "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=1"
	if sets {
		e := base64.StdEncoding.EncodeToString
		s += ";sprop-parameter-sets=" + e(cameraSPS) + "," + e(cameraPPS)
	}
	return s + "\r\na=control:track1\r\n"
}

// ticking calls f every 20 ms with a counter.
func ticking(over <-chan struct{}, f func(n int)) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-over:
			return
		case <-tick.C:
			f(n)
		}
	}
}

// countPictures sends one slice in a packet as an encoder would, every tenth an IDR.
func countPictures(payloadType uint8, payload func(n int) []byte) func(func(*rtp.Packet), <-chan struct{}) {
	return func(send func(*rtp.Packet), over <-chan struct{}) {
		ticking(over, func(n int) {
			send(&rtp.Packet{
				Header:  rtp.Header{Version: 2, PayloadType: payloadType, SequenceNumber: uint16(n), Timestamp: uint32(n) * 1800, SSRC: 5, Marker: true},
				Payload: payload(n),
			})
		})
	}
}

// slice returns a coded slice: an IDR every ten pictures.
func slice(n int) []byte {
	b := bytes.Repeat([]byte{byte(n) | 1}, 400)
	b[0], b[1] = 0x41, 0x9A
	if n%10 == 0 {
		b[0], b[1] = 0x65, 0x88
	}
	return b
}

func TestCameraThatRefusesTheKeepAliveThatItOffersIsKeptAlive(t *testing.T) {
	c := startOdd(t, &oddCamera{
		sdp: sdpH264(true), public: "OPTIONS, DESCRIBE, SETUP, PLAY, GET_PARAMETER", session: ";timeout=1", expire: 3 * time.Second,
		play: countPictures(96, slice),
	})
	h := newHouse(t)
	h.add(ChannelConfig{ID: "cam", Source: "rtsp://" + c.address() + "/x"})
	poll(t, "keep-alives that the camera takes", func() bool { return c.asked(1, base.Options) >= 8 }, func() string {
		c.mu.Lock()
		defer c.mu.Unlock()
		return fmt.Sprint(c.requests)
	})
	if n := c.asked(1, base.GetParameter); n > 0 {
		t.Errorf("GET_PARAMETER was sent %d times again", n)
	}
	s := h.wait("cam", "live", func(s Status) bool { return s.State == Live })
	if s.Attempts != 1 {
		t.Errorf("%d attempts: the change of keep-alive shows", s.Attempts)
	}
}

func TestCameraThatTakesNoUDPIsPulledOverTCP(t *testing.T) {
	for _, how := range []string{"refuse", "silence"} {
		t.Run(how, func(t *testing.T) {
			c := startOdd(t, &oddCamera{sdp: sdpH264(true), udp: how, play: countPictures(96, slice)})
			h := newHouse(t)
			h.add(ChannelConfig{ID: "cam", Source: "rtsp://" + c.address() + "/x?transport=udp"})
			h.wait("cam", "live", func(s Status) bool { return s.State == Live })
			h.packets("cam", stream.LabelVideo, 20)
		})
	}
	t.Run("only", func(t *testing.T) {
		c := startOdd(t, &oddCamera{sdp: sdpH264(true), udp: "refuse", play: countPictures(96, slice)})
		h := newHouse(t)
		h.add(ChannelConfig{ID: "cam", Source: "rtsp://" + c.address() + "/x?transport=udp-only"})
		h.wait("cam", "refused", func(s Status) bool { return s.Reason.Code == "source_refused" })
	})
}

// TestCameraThatLiesAboutItsTracksIsNamedAndTriedAgain has cameras whose description
// is right and whose packets are not.
func TestCameraThatLiesAboutItsTracksIsNamedAndTriedAgain(t *testing.T) {
	for name, tc := range map[string]struct {
		sets  bool
		play  func(func(*rtp.Packet), <-chan struct{})
		code  string
		count string // in the errors; empty: none is expected
	}{
		"another payload type": {true, countPictures(98, slice), "source_mismatch", "unknown_payload_type"},
		"garbage": {true, countPictures(96, func(n int) []byte {
			b := slice(n)
			b[0] = 0x80 | byte(n) // the bit that must be zero
			return b
		}), "source_mismatch", "malformed"},
		"no parameter sets anywhere": {false, countPictures(96, func(n int) []byte { return slice(n*10 + 1) }), "no_media", "no_parameter_sets"},
		"no packets":                 {true, nil, "no_packets", ""},
	} {
		t.Run(name, func(t *testing.T) {
			c := startOdd(t, &oddCamera{sdp: sdpH264(tc.sets), play: tc.play})
			h := newHouse(t)
			h.add(ChannelConfig{ID: "cam", Source: "rtsp://" + c.address() + "/x"})
			if tc.count != "" {
				h.wait("cam", tc.count, func(s Status) bool { return s.Errors[tc.count] > 0 })
			}
			s := h.wait("cam", tc.code, func(s Status) bool { return s.Reason.Code == tc.code })
			if s.State != Lost || s.Reason.ZH == "" {
				t.Errorf("%+v", s)
			}
			h.wait("cam", "tried again", func(s Status) bool { return s.Attempts > 1 })
		})
	}
}

func TestCameraThatHangsUpEveryFewSecondsComesBackByItself(t *testing.T) {
	c := startOdd(t, &oddCamera{sdp: sdpH264(true), last: time.Second, play: countPictures(96, slice)})
	h := newHouse(t)
	h.add(ChannelConfig{ID: "cam", Source: "rtsp://" + c.address() + "/x"})
	h.wait("cam", "live the third time", func(s Status) bool { return s.State == Live && s.Attempts >= 3 })
}

func TestParameterSetsInBandCompleteTheFormat(t *testing.T) {
	c := startOdd(t, &oddCamera{sdp: sdpH264(false), play: countPictures(96, func(n int) []byte {
		switch n % 10 {
		case 0:
			return cameraSPS
		case 1:
			return cameraPPS
		case 2:
			return slice(0)
		}
		return slice(1)
	})})
	h := newHouse(t)
	h.add(ChannelConfig{ID: "cam", Source: "rtsp://" + c.address() + "/x"})
	h.wait("cam", "width", func(s Status) bool { return s.State == Live && len(s.Formats) == 1 && s.Formats[0].Width == 64 })
}

// TestPacketsTooLargeForUDPAreCutAnew has a camera that sends each picture in one
// packet of 30 kB, as some do over TCP: a viewer by UDP or WebRTC could not get it.
func TestPacketsTooLargeForUDPAreCutAnew(t *testing.T) {
	large := func(n int) []byte {
		b := slice(n)
		for len(b) < 30_000 {
			b = append(b, b[2:]...)
		}
		return b
	}
	c := startOdd(t, &oddCamera{sdp: sdpH264(true), play: countPictures(96, large)})
	h := newHouse(t)
	h.add(ChannelConfig{ID: "cam", Source: "rtsp://" + c.address() + "/x"})
	packets := h.packets("cam", stream.LabelVideo, 200)
	for i, p := range packets {
		if len(p.Payload) > 1400 {
			t.Fatalf("packet %d has %d bytes", i, len(p.Payload))
		}
		if i > 0 && p.Sequence != packets[i-1].Sequence+1 {
			t.Fatalf("packet %d has number %d after %d", i, p.Sequence, packets[i-1].Sequence)
		}
	}
	for i, f := range h.follow("cam", stream.LabelVideo, atLeast(15)) {
		last := f.Units[len(f.Units)-1]
		if f.Corrupt || len(last) < 30_000 {
			t.Fatalf("frame %d: corrupt %v, %d bytes", i, f.Corrupt, len(last))
		}
	}
}

func TestTransportStreamOverRTSPIsTakenApart(t *testing.T) {
	needFFmpeg(t)
	data, err := os.ReadFile(clip(t, 6, "-c:v", "mpeg2video", "-bf", "2", "-g", "12", "-c:a", "mp2"))
	if err != nil {
		t.Fatal(err)
	}
	c := startOdd(t, &oddCamera{
		sdp: sdpHead + "m=video 0 RTP/AVP 33\r\na=control:track1\r\n",
		play: func(send func(*rtp.Packet), over <-chan struct{}) {
			const size = 7 * 188
			ticking(over, func(n int) {
				// About the pace of the clip; it is sent again and again.
				for i := range 4 {
					at := (n*4 + i) * size % (len(data) / size * size)
					send(&rtp.Packet{
						Header:  rtp.Header{Version: 2, PayloadType: 33, SequenceNumber: uint16(n*4 + i), Timestamp: uint32(n) * 1800, SSRC: 5},
						Payload: data[at : at+size],
					})
				}
			})
		},
	})
	h := newHouse(t)
	h.add(ChannelConfig{ID: "cam", Source: "rtsp://" + c.address() + "/x"})
	s := h.wait("cam", "both tracks", func(s Status) bool {
		return s.State == Live && len(s.Formats) == 2 && s.Formats[0].Published && s.Formats[1].Published
	})
	if s.Formats[0].Format.Codec != media.MPEG2Video || s.Formats[1].Format.Codec != media.MPEGAudio || s.Service == "" {
		t.Errorf("%+v", s)
	}
	h.follow("cam", stream.LabelVideo, atLeast(25))
}
