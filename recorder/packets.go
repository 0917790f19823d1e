package recorder

import (
	"context"
	"time"

	"tongxiang/internal/media"
	"tongxiang/internal/mpegts"
	"tongxiang/internal/store"
	"tongxiang/internal/stream"
	"tongxiang/recorder/folder"
)

// packetTake follows the transport packets of a stream and writes them into one
// file. It belongs to one goroutine, which calls run.
type packetTake struct {
	clock  media.Clock
	hub    *stream.Hub
	name   stream.Name
	cutoff int64 // keep what arrived after this; 0: from the newest sync point

	begin func(arrival int64) *part // makes the file
	look  func()                    // called at every beat

	part  *part
	cut   *packetCutter
	heard int64
	found bool // there is a track of transport packets
}

// run records until ctx ends.
func (t *packetTake) run(ctx context.Context) {
	sub := t.hub.Open(t.name.Transport())
	defer sub.Close()
	rd := stream.NewReader(nil)
	var track *stream.Track
	var in *stream.Cursor[media.Packet]
	defer func() {
		if in != nil {
			in.Close()
		}
	}()
	t.heard = t.clock.Now()
	tick := time.NewTicker(beat)
	defer tick.Stop()
	for ctx.Err() == nil {
		if now := transportTrack(sub.Tracks()); now != track && now != nil {
			if in != nil {
				t.drain(in)
				in.Close()
			}
			in, track = t.follow(now, rd), now
		}
		if in != nil {
			t.drain(in)
		}
		if t.cut != nil && time.Duration(t.clock.Now()-t.heard) >= idleAfter {
			t.part.send(t.cut.rest())
		}
		t.look()
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
	if in != nil {
		t.drain(in)
	}
	if t.cut != nil {
		t.part.send(t.cut.rest())
	}
}

func transportTrack(tracks []*stream.Track) *stream.Track {
	for _, t := range tracks {
		if t.Label() == stream.LabelTransport {
			return t
		}
	}
	return nil
}

func (t *packetTake) follow(track *stream.Track, rd *stream.Reader) *stream.Cursor[media.Packet] {
	from := stream.AtSync
	if t.cutoff > 0 && !t.found {
		from = stream.AtOldest
	}
	t.found = true
	in, err := track.FollowPackets(rd, from)
	if err != nil { // a track of packets never has to be derived
		return nil
	}
	return in
}

// drain writes what has come.
func (t *packetTake) drain(in *stream.Cursor[media.Packet]) {
	for p := in.Next(); p != nil; p = in.Next() {
		lost := in.Gap()
		if p.Arrival < t.cutoff {
			continue
		}
		t.heard = t.clock.Now()
		if t.part == nil {
			if !p.Sync {
				continue
			}
			t.part = t.begin(p.Arrival)
			t.cut = newPacketCutter(t.part.s.buffer)
		}
		t.part.send(t.cut.push(p, lost))
	}
}

// longestRun is how much of a transport stream a fragment may hold: a little more than
// the usual second between pictures where one can start, so that it ends there.
const longestRun = 1200 * time.Millisecond

// packetCutter makes fragments of runs of transport packets: they end where a
// picture begins at which decoding can start, or after a second. It reads the tables
// and the clock, and counts continuity errors.
type packetCutter struct {
	buffer  func() []byte
	demux   *mpegts.Demuxer
	line    media.Timeline
	base    media.Time
	based   bool
	last    media.Time // of the run before
	arrival int64      // likewise
	clock   int64      // newest reference of the programme, in ticks of 90 kHz; -1: none in this run
	pcrPID  uint16
	video   uint16

	open   bool
	g      fragment
	now    time.Duration // of the run that came last
	wrong  uint64        // continuity errors up to the fragment's beginning
	tracks []store.RecordingTrack
	told   bool // tracks are news
}

func newPacketCutter(buffer func() []byte) *packetCutter {
	c := &packetCutter{buffer: buffer}
	c.demux = mpegts.NewDemuxer(mpegts.Handler{
		Service: c.service,
		PCR: func(pid uint16, pcr int64, _ bool) {
			if pid == c.pcrPID && c.clock < 0 {
				c.clock = pcr / 300
			}
		},
		Want: func(*mpegts.Service) bool { return false },
	})
	return c
}

// service notes what the stream carries.
func (c *packetCutter) service(s *mpegts.Service) {
	if !s.Known {
		return
	}
	c.pcrPID, c.video = s.PCRPID, 0
	c.tracks = nil
	for _, st := range s.Streams {
		t := store.RecordingTrack{File: folder.MediaName(folder.TS), Kind: "other", Codec: st.Codec.String(), Language: st.Language}
		if st.Media {
			if k := st.Codec.Kind(); k != 0 {
				t.Kind = k.String()
			}
		}
		if st.Codec == media.Unknown {
			t.Codec = st.Note
		}
		if st.Codec.Kind() == media.Video && c.video == 0 {
			c.video = st.PID
		}
		c.tracks = append(c.tracks, t)
	}
	c.told = true
}

// push adds a run and returns the fragment that it ends, if it does.
func (c *packetCutter) push(p *media.Packet, lost bool) []fragment {
	// Its tables come first, so the clock's PID is known when the clock comes.
	c.clock = -1
	wrong := c.demux.Stats().Continuity
	if lost || p.Gap {
		c.demux.Flush()
	}
	if p.Gap {
		c.line.Restart() // a clock that is only a little back is another one all the same
	}
	c.demux.Feed(p.Payload, p.Arrival)
	at := c.time(p.Arrival)
	var out []fragment
	if length := at - c.g.start; c.open && (length >= longestRun || length < 0 || lost || p.Gap || p.Sync && length >= shortest) {
		end := at
		if lost || length > jump || length < 0 || p.Gap && at-c.now > hole {
			end = c.now
		}
		out = c.end(out, max(end, c.now), wrong)
	}
	if !c.open {
		c.open = true
		c.g = fragment{data: c.buffer(), start: max(at, c.now), sync: p.Sync}
		c.wrong = wrong
	}
	c.g.data = append(c.g.data, p.Payload...)
	c.now = max(c.now, at)
	if c.g.pts == nil {
		c.g.pts = c.firstPTS(p.Payload)
	}
	return out
}

// time returns when a run begins on the file's time line: by the programme's clock
// where it has one, else by arrival.
func (c *packetCutter) time(arrival int64) time.Duration {
	t := c.last.Add(time.Duration(arrival - c.arrival))
	if c.clock >= 0 {
		t, _ = c.line.Time(uint64(c.clock), arrival)
	} else if c.arrival == 0 {
		t = media.Time(arrival)
	}
	c.last, c.arrival = t, arrival
	if !c.based {
		c.base, c.based = t, true
	}
	return t.Sub(c.base)
}

func (c *packetCutter) firstPTS(run []byte) *int64 {
	for ; len(run) >= mpegts.PacketSize; run = run[mpegts.PacketSize:] {
		if pid := uint16(run[1]&0x1F)<<8 | uint16(run[2]); pid == c.video || c.video == 0 {
			if pts := mpegts.PacketPTS(run); pts != mpegts.NoTime {
				return &pts
			}
		}
	}
	return nil
}

// end closes the fragment. wrong is the count of continuity errors at its end.
func (c *packetCutter) end(out []fragment, at time.Duration, wrong uint64) []fragment {
	c.open = false
	c.g.end = at
	c.g.body, c.g.crc = len(c.g.data), folder.Checksum(c.g.data)
	c.g.errors = int(wrong - c.wrong)
	c.wrong = wrong
	return append(out, c.g)
}

// rest ends the fragment because nothing has come for a while, or it is the end.
func (c *packetCutter) rest() []fragment {
	if !c.open {
		return nil
	}
	return c.end(nil, c.now+beat, c.demux.Stats().Continuity)
}

// news returns the tracks when they changed since it was last asked.
func (c *packetCutter) news(of string) ([]store.RecordingTrack, bool) {
	if !c.told {
		return nil, false
	}
	c.told = false
	out := make([]store.RecordingTrack, len(c.tracks))
	for i, t := range c.tracks {
		t.Stream = of
		out[i] = t
	}
	return out, true
}
