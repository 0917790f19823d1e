package programme

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"tongxiang/internal/ffmpeg"
	"tongxiang/internal/media"
	"tongxiang/internal/mpegts"
	"tongxiang/internal/programme/mix"
	"tongxiang/internal/stream"
)

const (
	// encoderQueue is how many blocks may wait for the child: ten seconds, which a
	// machine that does something else may take to start it.
	encoderQueue = 500
	// encoderOrigin is the time of the first sample in the child's output: encoders
	// begin a little before it, and a transport stream has no time below zero.
	encoderOrigin = 10 * time.Second
	// encoderRenew is far below the 26.5 h after which 33-bit times wrap.
	encoderRenew = 20 * time.Hour
)

// What the programme's sound is coded as; the child is told so.
var (
	opusFormat = media.Format{Codec: media.Opus, ClockRate: 48000, Rate: mix.Rate, Channels: mix.Channels}
	// AAC LC, 48 kHz, stereo (ISO/IEC 14496-3 1.6.2.1).
	aacFormat = media.Format{
		Codec: media.AAC, ClockRate: 48000, Rate: mix.Rate, Channels: mix.Channels, Profile: "LC", Config: []byte{0x11, 0x90},
	}
)

func encoderArguments() []string {
	return strings.Fields("-hide_banner -nostdin -loglevel warning -f s16le -ar 48000 -ac 2 -i pipe:0" +
		" -map 0:a -c:a:0 libopus -b:a:0 64k -frame_duration:a:0 20" +
		" -map 0:a -c:a:1 aac -b:a:1 128k" +
		" -f mpegts -mpegts_copyts 1 -muxdelay 0 -muxpreload 0 -flush_packets 1 -pes_payload_size 0 -pat_period 0.5" +
		" -output_ts_offset 10 pipe:1")
}

var errEncoderBehind = errors.New("ffmpeg does not take the sound")

// encoder is one ffmpeg child that makes Opus and AAC of the mix, and the three
// goroutines around it.
type encoder struct {
	origin media.Time // of the first sample
	in     chan []byte
	cancel context.CancelFunc
	gave   atomic.Bool // something came out
	done   chan struct{}
	err    error // valid when done is closed
}

// startEncoder starts a child whose first sample belongs at origin. It writes to
// the tracks until close.
func startEncoder(path string, origin media.Time, opus, aac *stream.Track, clock media.Clock, log *slog.Logger) *encoder {
	ctx, cancel := context.WithCancel(context.Background())
	e := &encoder{origin: origin, in: make(chan []byte, encoderQueue), cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(e.done)
		defer cancel()
		e.err = e.run(ctx, path, opus, aac, clock, log)
	}()
	return e
}

// close ends the child and waits for it.
func (e *encoder) close() {
	e.cancel()
	<-e.done
}

// write gives a block to the child. It does not block; the error says why the child
// must be replaced.
func (e *encoder) write(pcm []float32) error {
	select {
	case <-e.done:
		return e.err
	case e.in <- samples(pcm):
		return nil
	default:
		return errEncoderBehind
	}
}

// samples returns 16-bit little-endian samples.
func samples(pcm []float32) []byte {
	out := make([]byte, 0, 2*len(pcm))
	for _, x := range pcm {
		v := int16(max(-1, min(1, x)) * 32767)
		out = append(out, byte(v), byte(uint16(v)>>8))
	}
	return out
}

func (e *encoder) run(ctx context.Context, path string, opus, aac *stream.Track, clock media.Clock, log *slog.Logger) error {
	g, ctx := errgroup.WithContext(ctx)
	cmd, words := ffmpeg.Command(ctx, path, encoderArguments()...)
	in, err := cmd.StdinPipe()
	if err != nil {
		return fmt.Errorf("input of ffmpeg: %w", err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return fmt.Errorf("output of ffmpeg: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start ffmpeg: %w", err)
	}
	log.Debug("programme's sound encoder started", "pid", cmd.Process.Pid)
	g.Go(func() error {
		defer in.Close()
		for {
			select {
			case <-ctx.Done():
				return context.Cause(ctx)
			case b := <-e.in:
				if _, err := in.Write(b); err != nil {
					return fmt.Errorf("write to ffmpeg: %w", err)
				}
			}
		}
	})
	g.Go(func() error { return e.read(out, opus, aac, clock) })
	err = g.Wait()
	if exit := cmd.Wait(); exit != nil && ctx.Err() == nil {
		err = errors.Join(err, exit)
	}
	if said := words.String(); said != "" {
		err = fmt.Errorf("%w; it said: %s", err, said)
	}
	return err
}

// read publishes what the child gives, until it ends.
func (e *encoder) read(out io.Reader, opus, aac *stream.Track, clock media.Clock) error {
	shift := time.Duration(e.origin) - encoderOrigin
	d := mpegts.NewDemuxer(mpegts.Handler{Frame: func(st *mpegts.Stream, f *media.Frame, at mpegts.Times) {
		t := aac
		if st.Codec == media.Opus {
			t = opus
		}
		if at.PTS == mpegts.NoTime || st.Codec != t.Format().Codec {
			return
		}
		f.PTS = media.FromTicks(at.PTS, mpegts.Ticks).Add(shift)
		f.DTS, f.Arrival = f.PTS, clock.Now()
		e.gave.Store(true)
		t.WriteFrame(f)
	}})
	buf := make([]byte, 16<<10)
	for {
		n, err := out.Read(buf)
		d.Feed(buf[:n], clock.Now())
		if err != nil {
			return fmt.Errorf("read from ffmpeg: %w", err)
		}
	}
}
