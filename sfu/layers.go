package sfu

import (
	"slices"

	"tongxiang/internal/media"
	"tongxiang/internal/stream"
)

// layerStale is how long a simulcast layer may be silent before a viewer is given
// another. Cameras make at least a few pictures a second; a screen, which may
// stand still, has one layer and no alternative.
const layerStale = 2000 * ms

// layerChoice is one layer that a slot could show.
type layerChoice struct {
	index  int   // simulcast layer, 0 the smallest
	height int   // of its pictures; 0: not known yet
	last   int64 // arrival of its newest packet; 0: none yet
}

// chooseLayer picks for a wanted height (0: as high as there is). want is the
// layer that would fit best, play the best of those that flow now; both index
// layers. current is what is shown now, or -1: it is kept when it fits as well.
// Without layers both are -1.
func chooseLayer(layers []layerChoice, height, current int, now int64) (want, play int) {
	want, play = pick(layers, height, func(layerChoice) bool { return true }),
		pick(layers, height, func(l layerChoice) bool { return l.last == 0 || now-l.last < layerStale })
	if play < 0 {
		play = want
	}
	// Nothing flows better than what is shown: a change would only cost a key frame.
	if current >= 0 && current < len(layers) && play >= 0 && play != current &&
		layers[play].sortHeight() == layers[current].sortHeight() && now-layers[current].last < layerStale {
		play = current
	}
	return want, play
}

// pick returns the smallest allowed layer that is high enough, else the highest.
func pick(layers []layerChoice, height int, allowed func(layerChoice) bool) int {
	best := -1
	for i, l := range layers {
		if !allowed(l) {
			continue
		}
		if best < 0 {
			best = i
			continue
		}
		h, b := l.sortHeight(), layers[best].sortHeight()
		enough, bestEnough := height > 0 && h >= height, height > 0 && b >= height
		switch {
		case enough && bestEnough && h < b, enough && !bestEnough, !enough && !bestEnough && h > b:
			best = i
		}
	}
	return best
}

// sortHeight is the height, guessed from the layer's place while no key frame has said it.
func (l layerChoice) sortHeight() int {
	if l.height > 0 {
		return l.height
	}
	return 180 << min(l.index, 3)
}

// candidates returns the tracks of a label that a slot can carry, by layer. A
// slot that asks for no label takes the camera or else the screen.
func candidates(tracks []*stream.Track, label stream.Label, playable func(media.Codec) bool) []*stream.Track {
	var out []*stream.Track
	for _, t := range tracks {
		f := t.Format()
		if t.Label() == label && playable(f.Codec) && !f.Reordered {
			out = append(out, t)
		}
	}
	slices.SortFunc(out, func(a, b *stream.Track) int { return a.Layer() - b.Layer() })
	return out
}

// spokenIn returns the label of the sound that a plain viewer gets: the wanted language
// or label, else Chinese, else the first that can be played.
func spokenIn(tracks []*stream.Track, want string, playable func(media.Codec) bool) stream.Label {
	best, rank := stream.LabelAudio, 0
	for _, t := range tracks {
		f := t.Format()
		if f.Codec.Kind() != media.Audio || !playable(f.Codec) {
			continue
		}
		r := 1
		switch l := f.Language; {
		case want != "" && (l == want || string(t.Label()) == want):
			r = 4
		case l == "zho" || l == "chi":
			r = 3
		case t.Label() == stream.LabelAudio:
			r = 2
		}
		if r > rank || r == rank && t.Label() < best {
			best, rank = t.Label(), r
		}
	}
	return best
}
