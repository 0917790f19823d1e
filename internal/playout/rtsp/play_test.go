package rtsp

import (
	"context"
	"fmt"
	"math"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bluenviron/gortsplib/v4"
	"github.com/bluenviron/gortsplib/v4/pkg/base"
	"github.com/bluenviron/gortsplib/v4/pkg/description"
	"github.com/bluenviron/gortsplib/v4/pkg/format"
	"github.com/pion/rtp"

	"tongxiang/internal/media"
	"tongxiang/internal/playout/playtest"
	"tongxiang/internal/stream"
)

func TestEveryCodecIsPlayedByTCPAndUDP(t *testing.T) {
	playtest.Tools(t)
	for _, tc := range []struct {
		name, encode, video, audio string
	}{
		{"H.264 with B-frames and AAC", playtest.BFrames, "h264", "aac"},
		{"MPEG-2 and MP2", playtest.Broadcast, "mpeg2video", "mp2"},
		{"MPEG-2 and AC-3", "-c:v mpeg2video -bf 2 -g 12 -b:v 2M -c:a ac3 -b:a 448k -ar 48000", "mpeg2video", "ac3"},
		{"H.264 and Opus", "-c:v libx264 -preset ultrafast -bf 0 -g 25 -pix_fmt yuv420p -c:a libopus -ac 2", "h264", "opus"},
	} {
		clip := playtest.Make(t, 4, "320x180", tc.encode)
		for _, transport := range []string{"tcp", "udp"} {
			t.Run(tc.name+" "+transport, func(t *testing.T) {
				r := newRig(t, func(c *Config) { c.UDP = "any" })
				r.show("channels/x", clip)
				got, errs, err := watch(t, transport, r.url("channels/x", "watch"))
				if err != nil {
					t.Fatalf("%v: %s", err, errs)
				}
				if errs != "" {
					t.Errorf("the player complains: %s", errs)
				}
				if len(got.Streams) != 2 || got.Streams[0].Codec != tc.video || got.Streams[1].Codec != tc.audio || got.Streams[0].Width != 320 {
					t.Fatalf("streams %+v", got.Streams)
				}
				if v, a := got.frames("video"), got.frames("audio"); v < 30 || a < 30 {
					t.Errorf("%d pictures and %d sounds in two seconds", v, a)
				}
				// A picture of 40 ms and a frame of sound of 32 ms lie beside each other.
				if v, a := got.first(0), got.first(1); math.Abs(v-a) > 0.25 {
					t.Errorf("picture begins at %.3f, sound at %.3f", v, a)
				}
				if p := got.Packets[0]; got.Packets[0].Stream == 0 && !strings.HasPrefix(p.Flags, "K") {
					t.Error("it does not begin at a key frame")
				}
			})
		}
	}
}

func TestTokenIsTakenFromTheAddressAndAsPassword(t *testing.T) {
	playtest.Tools(t)
	clip := playtest.Make(t, 2, "320x180", playtest.Plain)
	r := newRig(t, nil)
	r.show("channels/x", clip)
	r.show("meetings/42/programme", clip)
	address := r.s.Addr().String()
	for name, tc := range map[string]struct{ url, want string }{
		"in the address":         {r.url("channels/x", "watch"), ""},
		"as password":            {"rtsp://anybody:watch@" + address + "/channels/x", ""},
		"a meeting's programme":  {r.url("meetings/42/programme", "watch"), ""},
		"a meeting":              {r.url("meetings/42", "watch"), ""},
		"none":                   {r.url("channels/x", ""), "401"},
		"wrong":                  {r.url("channels/x", "wrong"), "401"},
		"wrong password":         {"rtsp://anybody:wrong@" + address + "/channels/x", "401"},
		"not allowed":            {r.url("channels/secret", "watch"), "403"},
		"no stream":              {r.url("channels/none", "watch"), "404"},
		"no name":                {r.url("x", "watch"), "404"},
		"a name with characters": {r.url("channels/%2e%2e%2fetc", "watch"), "404"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, errs, err := watch(t, "tcp", tc.url)
			if tc.want == "" {
				if err != nil || got.frames("video") == 0 {
					t.Errorf("%v: %s; %+v", err, errs, got)
				}
				return
			}
			if err == nil || !strings.Contains(errs, tc.want) {
				t.Errorf("got %v %q, want %s", err, errs, tc.want)
			}
		})
	}
}

func TestStreamMadeOnDemandIsStartedByItsPlayer(t *testing.T) {
	playtest.Tools(t)
	clip := playtest.Make(t, 2, "320x180", playtest.Plain)
	r := newRig(t, nil)
	ended := make(chan struct{})
	r.hub.Provide(stream.Provider{
		Match: func(n stream.Name) bool { return n == "channels/x/low" },
		Run: func(ctx context.Context, n stream.Name) error {
			pub, err := r.hub.Publish(n, false)
			if err != nil {
				return err
			}
			defer close(ended)
			defer pub.Close()
			r.loop(pub, clip, ctx.Done())
			return nil
		},
	})
	got, errs, err := watch(t, "tcp", r.url("channels/x/low", "watch"))
	if err != nil || got.frames("video") < 20 {
		t.Fatalf("%v: %s", err, errs)
	}
	select {
	case <-ended:
	case <-time.After(patience):
		t.Error("it goes on without a player")
	}
}

// viewer plays with the library's client and counts packets.
type viewer struct {
	client *gortsplib.Client
	mu     sync.Mutex
	count  map[string]int
	last   map[string]*rtp.Packet
	holes  int
}

func (r *rig) view(transport gortsplib.Transport, path string) *viewer {
	r.t.Helper()
	u, err := base.ParseURL(r.url(path, "watch"))
	if err != nil {
		r.t.Fatal(err)
	}
	v := &viewer{count: map[string]int{}, last: map[string]*rtp.Packet{}}
	v.client = &gortsplib.Client{Scheme: u.Scheme, Host: u.Host, Transport: &transport, OnPacketsLost: func(uint64) {}}
	if err := v.client.Start2(); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(v.client.Close)
	desc, _, err := v.client.Describe(u)
	if err != nil {
		r.t.Fatal(err)
	}
	if err := v.client.SetupAll(desc.BaseURL, desc.Medias); err != nil {
		r.t.Fatal(err)
	}
	v.client.OnPacketRTPAny(func(m *description.Media, _ format.Format, p *rtp.Packet) {
		v.mu.Lock()
		defer v.mu.Unlock()
		kind := string(m.Type)
		v.count[kind]++
		if q := v.last[kind]; q != nil && p.SequenceNumber != q.SequenceNumber+1 {
			v.holes++
		}
		c := *p
		v.last[kind] = &c
	})
	if _, err := v.client.Play(nil); err != nil {
		r.t.Fatal(err)
	}
	return v
}

func (v *viewer) got(kind string) int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.count[kind]
}

// TestPlayerThatStopsReadingIsCutOffAndHoldsNobody has a player that reads no more:
// it loses packets, which are counted, and then its connection; three others get all.
func TestPlayerThatStopsReadingIsCutOffAndHoldsNobody(t *testing.T) {
	playtest.Tools(t)
	clip := playtest.Make(t, 3, "640x360", "-c:v libx264 -preset ultrafast -qp 10 -bf 0 -g 25 -pix_fmt yuv420p -c:a aac -ar 48000")
	r := newRig(t, func(c *Config) { c.UDP = "any" })
	r.show("channels/x", clip)
	slow, err := net.Dial("tcp", r.s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Close()
	if err := slow.(*net.TCPConn).SetReadBuffer(4096); err != nil {
		t.Fatal(err)
	}
	u := r.url("channels/x", "watch")
	ask := func(request string) string {
		fmt.Fprint(slow, request+"\r\n\r\n")
		b := make([]byte, 4096)
		n, err := slow.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		return string(b[:n])
	}
	ask("DESCRIBE " + u + " RTSP/1.0\r\nCSeq: 1")
	answer := ask("SETUP " + u + "/trackID=0 RTSP/1.0\r\nCSeq: 2\r\nTransport: RTP/AVP/TCP;unicast;interleaved=0-1")
	_, session, _ := strings.Cut(answer, "Session: ")
	session, _, _ = strings.Cut(session, "\r\n")
	fmt.Fprint(slow, "PLAY "+u+" RTSP/1.0\r\nCSeq: 3\r\nSession: "+session+"\r\n\r\n")
	eventually(t, "the slow player", func() bool { return r.s.Stats().Players == 1 })

	var others []*viewer
	for _, transport := range []gortsplib.Transport{gortsplib.TransportTCP, gortsplib.TransportTCP, gortsplib.TransportUDP} {
		others = append(others, r.view(transport, "channels/x"))
	}
	eventually(t, "end of the slow player", func() bool { return r.s.Stats().Ends[endSlow] == 1 })
	st := r.s.Stats()
	if st.Drops[stream.DropSocketFull.String()] == 0 && st.Drops[stream.DropWaitingForKeyFrame.String()] == 0 {
		t.Errorf("drops %v", st.Drops)
	}
	if st.Players != 3 {
		t.Errorf("%d players are left", st.Players)
	}
	for i, v := range others {
		before := v.got("video")
		eventually(t, "more pictures", func() bool { return v.got("video") > before+50 })
		v.mu.Lock()
		if v.holes > 0 && i < 2 {
			t.Errorf("viewer %d has %d holes", i, v.holes)
		}
		v.mu.Unlock()
	}
}

func TestReportsRelateSoundAndPictureFromTheBeginning(t *testing.T) {
	clock := media.NewClock()
	at := media.Time(clock.Now()).Add(123456789 * time.Nanosecond)
	for _, rate := range []int{90000, 48000, 44100} {
		l := &lane{rate: rate, ssrc: 7, time: at, stamp: uint32(at.Ticks(rate)), packets: 1}
		sr := l.report(clock)
		wall := clock.Wall(int64(at))
		sent := time.Unix(int64(sr.NTPTime>>32)-2208988800, int64((sr.NTPTime&0xFFFFFFFF)*1e9>>32))
		if d := sent.Sub(wall).Abs(); d > time.Microsecond {
			t.Errorf("NTP time is off by %v", d)
		}
		if sr.RTPTime != l.stamp {
			t.Errorf("RTP time %d, want %d", sr.RTPTime, l.stamp)
		}
	}
}

func TestPublisherThatComesBackIsPlayedOn(t *testing.T) {
	playtest.Tools(t)
	clip := playtest.Make(t, 2, "320x180", playtest.Plain)
	r := newRig(t, nil)
	show := func() (end func()) {
		pub, err := r.hub.Publish("channels/x", false)
		if err != nil {
			t.Fatal(err)
		}
		stop := make(chan struct{})
		var running sync.WaitGroup
		running.Go(func() { r.loop(pub, clip, stop) })
		return sync.OnceFunc(func() {
			close(stop)
			running.Wait()
			pub.Close()
		})
	}
	end := show()
	v := r.view(gortsplib.TransportTCP, "channels/x")
	eventually(t, "pictures", func() bool { return v.got("video") > 20 })
	end()
	v.mu.Lock()
	before := v.last["video"].Timestamp
	v.mu.Unlock()
	n := v.got("video")
	end = show()
	defer end()
	eventually(t, "pictures again", func() bool { return v.got("video") > n+20 })
	v.mu.Lock()
	defer v.mu.Unlock()
	if int32(v.last["video"].Timestamp-before) <= 0 {
		t.Error("time went back")
	}
	if v.holes > 0 {
		t.Errorf("%d holes in the numbers", v.holes)
	}
}

func TestPlayerOfAStreamThatBecomesAnotherIsSentAway(t *testing.T) {
	playtest.Tools(t)
	clip := playtest.Make(t, 2, "320x180", playtest.Plain)
	r := newRig(t, nil)
	pub, err := r.hub.Publish("channels/x", false)
	if err != nil {
		t.Fatal(err)
	}
	defer pub.Close()
	clip.Write(pub.SetTracks(clip.Infos()), r.clock)
	v := r.view(gortsplib.TransportTCP, "channels/x")
	eventually(t, "pictures", func() bool { return v.got("video") > 20 })
	pub.SetTracks([]stream.TrackInfo{{Label: stream.LabelVideo, Form: stream.Frames, Format: media.Format{Codec: media.MPEG2Video, ClockRate: 90000}}})
	eventually(t, "the end", func() bool { return r.s.Stats().Ends[endChanged] == 1 })
}
