package programme

import (
	"context"
	"time"

	"tongxiang/internal/media"
	"tongxiang/internal/stream"
)

const (
	// look is how often the switcher looks whether the tracks on air are still the
	// best of their streams, and asks again for a key frame that has not come.
	look = 100 * time.Millisecond
	// heartbeat is how often sound is mixed: a block of 20 ms each time.
	heartbeat = 20 * time.Millisecond
	// quiet is how long nobody's sound may be missing before silence is sent.
	quiet = 200 * time.Millisecond
	// maxSources bounds the participants whose clocks are remembered.
	maxSources = 512
)

// switcher carries one programme. It belongs to the goroutine of run.
type switcher struct {
	s   *Service
	id  string // of the meeting
	pub *stream.Publisher
	rd  *stream.Reader

	director Director
	shot     Shot

	mixed            *sound
	pictures, sounds source  // streams of the shot; sounds only without mixing
	picture, sound   *intake // on air
	next             *intake // the picture that will be, once its key frame is here
	kept             string  // whose layers are kept for us
	made             made    // H.264 of a picture that is none

	video, audio lane
	clocks       map[stream.Name]*sourceClock
	cuts         int
	told         Status
	heard        int64 // when sound was last written
}

func newSwitcher(s *Service, id string, pub *stream.Publisher) *switcher {
	w := &switcher{s: s, id: id, pub: pub, rd: stream.NewReader(nil), clocks: make(map[stream.Name]*sourceClock)}
	w.mixed = newSound(w)
	return w
}

// run switches until ctx ends.
func (w *switcher) run(ctx context.Context) {
	tick := time.NewTicker(look)
	defer tick.Stop()
	again := time.NewTimer(time.Hour)
	defer again.Stop()
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	input, changed := w.s.input(w.id)
	for {
		now := w.s.clock.Now()
		shot, due := w.director.Decide(input, now)
		if shot != w.shot {
			w.take(shot, now)
		}
		if due > 0 {
			again.Reset(time.Duration(max(due-now, ms)))
		}
		w.choose(now)
		w.carry(now)
		w.tell()
		switch {
		case !w.mixed.works():
			w.silence(now)
		case w.video.begun || w.mixed.mixer != nil || len(input.Present) > 0:
			w.mixed.tick(input, now) // from the first participant on, for good
		}
		select {
		case <-ctx.Done():
			return
		case <-w.pub.Done():
			return
		case <-changed:
			input, changed = w.s.input(w.id)
		case <-again.C:
		case <-tick.C:
		case <-beat.C:
		case <-w.rd.Wake():
		case <-w.wanted():
			if w.picture != nil {
				w.picture.track.RequestKeyFrame()
			}
		}
	}
}

// wanted receives when readers of the programme ask for a key frame.
func (w *switcher) wanted() <-chan struct{} {
	if w.video.out == nil {
		return nil
	}
	return w.video.out.KeyFrameRequests()
}

// take makes a shot the one to show. What is on air goes on until its successor
// has a key frame.
func (w *switcher) take(shot Shot, now int64) {
	if w.s.cfg.Shot != nil && (shot.Picture != w.shot.Picture || shot.Label != w.shot.Label) {
		w.s.cfg.Shot(w.id, shot)
	}
	w.shot = shot
	w.open(&w.pictures, shot.Picture)
	w.drop(&w.next)
	if w.kept != shot.Picture && w.s.cfg.KeepLayers != nil {
		if w.kept != "" {
			w.s.cfg.KeepLayers(w.id, w.kept, false)
		}
		if shot.Picture != "" {
			w.s.cfg.KeepLayers(w.id, shot.Picture, true)
		}
		w.kept = shot.Picture
	}
	w.s.log.Debug("on air", "meeting", w.id, "picture", shot.Picture, "label", shot.Label, "sound", shot.Sound)
}

// choose follows the tracks that the shot needs.
func (w *switcher) choose(now int64) {
	heard := w.shot.Sound
	if w.mixed.works() {
		heard = ""
	}
	w.open(&w.sounds, heard)
	switch t := w.made.choose(w, now); {
	case t == nil || w.picture != nil && w.picture.track == t:
		w.drop(&w.next)
	case w.next == nil || w.next.track != t:
		w.drop(&w.next)
		w.next = w.follow(t, w.pictures.name, now)
	}
	switch t := best(w.sounds.sub, stream.LabelAudio); {
	case w.sounds.sub == nil:
		w.drop(&w.sound)
	case t != nil && (w.sound == nil || w.sound.track != t):
		w.drop(&w.sound)
		if c, err := t.FollowPackets(w.rd, stream.AtLive); err == nil {
			w.sound = &intake{source: w.sounds.name, track: t, cursor: c}
		}
	}
}

// carry writes what has come.
func (w *switcher) carry(now int64) {
	if w.next != nil {
		if p := w.next.cursor.Next(); p != nil {
			w.drop(&w.picture)
			w.picture, w.next = w.next, nil
			w.cuts++
			w.write(&w.video, w.picture, stream.LabelVideo, p, now)
		} else if now-w.next.asked > int64(time.Second) {
			w.next.asked = now
			w.next.track.RequestKeyFrame()
		}
	}
	for _, on := range []struct {
		lane  *lane
		feed  **intake
		label stream.Label
	}{{&w.video, &w.picture, stream.LabelVideo}, {&w.audio, &w.sound, stream.LabelAudio}} {
		f := *on.feed
		if f == nil {
			continue
		}
		for p := f.cursor.Next(); p != nil; p = f.cursor.Next() {
			w.write(on.lane, f, on.label, p, now)
		}
		select {
		case <-f.track.Done():
			w.drop(on.feed)
		default:
		}
	}
}

// write puts one packet on air.
func (w *switcher) write(l *lane, f *intake, label stream.Label, p *media.Packet, now int64) {
	clock := w.clock(f.source, p)
	if !f.began || l.out == nil || p.Codec != l.out.Format().Codec {
		l.out = w.pub.AddTrack(stream.TrackInfo{Label: label, Form: stream.Packets, Format: f.track.Format()})
		l.cut(p, clock.at(0))
		f.began = true
	} else if l.steer(p, clock.at(0)); p.Sync && label == stream.LabelVideo {
		if now := f.track.Format(); now.Width != l.out.Format().Width || now.Height != l.out.Format().Height {
			l.out.SetFormat(now)
		}
	}
	l.put(p)
	if l == &w.audio {
		w.heard = now
	}
}

// tell says what is on air when that changed.
func (w *switcher) tell() {
	st := Status{Participant: w.shot.Picture, Label: w.shot.Label, Transcoded: w.made.sub != nil && w.made.err == nil, Err: w.made.err, Sound: w.mixed.why()}
	if st != w.told {
		w.told = st
		w.s.show(w.id, &st)
	}
}

// clock returns the clock of a source, having looked at a packet of it.
func (w *switcher) clock(name stream.Name, p *media.Packet) *sourceClock {
	c := w.clocks[name]
	if c == nil {
		if len(w.clocks) >= maxSources {
			clear(w.clocks) // most of them left long ago; the others are found again at once
		}
		c = new(sourceClock)
		w.clocks[name] = c
	}
	c.follow(p)
	return c
}

// close lets go of everything.
func (w *switcher) close() {
	w.s.show(w.id, nil)
	w.take(Shot{}, 0)
	w.open(&w.sounds, "")
	w.made.close(w)
	w.drop(&w.picture)
	w.drop(&w.sound)
	w.mixed.close()
}
