package programme

import (
	"testing"

	"tongxiang/internal/stream"
)

// step is a moment of a meeting and what must be on air then.
type step struct {
	at    int64 // ms
	in    Input
	shot  Shot
	again int64 // ms, 0: never
}

func TestDirectorDecides(t *testing.T) {
	video, screen := stream.LabelVideo, stream.LabelScreen
	all := []string{"a", "b", "c"}
	says := func(who ...string) Input { return Input{Speakers: who, Present: all} }
	for name, steps := range map[string][]step{
		"an empty meeting has nothing on air": {{0, Input{}, Shot{}, 0}},
		"the first to come is seen until somebody speaks": {
			{1, Input{Present: all}, Shot{"a", video, "a"}, 0},
			{5000, says("b"), Shot{"a", video, "b"}, 6000},
			{6000, says("b"), Shot{"b", video, "b"}, 0},
		},
		"a cough does not take the picture": {
			{1, says("a"), Shot{"a", video, "a"}, 0},
			{5000, says("b", "a"), Shot{"a", video, "b"}, 6000},
			{5500, says("a", "b"), Shot{"a", video, "a"}, 0},
			{9000, says("a"), Shot{"a", video, "a"}, 0},
		},
		"a shot lasts three seconds": {
			{1, says("a"), Shot{"a", video, "a"}, 0},
			{1000, says("b", "a"), Shot{"a", video, "b"}, 3001},
			{3001, says("b", "a"), Shot{"b", video, "b"}, 0},
			{4001, says("c", "b"), Shot{"b", video, "c"}, 6001},
		},
		"sound does not flicker between two who are heard together": {
			{1, says("a", "b"), Shot{"a", video, "a"}, 0},
			{200, says("b", "a"), Shot{"a", video, "a"}, 401},
			{401, says("b", "a"), Shot{"a", video, "b"}, 3001},
		},
		"silence keeps the last speaker": {
			{1, says("b"), Shot{"b", video, "b"}, 0},
			{9000, Input{Present: all}, Shot{"b", video, "b"}, 0},
		},
		"a screen goes before everything, at once, and its owner stays": {
			{1, says("a"), Shot{"a", video, "a"}, 0},
			{100, Input{Screen: "c", Speakers: []string{"a"}, Present: all}, Shot{"c", screen, "a"}, 0},
			{9000, Input{Present: all}, Shot{"c", video, "a"}, 0},
		},
		"who leaves is replaced at once": {
			{1, says("b"), Shot{"b", video, "b"}, 0},
			{100, Input{Speakers: []string{"c"}, Present: []string{"a", "c"}}, Shot{"c", video, "c"}, 0},
			{200, Input{Present: []string{"a"}}, Shot{"a", video, "a"}, 0},
			{300, Input{}, Shot{}, 0},
		},
		"a voice without a picture is heard and does not take the picture away": {
			{1, says("a"), Shot{"a", video, "a"}, 0},
			{5000, Input{Speakers: []string{"phone"}, Present: all}, Shot{"a", video, "phone"}, 0},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var d Director
			for _, s := range steps {
				shot, again := d.Decide(s.in, s.at*ms)
				if shot != s.shot || again != s.again*ms {
					t.Errorf("at %d ms: %+v, again at %d ms; want %+v, %d", s.at, shot, again/ms, s.shot, s.again)
				}
			}
		})
	}
}
