package ingest

import (
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/bluenviron/gortsplib/v4"
	"github.com/bluenviron/gortsplib/v4/pkg/auth"
	"github.com/bluenviron/gortsplib/v4/pkg/base"
	"github.com/bluenviron/gortsplib/v4/pkg/description"
	"github.com/bluenviron/gortsplib/v4/pkg/format"
	"github.com/bluenviron/gortsplib/v4/pkg/liberrors"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"
	"github.com/pion/rtp"

	"tongxiang/internal/media"
	"tongxiang/internal/stream"
)

const (
	cameraUser, cameraPassword = "镜头", "p@ss:word"
	cameraUserURL              = "%E9%95%9C%E5%A4%B4:p%40ss%3Aword@"
)

// camera is an RTSP server that sends H.264 and one sound.
type camera struct {
	server   *gortsplib.Server
	stream   *gortsplib.ServerStream
	listener net.Listener
	stop     chan struct{}
	sender   sync.WaitGroup
}

var (
	cameraSPS = []byte{0x67, 0x64, 0x00, 0x0A, 0xAC, 0xD9, 0x44, 0x7B, 0x01, 0x10, 0x00, 0x00, 0x03, 0x00, 0x10, 0x00, 0x00, 0x03, 0x03, 0x20, 0xF1, 0x22, 0x59, 0x60}
	cameraPPS = []byte{0x68, 0xEB, 0xE3, 0xCB, 0x22, 0xC0}
)

func (c *camera) OnDescribe(ctx *gortsplib.ServerHandlerOnDescribeCtx) (*base.Response, *gortsplib.ServerStream, error) {
	if !ctx.Conn.VerifyCredentials(ctx.Request, cameraUser, cameraPassword) {
		return &base.Response{StatusCode: base.StatusUnauthorized}, nil, liberrors.ErrServerAuth{}
	}
	if ctx.Path != "/live/1" {
		return &base.Response{StatusCode: base.StatusNotFound}, nil, nil
	}
	return &base.Response{StatusCode: base.StatusOK}, c.stream, nil
}

func (c *camera) OnSetup(ctx *gortsplib.ServerHandlerOnSetupCtx) (*base.Response, *gortsplib.ServerStream, error) {
	if !ctx.Conn.VerifyCredentials(ctx.Request, cameraUser, cameraPassword) {
		return &base.Response{StatusCode: base.StatusUnauthorized}, nil, liberrors.ErrServerAuth{}
	}
	return &base.Response{StatusCode: base.StatusOK}, c.stream, nil
}

func (c *camera) OnPlay(*gortsplib.ServerHandlerOnPlayCtx) (*base.Response, error) {
	return &base.Response{StatusCode: base.StatusOK}, nil
}

// startCamera serves at an address ("127.0.0.1:0": any) until close or the test's end.
func startCamera(t *testing.T, address string, sound format.Format) *camera {
	t.Helper()
	c := &camera{stop: make(chan struct{})}
	poll(t, "ports", func() bool {
		// RTP needs an even port with the next one free.
		port := freePort(t) &^ 1
		c.server = &gortsplib.Server{
			Handler: c, RTSPAddress: address, AuthMethods: []auth.VerifyMethod{auth.VerifyMethodDigestSHA256, auth.VerifyMethodDigestMD5},
			UDPRTPAddress: fmt.Sprintf("127.0.0.1:%d", port), UDPRTCPAddress: fmt.Sprintf("127.0.0.1:%d", port+1),
			Listen: func(network, address string) (net.Listener, error) {
				l, err := net.Listen(network, address)
				c.listener = l
				return l, err
			},
		}
		return c.server.Start() == nil
	}, func() string { return address })
	video := &format.H264{PayloadTyp: 96, PacketizationMode: 1, SPS: cameraSPS, PPS: cameraPPS}
	medias := []*description.Media{
		{Type: description.MediaTypeVideo, Formats: []format.Format{video}},
		{Type: description.MediaTypeAudio, Formats: []format.Format{sound}},
	}
	c.stream = &gortsplib.ServerStream{Server: c.server, Desc: &description.Session{Medias: medias}}
	if err := c.stream.Initialize(); err != nil {
		t.Fatal(err)
	}
	c.sender.Go(func() { c.send(t, video, sound, medias) })
	t.Cleanup(c.close)
	return c
}

func (c *camera) address() string { return c.listener.Addr().String() }

func (c *camera) close() {
	select {
	case <-c.stop:
		return
	default:
	}
	close(c.stop)
	c.sender.Wait()
	c.stream.Close()
	c.server.Close()
}

// send writes 25 pictures a second, every tenth an IDR, and a sound with each.
func (c *camera) send(t *testing.T, video *format.H264, sound format.Format, medias []*description.Media) {
	encoder, err := video.CreateEncoder()
	if err != nil {
		t.Error(err)
		return
	}
	var au func([][]byte) ([]*rtp.Packet, error)
	switch f := sound.(type) {
	case *format.MPEG4Audio:
		e, err := f.CreateEncoder()
		if err != nil {
			t.Error(err)
			return
		}
		au = e.Encode
	default:
		seq := uint16(7)
		au = func(u [][]byte) ([]*rtp.Packet, error) {
			seq++
			return []*rtp.Packet{{Header: rtp.Header{Version: 2, PayloadType: sound.PayloadType(), SequenceNumber: seq, SSRC: 9, Marker: true}, Payload: u[0]}}, nil
		}
	}
	tick := time.NewTicker(40 * time.Millisecond)
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-c.stop:
			return
		case <-tick.C:
		}
		picture := make([]byte, 3000)
		picture[0], picture[1] = 0x41, 0x9A
		if n%10 == 0 {
			picture[0], picture[1] = 0x65, 0x88
		}
		for i := 2; i < len(picture); i++ {
			picture[i] = byte(n + i | 1)
		}
		packets, err := encoder.Encode([][]byte{picture})
		if err != nil {
			t.Error(err)
			return
		}
		for _, p := range packets {
			p.Timestamp = uint32(n) * 3600
			_ = c.stream.WritePacketRTP(medias[0], p)
		}
		unit := []byte{0xFC, byte(n), 1, 2, 3}
		if _, ok := sound.(*format.MPEG1Audio); ok { // the header of RFC 2250, then a frame's
			unit = []byte{0, 0, 0, 0, 0xFF, 0xFD, 0xA4, 0x00, byte(n)}
		}
		packets, err = au([][]byte{unit})
		if err != nil {
			t.Error(err)
			return
		}
		for _, p := range packets {
			p.Timestamp = uint32(n) * uint32(sound.ClockRate()) / 25
			_ = c.stream.WritePacketRTP(medias[1], p)
		}
	}
}

func opusSound() format.Format { return &format.Opus{PayloadTyp: 97, ChannelCount: 2} }

func TestCamerasArePulledOverTCPAndUDP(t *testing.T) {
	for _, tc := range []struct {
		transport string
		sound     format.Format
		codec     media.Codec
	}{
		{"tcp", opusSound(), media.Opus},
		{"udp", opusSound(), media.Opus},
		{"tcp", &format.MPEG4Audio{
			PayloadTyp: 97, SizeLength: 13, IndexLength: 3, IndexDeltaLength: 3,
			Config: &mpeg4audio.AudioSpecificConfig{Type: mpeg4audio.ObjectTypeAACLC, SampleRate: 48000, ChannelCount: 2},
		}, media.AAC},
		{"udp", &format.G711{PayloadTyp: 8, SampleRate: 8000, ChannelCount: 1}, media.PCMA},
		{"tcp", &format.MPEG1Audio{}, media.MPEGAudio},
	} {
		t.Run(tc.transport+" "+tc.codec.String(), func(t *testing.T) {
			c := startCamera(t, "127.0.0.1:0", tc.sound)
			h := newHouse(t)
			h.add(ChannelConfig{ID: "cam", Source: fmt.Sprintf("rtsp://%s%s/live/1?transport=%s", cameraUserURL, c.address(), tc.transport)})
			s := h.wait("cam", "live", func(s Status) bool { return s.State == Live })
			if len(s.Formats) != 2 || s.Formats[0].Format.Codec != media.H264 || s.Formats[0].Width != 64 || s.Formats[1].Format.Codec != tc.codec {
				t.Errorf("formats %+v", s.Formats)
			}
			want := PlayableDirect
			if tc.codec == media.MPEGAudio {
				want = NeedsTranscoding
			}
			if s.Playable != want {
				t.Errorf("playable %q, want %q", s.Playable, want)
			}
			packets := h.packets("cam", stream.LabelVideo, 60)
			if !packets[0].Sync || packets[0].Codec != media.H264 {
				t.Errorf("first packet %+v", packets[0])
			}
			for i, p := range packets[1:] {
				before := packets[i]
				if p.Sequence != before.Sequence+1 || p.Timestamp < before.Timestamp || p.Time < before.Time {
					t.Fatalf("packet %d follows badly: %+v after %+v", i+1, p, before)
				}
				if p.Timestamp > before.Timestamp && p.Time.Ticks(90000)-before.Time.Ticks(90000)-(p.Timestamp-before.Timestamp) > 1 {
					t.Fatalf("time and timestamp run apart at packet %d", i+1)
				}
			}
			frames := h.follow("cam", stream.LabelVideo, atLeast(12))
			if f := frames[0]; !f.Sync || !f.IDR || len(f.Units) < 3 {
				t.Errorf("first picture: sync %v, %d units; its parameter sets are in the description only", f.Sync, len(f.Units))
			}
			if sound := h.packets("cam", stream.LabelAudio, 10); len(sound[0].Payload) == 0 || !sound[0].Sync {
				t.Errorf("sound %+v", sound[0])
			}
		})
	}
}

// packets follows a track until n packets came.
func (h *house) packets(id string, label stream.Label, n int) []*media.Packet {
	h.t.Helper()
	sub := h.hub.Open(stream.Channel(id))
	defer sub.Close()
	var track *stream.Track
	poll(h.t, "track", func() bool {
		for _, t := range sub.Tracks() {
			if t.Label() == label {
				track = t
			}
		}
		return track != nil
	}, func() string { return "" })
	rd := stream.NewReader(nil)
	cur, err := track.FollowPackets(rd, stream.AtOldest)
	if err != nil {
		h.t.Fatal(err)
	}
	defer cur.Close()
	var got []*media.Packet
	deadline := time.After(patience)
	for len(got) < n {
		for p := cur.Next(); p != nil; p = cur.Next() {
			got = append(got, p)
		}
		select {
		case <-rd.Wake():
		case <-deadline:
			h.t.Fatalf("%d packets only", len(got))
		}
	}
	return got
}

func TestCameraThatVanishesPlaysAgainOnTheSameTracks(t *testing.T) {
	for _, transport := range []string{"tcp", "udp"} {
		t.Run(transport, func(t *testing.T) {
			c := startCamera(t, "127.0.0.1:0", opusSound())
			address := c.address()
			h := newHouse(t)
			h.add(ChannelConfig{ID: "cam", Source: fmt.Sprintf("rtsp://%s%s/live/1?transport=%s", cameraUserURL, address, transport)})
			h.wait("cam", "live", func(s Status) bool { return s.State == Live })
			before := h.packets("cam", stream.LabelVideo, 20)
			sub := h.hub.Open(stream.Channel("cam"))
			defer sub.Close()
			tracks := sub.Tracks()
			c.close()
			s := h.wait("cam", "lost", func(s Status) bool { return s.State == Lost })
			if s.Reason.Code == "" || s.Reason.ZH == "" {
				t.Errorf("reason %+v", s.Reason)
			}
			startCamera(t, address, opusSound())
			h.wait("cam", "live again", func(s Status) bool { return s.State == Live && s.Attempts > 1 })
			if now := sub.Tracks(); len(now) != 2 || now[0] != tracks[0] || now[1] != tracks[1] {
				t.Error("the tracks are others than before")
			}
			last := before[len(before)-1]
			var after *media.Packet
			poll(t, "packets of the second connection", func() bool {
				p := h.packets("cam", stream.LabelVideo, 1)
				after = p[len(p)-1]
				return after.Time > last.Time
			}, func() string { return "" })
			if after.Sequence <= last.Sequence || after.Timestamp <= last.Timestamp {
				t.Errorf("after the return: %+v, before %+v", after, last)
			}
		})
	}
}

func TestCameraThatRefusesSaysWhy(t *testing.T) {
	c := startCamera(t, "127.0.0.1:0", opusSound())
	h := newHouse(t)
	for id, tc := range map[string]struct {
		source, code string
	}{
		"wrong":   {"rtsp://me:wrong@" + c.address() + "/live/1", "source_credentials"},
		"without": {"rtsp://" + c.address() + "/live/1", "source_credentials"},
		"path":    {"rtsp://" + cameraUserURL + c.address() + "/other", "source_not_found"},
	} {
		h.add(ChannelConfig{ID: id, Source: tc.source})
		s := h.wait(id, tc.code, func(s Status) bool { return s.State == Refused && s.Reason.Code == tc.code })
		if s.Source == tc.source && id == "wrong" {
			t.Error("the password is shown")
		}
	}
}

// TestServerThatStopsInMidHandshakeIsLeft has servers that stop at each step.
func TestServerThatStopsInMidHandshakeIsLeft(t *testing.T) {
	for name, answer := range map[string]string{
		"says nothing":      "",
		"half an answer":    "RTSP/1.0 200 OK\r\nCSeq: 1\r\nContent-Le",
		"is no RTSP":        "HTTP/1.1 400 Bad Request\r\n\r\n",
		"describes rubbish": "RTSP/1.0 200 OK\r\nCSeq: 1\r\nContent-Type: application/sdp\r\nContent-Length: 4\r\n\r\nv=0\n",
	} {
		t.Run(name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			var conns sync.WaitGroup
			conns.Go(func() {
				for {
					c, err := l.Accept()
					if err != nil {
						return
					}
					conns.Go(func() {
						defer c.Close()
						buf := make([]byte, 4096)
						for {
							if _, err := c.Read(buf); err != nil {
								return
							}
							_, _ = c.Write([]byte(answer))
						}
					})
				}
			})
			h := newHouse(t)
			h.add(ChannelConfig{ID: "cam", Source: "rtsp://" + l.Addr().String() + "/x"})
			s := h.wait("cam", "lost and tried again", func(s Status) bool { return s.State == Lost && s.Attempts > 1 })
			if s.Reason.Code == "" {
				t.Errorf("%+v", s)
			}
			h.channels.Close()
			l.Close()
			conns.Wait()
		})
	}
}
