package sfu

import (
	"log/slog"
	"slices"
	"testing"
	"time"

	"tongxiang/internal/media"
	"tongxiang/internal/stream"
)

func TestSmallestLayerThatIsHighEnoughIsChosen(t *testing.T) {
	now := 100 * int64(time.Second)
	three := []layerChoice{{0, 180, now}, {1, 360, now}, {2, 720, now}}
	stale := []layerChoice{{0, 180, now}, {1, 360, now}, {2, 720, now - layerStale}}
	guess := []layerChoice{{0, 0, now}, {1, 0, now}, {2, 0, 0}}
	odd := []layerChoice{{0, 720, now}, {1, 180, now}} // names that lie about the order
	cases := []struct {
		name            string
		layers          []layerChoice
		height, current int
		want, play      int
	}{
		{"none", nil, 180, -1, -1, -1},
		{"thumbnail", three, 120, -1, 0, 0},
		{"exact", three, 360, 0, 1, 1},
		{"between", three, 400, -1, 2, 2},
		{"highest", three, 0, -1, 2, 2},
		{"beyond", three, 1080, -1, 2, 2},
		{"paused", stale, 720, -1, 2, 1},
		{"small while paused", stale, 180, 1, 0, 0},
		{"sizes unknown yet", guess, 360, -1, 1, 1},
		{"new layer counts as flowing", guess, 720, -1, 2, 2},
		{"by size, not by name", odd, 180, -1, 1, 1},
		{"all stale", []layerChoice{{0, 180, 1}, {1, 360, 1}}, 360, -1, 1, 1},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			want, play := chooseLayer(c.layers, c.height, c.current, now)
			if want != c.want || play != c.play {
				t.Errorf("want %d play %d, expected %d and %d", want, play, c.want, c.play)
			}
		})
	}
}

func TestEqualLayersAreNotSwapped(t *testing.T) {
	now := int64(time.Hour)
	layers := []layerChoice{{0, 360, now}, {1, 360, now}}
	if _, play := chooseLayer(layers, 360, 1, now); play != 1 {
		t.Errorf("switched to %d although nothing is gained", play)
	}
}

func TestLayerOrderComesFromTheUsualNames(t *testing.T) {
	for _, c := range []struct {
		rids []string
		rid  string
		want int
	}{
		{[]string{"q", "h", "f"}, "q", 0}, {[]string{"f", "h", "q"}, "h", 1}, {[]string{"f", "h", "q"}, "f", 2},
		{[]string{"q", "f"}, "f", 1}, {[]string{"f"}, "f", 0}, {nil, "", 0},
		{[]string{"a", "b", "c"}, "b", 1}, {[]string{"h"}, "h", 0},
	} {
		if got := layerIndex(c.rids, c.rid); got != c.want {
			t.Errorf("%v %q: %d, want %d", c.rids, c.rid, got, c.want)
		}
	}
}

// talk gives a voice packets of one level for a while.
func talk(v *voice, level uint8, known bool, from, to int64) {
	for now := from; now < to; now += 20 * ms {
		v.hear(level, known, now)
	}
}

func TestLoudestThreeAreHeardAndKeepTheirPlace(t *testing.T) {
	start := int64(time.Minute)
	voices := []voice{{id: "a"}, {id: "b"}, {id: "c"}, {id: "d"}, {id: "e"}}
	levels := []uint8{30, 40, 35, 127, 127}
	until := start + 2000*ms
	for i := range voices {
		talk(&voices[i], levels[i], true, start, until)
	}
	held := rank(voices, nil, until)
	if want := []string{"a", "c", "b"}; !slices.Equal(held[:3], want) {
		t.Fatalf("heard %v, want %v", held, want)
	}
	// Somebody a little louder than b does not take its place, somebody much louder does.
	talk(&voices[3], 36, true, until, until+2000*ms)
	for i := range 3 {
		talk(&voices[i], levels[i], true, until, until+2000*ms)
	}
	until += 2000 * ms
	if held = rank(voices, held[:3], until); slices.Index(held, "d") != 3 {
		t.Errorf("a newcomer 4 dB louder: %v", held)
	}
	talk(&voices[4], 15, true, until, until+1000*ms)
	for i := range 4 {
		talk(&voices[i], []uint8{30, 40, 35, 36}[i], true, until, until+1000*ms)
	}
	until += 1000 * ms
	if held = rank(voices, held[:3], until); held[0] != "e" {
		t.Errorf("a newcomer 20 dB louder: %v", held)
	}
}

func TestPauseBetweenWordsKeepsTheSpeaker(t *testing.T) {
	start := int64(time.Minute)
	voices := []voice{{id: "a"}, {id: "b"}, {id: "c"}, {id: "x"}}
	until := start + 1000*ms
	for i := range 3 {
		talk(&voices[i], 30, true, start, until)
	}
	talk(&voices[3], 95, true, start, until) // a fan
	held := rank(voices, nil, until)[:3]
	talk(&voices[0], 127, true, until, until+1000*ms) // a takes breath
	for i := 1; i < 3; i++ {
		talk(&voices[i], 30, true, until, until+1000*ms)
	}
	talk(&voices[3], 95, true, until, until+1000*ms)
	if got := rank(voices, held, until+1000*ms); slices.Index(got, "a") > 2 {
		t.Errorf("a lost its place to a fan: %v", got)
	}
}

func TestPublisherWithoutLevelsIsHeardAfterSpeechAndBeforeSilence(t *testing.T) {
	start := int64(time.Minute)
	voices := []voice{{id: "quiet"}, {id: "encoder"}, {id: "speaker"}, {id: "gone"}}
	talk(&voices[0], 127, true, start, start+1000*ms)
	talk(&voices[1], 0, false, start, start+1000*ms)
	talk(&voices[2], 30, true, start, start+1000*ms)
	got := rank(voices, nil, start+1000*ms)
	if want := []string{"speaker", "encoder", "quiet"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestChairIsAlwaysHeard(t *testing.T) {
	start := int64(time.Minute)
	voices := []voice{{id: "a"}, {id: "b"}, {id: "c"}, {id: "chair", always: true}}
	for i, l := range []uint8{20, 20, 20, 127} {
		talk(&voices[i], l, true, start, start+1000*ms)
	}
	if got := rank(voices, []string{"a", "b", "c"}, start+1000*ms); got[0] != "chair" {
		t.Errorf("%v", got)
	}
}

func TestSpeakersForPeopleAreThoseWhoTalk(t *testing.T) {
	start := int64(time.Minute)
	voices := []voice{{id: "a"}, {id: "b"}, {id: "c"}}
	for i, l := range []uint8{40, 20, 110} {
		talk(&voices[i], l, true, start, start+1000*ms)
	}
	if got := speakersNow(voices, start+1000*ms); !slices.Equal(got, []string{"b", "a"}) {
		t.Errorf("%v", got)
	}
	if got := speakersNow(voices, start+5000*ms); len(got) != 0 {
		t.Errorf("after the packets ended: %v", got)
	}
}

func TestSpeakersKeepTheirAudioSlot(t *testing.T) {
	for _, c := range []struct{ now, speakers, want []string }{
		{nil, []string{"a", "b"}, []string{"a", "b", ""}},
		{[]string{"a", "b", "c"}, []string{"c", "d", "a"}, []string{"a", "d", "c"}},
		{[]string{"a", "b", "c"}, nil, []string{"", "", ""}},
		{[]string{"", "b", ""}, []string{"x", "b", "y", "z"}, []string{"x", "b", "y"}},
	} {
		if got := seat(c.now, c.speakers, 3); !slices.Equal(got, c.want) {
			t.Errorf("seat(%v, %v) = %v, want %v", c.now, c.speakers, got, c.want)
		}
	}
}

func TestThePlainViewerHearsHisLanguage(t *testing.T) {
	hub := stream.NewHub(slog.New(slog.DiscardHandler))
	defer hub.Close()
	pub, err := hub.Publish("channels/a", false)
	if err != nil {
		t.Fatal(err)
	}
	defer pub.Close()
	sound := func(label stream.Label, language string) stream.TrackInfo {
		return stream.TrackInfo{Label: label, Form: stream.Frames, Format: media.Format{Codec: media.Opus, Language: language}}
	}
	opus := func(c media.Codec) bool { return c == media.Opus }
	for _, c := range []struct {
		name   string
		tracks []stream.TrackInfo
		want   string
		label  stream.Label
	}{
		{"one, of no language", []stream.TrackInfo{sound("audio", "")}, "", "audio"},
		{"the first", []stream.TrackInfo{sound("audio", "bod"), sound("audio2", "eng")}, "", "audio"},
		{"Chinese before the first", []stream.TrackInfo{sound("audio", "bod"), sound("audio2", "chi")}, "", "audio2"},
		{"what he wants", []stream.TrackInfo{sound("audio", "chi"), sound("audio2", "bod")}, "bod", "audio2"},
		{"by label", []stream.TrackInfo{sound("audio", "chi"), sound("audio2", "")}, "audio2", "audio2"},
		{"what is not there", []stream.TrackInfo{sound("audio", "chi"), sound("audio2", "bod")}, "uig", "audio"},
		{"only the second is there yet", []stream.TrackInfo{sound("audio2", "")}, "", "audio2"},
		{"nothing is there yet", nil, "", "audio"},
	} {
		t.Run(c.name, func(t *testing.T) {
			tracks := pub.SetTracks(c.tracks)
			slices.Reverse(tracks) // the order of publishing says nothing
			if got := spokenIn(tracks, c.want, opus); got != c.label {
				t.Errorf("he hears %s, want %s", got, c.label)
			}
		})
	}
}
