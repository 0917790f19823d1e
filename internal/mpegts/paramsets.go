package mpegts

import (
	"bytes"

	"tongxiang/internal/media"
)

// maxSets bounds what a hostile stream can make us keep.
const maxSets = 32

// paramSets remembers a stream's parameter sets, so that a sync frame that came
// without them gets them, and says when the format changes.
type paramSets struct{ sets [][]byte }

// learn takes the parameter sets of an access unit and reports whether any is new.
// A set replaces the one of the same type and id: see same.
func (s *paramSets) learn(codec media.Codec, units [][]byte, same func(a, b []byte) bool) bool {
	changed := false
	for _, u := range media.ParameterSets(codec, units) {
		at := -1
		for i, k := range s.sets {
			if same(k, u) {
				at = i
				break
			}
		}
		switch {
		case at >= 0 && bytes.Equal(s.sets[at], u):
			continue
		case at >= 0:
			// The list may be shared with a published format: never change it in place.
			s.sets = append([][]byte(nil), s.sets...)
			s.sets[at] = bytes.Clone(u)
		case len(s.sets) < maxSets:
			s.sets = append(s.sets[:len(s.sets):len(s.sets)], bytes.Clone(u))
		default:
			continue
		}
		changed = true
	}
	return changed
}
