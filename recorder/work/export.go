package work

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"tongxiang/internal/jobs"
	"tongxiang/internal/store"
)

// ExportInfo is what came of an export.
type ExportInfo struct {
	Encoded bool `json:"encoded"` // the picture or the sound had to be
}

// export makes derived/export.mp4: one plain MP4 that any player opens, with its index
// in front. Pictures and sounds are encoded only where MP4 players do not know them.
func (s *Shop) export(ctx context.Context, rec store.Recording, _ store.Job, progress func(float64)) (any, error) {
	if err := ended(rec); err != nil {
		return nil, err
	}
	src, err := s.open(rec)
	if err != nil {
		return nil, err
	}
	defer src.close()
	dir, err := src.derived(jobs.Export)
	if err != nil {
		return nil, err
	}
	var info ExportInfo
	video, audio := "copy", "copy"
	for _, t := range rec.Tracks {
		switch {
		case t.File != "" && t.File != filepath.Base(rec.File):
		case t.Kind == "video" && t.Codec != "H264" && t.Codec != "H265":
			video, info.Encoded = "libx264 -preset veryfast -crf 21 -pix_fmt yuv420p -vf yadif=deint=interlaced", true
		case t.Kind == "audio" && t.Codec != "AAC":
			audio, info.Encoded = "aac -b:a 128k", true
		}
	}
	tmp := filepath.Join(dir, "."+string(jobs.Export)+"-"+ExportName)
	defer func() { _ = os.Remove(tmp) }() // renamed when all went well
	total, read := bytesOf(src.index), int64(0)
	in := src.reader(ctx, src.index, func(n int64) {
		read += n
		progress(0.97 * float64(read) / float64(total))
	})
	args := strings.Fields(fmt.Sprintf("-f %s -i pipe:0 -map 0:v? -map 0:a? -sn -dn -c:v %s -c:a %s -movflags +faststart -f mp4", src.muxer(), video, audio))
	if err := s.child(ctx, in, nil, append(args, "file:"+tmp)...); err != nil {
		return nil, disk(err)
	}
	if err := sync(tmp); err != nil {
		return nil, disk(err)
	}
	size, err := place(tmp, filepath.Join(dir, ExportName))
	if err != nil {
		return nil, err
	}
	return info, s.note(ctx, rec, jobs.Export, size, info)
}

// sync makes a file safe that another process wrote.
func sync(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("look at what ffmpeg wrote: %w", err)
	}
	if err := f.Sync(); err != nil {
		_ = f.Close() // the first error says why
		return fmt.Errorf("sync what ffmpeg wrote: %w", err)
	}
	return f.Close()
}
