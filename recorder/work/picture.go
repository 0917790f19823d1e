package work

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/jpeg"
	"image/png"
	"io"
	"math"
	"time"

	"tongxiang/internal/jobs"
	"tongxiang/internal/store"
	"tongxiang/recorder/folder"
)

const (
	// A sprite has at most spriteMost pictures of this size, spriteColumns in a row.
	spriteWidth, spriteHeight = 160, 90
	spriteColumns             = 10
	spriteMost                = 100
	// spriteLeast is how far they lie apart at least.
	spriteLeast = 5 * time.Second
	quality     = 80 // of JPEG
)

// Filters of ffmpeg that make a picture of square pixels.
const (
	thumbFilter  = `scale=w=320:h=2*trunc(160/dar+.5),setsar=1`
	spriteFilter = `scale=w=min(160\,2*trunc(45*dar+.5)):h=min(90\,2*trunc(80/dar+.5)),pad=160:90:-1:-1,setsar=1`
)

// SpriteInfo is sprite.json: where the picture of a time lies.
type SpriteInfo struct {
	Width      int   `json:"width"` // of one picture
	Height     int   `json:"height"`
	Columns    int   `json:"columns"`
	Rows       int   `json:"rows"`
	IntervalMS int64 `json:"interval_ms"`
	Count      int   `json:"count"`
}

// thumbnail makes derived/thumb.jpg: of three pictures the first that shows something.
func (s *Shop) thumbnail(ctx context.Context, rec store.Recording, j store.Job, progress func(float64)) (any, error) {
	src, err := s.open(rec)
	if err != nil {
		return nil, err
	}
	defer src.close()
	if s.there(ctx, j, src, ThumbName, nil) {
		return nil, nil
	}
	dir, err := src.derived(jobs.Thumbnail)
	if err != nil {
		return nil, err
	}
	var best image.Image
	var lively float64
	for i, share := range []float64{0.1, 0.35, 0.65} {
		at := time.Duration(share * float64(src.end()))
		img, err := s.picture(ctx, src, src.syncAt(at), thumbFilter)
		if err != nil && (final(err) || ctx.Err() != nil || i == 2 && best == nil) {
			return nil, err
		}
		progress(float64(i+1) / 4)
		if err != nil {
			continue
		}
		if l := liveliness(img); best == nil || l > lively {
			best, lively = img, l
		}
		if lively > 12 {
			break
		}
	}
	size, err := write(dir, jobs.Thumbnail, ThumbName, func(w io.Writer) error {
		return jpeg.Encode(w, best, &jpeg.Options{Quality: quality})
	})
	if err != nil {
		return nil, err
	}
	return nil, s.note(ctx, rec, jobs.Thumbnail, size, nil)
}

// final reports whether an error is the same for every picture.
func final(err error) bool {
	var f *jobs.Failure
	return errors.As(err, &f) && f.Code == jobs.CodeNoFFmpeg
}

// sprite makes derived/sprite.jpg and sprite.json: a picture every so many seconds,
// each decoded from its own sync point. Where there is none, the one before stands.
func (s *Shop) sprite(ctx context.Context, rec store.Recording, j store.Job, progress func(float64)) (any, error) {
	if err := ended(rec); err != nil {
		return nil, err
	}
	src, err := s.open(rec)
	if err != nil {
		return nil, err
	}
	defer src.close()
	info := layout(src.end())
	if s.there(ctx, j, src, SpriteName, info) && s.there(ctx, j, src, SpriteInfoName, info) {
		return info, nil
	}
	dir, err := src.derived(jobs.Sprite)
	if err != nil {
		return nil, err
	}
	sheet := image.NewRGBA(image.Rect(0, 0, info.Columns*info.Width, info.Rows*info.Height))
	draw.Draw(sheet, sheet.Bounds(), image.Black, image.Point{}, draw.Src)
	var last image.Image
	var why error
	before := -1
	for i := range info.Count {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if at := src.syncAt(time.Duration(info.IntervalMS) * time.Millisecond * time.Duration(i)); at != before {
			before = at
			img, err := s.picture(ctx, src, at, spriteFilter)
			if err != nil && final(err) {
				return nil, err
			}
			if err != nil {
				why = err
			} else {
				last = img
			}
		}
		if last != nil {
			at := image.Pt(i%info.Columns*info.Width, i/info.Columns*info.Height)
			draw.Draw(sheet, image.Rectangle{at, at.Add(image.Pt(info.Width, info.Height))}, last, last.Bounds().Min, draw.Src)
		}
		progress(float64(i+1) / float64(info.Count+1))
	}
	if last == nil {
		return nil, why
	}
	size, err := write(dir, jobs.Sprite, SpriteName, func(w io.Writer) error {
		return jpeg.Encode(w, sheet, &jpeg.Options{Quality: quality})
	})
	if err != nil {
		return nil, err
	}
	if _, err := write(dir, jobs.Sprite, SpriteInfoName, func(w io.Writer) error { return json.NewEncoder(w).Encode(info) }); err != nil {
		return nil, err
	}
	return info, s.note(ctx, rec, jobs.Sprite, size, info)
}

// layout says how a sprite of a recording is laid out.
func layout(length time.Duration) SpriteInfo {
	interval := max(spriteLeast, (length/spriteMost + time.Second - 1).Truncate(time.Second))
	count := min(max(int(math.Ceil(float64(length)/float64(interval))), 1), spriteMost)
	return SpriteInfo{
		Width: spriteWidth, Height: spriteHeight, Columns: min(count, spriteColumns), Rows: (count + spriteColumns - 1) / spriteColumns,
		IntervalMS: interval.Milliseconds(), Count: count,
	}
}

// end returns where the recording ends on its own time line.
func (s *source) end() time.Duration {
	end := time.Duration(0)
	for _, e := range s.index {
		end = max(end, e.End())
	}
	return end
}

// syncAt returns the place in the index where decoding can begin for what is shown at
// a time: the last sync point that is not behind it, or the first of all. The index of
// a transport stream may know none, when it was made anew: then it is the fragment
// itself, in which a decoder waits for one.
func (s *source) syncAt(at time.Duration) int {
	found, plain := -1, 0
	for i, e := range s.index {
		if e.Start() > at && found >= 0 {
			break
		}
		if e.Sync {
			found = i
		}
		if e.Start() <= at {
			plain = i
		}
	}
	return near(s.index, found, plain)
}

// syncReach is how far a sync point may lie before what is wanted. Key frames of
// television lie two seconds apart at most, of files ten.
const syncReach = 12 * time.Second

// near returns the place of a sync point, or plain where there is none near it.
func near(index []folder.Entry, sync, plain int) int {
	if sync < 0 || index[plain].Start()-index[sync].Start() > syncReach {
		return plain
	}
	return sync
}

// pictureReach is how many fragments a picture is looked for in: one that begins
// behind its tables may end in the next.
const pictureReach = 3

// picture decodes the first picture from a place in the index.
func (s *Shop) picture(ctx context.Context, src *source, at int, filter string) (image.Image, error) {
	entries := src.index[at:min(at+pictureReach, len(src.index))]
	var img image.Image
	err := s.child(ctx, src.reader(ctx, entries, nil), func(r io.Reader) (err error) {
		img, err = png.Decode(r)
		return err
	}, "-threads", "1", "-f", src.muxer(), "-i", "pipe:0", "-map", "0:v:0", "-frames:v", "1", "-vf", filter,
		"-f", "image2pipe", "-c:v", "png", "-compression_level", "1", "pipe:1")
	var f *jobs.Failure
	if errors.As(err, &f) && f.Code == jobs.CodeFFmpeg {
		return nil, &jobs.Failure{Code: jobs.CodeNoPicture, Final: true, Detail: f.Detail, Err: fmt.Errorf("at %v: %w", src.index[at].Start(), f.Err)}
	}
	return img, err
}

// liveliness is the standard deviation of a picture's brightness: near 0 for one that
// is all black or one colour.
func liveliness(img image.Image) float64 {
	var n, sum, squares float64
	b := img.Bounds()
	for y := b.Min.Y; y < b.Max.Y; y += 4 {
		for x := b.Min.X; x < b.Max.X; x += 4 {
			v := float64(color.GrayModel.Convert(img.At(x, y)).(color.Gray).Y)
			n, sum, squares = n+1, sum+v, squares+v*v
		}
	}
	if n == 0 {
		return 0
	}
	mean := sum / n
	return math.Sqrt(max(squares/n-mean*mean, 0))
}

// runs splits an index where the time line or the source's clock jumps.
func runs(index []folder.Entry) [][]folder.Entry {
	var out [][]folder.Entry
	from := 0
	for i := 1; i < len(index); i++ {
		if breaks(index[i-1], index[i]) {
			out = append(out, index[from:i])
			from = i
		}
	}
	return append(out, index[from:])
}
