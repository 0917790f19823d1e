// Package work makes things of recordings: pictures, a low rendition, clips, one plain
// file, and the comparison of checksums. The original is only read. What is made lies
// in the recording's folder below derived/, where it is written under a hidden name,
// synced and renamed; a clip is a folder of its own, which is a recording.
//
// Everything is found by the index, so that nothing is searched for, a torn end does
// not matter, and what comes of the media's time line is the recording's own.
//
// ffmpeg gets the bytes through its standard input: it never opens a file that
// somebody else has put there. Functions belong to the caller's goroutine; the copying
// goroutine of a child ends with it.
package work

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"tongxiang/internal/ffmpeg"
	"tongxiang/internal/jobs"
	"tongxiang/internal/store"
	"tongxiang/recorder/folder"
)

// Names below derived/.
const (
	ThumbName      = "thumb.jpg"
	SpriteName     = "sprite.jpg"
	SpriteInfoName = "sprite.json"
	LowName        = folder.LowName
	ExportName     = "export.mp4"
	VerifyName     = "verify.json"
)

// Library is told what was made; [store.Store] is one.
type Library interface {
	PutDerived(context.Context, store.Derived) error
	PutRecording(context.Context, store.Recording) error
	Recording(ctx context.Context, id string) (store.Recording, error)
}

// Shop makes things of the recordings below Dir.
type Shop struct {
	Dir     string // of all recordings
	FFmpeg  string // name or path of the program
	Library Library
	Now     func() time.Time // nil: time.Now
}

// Makers returns what makes each kind of job.
func (s *Shop) Makers() map[jobs.Kind]jobs.Maker {
	return map[jobs.Kind]jobs.Maker{
		jobs.Thumbnail: s.thumbnail, jobs.Sprite: s.sprite, jobs.Rendition: s.rendition,
		jobs.Clip: s.clip, jobs.Verify: s.verify, jobs.Export: s.export,
	}
}

func (s *Shop) now() time.Time {
	if s.Now != nil {
		return s.Now()
	}
	return time.Now()
}

// source is a recording that is read.
type source struct {
	rec    store.Recording
	dir    string // of the recording
	file   *os.File
	size   int64
	format string
	head   []byte         // initialisation segment; nil for a transport stream
	index  []folder.Entry // without the head
}

// open opens the main media file of a recording.
func (s *Shop) open(rec store.Recording) (*source, error) {
	if rec.File == "" || !filepath.IsLocal(rec.File) {
		return nil, &jobs.Failure{Code: jobs.CodeNothing, Final: true}
	}
	path := filepath.Join(s.Dir, rec.File)
	src := &source{rec: rec, dir: filepath.Dir(path), format: rec.Format}
	if filepath.Base(src.dir) != rec.ID { // a file of versions before folders
		return nil, &jobs.Failure{Code: jobs.CodeNoIndex, Final: true}
	}
	index, err := folder.ReadIndex(src.dir, filepath.Base(path))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, folder.ErrNotRecording) {
		return nil, &jobs.Failure{Code: jobs.CodeNothing, Final: true, Err: err}
	}
	if err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(src.dir) // no link leads out of it
	if err != nil {
		return nil, fmt.Errorf("open recording %s: %w", rec.ID, err)
	}
	src.file, err = root.Open(filepath.Base(path))
	if err = errors.Join(err, root.Close()); err != nil {
		return nil, fmt.Errorf("open recording %s: %w", rec.ID, err)
	}
	info, err := src.file.Stat()
	if err == nil && len(index) > 0 && index[0].Head {
		src.head = make([]byte, min(index[0].Length, maxHead))
		_, err = src.file.ReadAt(src.head, index[0].Offset)
		index = index[1:]
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("read recording %s: %w", rec.ID, err), src.file.Close())
	}
	src.size, src.index = info.Size(), index
	if len(index) == 0 || src.format == folder.FMP4 && src.head == nil {
		src.close()
		return nil, &jobs.Failure{Code: jobs.CodeNoIndex, Final: true}
	}
	return src, nil
}

// maxHead bounds an initialisation segment; one of ours has two kilobytes.
const maxHead = 1 << 20

// close closes the file, of which nothing can be lost: it was only read.
func (s *source) close() { _ = s.file.Close() }

// bytes returns how many bytes entries have.
func bytesOf(entries []folder.Entry) int64 {
	n := int64(0)
	for _, e := range entries {
		n += e.Length
	}
	return n
}

// reader reads the head and some entries, one after another.
func (s *source) reader(ctx context.Context, entries []folder.Entry, read func(int64)) io.Reader {
	return &reader{ctx: ctx, s: s, rest: entries, buf: s.head, read: read}
}

type reader struct {
	ctx  context.Context
	s    *source
	rest []folder.Entry
	buf  []byte
	at   int64 // in the first of rest
	read func(int64)
}

// Read implements io.Reader.
func (r *reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	if len(r.buf) > 0 {
		n := copy(p, r.buf)
		r.buf = r.buf[n:]
		return n, nil
	}
	if len(r.rest) == 0 {
		return 0, io.EOF
	}
	e := r.rest[0]
	n, err := r.s.file.ReadAt(p[:min(int64(len(p)), e.Length-r.at)], e.Offset+r.at)
	if r.read != nil {
		r.read(int64(n))
	}
	if r.at += int64(n); r.at == e.Length {
		r.rest, r.at = r.rest[1:], 0
	}
	if n > 0 {
		err = nil // it comes again with nothing
	}
	return n, err
}

// muxer is what ffmpeg calls the source's format.
func (s *source) muxer() string {
	if s.format == folder.TS {
		return "mpegts"
	}
	return "mp4"
}

// child runs ffmpeg over in and hands what it writes to out; nil: it writes a file.
func (s *Shop) child(ctx context.Context, in io.Reader, out func(io.Reader) error, args ...string) error {
	path, err := exec.LookPath(s.FFmpeg)
	if err != nil {
		return &jobs.Failure{Code: jobs.CodeNoFFmpeg, Final: true, Err: err}
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	cmd, said := ffmpeg.Command(ctx, path, append([]string{"-hide_banner", "-loglevel", "error"}, args...)...)
	cmd.Stdin = in
	var stdout io.Reader
	if out != nil {
		if stdout, err = cmd.StdoutPipe(); err != nil {
			return fmt.Errorf("start ffmpeg: %w", err)
		}
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start ffmpeg: %w", err)
	}
	lower := ffmpeg.Background(cmd)
	var reading error
	if out != nil {
		if reading = out(stdout); reading != nil {
			stop()
		}
	}
	err = cmd.Wait()
	switch {
	case context.Cause(ctx) != nil && reading == nil:
		return context.Cause(ctx)
	case reading != nil && !errors.Is(reading, io.ErrUnexpectedEOF):
		return reading
	case err != nil:
		return &jobs.Failure{Code: jobs.CodeFFmpeg, Detail: said.String(), Err: err}
	case reading != nil:
		return &jobs.Failure{Code: jobs.CodeFFmpeg, Detail: said.String(), Err: reading}
	}
	return lower
}

// derived makes the folder of what is made, and removes what earlier attempts of this
// job's kind left half done.
func (s *source) derived(kind jobs.Kind) (string, error) {
	dir := filepath.Join(s.dir, folder.DerivedName)
	if err := os.Mkdir(dir, 0o750); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", disk(fmt.Errorf("make the folder of what is made of %s: %w", s.rec.ID, err))
	}
	info, err := os.Lstat(dir)
	if err == nil && !info.IsDir() {
		err = fmt.Errorf("%s is not a folder", folder.DerivedName)
	}
	if err != nil {
		return "", fmt.Errorf("look at what is made of %s: %w", s.rec.ID, err)
	}
	left, err := filepath.Glob(filepath.Join(dir, "."+string(kind)+"-*"))
	if err != nil {
		return "", fmt.Errorf("look for leftovers: %w", err)
	}
	for _, l := range left {
		if err := os.RemoveAll(l); err != nil {
			return "", fmt.Errorf("remove leftovers: %w", err)
		}
	}
	return dir, nil
}

// write writes a derived file whole or not at all.
func write(dir string, kind jobs.Kind, name string, f func(io.Writer) error) (size int64, err error) {
	tmp := filepath.Join(dir, "."+string(kind)+"-"+name)
	file, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o640)
	if err != nil {
		return 0, disk(fmt.Errorf("write %s: %w", name, err))
	}
	defer func() {
		if err != nil {
			_ = os.Remove(tmp) // it is of no use, and the error says why
		}
	}()
	if err = f(file); err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return 0, disk(err)
	}
	return place(tmp, filepath.Join(dir, name))
}

// place gives a finished file its name and returns its size.
func place(tmp, path string) (int64, error) {
	info, err := os.Stat(tmp)
	if err == nil {
		err = os.Rename(tmp, path)
	}
	if err != nil {
		return 0, disk(fmt.Errorf("write %s: %w", filepath.Base(path), err))
	}
	return info.Size(), folder.SyncDir(filepath.Dir(path))
}

// disk says when an error is that of a full disk.
func disk(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return &jobs.Failure{Code: jobs.CodeDiskFull, Err: err}
	}
	return err
}

// note tells the library what was made.
func (s *Shop) note(ctx context.Context, rec store.Recording, kind jobs.Kind, size int64, result any) error {
	b, err := json.Marshal(result)
	if err != nil {
		return fmt.Errorf("note %s of %s: %w", kind, rec.ID, err)
	}
	return s.Library.PutDerived(ctx, store.Derived{Recording: rec.ID, Kind: string(kind), Made: s.now(), Bytes: size, Result: string(b)})
}

// there reports whether what nobody asked for again was made before, as when the
// library is made anew from the folders, and notes it then.
func (s *Shop) there(ctx context.Context, j store.Job, src *source, name string, result any) bool {
	if j.CreatedBy != "" {
		return false
	}
	info, err := os.Lstat(filepath.Join(src.dir, folder.DerivedName, name))
	return err == nil && info.Mode().IsRegular() && s.note(ctx, src.rec, jobs.Kind(j.Kind), info.Size(), result) == nil
}

// ended refuses a recording that runs.
func ended(rec store.Recording) error {
	if rec.State.Active() {
		return &jobs.Failure{Code: jobs.CodeRuns, Final: true}
	}
	return nil
}
