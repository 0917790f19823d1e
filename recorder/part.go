package recorder

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"tongxiang/internal/media"
	"tongxiang/internal/playout/feed"
	"tongxiang/internal/playout/fmp4"
)

// part is one file being written. It belongs to the job's goroutine.
type part struct {
	r       *Recorder
	cut     *cutter
	disk    *disk
	formats []media.Format
	lost    int // fragments that the disk was too slow for
}

// extent is how much of a part there is.
type extent struct {
	bytes    int64
	duration time.Duration
	lost     int
}

// openPart makes the file of what was gathered. It returns also which of its
// tracks each gathered track became, -1 for one that is left out. Later errors of
// the disk go to fail.
func openPart(r *Recorder, file string, g *gather, fail func(error)) (*part, []int, error) {
	p := &part{r: r}
	lanes := make([]int, len(g.formats))
	for i, f := range g.formats {
		lanes[i] = -1
		if fmp4.Ready(f) {
			lanes[i] = len(p.formats)
			p.formats = append(p.formats, f)
		}
	}
	head, err := fmp4.Init(p.formats)
	if err != nil {
		return nil, nil, fmt.Errorf("begin a recording: %w", err)
	}
	path := filepath.Join(r.cfg.Dir, file)
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return nil, nil, fmt.Errorf("make the folder of a recording: %w", err)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o640)
	if err != nil {
		return nil, nil, fmt.Errorf("make the file of a recording: %w", err)
	}
	lead := fmp4.Format{Track: 1, Timescale: fmp4.Timescale(p.formats[0])}
	p.disk = newDisk(f, head, lead, &r.bytes, fail)
	go p.disk.run()
	p.cut = newCutter(p.formats)
	return p, lanes, nil
}

// fit returns which tracks of the file carry these; false when one of them has no
// place in it. Tracks that went away leave theirs empty.
func (p *part) fit(tracks []feed.Track) ([]int, bool) {
	lanes := make([]int, len(tracks))
	used := make([]bool, len(p.formats))
	for i, t := range tracks {
		lanes[i] = slices.IndexFunc(p.formats, func(f media.Format) bool { return feed.Same(f, t.Format) })
		for lanes[i] >= 0 && used[lanes[i]] { // two sounds alike
			next := slices.IndexFunc(p.formats[lanes[i]+1:], func(f media.Format) bool { return feed.Same(f, t.Format) })
			if next < 0 {
				lanes[i] = -1
				break
			}
			lanes[i] += next + 1
		}
		if lanes[i] < 0 {
			return nil, false
		}
		used[lanes[i]] = true
	}
	return lanes, true
}

// push writes a frame of one of the file's tracks.
func (p *part) push(track int, ev feed.Event) { p.send(p.cut.push(track, ev, p.disk.buffer)) }

// pause writes what is held.
func (p *part) pause() { p.send(p.cut.rest(p.disk.buffer)) }

func (p *part) send(l []fragment) {
	for _, g := range l {
		if !p.disk.put(g) {
			p.lost++
			p.r.slow.Add(1)
		}
	}
}

// written returns what is on disk now.
func (p *part) written() extent {
	e := p.disk.written()
	e.lost = p.lost
	return e
}

// close writes what is held and the index, and waits for the disk. The error is
// the first that the disk had.
func (p *part) close() (extent, error) {
	p.pause()
	err := p.disk.close()
	return p.written(), err
}
