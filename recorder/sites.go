package recorder

import (
	"context"
	"fmt"
	"sync"

	"tongxiang/internal/media"
	"tongxiang/internal/playout/feed"
	"tongxiang/internal/stream"
	"tongxiang/recorder/folder"
)

// maxSites bounds the files of one recording beside its main one.
const maxSites = 512

// sites records every site of a meeting beside its programme: the camera with the
// sound, and the shared screen, each into a file of its own, whose place on the time
// line of the programme is known. A site that leaves and comes back goes on in its
// file; one that comes with other codecs begins another.
//
//	goroutine       owner    ends when
//	sites.watch     sites    end
//	take.run        sites    end
type sites struct {
	r       *Recorder
	meeting string
	ctx     context.Context
	stop    context.CancelFunc
	running sync.WaitGroup

	mu    sync.Mutex // guards what follows
	dir   string
	zero  media.Time // of the programme
	names map[string]int
	list  []siteFile
}

// siteFile is one file.
type siteFile struct {
	part *part
	base media.Time
}

func newSites(r *Recorder, programme stream.Name) *sites {
	return &sites{r: r, meeting: programme.Segments()[1]}
}

// begin starts to record into dir; zero is the programme's time 0.
func (s *sites) begin(dir string, zero media.Time) {
	s.ctx, s.stop = context.WithCancel(context.Background())
	s.mu.Lock()
	s.dir, s.zero, s.names, s.list = dir, zero, make(map[string]int), nil
	s.mu.Unlock()
	s.running.Go(s.watch)
}

// end closes all files.
func (s *sites) end() {
	if s.stop != nil {
		s.stop()
		s.running.Wait()
	}
}

// watch begins a take for every participant that publishes.
func (s *sites) watch() {
	news, stop := s.r.hub.Watch()
	defer stop()
	prefix := stream.Participant(s.meeting, "").String()
	known := make(map[stream.Name]bool)
	for {
		for _, st := range s.r.hub.List(prefix) {
			segs := st.Name.Segments()
			if len(segs) != 3 || segs[2] == stream.ProgrammeID || !st.Published || known[st.Name] || len(known) >= maxSites {
				continue
			}
			known[st.Name] = true
			if s.r.cfg.KeepLayers != nil {
				s.r.cfg.KeepLayers(s.meeting, segs[2], true)
				defer s.r.cfg.KeepLayers(s.meeting, segs[2], false)
			}
			s.take(st.Name, "site-"+segs[2], func(l stream.Label) bool { return l != stream.LabelScreen })
			s.take(st.Name, "screen-"+segs[2], func(l stream.Label) bool { return l == stream.LabelScreen })
		}
		select {
		case <-s.ctx.Done():
			return
		case <-news:
		}
	}
}

// take records some tracks of a participant in a goroutine of its own.
func (s *sites) take(name stream.Name, file string, labels func(stream.Label) bool) {
	var open *part
	closePart := func(p *part) {
		if _, err := p.close(func() *folder.Manifest { return nil }); err != nil {
			s.r.log.Error("site is not recorded whole", "file", p.disk.name, "err", err)
		}
		open = nil
	}
	t := &take{
		clock: s.r.clock, hub: s.r.hub, name: name, labels: labels,
		end:  closePart,
		look: func(*feed.Feed) {},
	}
	t.begin = func(g *gather) (*part, []int) {
		p, lanes, err := openFrames(s.r.storage, s.dir, s.next(file), name.String(), g)
		if err != nil {
			s.r.log.Warn("site is not recorded", "stream", name, "err", err)
			return nil, nil
		}
		open = p
		s.add(p, g.events[0].Frame.DTS)
		return p, lanes
	}
	s.running.Go(func() {
		t.run(s.ctx)
		if open != nil {
			closePart(open)
		}
	})
}

// next returns the name of the next file of a site.
func (s *sites) next(file string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.names[file]++
	if n := s.names[file]; n > 1 {
		return fmt.Sprintf("%s-%d.mp4", file, n)
	}
	return file + ".mp4"
}

func (s *sites) add(p *part, base media.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = append(s.list, siteFile{p, base})
}

// files describes the files of all sites for the manifest.
func (s *sites) files() []folder.File {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]folder.File, 0, len(s.list))
	for _, f := range s.list {
		d := f.part.file()
		d.OffsetMS = f.base.Sub(s.zero).Milliseconds()
		out = append(out, d)
	}
	return out
}

// bytes returns how much of all files is on disk.
func (s *sites) bytes() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := int64(0)
	for _, f := range s.list {
		n += f.part.disk.written().bytes
	}
	return n
}

// count returns how many files there are: the manifest is news when it changes.
func (s *sites) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.list)
}
