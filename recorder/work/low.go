package work

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"tongxiang/internal/jobs"
	"tongxiang/internal/playout/fmp4"
	"tongxiang/internal/store"
	"tongxiang/recorder/folder"
)

// The low rendition stays below 500 kbit/s, sound and all, whatever the source is.
const (
	lowLines    = 360
	lowVideo    = 370_000 // bits a second on average
	lowVideoMax = 400_000
	lowAudio    = 64_000
	lowFPS      = 25
	// lowKey is how far key frames lie apart, and so how long fragments are: what a
	// player fetches to seek.
	lowKey = 2 * time.Second
	// LowBandwidth is what a playlist says that it needs.
	LowBandwidth = 500_000
	// LowCodecs names its codecs as RFC 6381 does.
	LowCodecs = "avc1.4d401e,mp4a.40.2"
	// lowSkip is the share of a recording that may be left out because ffmpeg cannot
	// decode it.
	lowSkip = 0.05
)

// LowInfo is what came of a low rendition.
type LowInfo struct {
	Width     int   `json:"width"`
	Height    int   `json:"height"`
	Bandwidth int64 `json:"bandwidth"` // bits a second on average
	SkippedMS int64 `json:"skipped_ms,omitempty"`
}

// rendition makes derived/low.mp4 and its index: H.264 and AAC on the recording's own
// time line. Each run of it without a gap is encoded by a child of its own, and what
// that writes is moved to its place in time.
func (s *Shop) rendition(ctx context.Context, rec store.Recording, j store.Job, progress func(float64)) (any, error) {
	if err := ended(rec); err != nil {
		return nil, err
	}
	src, err := s.open(rec)
	if err != nil {
		return nil, err
	}
	defer src.close()
	if s.there(ctx, j, src, LowName, nil) {
		return nil, nil
	}
	dir, err := src.derived(jobs.Rendition)
	if err != nil {
		return nil, err
	}
	shape, err := s.picture(ctx, src, src.syncAt(src.end()/10), fmt.Sprintf(`scale=w=2*trunc(min(%d\,ih)*dar/2+.5):h=2*trunc(min(%d\,ih)/2),setsar=1`, lowLines, lowLines))
	if err != nil {
		return nil, err
	}
	info := LowInfo{Width: shape.Bounds().Dx(), Height: shape.Bounds().Dy()}
	tmp := filepath.Join(dir, "."+string(jobs.Rendition)+"-"+LowName)
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o640)
	if err != nil {
		return nil, disk(fmt.Errorf("make the low rendition: %w", err))
	}
	defer func() { _ = os.Remove(tmp) }() // renamed when all went well
	l := &lowFile{f: f}
	err = s.encodeRuns(ctx, src, l, &info, progress)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, disk(err)
	}
	size, err := place(tmp, filepath.Join(dir, LowName))
	if err != nil {
		return nil, err
	}
	if err := folder.WriteIndex(dir, LowName, l.index); err != nil {
		return nil, disk(err)
	}
	info.Bandwidth = int64(float64(size*8) / max(l.length.Seconds(), 1))
	return info, s.note(ctx, rec, jobs.Rendition, size, info)
}

// encodeRuns encodes one run after another. One that ffmpeg cannot make anything of
// is left out, unless it is much of the whole.
func (s *Shop) encodeRuns(ctx context.Context, src *source, l *lowFile, info *LowInfo, progress func(float64)) error {
	total, read := bytesOf(src.index), int64(0)
	var failed error
	for _, run := range runs(src.index) {
		before := read
		in := src.reader(ctx, run, func(n int64) {
			read += n
			progress(0.99 * float64(read) / float64(total))
		})
		start, end := run[0].Start(), run[len(run)-1].End()
		err := s.child(ctx, in, func(r io.Reader) error {
			return fmp4.ReadFragments(r, start, l.add)
		}, lowArguments(src, info.Width, info.Height)...)
		l.end(end)
		read = before + bytesOf(run)
		var f *jobs.Failure
		switch {
		case err == nil:
		case errors.As(err, &f) && f.Code == jobs.CodeFFmpeg, errors.Is(err, errOtherHead):
			failed = err
			info.SkippedMS += (end - start).Milliseconds()
		default:
			return err
		}
	}
	if len(l.index) < 2 || float64(info.SkippedMS) > lowSkip*float64(src.end().Milliseconds()) {
		if failed == nil {
			failed = &jobs.Failure{Code: jobs.CodeNoPicture, Final: true}
		}
		return failed
	}
	return nil
}

func lowArguments(src *source, width, height int) []string {
	threads := strconv.Itoa(max(runtime.NumCPU()/2, 1))
	return strings.Fields(fmt.Sprintf(`-threads 1 -f %s -i pipe:0 -map 0:v:0 -map 0:a:0? -sn -dn
		-vf yadif=deint=interlaced,fps=%d,scale=%d:%d,setsar=1 -threads %s
		-c:v libx264 -preset veryfast -profile:v main -level 3.0 -pix_fmt yuv420p -bf 0 -g %d -keyint_min %d -sc_threshold 0
		-b:v %d -maxrate %d -bufsize %d -af aresample=async=1:first_pts=0 -c:a aac -b:a %d -ac 2 -ar 48000
		-f mp4 -movflags +empty_moov+frag_keyframe+default_base_moof -use_editlist 0 pipe:1`,
		src.muxer(), lowFPS, width, height, threads, int(lowKey.Seconds()*lowFPS), int(lowKey.Seconds()*lowFPS),
		lowVideo, lowVideoMax, 2*lowVideoMax, lowAudio))
}

// errOtherHead: a run came out with other tracks than the first, so that it cannot lie
// in the same file.
var errOtherHead = errors.New("another initialisation segment")

// lowFile is the file that is being made, with its index.
type lowFile struct {
	f      *os.File
	head   []byte
	at     int64
	index  []folder.Entry
	length time.Duration // of what is in it
	open   bool          // the last entry's length in time is not known yet
}

// add writes what was read of a child.
func (l *lowFile) add(p fmp4.Piece) error {
	e := folder.Entry{Head: p.Head, Offset: l.at, Length: int64(len(p.Data)), CRC: folder.Hex(folder.Checksum(p.Data)), Sync: !p.Head}
	if p.Head {
		if l.head != nil {
			if string(l.head) != string(p.Data) {
				return errOtherHead
			}
			return nil
		}
		l.head = append(l.head, p.Data...)
	} else {
		l.end(p.Start)
		e.TimeUS, l.open = p.Start.Microseconds(), true
	}
	if _, err := l.f.Write(p.Data); err != nil {
		return fmt.Errorf("write the low rendition: %w", err)
	}
	l.at += e.Length
	l.index = append(l.index, e)
	return nil
}

// end says where the newest fragment ends.
func (l *lowFile) end(at time.Duration) {
	if !l.open {
		return
	}
	last := &l.index[len(l.index)-1]
	last.DurationUS = max(at.Microseconds()-last.TimeUS, 1000)
	l.length += time.Duration(last.DurationUS) * time.Microsecond
	l.open = false
}
