package quality

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"tongxiang/internal/ffmpeg"
	"tongxiang/internal/media"
)

// The size of decoded pictures: what is judged, and the thumbnail.
const (
	frameWidth  = 320
	frameHeight = 180
	lumaSize    = frameWidth * frameHeight
	frameSize   = lumaSize * 3 / 2
)

const (
	// soundRate is one that FLV can carry; soundChannels likewise.
	soundRate     = 44100
	soundChannels = 2
	// spacing is the distance of samples on the child's clock, in milliseconds.
	spacing = 2000
	// patience is how long a child may take for one sample. A healthy one needs a few
	// milliseconds; a machine out of breath may need a hundred times as long.
	patience = 3 * time.Second
)

var (
	errUndecodable = errors.New("the decoder made nothing of it")
	errStuck       = errors.New("the decoder does not answer")
)

// decoder is one ffmpeg child that lives long and is given samples of one codec, from
// all channels in turn: a process for each would cost more than the decoding. It
// answers one sample before it is given the next. It belongs to one goroutine, and
// owns one that reads what the child says.
type decoder struct {
	codec  media.Codec
	cmd    *exec.Cmd
	cancel context.CancelFunc
	in     io.WriteCloser
	words  *ffmpeg.Words
	out    chan decoded // closed when the child's output ends
	done   chan struct{}
	next   int64 // ms: where the next sample goes
	buf    []byte
	used   time.Time
}

// decoded is a picture or a piece of sound as it comes out.
type decoded struct {
	at   int64 // ms on the child's clock
	data []byte
}

// scale makes every picture fit the frame with its own shape, as a television set shows it.
const scale = `scale=w='min(320,2*trunc(90*dar+0.5))':h='min(180,2*trunc(160/dar+0.5))':flags=area:eval=frame,` +
	`pad=320:180:-1:-1:eval=frame,format=yuv420p,` +
	// The child says on standard error when each picture it writes was shown.
	`metadata=mode=add:key=t:value=1,metadata=mode=print:file='pipe\:2':direct=1`

func decoderArguments(codec media.Codec) []string {
	args := strings.Fields("-hide_banner -nostdin -loglevel fatal -threads 1 -flags +low_delay+output_corrupt -skip_loop_filter all" +
		" -probesize 32 -analyzeduration 0 -copyts -f matroska -i pipe:0 -filter_threads 1")
	if codec.Kind() == media.Video {
		return append(args, "-map", "0:v", "-vf", scale, "-fps_mode", "passthrough", "-threads", "1", "-f", "rawvideo", "-flush_packets", "1", "pipe:1")
	}
	return append(args, strings.Fields("-map 0:a -ac 2 -ar 44100 -c:a pcm_s16le -f flv -flvflags no_duration_filesize -flush_packets 1 pipe:1")...)
}

func startDecoder(ctx context.Context, path string, codec media.Codec) (*decoder, error) {
	ctx, cancel := context.WithCancel(ctx)
	cmd, words := ffmpeg.Command(ctx, path, decoderArguments(codec)...)
	d := &decoder{codec: codec, cmd: cmd, cancel: cancel, words: words, out: make(chan decoded, 64), done: make(chan struct{}), next: spacing}
	times := make(chan int64, 64)
	if codec.Kind() == media.Video {
		cmd.Stderr = &timesWriter{times: times, rest: words}
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		cancel()
		return nil, fmt.Errorf("output of ffmpeg: %w", err)
	}
	if d.in, err = cmd.StdinPipe(); err != nil {
		cancel()
		return nil, fmt.Errorf("input of ffmpeg: %w", err)
	}
	if err := cmd.Start(); err != nil {
		cancel()
		return nil, fmt.Errorf("start ffmpeg: %w", err)
	}
	go func() {
		defer close(d.done)
		defer close(d.out)
		if codec.Kind() == media.Video {
			d.readPictures(ctx, out, times)
		} else {
			d.readSound(ctx, out)
		}
	}()
	if err := ffmpeg.Background(cmd); err != nil {
		return nil, errors.Join(err, d.close())
	}
	return d, d.write(matroskaHead(codec))
}

// write gives the child bytes; one that does not take them is stuck.
func (d *decoder) write(b []byte) error {
	stuck := time.AfterFunc(patience, d.cancel)
	defer stuck.Stop()
	if _, err := d.in.Write(b); err != nil {
		return fmt.Errorf("write to ffmpeg: %w; it said: %s", err, d.words)
	}
	return nil
}

// decode gives the child one sample and returns what comes out of it, from its begin
// on: all pieces up to until milliseconds after it. The error is errUndecodable when
// nothing did; the child is to be closed after it, and after any other.
func (d *decoder) decode(ctx context.Context, blocks []block, until int64) ([]decoded, error) {
	at := d.next
	d.next += spacing
	d.buf = appendCluster(d.buf[:0], at, blocks)
	if err := d.write(d.buf); err != nil {
		return nil, err
	}
	var got []decoded
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-timer.C:
			if got != nil {
				return got, nil
			}
			return nil, errUndecodable
		case o, ok := <-d.out:
			if !ok {
				return nil, fmt.Errorf("%w; it said: %s", errStuck, d.words)
			}
			if o.at < at {
				continue // what is left of an earlier sample
			}
			o.at -= at
			got = append(got, o)
			if d.length(o) >= until {
				return got, nil
			}
		}
	}
}

// length returns where a piece ends.
func (d *decoder) length(o decoded) int64 {
	if d.codec.Kind() == media.Video {
		return o.at
	}
	return o.at + int64(len(o.data)/(2*soundChannels))*1000/soundRate
}

// close ends the child and waits for it.
func (d *decoder) close() error {
	d.cancel()
	err := d.in.Close()
	for range d.out { // the reader may be waiting to hand something over
	}
	<-d.done
	_ = d.cmd.Wait() // that it was interrupted is no news
	return err
}

func (d *decoder) readPictures(ctx context.Context, in io.Reader, times <-chan int64) {
	r := bufio.NewReaderSize(in, frameSize)
	for {
		b := make([]byte, frameSize)
		if _, err := io.ReadFull(r, b); err != nil {
			return
		}
		select {
		case <-ctx.Done():
			return
		case at := <-times:
			if !d.hand(ctx, decoded{at, b}) {
				return
			}
		}
	}
}

// readSound reads an FLV file: a header, then tags (Adobe FLV 10.1, E.4).
func (d *decoder) readSound(ctx context.Context, in io.Reader) {
	r := bufio.NewReaderSize(in, 64<<10)
	head := make([]byte, 13)
	if _, err := io.ReadFull(r, head); err != nil {
		return
	}
	for {
		tag := head[:11]
		if _, err := io.ReadFull(r, tag); err != nil {
			return
		}
		size := int(tag[1])<<16 | int(tag[2])<<8 | int(tag[3])
		at := int64(tag[7])<<24 | int64(tag[4])<<16 | int64(tag[5])<<8 | int64(tag[6])
		b := make([]byte, size+4) // with the size of this tag behind it
		if _, err := io.ReadFull(r, b); err != nil {
			return
		}
		if tag[0] == 8 && size > 1 && !d.hand(ctx, decoded{at, b[1:size]}) {
			return
		}
	}
}

func (d *decoder) hand(ctx context.Context, o decoded) bool {
	select {
	case <-ctx.Done():
		return false
	case d.out <- o:
		return true
	}
}

// timesWriter takes the times that the child says on standard error, and keeps the
// other words.
type timesWriter struct {
	times chan<- int64
	rest  io.Writer
	line  []byte
}

// Write implements io.Writer.
func (w *timesWriter) Write(p []byte) (int, error) {
	for _, c := range p {
		if c != '\n' {
			if len(w.line) < 4096 {
				w.line = append(w.line, c)
			}
			continue
		}
		w.take(w.line)
		w.line = w.line[:0]
	}
	return len(p), nil
}

func (w *timesWriter) take(line []byte) {
	if _, after, ok := bytes.Cut(line, []byte("pts_time:")); ok && bytes.HasPrefix(line, []byte("frame:")) {
		seconds, err := strconv.ParseFloat(string(bytes.TrimSpace(after)), 64)
		if err != nil {
			seconds = -1
		}
		select {
		case w.times <- int64(seconds*1000 + 0.5):
		default: // nobody reads: the child is being closed
		}
		return
	}
	if !bytes.Equal(line, []byte("t=1")) {
		_, _ = w.rest.Write(append(line, '\n')) // it never fails
	}
}

// samplesOf reads interleaved 16-bit samples.
func samplesOf(pieces []decoded) []int16 {
	n := 0
	for _, p := range pieces {
		n += len(p.data) / 2
	}
	out := make([]int16, 0, n)
	for _, p := range pieces {
		for b := p.data; len(b) >= 2; b = b[2:] {
			out = append(out, int16(binary.LittleEndian.Uint16(b)))
		}
	}
	return out
}
