package sfu

import (
	"maps"
	"slices"
	"strings"
	"time"

	"tongxiang/internal/media"
	"tongxiang/internal/stream"
)

// run owns the room.
func (r *Room) run(watch <-chan struct{}, stop func()) {
	defer close(r.done)
	defer close(r.events)
	defer stop()
	defer func() {
		for id := range r.parts {
			r.drop(id)
		}
	}()
	tick := time.NewTicker(rankEvery)
	defer tick.Stop()
	r.discover()
	for {
		r.step(r.eng.clock.Now())
		var out chan<- RoomEvent
		var first RoomEvent
		if len(r.pending) > 0 {
			out, first = r.events, r.pending[0].event
		}
		select {
		case <-r.end:
			return
		case out <- first:
			r.pending = slices.Delete(r.pending, 0, 1)
		case <-watch:
			r.discover()
		case <-r.wake:
		case <-tick.C:
			// Levels wait in the hub for the tick: waking up for each packet of a
			// hundred sites would cost more than forwarding them.
		}
	}
}

// discover compares who publishes with who did.
func (r *Room) discover() {
	prefix := string(stream.Participant(r.id, ""))
	here := make(map[string]bool)
	for _, s := range r.eng.hub.List(prefix) {
		id := strings.TrimPrefix(string(s.Name), prefix)
		if !s.Published || id == stream.ProgrammeID || strings.Contains(id, "/") {
			continue
		}
		here[id] = true
		if r.parts[id] == nil {
			r.parts[id] = &part{
				src: r.eng.sources.open(s.Name, r), voice: voice{id: id}, wanted: make(map[string]int64),
			}
			r.dirty.Store(true)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(r.parts)) {
		if !here[id] {
			r.drop(id)
			r.post("publisher/"+id, PublisherDown{id})
		}
	}
}

func (r *Room) drop(id string) {
	p := r.parts[id]
	delete(r.parts, id)
	if p.cursor != nil {
		p.cursor.Close()
	}
	r.eng.sources.close(p.src, r)
}

// step does what can be done now.
func (r *Room) step(now int64) {
	if r.dirty.Swap(false) {
		for _, id := range slices.Sorted(maps.Keys(r.parts)) {
			r.tracks(id, r.parts[id])
		}
	}
	for _, p := range r.parts {
		r.listen(p)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, id := range r.left {
		if r.viewers[id] == nil {
			r.post("viewer/"+id, ViewerDown{id})
		}
	}
	r.left = r.left[:0]
	if now-r.ranked >= int64(rankEvery) {
		r.ranked = now
		r.rank(now)
	}
	r.seats()
	if now-r.layered >= int64(layersEvery) {
		r.layered = now
		r.layers(now)
	}
}

// tracks looks at what a participant publishes.
func (r *Room) tracks(id string, p *part) {
	var infos []stream.TrackInfo
	var sound *stream.Track
	for _, t := range p.src.sub.Tracks() {
		infos = append(infos, t.Info())
		if t.Label() == stream.LabelAudio && t.Format().Codec == media.Opus {
			sound = t
		}
	}
	if sound != p.sound {
		if p.cursor != nil {
			p.cursor.Close()
			p.cursor = nil
		}
		p.sound = sound
		if sound != nil {
			c, err := sound.FollowPackets(r.reader, stream.AtLive)
			if err != nil {
				r.log.Warn("cannot hear participant", "participant", id, "err", err)
			} else {
				p.cursor = c
			}
		}
	}
	same := func(a, b stream.TrackInfo) bool {
		return a.Label == b.Label && a.Layer == b.Layer && a.RID == b.RID &&
			a.Format.Codec == b.Format.Codec && a.Format.Height == b.Format.Height && a.Format.Width == b.Format.Width
	}
	if p.tracks == nil || !slices.EqualFunc(infos, p.tracks, same) {
		p.tracks = append([]stream.TrackInfo{}, infos...)
		r.post("publisher/"+id, PublisherUp{id, infos})
	}
}

// listen takes a participant's levels.
func (r *Room) listen(p *part) {
	if p.cursor == nil {
		return
	}
	for pk := p.cursor.Next(); pk != nil; pk = p.cursor.Next() {
		p.voice.hear(pk.AudioLevel, pk.HasLevel, pk.Arrival)
	}
}

// rank decides who is heard and says who speaks. The caller holds mu.
func (r *Room) rank(now int64) {
	voices := make([]voice, 0, len(r.parts))
	for id, p := range r.parts {
		v := p.voice
		v.always = r.always[id]
		voices = append(voices, v)
	}
	held := rank(voices, r.held, now)
	changed := !slices.Equal(held, r.held)
	r.held = held
	for id, s := range r.viewers {
		if changed || !s.given {
			s.given = true
			s.v.speak(slices.DeleteFunc(slices.Clone(held), func(o string) bool { return o == id }))
		}
	}
	if spoke := speakersNow(voices, now); !slices.Equal(spoke, r.spoke) {
		r.spoke = spoke
		r.post("speakers", SpeakersChanged{spoke})
	}
}

// seats says what changed in the viewers' slots. The caller holds mu.
func (r *Room) seats() {
	for _, id := range slices.Sorted(maps.Keys(r.viewers)) {
		s := r.viewers[id]
		if !s.up {
			s.up = true
			e := ViewerUp{Participant: id}
			for _, sl := range s.v.video {
				e.Video = append(e.Video, sl.out.mid)
			}
			for _, sl := range s.v.audio {
				e.Audio = append(e.Audio, sl.out.mid)
			}
			r.post("viewer/"+id, e)
		}
		for i, now := range s.video {
			if i < len(s.said) && s.said[i].now == now.now {
				continue
			}
			if i >= len(s.said) && now.now == (shownAs{}) {
				continue
			}
			r.post("video/"+id+"/"+now.mid, VideoSlotChanged{
				Viewer: id, Slot: i, MID: now.mid, Source: now.now.source,
				Label: now.now.label, Layer: now.now.layer, RID: now.now.rid,
			})
		}
		s.said = s.video
		if !slices.Equal(s.heard, s.audio) {
			s.heard = s.audio
			r.post("audio/"+id, AudioSlotsChanged{id, slices.Clone(s.audio)})
		}
	}
}

// layers says which simulcast layers of each camera are watched. The caller holds mu.
func (r *Room) layers(now int64) {
	for _, s := range r.viewers {
		for _, sh := range s.video {
			id := strings.TrimPrefix(string(sh.source), string(stream.Participant(r.id, "")))
			p := r.parts[id]
			if p == nil || sh.label != stream.LabelVideo {
				continue
			}
			for _, rid := range []string{sh.rid, sh.now.rid} {
				if rid != "" {
					p.wanted[rid] = now
				}
			}
		}
	}
	for _, id := range slices.Sorted(maps.Keys(r.parts)) {
		p := r.parts[id]
		var rids []string
		for _, t := range p.tracks {
			if t.Label != stream.LabelVideo || t.RID == "" {
				continue
			}
			at, ok := p.wanted[t.RID]
			// The smallest is always wanted: it is there at once for whoever comes.
			if t.Layer == 0 || r.kept[id] || (ok && now-at < layerLinger) {
				rids = append(rids, t.RID)
			}
		}
		if len(rids) > 0 && !slices.Equal(rids, p.said) {
			p.said = rids
			r.post("layers/"+id, LayersWanted{id, rids})
		}
	}
}

// post queues an event. Of those with one key only the newest waits.
func (r *Room) post(key string, e RoomEvent) {
	r.pending = slices.DeleteFunc(r.pending, func(p pendingEvent) bool { return p.key == key })
	r.pending = append(r.pending, pendingEvent{key, e})
}

type pendingEvent struct {
	key   string
	event RoomEvent
}
