package transcode

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"time"

	"tongxiang/internal/media"
	"tongxiang/internal/mpegts"
	"tongxiang/internal/stream"
)

// growAfter is how long pictures that became larger are made small: browsers begin
// small and grow, and each new size is a new child.
const growAfter = 10 * time.Second

// pictureChild is one generation of a picture's transcoding.
type pictureChild struct {
	p *picture
	vigil

	width, height int          // of what goes out
	base          media.Time   // of the source, at the child's origin
	arrival       atomic.Int64 // what is to be added to a time of the source for when it reached us

	// of the writing goroutine
	last  media.Time // decode time of the newest frame written
	began time.Time
	buf   []byte
}

// run transcodes until something ends it, and returns why.
func (c *pictureChild) run(ctx context.Context) error {
	first := c.p.begin
	c.p.begin = nil
	if first == nil {
		c.p.in.restart()
	}
	for first == nil {
		var err error
		if first, err = c.p.in.frame(ctx); err != nil {
			return err
		}
	}
	var err error
	if c.width, c.height, err = vp8Canvas(first); err != nil {
		return fmt.Errorf("begin with a key frame: %w", err)
	}
	c.base = media.FromTicks(first.DTS.Ticks(mpegts.Ticks), mpegts.Ticks)
	c.began = time.Now()
	return c.p.s.process(ctx, pictureOnAir(c.width, c.height, c.p.label), &c.vigil, c.p.job, task{
		write: func(ctx context.Context, in io.Writer) error { return c.write(ctx, in, first) },
		read:  c.read,
		young: 2 * time.Second,
	})
}

// write feeds the child, first with the key frame that it was started for.
func (c *pictureChild) write(ctx context.Context, in io.Writer, f *media.Frame) error {
	if _, err := in.Write(ivfHeader(c.width, c.height)); err != nil {
		return fmt.Errorf("write to ffmpeg: %w", err)
	}
	for {
		if f != nil {
			if c.renew(f) {
				return errRenew
			}
			if err := c.give(in, f); err != nil {
				return err
			}
		}
		var err error
		if f, err = c.p.in.frame(ctx); err != nil {
			return err
		}
	}
}

// renew reports whether a frame needs another child, which begins with it if it can:
// one that is larger, or lies elsewhere in time.
func (c *pictureChild) renew(f *media.Frame) bool {
	step := time.Duration(0)
	if c.last != 0 {
		step = f.DTS.Sub(c.last)
	}
	again := step > renewJump || step < -renewJump || f.DTS.Sub(c.base) > renewAfter
	if f.Sync && time.Since(c.began) > growAfter {
		w, h, err := vp8Canvas(f)
		again = again || err == nil && (w > c.width || h > c.height)
	}
	if again && f.Sync {
		c.p.begin = f
	}
	return again
}

// give writes one frame. One that would run backwards is left out.
func (c *pictureChild) give(in io.Writer, f *media.Frame) error {
	if c.last != 0 && f.DTS <= c.last {
		return nil
	}
	c.last = f.DTS
	c.arrival.Store(f.Arrival - int64(f.DTS))
	c.buf = appendIVF(c.buf[:0], f, f.DTS.Add(origin-time.Duration(c.base)).Ticks(mpegts.Ticks))
	c.offers(c.p.s.clock.Now())
	_, err := in.Write(c.buf)
	c.took()
	if err != nil {
		return fmt.Errorf("write to ffmpeg: %w", err)
	}
	return nil
}

// read publishes what the child gives, with its times at the source.
func (c *pictureChild) read(out io.Reader) error {
	d := mpegts.NewDemuxer(mpegts.Handler{
		Format: func(st *mpegts.Stream) {
			t := c.p.pub.AddTrack(stream.TrackInfo{Label: c.p.label, Form: stream.Frames, Format: st.Format})
			c.p.in.serve(t)
		},
		Frame: c.frame,
		Whole: true,
	})
	buf := make([]byte, 64<<10)
	for {
		n, err := out.Read(buf)
		d.Feed(buf[:n], c.p.s.clock.Now())
		if err != nil {
			return fmt.Errorf("read from ffmpeg: %w", err)
		}
	}
}

func (c *pictureChild) frame(_ *mpegts.Stream, f *media.Frame, at mpegts.Times) {
	now := c.p.s.clock.Now()
	c.gave(now)
	t := c.p.in.out.Load()
	if t == nil || at.PTS == mpegts.NoTime {
		return
	}
	f.PTS = media.FromTicks(at.PTS, mpegts.Ticks).Add(time.Duration(c.base) - origin)
	f.DTS = f.PTS // there are no B-frames
	if c.p.last != 0 && f.DTS <= c.p.last && c.p.last.Sub(f.DTS) < renewJump {
		return // a former child gave it
	}
	c.p.last = f.DTS
	// When the source's frame reached us: what it took here is no clock of the source's.
	f.Arrival = min(int64(f.DTS)+c.arrival.Load(), now)
	t.WriteFrame(f)
}

// pictureOnAir returns what the child is told: VP8 in, H.264 of one size out as soon as
// it can be, one picture for each, with a key frame wherever the source has one: that
// is how one is asked for.
func pictureOnAir(width, height int, label stream.Label) []string {
	// The times say nothing of a frame rate. An encoder that is told none takes 90,000 a
	// second, gives each picture a 90,000th of the rate, and declares a level that no
	// receiver has (H.264 table A-1). Browsers send 30 at most, of a screen mostly less.
	level, fps, gop := "3.0", 30, 60
	if blocks := ((width + 15) / 16) * ((height + 15) / 16); blocks > 1350 {
		level = "3.1"
	}
	if label == stream.LabelScreen {
		fps, gop = 15, 20
	}
	args := strings.Fields("-hide_banner -nostdin -loglevel warning -copyts" +
		// Nothing is to be found out: one picture says all there is to know. Threads of the
		// decoder would each hold one back.
		" -threads 1 -flags low_delay -fpsprobesize 0 -probesize 32 -f ivf -i pipe:0" +
		" -map 0:v:0 -fps_mode passthrough -enc_time_base 1:90000")
	args = append(args, "-vf", fmt.Sprintf("scale=%[1]d:%[2]d:force_original_aspect_ratio=decrease,pad=%[1]d:%[2]d:-1:-1,setsar=1,format=yuv420p", width, height))
	args = append(args, strings.Fields(fmt.Sprintf("-c:v libx264 -preset superfast -tune zerolatency -profile:v baseline -level %s -x264-params fps=%d -bf 0 -g %d -sc_threshold 0"+
		" -force_key_frames source -crf 23 -maxrate 2500k -bufsize 2500k -threads 2", level, fps, gop))...)
	return append(args, strings.Fields("-f mpegts -mpegts_copyts 1 -muxdelay 0 -muxpreload 0 -flush_packets 1"+
		" -omit_video_pes_length 0 -pat_period 0.5 pipe:1")...)
}
