package hls

import (
	"bytes"
	"errors"
	"net/http"
	"slices"
	"sync"
	"time"

	"tongxiang/internal/media"
	"tongxiang/internal/mpegts"
	"tongxiang/internal/playout/fmp4"
)

// oldSegments makes transport streams of the segments that are there already, for
// boxes that know nothing else. Nothing is made before somebody asks; then it is made
// in order, so that continuity counters go on from segment to segment. It is safe for
// concurrent use.
type oldSegments struct {
	mu     sync.Mutex
	writer *mpegts.Writer
	out    bytes.Buffer
	tracks []oldTrack        // what the writer was made for
	made   map[uint64][]byte // by number
	last   uint64            // the newest made
}

// oldTrack is one track of the transport stream.
type oldTrack struct {
	out    *output
	init   int // the description that its format is of
	number int // in the output's fragments, from 1
	format media.Format
}

// oldSound is how much sound goes into one PES packet: short enough to be waited for,
// long enough not to be mostly headers.
const oldSound = 100 * time.Millisecond

// oldSource is what one segment is made of.
type oldSource struct {
	number uint64
	tracks []oldTrack
	pieces [][][]byte // by output
	outs   []*output
}

// oldSources returns the complete segments after one, up to another.
func (x *session) oldSources(after, number uint64) []oldSource {
	x.mu.RLock()
	defer x.mu.RUnlock()
	main := x.mux.outs[0]
	var out []oldSource
	for _, s := range slices.Concat(main.late, main.win.segments) {
		if !s.complete || s.number <= after || s.number > number {
			continue
		}
		src := oldSource{number: s.number}
		for _, o := range x.mux.outs {
			of := o.serial(s.serial)
			if of == nil {
				continue
			}
			src.outs = append(src.outs, o)
			src.pieces = append(src.pieces, of.pieces())
			for n, f := range o.formats {
				src.tracks = append(src.tracks, oldTrack{o, of.init, n + 1, f})
			}
		}
		out = append(out, src)
	}
	return out
}

// serial returns the segment of an output that is part of a segment of the session.
func (o *output) serial(n uint64) *segment {
	for _, list := range [][]*segment{o.win.segments, o.late} {
		for _, s := range list {
			if s.serial == n && s.complete {
				return s
			}
		}
	}
	return nil
}

// oldSegment returns a segment as a transport stream, nil when it is not there.
func (x *session) oldSegment(number uint64) ([]byte, error) {
	o := &x.old
	o.mu.Lock()
	defer o.mu.Unlock()
	if b := o.made[number]; b != nil || number <= o.last && o.made != nil {
		return b, nil
	}
	for _, src := range x.oldSources(o.last, number) {
		if err := o.make(src); err != nil {
			return nil, err
		}
	}
	return o.made[number], nil
}

// make makes the next segment. The caller holds mu.
func (o *oldSegments) make(src oldSource) error {
	if o.made == nil {
		o.made = make(map[uint64][]byte)
	}
	if o.writer == nil || !slices.EqualFunc(o.tracks, src.tracks, sameOld) {
		formats := make([]media.Format, len(src.tracks))
		for i, t := range src.tracks {
			formats[i] = t.format
		}
		w, err := mpegts.NewWriter(&o.out, formats)
		if err != nil {
			return err
		}
		o.writer, o.tracks = w, src.tracks
	}
	o.out.Reset()
	for _, f := range oldFrames(src) {
		if err := o.writer.WriteFrame(f.track, &f.frame); err != nil && !errors.Is(err, mpegts.ErrFormat) {
			return err
		}
	}
	o.made[src.number] = bytes.Clone(o.out.Bytes())
	o.last = src.number
	for n := range o.made {
		if n+keepSegments+lateSegments < o.last {
			delete(o.made, n)
		}
	}
	return nil
}

func sameOld(a, b oldTrack) bool {
	return a.out == b.out && a.number == b.number && a.init == b.init && a.format.Codec == b.format.Codec
}

// oldFrame is a frame on its way into a transport stream.
type oldFrame struct {
	track int
	frame media.Frame
}

// oldFrames takes the fragments of a segment apart and returns their frames in order
// of decode time, sound in packets of [oldSound].
func oldFrames(src oldSource) []oldFrame {
	var frames []oldFrame
	open := make([]int, len(src.tracks)) // the frame to which sound is added, plus one
	for i, o := range src.outs {
		for _, piece := range src.pieces[i] {
			fmp4.Unpack(piece, func(number int, s fmp4.Sample, data []byte) {
				at := slices.IndexFunc(src.tracks, func(t oldTrack) bool { return t.out == o && t.number == number })
				if at < 0 {
					return
				}
				f := src.tracks[at].format
				scale := fmp4.Timescale(f)
				dts := media.FromTicks(s.DTS, scale)
				fr := media.Frame{DTS: dts, PTS: media.FromTicks(s.DTS+int64(s.Shift), scale), Sync: s.Sync, Units: [][]byte{data}}
				if f.Codec.Kind() == media.Video {
					fr.Units = fmp4.Units(data)
				} else if n := open[at]; n > 0 && dts.Sub(frames[n-1].frame.DTS) < oldSound {
					frames[n-1].frame.Units = append(frames[n-1].frame.Units, data)
					return
				}
				frames = append(frames, oldFrame{at, fr})
				open[at] = len(frames)
			})
		}
	}
	slices.SortStableFunc(frames, func(a, b oldFrame) int { return int(a.frame.DTS - b.frame.DTS) })
	return frames
}

func (x *session) serveOldMedia(w http.ResponseWriter, r *http.Request) error {
	if err := x.await(r.Context(), x.server.cfg.StartTimeout, x.started); err != nil {
		return err
	}
	x.mu.RLock()
	text := oldPlaylist(&x.mux.outs[0].win)
	x.mu.RUnlock()
	return x.server.list(w, r, newListing(text))
}

func (x *session) serveOld(w http.ResponseWriter, r *http.Request, f file) error {
	if _, _, ok := x.output(f); !ok {
		return errNotFound
	}
	b, err := x.oldSegment(f.number)
	if err != nil {
		return err
	}
	if len(b) == 0 {
		return errNotFound
	}
	return x.server.sendFile(w, r, "video/mp2t", [][]byte{b})
}
