package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"time"

	"github.com/gorilla/websocket"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"
	"golang.org/x/sync/errgroup"

	"tongxiang/internal/media"
	"tongxiang/internal/mpegts"
)

const (
	levelURI = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"
	// clapFrequency and clapLength are of a tone that speech does not have.
	clapFrequency = 3000
	clapLength    = 0.06
	speaking      = 20  // -dBov
	silent        = 127 // likewise
	mtu           = 1150
)

// clip is a round of one site's media.
type clip struct {
	video, audio []*media.Frame
	format       media.Format // of the picture
}

// clapAt is when in its round a site claps: in the middle of its turn, where a
// picture begins.
func clapAt(site int) float64 {
	const picture = 40 * time.Millisecond
	return (time.Duration(site)*turn + turn/2).Truncate(picture).Seconds()
}

// encodeSite makes a round of media: pictures that move a little, with the site's
// number of bars, and in its turn something like speech: noise below 2.5 kHz that
// swells five times a second.
func encodeSite(ctx context.Context, site int, vp8 bool) (c clip, err error) {
	begin, clap := (time.Duration(site) * turn).Seconds(), clapAt(site)
	seconds := round.Seconds()
	picture := fmt.Sprintf("testsrc=size=320x180:rate=25,hue=h=%d:b=-3,drawbox=color=white:t=fill:enable='between(t,%v,%v)'",
		site*90, clap-0.001, clap+0.119)
	speech := fmt.Sprintf("anoisesrc=r=48000:a=0.5:c=pink:seed=%d,lowpass=f=1800,lowpass=f=1800,volume='if(between(t,%v,%v),0.35*(0.55+0.45*sin(2*PI*5*t)),0)':eval=frame",
		site+1, begin+0.3, begin+turn.Seconds()-0.3)
	tone := fmt.Sprintf("aevalsrc='0.6*sin(2*PI*%d*t)*between(t,%v,%v)':s=48000", clapFrequency, clap, clap+clapLength)
	cmd := exec.CommandContext(ctx, "ffmpeg", "-nostdin", "-v", "error", "-f", "lavfi", "-i", picture,
		"-f", "lavfi", "-i", speech, "-f", "lavfi", "-i", tone,
		"-filter_complex", "[1][2]amix=inputs=2:normalize=0,aformat=channel_layouts=mono[a]", "-map", "0:v", "-map", "[a]", "-t", fmt.Sprint(seconds),
		"-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-bf", "0", "-g", "50", "-sc_threshold", "0", "-b:v", "300k", "-pix_fmt", "yuv420p", "-profile:v", "baseline",
		"-c:a", "libopus", "-b:a", "32k", "-frame_duration", "20", "-f", "mpegts", "pipe:1")
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil {
		return c, fmt.Errorf("encode site %d: %w: %s", site, err, said.String())
	}
	d := mpegts.NewDemuxer(mpegts.Handler{
		Format: func(st *mpegts.Stream) {
			if st.Codec == media.H264 {
				c.format = st.Format
			}
		},
		Frame: func(st *mpegts.Stream, f *media.Frame, at mpegts.Times) {
			f.PTS = media.FromTicks(at.PTS, mpegts.Ticks)
			f.DTS = f.PTS
			if st.Codec == media.H264 {
				c.video = append(c.video, f)
				return
			}
			for i, u := range f.Units { // several may lie in one PES packet
				c.audio = append(c.audio, &media.Frame{PTS: f.PTS.Add(time.Duration(i) * 20 * time.Millisecond), Units: [][]byte{u}})
			}
		},
	})
	d.Feed(out.Bytes(), 1)
	d.Flush()
	if len(c.video) < int(24*seconds) || len(c.audio) < int(49*seconds) {
		return c, fmt.Errorf("encode site %d: %d pictures and %d packets of sound", site, len(c.video), len(c.audio))
	}
	if err == nil && vp8 {
		if err := c.toVP8(ctx, picture, seconds); err != nil {
			return c, fmt.Errorf("encode site %d: %w", site, err)
		}
	}
	// Whole rounds: what is over is cut off, so that a round is as long for both.
	c.video, c.audio = c.video[:min(len(c.video), int(25*seconds))], c.audio[:min(len(c.audio), int(50*seconds))]
	return c, nil
}

// toVP8 puts the same pictures in VP8 in the place of those in H.264.
func (c *clip) toVP8(ctx context.Context, picture string, seconds float64) error {
	cmd := exec.CommandContext(ctx, "ffmpeg", "-nostdin", "-v", "error", "-f", "lavfi", "-i", picture, "-t", fmt.Sprint(seconds),
		"-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "8", "-lag-in-frames", "0", "-auto-alt-ref", "0", "-g", "50", "-b:v", "300k",
		"-pix_fmt", "yuv420p", "-f", "ivf", "pipe:1")
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%w: %s", err, said.String())
	}
	c.format = media.Format{Codec: media.VP8, ClockRate: 90000}
	b := out.Bytes()
	n := 0
	for b = b[min(32, len(b)):]; len(b) > 12; n++ { // IVF: a head, and 12 bytes before each picture
		size := int(binary.LittleEndian.Uint32(b))
		if size > len(b)-12 || n >= len(c.video) {
			break
		}
		u := b[12 : 12+size : 12+size]
		c.video[n].Units, c.video[n].Sync, c.video[n].IDR = [][]byte{u}, media.VP8Key(u), media.VP8Key(u)
		b = b[12+size:]
	}
	if n < len(c.video) {
		return fmt.Errorf("%d pictures of %d in VP8", n, len(c.video))
	}
	return nil
}

// site is one participant. play owns it.
type site struct {
	number       int
	seat         string // its participant
	clip         clip
	conn         *websocket.Conn
	pc           *webrtc.PeerConnection
	video, audio *webrtc.TrackLocalStaticRTP
	senders      []*webrtc.RTPSender // audio, video
}

// play sends rounds until ctx ends, by a clock that is drift millionths fast.
func (s *site) play(ctx context.Context, begin time.Time, drift float64) error {
	defer s.conn.Close()
	defer s.pc.Close()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.answer(ctx) })
	// due is when by the world's clock something is sent that the site's clock calls at.
	due := func(at time.Duration) time.Time { return begin.Add(time.Duration(float64(at) / (1 + drift/1e6))) }
	g.Go(func() error { return s.sendSound(ctx, due) })
	g.Go(func() error { return s.sendPictures(ctx, due) })
	err := g.Wait()
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// answer answers the server's pings.
func (s *site) answer(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { _ = s.conn.Close() })
	defer stop()
	for {
		var m message
		if err := s.conn.ReadJSON(&m); err != nil {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return fmt.Errorf("site %d lost its signalling: %w", s.number, err)
		}
		if m.Type == "ping" {
			if err := s.conn.WriteJSON(map[string]any{"type": "pong", "t": m.T}); err != nil {
				return err
			}
		}
	}
}

func (s *site) sendSound(ctx context.Context, due func(time.Duration) time.Time) error {
	id := uint8(0)
	for _, e := range s.senders[0].GetParameters().HeaderExtensions {
		if e.URI == levelURI {
			id = uint8(e.ID)
		}
	}
	first := s.clip.audio[0].PTS
	length := round
	for k := 0; ; k++ {
		f := s.clip.audio[k%len(s.clip.audio)]
		at := f.PTS.Sub(first) + time.Duration(k/len(s.clip.audio))*length
		if err := pause(ctx, time.Until(due(at))); err != nil {
			return err
		}
		level := byte(silent)
		if in := at % round; in >= time.Duration(s.number)*turn && in < time.Duration(s.number+1)*turn {
			level = speaking | 0x80
		}
		h := rtp.Header{Version: 2, SequenceNumber: uint16(k), Timestamp: uint32(media.Time(at).Ticks(48000))}
		if id != 0 {
			if err := h.SetExtension(id, []byte{level}); err != nil {
				return err
			}
		}
		if err := s.audio.WriteRTP(&rtp.Packet{Header: h, Payload: f.Units[0]}); err != nil {
			return err
		}
		if k%50 == 25 {
			s.report(0, h.Timestamp, at)
		}
	}
}

func (s *site) sendPictures(ctx context.Context, due func(time.Duration) time.Time) error {
	z, err := media.NewPacketizer(s.clip.format)
	if err != nil {
		return err
	}
	first := s.clip.video[0].PTS
	sequence := uint16(0)
	// The sound of a clip begins a little before its picture; what counts is what was encoded together.
	offset := first.Sub(s.clip.audio[0].PTS)
	for k := 0; ; k++ {
		f := *s.clip.video[k%len(s.clip.video)]
		at := f.PTS.Sub(first) + offset + time.Duration(k/len(s.clip.video))*round
		// Encoding takes a browser 30 ms.
		if err := pause(ctx, time.Until(due(at+30*time.Millisecond))); err != nil {
			return err
		}
		f.PTS, f.DTS = media.Time(at), media.Time(at)
		packets := slices.Clone(z.Push(&f))
		for i, p := range packets {
			h := rtp.Header{Version: 2, SequenceNumber: sequence, Timestamp: uint32(media.Time(at).Ticks(90000)), Marker: i == len(packets)-1}
			sequence++
			if err := s.video.WriteRTP(&rtp.Packet{Header: h, Payload: p.Payload}); err != nil {
				return err
			}
		}
		if k%25 == 12 {
			s.report(1, uint32(media.Time(at).Ticks(90000)), at)
		}
	}
}

// report sends a sender report: the site's own wall clock, which is what lets the
// server play its picture and its sound together.
func (s *site) report(sender int, timestamp uint32, at time.Duration) {
	const since1900 = 2208988800
	wall := time.Unix(1_700_000_000+int64(s.number)*10_000, 0).Add(at)
	p := s.senders[sender].GetParameters()
	if len(p.Encodings) == 0 {
		return
	}
	ntp := uint64(wall.Unix()+since1900)<<32 | uint64(wall.Nanosecond())<<32/uint64(time.Second)
	// A lost report is made up for by the next.
	_ = s.pc.WriteRTCP([]rtcp.Packet{&rtcp.SenderReport{SSRC: uint32(p.Encodings[0].SSRC), NTPTime: ntp, RTPTime: timestamp}})
}
