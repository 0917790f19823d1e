package rtmp

import (
	"bytes"
	"context"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/url"
	"os/exec"
	"testing"
	"time"

	"github.com/abema/go-mp4"
	"github.com/bluenviron/gortmplib"
	"github.com/bluenviron/gortmplib/pkg/message"

	"tongxiang/internal/apierr"
	"tongxiang/internal/media"
	"tongxiang/internal/push"
	"tongxiang/internal/stream"
)

// patience bounds every wait for something that must happen; nothing is measured with it.
const patience = 40 * time.Second

var errBadToken = apierr.New(401, "bad_token", "bad token", "令牌无效")

type rig struct {
	t   *testing.T
	hub *stream.Hub
	s   *Server
}

func newRig(t *testing.T, change func(*Config)) *rig {
	t.Helper()
	t.Parallel()
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
	hub, clock := stream.NewHub(log), media.NewClock()
	cfg := Config{
		Listen: "127.0.0.1:0", Desk: push.NewDesk(hub, clock),
		Publish: func(_ context.Context, token string, _ stream.Name) (string, error) {
			if token != "send" {
				return "", errBadToken
			}
			return "studio", nil
		},
	}
	if change != nil {
		change(&cfg)
	}
	s, err := New(cfg, clock, log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.Close()
		hub.Close()
	})
	return &rig{t, hub, s}
}

func (r *rig) url(path string) string { return "rtmp://" + r.s.Addr().String() + "/" + path }

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("not seen: %s", what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// child is an ffmpeg that sends for half a minute at most.
type child struct {
	kill func()
	done chan struct{}
	errs bytes.Buffer
}

func (r *rig) send(url string, codecs ...string) *child {
	r.t.Helper()
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		r.t.Skip("ffmpeg is not installed: this test sends its pictures")
	}
	ctx, cancel := context.WithCancel(r.t.Context())
	args := append([]string{
		"-nostdin", "-v", "error", "-re", "-f", "lavfi", "-i", "testsrc2=rate=25:size=320x180", "-f", "lavfi", "-i", "sine=sample_rate=48000", "-t", "30",
	}, codecs...)
	cmd := exec.CommandContext(ctx, "ffmpeg", append(args, "-f", "flv", url)...)
	c := &child{done: make(chan struct{})}
	cmd.Stderr = &c.errs
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	go func() {
		defer close(c.done)
		_ = cmd.Wait() // what it said is looked at
	}()
	c.kill = func() {
		cancel()
		<-c.done
	}
	r.t.Cleanup(c.kill)
	return c
}

// frames follows a track of the push until n frames came.
func (r *rig) frames(kind media.Kind, n int) (media.Format, []*media.Frame) {
	r.t.Helper()
	sub := r.hub.Open(stream.Push("news"))
	defer sub.Close()
	ctx, cancel := context.WithTimeout(r.t.Context(), patience)
	defer cancel()
	tracks, err := sub.Wait(ctx, func(t []*stream.Track) bool { return stream.Find(t, kind) != nil })
	if err != nil {
		r.t.Fatalf("no track: %v", err)
	}
	track := stream.Find(tracks, kind)
	rd := stream.NewReader(nil)
	cur, err := track.FollowFrames(rd, stream.AtOldest)
	if err != nil {
		r.t.Fatal(err)
	}
	defer cur.Close()
	var out []*media.Frame
	for {
		for f := cur.Next(); f != nil; f = cur.Next() {
			if out = append(out, f); len(out) == n {
				return track.Format(), out
			}
		}
		select {
		case <-rd.Wake():
		case <-ctx.Done():
			r.t.Fatalf("%d frames only", len(out))
		}
	}
}

func TestEncoderPushesH264AndAAC(t *testing.T) {
	for _, bframes := range []string{"0", "2"} {
		t.Run(bframes+" B-frames", func(t *testing.T) {
			r := newRig(t, nil)
			c := r.send(r.url("channels/news?token=send"), "-c:v", "libx264", "-preset", "ultrafast", "-bf", bframes, "-g", "25", "-pix_fmt", "yuv420p", "-c:a", "aac")
			f, pictures := r.frames(media.Video, 60)
			if f.Codec != media.H264 || f.Width != 320 || len(f.Params) != 2 || f.Reordered != (bframes == "2") {
				t.Errorf("format %+v", f)
			}
			if !pictures[0].Sync || len(media.ParameterSets(media.H264, pictures[0].Units)) != 2 {
				t.Error("it does not begin with a key frame and its parameter sets")
			}
			ahead := 0
			for i, p := range pictures {
				if p.PTS > p.DTS {
					ahead++
				}
				if p.PTS < p.DTS || i > 0 && (p.DTS <= pictures[i-1].DTS || p.DTS.Sub(pictures[i-1].DTS) > 45*time.Millisecond) {
					t.Fatalf("frame %d: PTS %d, DTS %d behind %d", i, p.PTS, p.DTS, pictures[max(i-1, 0)].DTS)
				}
			}
			if (ahead > 0) != (bframes == "2") {
				t.Errorf("%d pictures are shown later than decoded", ahead)
			}
			f, sounds := r.frames(media.Audio, 80)
			if f.Codec != media.AAC || f.Rate != 48000 {
				t.Errorf("format %+v", f)
			}
			for i, s := range sounds[1:] {
				// An access unit lasts 21.33 ms; RTMP counts whole milliseconds.
				if d := s.PTS.Sub(sounds[i].PTS); d < 17*time.Millisecond || d > 26*time.Millisecond {
					t.Fatalf("sound %d comes %v after the one before", i+1, d)
				}
			}
			if off := sounds[0].PTS.Sub(pictures[0].PTS).Abs(); off > 200*time.Millisecond {
				t.Errorf("sound and picture begin %v apart", off)
			}
			c.kill()
			eventually(t, "the end", func() bool { return !r.hub.Published(stream.Push("news")) })
		})
	}
}

func TestEncoderWithoutTheRightIsRefusedByRTMP(t *testing.T) {
	for name, path := range map[string]string{
		"no token": "channels/news", "wrong token": "channels/news?token=x", "no channel": "x?token=send", "dots": "channels/..%2fx?token=send",
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, nil)
			c := r.send(r.url(path), "-c:v", "libx264", "-preset", "ultrafast", "-c:a", "aac")
			<-c.done
			if c.errs.Len() == 0 {
				t.Error("the encoder is not told")
			}
			if len(r.hub.List("push/")) > 0 {
				t.Error("it sends all the same")
			}
		})
	}
}

func TestSecondEncoderIsRefusedByRTMP(t *testing.T) {
	r := newRig(t, nil)
	codecs := []string{"-c:v", "libx264", "-preset", "ultrafast", "-g", "25", "-pix_fmt", "yuv420p", "-c:a", "aac"}
	r.send(r.url("channels/news?token=send"), codecs...)
	r.frames(media.Video, 10)
	second := r.send(r.url("channels/news?token=send"), codecs...)
	<-second.done
	if second.errs.Len() == 0 {
		t.Error("the second is not told")
	}
	if n := r.s.Stats().Encoders; n != 1 {
		t.Errorf("%d encoders", n)
	}
	// A newer publisher of the name ends the first one's connection.
	pub, err := r.hub.Publish(stream.Push("news"), true)
	if err != nil {
		t.Fatal(err)
	}
	defer pub.Close()
	eventually(t, "the end of the first", func() bool { return r.s.Stats().Encoders == 0 })
}

// TestEnhancedRTMPCarriesH265AndOpus sends messages as encoders of that kind do, which
// Debian's ffmpeg is too old for.
func TestEnhancedRTMPCarriesH265AndOpus(t *testing.T) {
	r := newRig(t, nil)
	u, err := url.Parse(r.url("channels/news?token=send"))
	if err != nil {
		t.Fatal(err)
	}
	c := &gortmplib.Client{URL: u, Publish: true}
	if err := c.Initialize(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	vps := []byte{0x40, 0x01, 0x0c, 0x01, 0xff, 0xff, 0x01, 0x60, 0x00, 0x00, 0x03, 0x00, 0x90, 0x00, 0x00, 0x03, 0x00, 0x00, 0x03, 0x00, 0x78, 0x99, 0x98, 0x09}
	sps := []byte{
		0x42, 0x01, 0x01, 0x01, 0x60, 0x00, 0x00, 0x03, 0x00, 0x90, 0x00, 0x00, 0x03, 0x00, 0x00, 0x03, 0x00, 0x78, 0xa0, 0x03, 0xc0, 0x80, 0x10, 0xe5,
		0x96, 0x66, 0x69, 0x24, 0xca, 0xe0, 0x10, 0x00, 0x00, 0x03, 0x00, 0x10, 0x00, 0x00, 0x03, 0x01, 0xe0, 0x80,
	}
	pps := []byte{0x44, 0x01, 0xc1, 0x72, 0xb4, 0x62, 0x40}
	array := func(kind byte, unit []byte) mp4.HEVCNaluArray {
		return mp4.HEVCNaluArray{NaluType: kind, NumNalus: 1, Nalus: []mp4.HEVCNalu{{Length: uint16(len(unit)), NALUnit: unit}}}
	}
	write := func(m message.Message) {
		t.Helper()
		if err := c.Write(m); err != nil {
			t.Fatal(err)
		}
	}
	write(&message.VideoExSequenceStart{
		ChunkStreamID: 6, MessageStreamID: 0x1000000, FourCC: message.FourCCHEVC,
		HEVCHeader: &mp4.HvcC{ConfigurationVersion: 1, LengthSizeMinusOne: 3, NumOfNaluArrays: 3, NaluArrays: []mp4.HEVCNaluArray{array(32, vps), array(33, sps), array(34, pps)}},
	})
	write(&message.AudioExSequenceStart{
		ChunkStreamID: 4, MessageStreamID: 0x1000000, FourCC: message.FourCCOpus,
		OpusHeader: &message.OpusIDHeader{Version: 1, ChannelCount: 2, PreSkip: 312},
	})
	for n := range 30 {
		unit := []byte{0x02, 1, 0xd0, 1, 2, 3}
		if n%10 == 0 {
			unit = []byte{0x26, 1, 0xaf, 1, 2, 3}
		}
		at := time.Duration(n) * 40 * time.Millisecond
		write(&message.VideoExFramesX{ChunkStreamID: 6, MessageStreamID: 0x1000000, FourCC: message.FourCCHEVC, DTS: at, Payload: media.JoinAVCC([][]byte{unit})})
		for k := range 2 {
			write(&message.AudioExCodedFrames{
				ChunkStreamID: 4, MessageStreamID: 0x1000000, FourCC: message.FourCCOpus, DTS: at + time.Duration(k)*20*time.Millisecond, Payload: []byte{0xFC, 0xFF, 0xFE},
			})
		}
	}
	f, pictures := r.frames(media.Video, 30)
	if f.Codec != media.H265 || f.Width == 0 || !pictures[0].Sync || len(pictures[0].Units) != 4 {
		t.Errorf("format %+v, first picture has %d units", f, len(pictures[0].Units))
	}
	if f, sounds := r.frames(media.Audio, 60); f.Codec != media.Opus || sounds[59].PTS.Sub(sounds[0].PTS) != 59*20*time.Millisecond {
		t.Errorf("format %+v, %v of sound", f, sounds[59].PTS.Sub(sounds[0].PTS))
	}
}

func TestRTMPConnectionsThatSayNothingOfUseAreClosed(t *testing.T) {
	r := newRig(t, func(c *Config) { c.MaxConnections = 20 })
	random := rand.New(rand.NewPCG(1, 2))
	garbage := make([]byte, 1<<20)
	for i := range garbage {
		garbage[i] = byte(random.UintN(256))
	}
	for name, say := range map[string][]byte{
		"nothing": nil, "garbage": garbage, "a version": {3}, "half a handshake": append([]byte{3}, garbage[:700]...),
		"a handshake and garbage": append([]byte{3}, garbage[:100_000]...), "zeros": make([]byte, 1<<20), "http": []byte("GET / HTTP/1.1\r\n\r\n"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := net.Dial("tcp", r.s.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			go func() { _, _ = c.Write(say) }() // the server may hang up first
			if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
				t.Fatal(err)
			}
			b := make([]byte, 4096)
			for {
				if _, err := c.Read(b); err != nil {
					if e, ok := err.(net.Error); ok && e.Timeout() {
						t.Error("the connection is still open")
					}
					return
				}
			}
		})
	}
}

func TestRTMPConnectionsAreBounded(t *testing.T) {
	r := newRig(t, func(c *Config) { c.MaxConnections = 10 })
	var conns []net.Conn
	for range 300 {
		c, err := net.Dial("tcp", r.s.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, c)
	}
	eventually(t, "those too many", func() bool { return r.s.Stats().Refused == 290 })
	if n := r.s.Stats().Connections; n != 10 {
		t.Errorf("%d connections", n)
	}
	for _, c := range conns {
		_ = c.Close()
	}
	eventually(t, "room again", func() bool { return r.s.Stats().Connections == 0 })
}

func FuzzInput(f *testing.F) {
	f.Add(uint8(0), []byte{1, 0x64, 0, 0x1f, 0xff, 0xe1, 0, 2, 0x67, 0x64, 1, 0, 2, 0x68, 0xee}, int64(0))
	f.Add(uint8(1), media.JoinAVCC([][]byte{{0x65, 0x88, 1}}), int64(40))
	f.Add(uint8(2), []byte{0x11, 0x90}, int64(80))
	f.Add(uint8(3), []byte{1, 2, 3}, int64(80))
	f.Add(uint8(4), []byte{0xff, 0xfd, 0xa4, 0}, int64(1<<32))
	f.Fuzz(func(t *testing.T, kind uint8, payload []byte, ms int64) {
		hub := stream.NewHub(slog.New(slog.DiscardHandler))
		defer hub.Close()
		pub, err := hub.Publish(stream.Push("x"), false)
		if err != nil {
			t.Fatal(err)
		}
		in := newInput(pub, media.NewClock(), new(stream.Drops))
		dts := time.Duration(ms%(1<<33)) * time.Millisecond
		// A good configuration first, so that what follows is looked at.
		_ = in.take(&message.Audio{Codec: message.CodecMPEG4Audio, AACType: message.AudioAACTypeConfig, Payload: []byte{0x11, 0x90}})
		for range 2 {
			var m message.Message
			switch kind % 5 {
			case 0:
				m = &message.Video{Codec: message.CodecH264, Type: message.VideoTypeConfig, Payload: payload}
			case 1:
				m = &message.Video{Codec: message.CodecH264, Type: message.VideoTypeAU, DTS: dts, PTSDelta: dts % (1 << 24), Payload: payload}
			case 2:
				m = &message.Audio{Codec: message.CodecMPEG4Audio, AACType: message.AudioAACTypeConfig, Payload: payload}
			case 3:
				m = &message.Audio{Codec: message.CodecMPEG4Audio, AACType: message.AudioAACTypeAU, DTS: dts, Payload: payload}
			case 4:
				m = &message.Audio{Codec: message.CodecMPEG1Audio, DTS: dts, Payload: payload}
			}
			_ = in.take(m) // an error ends the connection
		}
	})
}
