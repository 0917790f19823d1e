package recorder

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"tongxiang/internal/media"
	"tongxiang/internal/playout/feed"
	"tongxiang/internal/playout/fmp4"
	"tongxiang/internal/store"
	"tongxiang/recorder/folder"
)

const (
	// hole is a time without fragments that is worth telling.
	hole = 300 * time.Millisecond
	// maxGaps bounds what is told of one file: a source that comes and goes every
	// ten seconds for three hours. What follows is one long gap.
	maxGaps = 1000
)

// part is one file being written. It belongs to the goroutine of its take.
type part struct {
	s      *storage
	disk   *disk
	stream string
	tracks []store.RecordingTrack

	cut     *cutter // of frames; nil: a transport stream
	formats []media.Format

	gaps []store.Gap
	end  time.Duration // of the newest fragment, written or not
}

// openFrames begins a file of what was gathered. It returns also which of its
// tracks each gathered track became, -1 for one that is left out.
func openFrames(s *storage, dir, name, stream string, g *gather) (*part, []int, error) {
	p := &part{s: s, stream: stream}
	lanes := make([]int, len(g.formats))
	for i, f := range g.formats {
		lanes[i] = -1
		if fmp4.Ready(f) {
			lanes[i] = len(p.formats)
			p.formats = append(p.formats, f)
			p.tracks = append(p.tracks, trackOf(name, stream, f))
		}
	}
	head, err := fmp4.Init(p.formats)
	if err != nil {
		return nil, nil, fmt.Errorf("begin a recording: %w", err)
	}
	lead := fmp4.Format{Track: 1, Timescale: fmp4.Timescale(p.formats[0])}
	p.disk = newDisk(s, dir, name, append(head[:len(head):len(head)], fmp4.Space()...), len(head), lead, true)
	go p.disk.run()
	p.cut = newCutter(p.formats)
	return p, lanes, nil
}

// openPackets begins a file of transport packets.
func openPackets(s *storage, dir, name, stream string) *part {
	p := &part{s: s, stream: stream, disk: newDisk(s, dir, name, nil, 0, fmp4.Format{}, false)}
	go p.disk.run()
	return p
}

func trackOf(file, stream string, f media.Format) store.RecordingTrack {
	return store.RecordingTrack{
		File: file, Stream: stream, Kind: f.Codec.Kind().String(), Codec: f.Codec.String(),
		Language: f.Language, Width: f.Width, Height: f.Height,
	}
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
func (p *part) push(track int, ev feed.Event) { p.send(p.cut.push(track, ev, p.s.buffer)) }

// pause writes what is held.
func (p *part) pause() {
	if p.cut != nil {
		p.send(p.cut.rest(p.s.buffer))
	}
}

// send hands fragments to the disk. What it does not take is a gap, and so is time
// of which nothing came.
func (p *part) send(l []fragment) {
	for _, g := range l {
		if g.start-p.end > hole && p.end > 0 {
			why := ReasonNoSignal
			if g.lost {
				why = ReasonReaderLagged
			}
			p.missing(gap(p.end, g.start, why))
		}
		if !p.disk.put(g) {
			p.s.lost.Add(1)
			why := p.disk.state()
			if why == "" {
				why = ReasonDiskSlow
			}
			p.missing(gap(g.start, g.end, why))
			p.s.release(g.data)
		}
		p.end = max(p.end, g.end)
	}
}

// unsynced takes over what the disk had taken and could not keep.
func (p *part) unsynced() {
	for _, g := range p.disk.takeLost() {
		p.missing(g)
	}
}

// missing adds a gap, to the one before when it goes on.
func (p *part) missing(g store.Gap) {
	if n := len(p.gaps); n > 0 {
		last := &p.gaps[n-1]
		if g.FromMS <= last.ToMS+hole.Milliseconds() && g.Reason == last.Reason || n >= maxGaps {
			last.ToMS = max(last.ToMS, g.ToMS)
			return
		}
	}
	// The manifest that is being written has the slice as it was.
	p.gaps = append(slices.Clip(p.gaps), g)
}

func gap(from, to time.Duration, why string) store.Gap {
	return store.Gap{FromMS: from.Milliseconds(), ToMS: to.Milliseconds(), Reason: why}
}

// file describes the part in a manifest.
func (p *part) file() folder.File {
	return folder.File{Name: p.disk.name, Index: folder.IndexOf(p.disk.name), Stream: p.stream, Tracks: p.tracks}
}

// close writes what is held, the index and the manifest that complete returns, and
// waits for the disk. The error is the newest that the disk had.
func (p *part) close(complete func() *folder.Manifest) (extent, error) {
	p.pause()
	err := p.disk.close(complete())
	known := len(p.gaps)
	p.unsynced()
	if len(p.gaps) > known && err == nil {
		err = errors.New("the end could not be written")
	}
	return p.disk.written(), err
}
