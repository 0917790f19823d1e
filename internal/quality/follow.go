package quality

import (
	"bytes"
	"time"

	"tongxiang/internal/media"
	"tongxiang/internal/mpegts"
	"tongxiang/internal/stream"
)

// follower keeps of one channel's stream what a sample is made of, and looks at the
// coded pictures and sounds for what they tell without decoding. Frames are shared with
// the hub, not copied. It is guarded by the service's lock.
type follower struct {
	sub     *stream.Subscription
	reader  *stream.Reader
	changed <-chan struct{}
	video   *stream.Cursor[media.Frame]
	audio   *stream.Cursor[media.Frame]

	picture media.Format
	key     *media.Frame // the newest key picture that is whole
	keySize int          // of the newest one
	quiet   int64        // arrival of the first of a row of empty pictures; 0: there is none
	empty   int          // how many in the row
	idle    int64        // arrival of the first of a row of pictures with nothing at all in them; 0: there is none

	format   media.Format
	sound    []soundUnit // the newest, oldest first
	arrived  int64       // of the newest sound
	slow     float64     // bytes a unit, averaged over minutes
	fast     float64     // over a third of a second
	level    float64     // of layer II: the loudest band of the newest frame
	leveled  bool        // there is a level
	soft     int64       // arrival since which layer II is silent; 0: it is not
	pictures uint64      // seen
}

// soundUnit is one frame of sound.
type soundUnit struct {
	data []byte
	end  media.Time
}

const (
	// emptyFloor and emptyShare: a picture of fewer bytes than the floor and one for so
	// many samples has nothing new in it. A frame of 720 by 576 that repeats the one
	// before has 50 to 400 bytes, one with a face that moves 3000 and more.
	emptyFloor = 64
	emptyShare = 256
	// idleShare likewise, for nothing at all; a row of macroblocks of MPEG-2 has a header
	// and its first and last macroblock even so.
	idleShare = 2048
	idleRow   = 14
	// suspectAfter is how long nothing must be new before a sample is wanted soon.
	suspectAfter = int64(time.Second)
	suspectCount = 8
	// keepSound is how much sound is kept: more than lies between two quick samples.
	keepSound = 1600 * time.Millisecond
	maxUnits  = 256
)

func newFollower(hub *stream.Hub, name stream.Name) *follower {
	f := &follower{sub: hub.Open(name), reader: stream.NewReader(nil)}
	f.open()
	return f
}

func (f *follower) close() {
	f.closeCursors()
	f.sub.Close()
}

func (f *follower) closeCursors() {
	for _, c := range []*stream.Cursor[media.Frame]{f.video, f.audio} {
		if c != nil {
			c.Close()
		}
	}
	f.video, f.audio = nil, nil
}

// open follows the first picture and the first sound that are published now.
func (f *follower) open() {
	f.closeCursors()
	f.changed = f.sub.Changed()
	tracks := f.sub.Tracks()
	if t := stream.Find(tracks, media.Video); t != nil {
		if g := t.Format(); g.Codec != f.picture.Codec {
			f.key, f.quiet, f.empty, f.idle = nil, 0, 0, 0
		}
		f.picture = t.Format()
		// A codec that cannot be depacketized is not watched.
		f.video, _ = t.FollowFrames(f.reader, stream.AtSync)
	} else {
		f.picture, f.key = media.Format{}, nil
	}
	if t := stream.Find(tracks, media.Audio); t != nil {
		if g := t.Format(); g.Codec != f.format.Codec || !bytes.Equal(g.Config, f.format.Config) {
			f.sound, f.slow, f.fast, f.leveled, f.soft = nil, 0, 0, false, 0
		}
		f.format = t.Format()
		f.audio, _ = t.FollowFrames(f.reader, stream.AtNext)
	} else {
		f.format, f.sound = media.Format{}, nil
	}
}

// drain takes what came since the last time. heard says that layer II sound was loud
// enough to be heard.
func (f *follower) drain() (heard bool) {
	select {
	case <-f.changed:
		f.open()
	default:
	}
	if f.video != nil {
		for p := f.video.Next(); p != nil; p = f.video.Next() {
			f.seePicture(p)
		}
	}
	if f.audio != nil {
		for s := f.audio.Next(); s != nil; s = f.audio.Next() {
			heard = f.hear(s) || heard
		}
	}
	return heard
}

func (f *follower) seePicture(p *media.Frame) {
	f.pictures++
	if p.Sync {
		f.keySize = codedSize(f.picture.Codec, p)
		if !p.Corrupt {
			f.key = p
		}
		return
	}
	size, samples := codedSize(f.picture.Codec, p), f.picture.Width*f.picture.Height
	idle := emptyFloor + samples/idleShare
	if f.picture.Codec == media.MPEG2Video {
		idle += f.picture.Height / 16 * idleRow
	}
	if size >= idle {
		f.idle = 0
	} else if f.idle == 0 {
		f.idle = p.Arrival
	}
	if size >= emptyFloor+samples/emptyShare {
		f.quiet, f.empty = 0, 0
		return
	}
	if f.empty == 0 {
		f.quiet = p.Arrival
	}
	f.empty++
}

// codedSize returns the bytes of a picture without the zeros that encoders of MPEG-2
// fill a constant bit rate with.
func codedSize(c media.Codec, p *media.Frame) int {
	n := p.Size()
	if c == media.MPEG2Video && len(p.Units) > 0 {
		last := p.Units[len(p.Units)-1]
		n -= len(last) - len(bytes.TrimRight(last, "\x00"))
	}
	return n
}

func (f *follower) hear(s *media.Frame) (heard bool) {
	length := unitLength(f.format)
	f.arrived = s.Arrival
	for i, u := range s.Units {
		f.sound = append(f.sound, soundUnit{u, s.PTS.Add(time.Duration(i+1) * length)})
		size := float64(len(u))
		if f.slow == 0 {
			f.slow, f.fast = size, size
		}
		f.slow += (size - f.slow) / 4096
		f.fast += (size - f.fast) / 16
		if f.format.Codec != media.MPEGAudio {
			continue
		}
		level, ok := mp2Level(u)
		if !ok {
			f.leveled = false
			continue
		}
		f.level, f.leveled = level, true
		switch {
		case level >= mp2SilentBelow:
			heard, f.soft = true, 0
		case f.soft == 0:
			f.soft = s.Arrival
		}
	}
	f.trim()
	return heard
}

// trim forgets sound that is too old to be sampled.
func (f *follower) trim() {
	if len(f.sound) == 0 {
		return
	}
	newest := f.sound[len(f.sound)-1].end
	n := max(0, len(f.sound)-maxUnits)
	for n < len(f.sound) && newest.Sub(f.sound[n].end) > keepSound {
		n++
	}
	f.sound = append(f.sound[:0], f.sound[n:]...)
}

// unitLength returns how long one frame of sound is.
func unitLength(f media.Format) time.Duration {
	if f.Rate <= 0 {
		return 24 * time.Millisecond
	}
	samples := 1152
	switch f.Codec {
	case media.AAC:
		samples = 1024
	case media.AC3, media.EAC3:
		samples = 1536
	}
	return time.Duration(samples) * time.Second / time.Duration(f.Rate)
}

// suspicious reports whether the coded stream says that something may be wrong.
func (f *follower) suspicious(now int64) bool {
	if f.quiet != 0 && f.empty >= suspectCount && now-f.quiet > suspectAfter {
		return true
	}
	if f.leveled {
		return f.soft != 0 && now-f.soft > suspectAfter
	}
	return f.slow > 0 && f.fast < f.slow*0.3
}

// lastSound returns the blocks of the newest sound, about so long, and how long it is.
func (f *follower) lastSound(length time.Duration) (blocks []block, real time.Duration) {
	if _, ok := codecID(f.format.Codec); !ok || len(f.sound) == 0 {
		return nil, 0
	}
	unit := unitLength(f.format)
	n := min(len(f.sound), int((length+unit-1)/unit))
	for i, u := range f.sound[len(f.sound)-n:] {
		b := block{at: int16(time.Duration(i) * unit / time.Millisecond), data: [][]byte{u.data}}
		if f.format.Codec == media.AAC {
			h, ok := mpegts.ADTSHeader(f.format.Config, len(u.data))
			if !ok {
				return nil, 0
			}
			b.data = [][]byte{h[:], u.data}
		}
		blocks = append(blocks, b)
	}
	return blocks, time.Duration(n) * unit
}

// How long the coded stream alone must look wrong, where there is no decoder to ask.
const (
	codedFrozenAfter = int64(10 * time.Second)
	codedBlackAfter  = int64(8 * time.Second)
	// blackShare: a key picture of fewer bytes than one for so many samples has no detail.
	blackShare = 128
)

// coded returns what the coded stream alone says is wrong: a guess about pictures, and
// for layer II sound a certainty.
func (f *follower) coded(now int64) faults {
	var out faults
	if f.idle != 0 && f.empty >= suspectCount {
		flat := f.keySize > 0 && f.keySize < f.picture.Width*f.picture.Height/blackShare
		out.black = flat && now-f.idle > codedBlackAfter
		out.frozen = !flat && now-f.idle > codedFrozenAfter
	}
	out.silent = f.leveled && f.soft != 0 && now-f.soft > int64(silentAfter)
	return out
}
