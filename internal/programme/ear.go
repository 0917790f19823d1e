package programme

import (
	"slices"
	"time"

	"github.com/pion/opus"

	"tongxiang/internal/media"
	"tongxiang/internal/programme/mix"
	"tongxiang/internal/stream"
)

const (
	// settled is how long a packet waits for those before it that are being repaired.
	settled = int64(120 * time.Millisecond)
	// earlier is how much is kept of somebody who is silent, so that his first
	// syllable is heard although it took a moment to notice him.
	earlier = int64(300 * time.Millisecond)
	// speaking is how long somebody counts as speaking after his last loud packet.
	speaking = int64(1500 * time.Millisecond)
	// loud is the level above which a packet is speech, in -dBov (RFC 6464).
	loud = 55
	// unlevelled is what a packet without a level is taken for: heard after those who speak.
	unlevelled = loud - 1
	// maxPending bounds what waits of one participant: two seconds.
	maxPending = 100
	// longestPacket is the longest Opus packet, 120 ms (RFC 6716 section 2.1.4), in samples.
	longestPacket = 5760
)

// ear listens to one participant: it keeps what came lately and decodes it while he
// is among those who are mixed. It belongs to the sound's goroutine.
type ear struct {
	sub     *stream.Subscription
	track   *stream.Track
	cursor  *stream.Cursor[media.Packet]
	pending []*media.Packet // in order of their numbers
	decoded int64           // number of the packet decoded last
	decoder *opus.Decoder   // nil: not decoding

	level float64 // of speech, -dBov, running
	heard int64   // when a loud packet last came; 0: never
}

// follow reads the participant's sound of now.
func (e *ear) follow(rd *stream.Reader) {
	t := best(e.sub, stream.LabelAudio)
	if t != nil && t.Format().Codec != media.Opus {
		t = nil
	}
	if t == e.track {
		return
	}
	e.leave()
	if t == nil {
		return
	}
	c, err := t.FollowPackets(rd, stream.AtLive)
	if err != nil {
		return // what cannot be had as packets cannot be mixed
	}
	e.track, e.cursor = t, c
}

// leave lets go of the track, and of what was kept of it.
func (e *ear) leave() {
	if e.cursor != nil {
		e.cursor.Close()
	}
	e.track, e.cursor, e.pending, e.decoded, e.decoder = nil, nil, nil, 0, nil
}

// close gives the participant up.
func (e *ear) close() {
	e.leave()
	e.sub.Close()
}

// listen takes what has come; seen is told of each packet.
func (e *ear) listen(seen func(*media.Packet)) {
	if e.cursor == nil {
		return
	}
	for p := e.cursor.Next(); p != nil; p = e.cursor.Next() {
		seen(p)
		e.keep(p)
	}
}

func (e *ear) keep(p *media.Packet) {
	level := float64(unlevelled)
	if p.HasLevel {
		level = float64(p.AudioLevel)
	}
	if level < loud {
		if p.Arrival-e.heard > speaking {
			e.level = level
		}
		e.heard = max(e.heard, p.Arrival)
	}
	e.level += (level - e.level) / 8
	if e.decoder != nil && p.Sequence <= e.decoded {
		return // repaired after its time
	}
	i := len(e.pending)
	for i > 0 && e.pending[i-1].Sequence > p.Sequence {
		i--
	}
	if i > 0 && e.pending[i-1].Sequence == p.Sequence {
		return
	}
	e.pending = slices.Insert(e.pending, i, p)
	if over := len(e.pending) - maxPending; over > 0 {
		e.pending = e.pending[over:]
	}
}

// rest keeps only what a late beginning needs, of somebody who is not mixed.
func (e *ear) rest(now int64) {
	e.decoder = nil
	i := 0
	for i < len(e.pending) && now-e.pending[i].Arrival > earlier {
		i++
	}
	e.pending = e.pending[i:]
}

// decode gives the mixer what is settled. at says where a packet belongs.
func (e *ear) decode(now int64, pcm []float32, put func(p *media.Packet, pcm []float32)) error {
	if e.decoder == nil {
		d, err := opus.NewDecoderWithOutput(mix.Rate, mix.Channels)
		if err != nil {
			return err
		}
		e.decoder, e.decoded = &d, -1
	}
	i := 0
	var failed error
	for ; i < len(e.pending); i++ {
		p := e.pending[i]
		next := e.decoded < 0 || p.Sequence == e.decoded+1
		if !next && now-p.Arrival < settled {
			break // the one before it may still come
		}
		e.decoded = p.Sequence
		n, err := e.decoder.DecodeToFloat32(p.Payload, pcm)
		if err != nil {
			failed = err // the next may be whole: what is missing is silence
			continue
		}
		put(p, pcm[:n*mix.Channels])
	}
	e.pending = e.pending[i:]
	return failed
}

// speaks reports whether the participant is to be heard.
func (e *ear) speaks(now int64) bool { return e.heard > 0 && now-e.heard < speaking }

// voices returns who is mixed: those who speak, the loudest first, at most n.
// Who is heard already is not displaced by somebody about as loud.
func voices(ears map[string]*ear, now int64, n int) []string {
	const edge = 6 // dB
	var ids []string
	for id, e := range ears {
		if e.speaks(now) {
			ids = append(ids, id)
		}
	}
	rank := func(id string) float64 {
		e := ears[id]
		if e.decoder != nil {
			return e.level - edge
		}
		return e.level
	}
	slices.SortFunc(ids, func(a, b string) int {
		switch x, y := rank(a), rank(b); {
		case x < y:
			return -1
		case x > y:
			return 1
		case a < b:
			return -1
		}
		return 1
	})
	return ids[:min(n, len(ids))]
}
