package recorder

import (
	"time"

	"tongxiang/internal/media"
	"tongxiang/internal/playout/feed"
	"tongxiang/internal/playout/fmp4"
	"tongxiang/recorder/folder"
)

const (
	// longest is how much media a fragment may hold: what a crash can cost.
	longest = time.Second
	// shortest is when a fragment ends at a sync picture, so that most fragments
	// begin with one and a player can go there.
	shortest = 600 * time.Millisecond
	// jump is a step in decode times that is a hole and not a slow frame.
	jump = 2 * time.Second
)

// fragment is one fragment of the file, in bytes.
type fragment struct {
	data   []byte        // body and, in fMP4, the box that closes it
	body   int           // bytes of data that the index tells of
	crc    uint32        // CRC-32C of the body
	start  time.Duration // on the file's time axis
	end    time.Duration
	sync   bool
	lost   bool   // media before it was lost because the reader was slow
	errors int    // of continuity, in a transport stream
	pts    *int64 // likewise the first one in it
}

// entry returns the fragment's line of the index when it lies at offset.
func (g *fragment) entry(offset int64) folder.Entry {
	return folder.Entry{
		Offset: offset, Length: int64(g.body), TimeUS: g.start.Microseconds(), DurationUS: (g.end - g.start).Microseconds(),
		CRC: folder.Hex(g.crc), Sync: g.sync, Errors: g.errors, PTS: g.pts,
	}
}

// cutter makes fragments of the frames of one file. It is pure but for the times
// that it keeps; it belongs to the job's goroutine.
type cutter struct {
	samplers []*fmp4.Sampler
	runs     []fmp4.Run
	formats  []media.Format
	lead     int // the track that says where fragments end
	sequence uint32

	base  media.Time // of the file's beginning
	based bool
	// begin is when the first picture is shown. While leading is set, pictures that
	// are shown before it may come: they refer to what is not in the file (open GOP).
	begin   media.Time
	leading bool
	from    media.Time   // of the fragment's first frame in the lead track
	open    bool         // from is set
	newest  []media.Time // decode time of each track's last frame
	lost    bool         // something was, since the last fragment
}

// newCutter makes a cutter for tracks of these formats; the lead must begin with a
// sync frame.
func newCutter(formats []media.Format) *cutter {
	c := &cutter{formats: formats, newest: make([]media.Time, len(formats))}
	for i, f := range formats {
		c.samplers = append(c.samplers, fmp4.NewSampler(f))
		c.runs = append(c.runs, fmp4.Run{Track: i + 1})
		if f.Codec.Kind() == media.Video && formats[c.lead].Codec.Kind() != media.Video {
			c.lead = i
		}
	}
	return c
}

// push adds a frame and returns the fragments that became complete, none or one,
// or two around a hole. get provides the buffer of a fragment.
func (c *cutter) push(track int, ev feed.Event, get func() []byte) []fragment {
	f := ev.Frame
	if !c.based {
		if track != c.lead {
			return nil
		}
		c.base, c.based = f.DTS, true
		c.begin, c.leading = f.PTS, c.formats[c.lead].Codec.Kind() == media.Video && !f.IDR
	}
	if c.leading && track == c.lead {
		if c.leading = f.DTS < c.begin; c.leading && f.PTS < c.begin {
			return nil
		}
	}
	if f.DTS < c.base {
		return nil // sound from before the first picture
	}
	var out []fragment
	if hole := f.DTS.Sub(c.newest[track]); f.Gap || ev.Lost || (c.newest[track] > 0 && (hole > jump || hole < -jump)) {
		out = c.flush(out, track, get)
	}
	c.lost = c.lost || ev.Lost
	c.newest[track] = max(f.DTS, 1)
	run := &c.runs[track]
	run.Samples = c.samplers[track].Push(run.Samples, f, -c.base)
	if track != c.lead {
		return out
	}
	if !c.open {
		c.from, c.open = f.DTS, true
		return out
	}
	if length := f.DTS.Sub(c.from); length >= longest || (f.Sync && length >= shortest) {
		out = c.cut(out, get)
		c.from = f.DTS
	}
	return out
}

// flush ends one track's pending sample and the fragment: before a hole. The other
// tracks meet the same hole at their own next frame.
func (c *cutter) flush(out []fragment, track int, get func() []byte) []fragment {
	run := &c.runs[track]
	run.Samples = c.samplers[track].Flush(run.Samples)
	if track == c.lead {
		c.open = false
	}
	return c.cut(out, get)
}

// rest ends everything that is pending: nothing has come for a while, or the file ends.
func (c *cutter) rest(get func() []byte) []fragment {
	for i, s := range c.samplers {
		c.runs[i].Samples = s.Flush(c.runs[i].Samples)
	}
	c.open = false
	return c.cut(nil, get)
}

// cut appends the fragment of all complete samples.
func (c *cutter) cut(out []fragment, get func() []byte) []fragment {
	var g fragment
	any := false
	for i, r := range c.runs {
		if len(r.Samples) == 0 {
			continue
		}
		scale := int64(c.samplers[i].Timescale())
		last := &r.Samples[len(r.Samples)-1]
		start, end := span(r.Samples[0].DTS, scale), span(last.DTS+int64(last.Duration), scale)
		if !any {
			g.start, g.end, g.sync = start, end, r.Samples[0].Sync
			any = true
		}
		g.start, g.end = min(g.start, start), max(g.end, end)
	}
	if !any {
		return out
	}
	c.sequence++
	g.data = fmp4.AppendFragment(get(), c.sequence, c.runs)
	g.body, g.crc = len(g.data), folder.Checksum(g.data)
	g.data = fmp4.AppendCheck(g.data, g.body, g.crc)
	g.lost, c.lost = c.lost, false
	for i := range c.runs {
		clear(c.runs[i].Samples) // do not hold the frames
		c.runs[i].Samples = c.runs[i].Samples[:0]
	}
	return append(out, g)
}

func span(ticks, scale int64) time.Duration { return time.Duration(media.FromTicks(ticks, int(scale))) }
