package mpegts

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"tongxiang/ingest/source"
	"tongxiang/internal/retry"
)

const (
	// lookEvery is how often a folder is looked at.
	lookEvery = time.Second
	// settled is how long a file must not have changed to count as written: copies
	// over a network pause for a second now and then.
	settled = 3 * time.Second
	// maxFiles is how many files of a folder are played.
	maxFiles = 10_000
	// sniffLength is how much of a file must show that it is a transport stream.
	sniffLength = 64 << 10
)

// mark is what shows that a file has changed.
type mark struct {
	size int64
	time time.Time
}

// folder knows the files of a folder. It decides only; see look.
type folder struct {
	began   bool
	seen    map[string]sighting
	ready   []string        // by name
	skipped map[string]mark // what could not be played, as it was then
	counts  map[string]uint64
	detail  string // about the last one skipped
}

type sighting struct {
	mark
	since time.Time
}

func newFolder() *folder {
	return &folder{seen: map[string]sighting{}, skipped: map[string]mark{}, counts: map[string]uint64{}}
}

// look takes what is in the folder at a moment.
func (f *folder) look(files map[string]mark, now time.Time) {
	f.ready = f.ready[:0]
	for name, m := range files {
		s, known := f.seen[name]
		switch {
		// What was there before us and is old is not waited for. Later, age proves
		// nothing: some copies get the time of their original first.
		case !f.began && now.Sub(m.time) > 10*settled:
			s = sighting{m, now.Add(-settled)}
		case !known || s.size != m.size || !s.time.Equal(m.time):
			s = sighting{m, now}
		}
		f.seen[name] = s
		if bad, ok := f.skipped[name]; ok && (bad.size != m.size || !bad.time.Equal(m.time)) {
			delete(f.skipped, name) // another file by the same name
		}
		if _, bad := f.skipped[name]; !bad && now.Sub(s.since) >= settled {
			f.ready = append(f.ready, name)
		}
	}
	for name := range f.seen {
		if _, there := files[name]; !there {
			delete(f.seen, name)
			delete(f.skipped, name)
		}
	}
	slices.Sort(f.ready)
	f.began = true
}

// after returns the file that follows another by name, and whether that is the
// first again; "" when there is none.
func (f *folder) after(name string) (next string, again bool) {
	for _, n := range f.ready {
		if n > name {
			return n, false
		}
	}
	if len(f.ready) == 0 {
		return "", true
	}
	return f.ready[0], true
}

// skip notes that a file cannot be played.
func (f *folder) skip(name, counter, why string) {
	f.skipped[name] = f.seen[name].mark
	f.ready = slices.DeleteFunc(f.ready, func(n string) bool { return n == name })
	f.counts[counter]++
	f.detail = name + ": " + why
}

// list returns the files of a folder that may be played: not those that are hidden,
// as the half-written ones of most copying programs are.
func list(dir string) (map[string]mark, error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	entries, err := d.ReadDir(maxFiles)
	if err != nil && len(entries) == 0 {
		return nil, err
	}
	files := make(map[string]mark, len(entries))
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") || strings.HasSuffix(e.Name(), "~") {
			continue
		}
		// It may be gone meanwhile; a pipe or a device would be waited for.
		if i, err := os.Stat(filepath.Join(dir, e.Name())); err == nil && i.Mode().IsRegular() {
			files[e.Name()] = mark{i.Size(), i.ModTime()}
		}
	}
	return files, nil
}

// folderPlayer plays a folder. Its second goroutine looks at the folder, so that a
// slow disk does not hold up what is on the air.
type folderPlayer struct {
	dir string

	mu     sync.Mutex // guards what follows
	folder *folder
	looked error
}

// runFolder plays the files of a folder one after another, by name, until ctx ends.
func runFolder(ctx context.Context, s *Source, out *source.Output, feed feeder) error {
	loop, err := flag(s.url, "loop", true)
	if err != nil {
		return source.Because(source.CauseBadAddress, err)
	}
	p := &folderPlayer{dir: Path(s.url), folder: newFolder()}
	if err := p.look(); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return source.Because(source.CauseNotFound, err)
		}
		return source.Because(source.CauseFailed, err)
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for retry.Sleep(ctx, lookEvery) {
			_ = p.look() // kept for the link
		}
	}()
	defer func() {
		cancel()
		<-ended
	}()
	for name := ""; ctx.Err() == nil; {
		next, again := p.after(name)
		if again && name != "" && !loop {
			return source.Because(source.CauseEnded, errors.New("end of the last file"))
		}
		feed.link(p.link())
		if next == "" {
			retry.Sleep(ctx, lookEvery/4)
			continue
		}
		name = next
		if err := p.play(ctx, name, s.muxes.FFmpeg, out, feed); err != nil && ctx.Err() == nil {
			p.skip(name, err)
		}
		feed.restart()
	}
	return ctx.Err()
}

func (p *folderPlayer) look() error {
	files, err := list(p.dir)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.looked = err; err != nil {
		files = nil // a folder that cannot be read has nothing to play
	}
	p.folder.look(files, time.Now())
	return err
}

func (p *folderPlayer) after(name string) (string, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.folder.after(name)
}

// link says what the folder has, should there be nothing to play.
func (p *folderPlayer) link() source.Link {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := source.Link{
		Waiting: true, Cause: source.CauseNotFound, Errors: make(map[string]uint64),
		Detail: "no file that can be played in " + p.dir,
	}
	for k, n := range p.folder.counts {
		l.Errors[k] = n
	}
	switch {
	case p.looked != nil:
		l.Detail = p.looked.Error()
	case p.folder.detail != "":
		l.Detail += "; " + p.folder.detail
	}
	return l
}

// Why a file is skipped.
var (
	errNoStream = errors.New("no transport stream")
	errEmpty    = errors.New("empty file")
)

func (p *folderPlayer) skip(name string, err error) {
	counter := "file_failed"
	switch {
	case errors.Is(err, errNoStream), errors.Is(err, errEmpty):
		counter = "file_not_ts"
	case source.CauseOf(err) == source.CauseUnplayable:
		counter = "file_not_converted"
	}
	var e *source.Error
	if errors.As(err, &e) {
		err = e.Err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.folder.skip(name, counter, err.Error())
}

// play plays one file after a look at its beginning.
func (p *folderPlayer) play(ctx context.Context, name, converter string, out *source.Output, feed feeder) error {
	path := filepath.Join(p.dir, name)
	if err := sniff(path); err != nil {
		return err
	}
	n, err := playFile(ctx, path, converter, out, feed)
	if err == nil && n == 0 {
		err = errEmpty
	}
	return err
}

// sniff reports an error unless a file begins as a transport stream or a container does.
func sniff(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	defer f.Close()
	head, err := bufio.NewReaderSize(f, sniffLength).Peek(sniffLength)
	if len(head) == 0 {
		return errors.Join(errEmpty, err)
	}
	if !isContainer(head) && !isStream(head) {
		return errNoStream
	}
	return nil
}

// isStream reports whether five packets in a row are somewhere in b, at any of the
// distances that are used.
func isStream(b []byte) bool {
	for at := range b {
		for _, stride := range [...]int{188, 192, 204} {
			n := 0
			for n < 5 && at+n*stride < len(b) && b[at+n*stride] == 0x47 {
				n++
			}
			if n == 5 {
				return true
			}
		}
	}
	return false
}
