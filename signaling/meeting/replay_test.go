package meeting

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"
)

// requireReplayEqual stores a log as the server does, reads it back and compares
// the state that it yields with the one that made it.
func requireReplayEqual(t *testing.T, want *State, log []Event) {
	t.Helper()
	got := New()
	for i, e := range log {
		if e.Seq != int64(i+1) {
			t.Fatalf("event %d has the number %d", i+1, e.Seq)
		}
		data, err := EncodeBody(e.Body)
		if err != nil {
			t.Fatal(err)
		}
		body, err := DecodeBody(e.Body.Kind(), data)
		if err != nil {
			t.Fatal(err)
		}
		at, err := e.At.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		var back Time
		if err := back.UnmarshalJSON(at); err != nil {
			t.Fatal(err)
		}
		got.Replay(Event{Seq: e.Seq, At: back, Body: body})
	}
	if !reflect.DeepEqual(got, want) {
		a, _ := json.Marshal(got)
		b, _ := json.Marshal(want)
		t.Fatalf("replay differs:\n got %s\nwant %s", a, b)
	}
}

// requireSound checks what holds in every state.
func requireSound(t *testing.T, s *State) {
	t.Helper()
	seen := map[ID]bool{}
	sharing := ID("")
	raised := 0
	for i := range s.Participants {
		p := &s.Participants[i]
		if seen[p.ID] {
			t.Fatalf("%s sits twice", p.ID)
		}
		seen[p.ID] = true
		if p.Screen {
			if sharing != "" {
				t.Fatalf("%s and %s share", sharing, p.ID)
			}
			sharing = p.ID
		}
		if p.Hand {
			raised++
		}
		if p.Hand != slices.Contains(s.Hands, p.ID) || p.Hand == p.HandAt.IsZero() {
			t.Fatalf("hand of %s: %v, queue %v", p.ID, p.Hand, s.Hands)
		}
		if p.Connected != p.CutAt.IsZero() {
			t.Fatalf("%s connected %v, cut at %v", p.ID, p.Connected, p.CutAt)
		}
		if p.MutedByChair && (!p.Muted || p.Role == Chair) {
			t.Fatalf("%s (%s) muted %v, by chair", p.ID, p.Role, p.Muted)
		}
		if p.Role == Viewer && (!p.Muted || p.Camera || p.Screen) {
			t.Fatalf("viewer %s publishes: %+v", p.ID, p)
		}
		if !p.Role.Valid() {
			t.Fatalf("%s has the role %q", p.ID, p.Role)
		}
	}
	if sharing != s.Screen || raised != len(s.Hands) {
		t.Fatalf("screen %q but %q shares; %d hands in %v", s.Screen, sharing, raised, s.Hands)
	}
	if len(s.Chat) > ChatTail || len(s.Participants) > MaxParticipants {
		t.Fatal("state grows without bound")
	}
}

// randomCommand turns a few bytes into a command among six people.
func randomCommand(s *State, op, who, whom, flag byte) Command {
	user := fmt.Sprintf("p%d", who%6)
	by, other := ID(user), ID(fmt.Sprintf("p%d", whom%6))
	on := flag&1 == 1
	if flag&2 == 0 {
		other = ""
	}
	roles := [...]Role{Chair, Member, Member, Viewer}
	role := roles[flag>>2%4]
	switch op % 17 {
	case 0, 1, 2:
		id, taken := s.Seat(user, Claim{Participant: by, Epoch: int64(whom)})
		if taken {
			return Resume{Participant: id}
		}
		return Join{Participant: id, Name: user, User: user, Role: role, Muted: on, Camera: flag&2 == 0}
	case 3:
		return Disconnect{Participant: by}
	case 4:
		return Tick{}
	case 5:
		return Publish{Participant: by, On: on, Video: flag&2 == 0}
	case 6:
		return Leave{By: by}
	case 7, 8:
		return Mute{By: by, Participant: other, Muted: on}
	case 9:
		return MuteAll{By: by, Muted: on, SelfUnmute: flag&2 == 0}
	case 10:
		return Camera{By: by, On: on}
	case 11, 12:
		return Screen{By: by, Participant: other, On: on}
	case 13:
		return Hand{By: by, Participant: other, Raised: on}
	case 14:
		return Chat{By: by, Text: fmt.Sprint("text ", whom)}
	case 15:
		return SetRole{By: by, Participant: other, Role: role}
	}
	if flag == 255 {
		return End{By: by}
	}
	return Restart{}
}

// play runs commands and checks after each that the state is sound, that an
// error changed nothing, and at the end that the log gives the same state.
func play(t *testing.T, next func() (op, who, whom, flag byte, ok bool)) {
	t.Helper()
	s, now := New(), time.Date(2026, 11, 24, 9, 0, 0, 123456789, time.UTC)
	var log []Event
	for {
		op, who, whom, flag, ok := next()
		if !ok {
			break
		}
		now = now.Add(time.Duration(flag) * 100 * time.Millisecond)
		before := s.Clone()
		events, err := s.Apply(randomCommand(s, op, who, whom, flag), now)
		if (err != nil || len(events) == 0) && !reflect.DeepEqual(before, s) {
			t.Fatalf("state changed without an event (%v)", err)
		}
		log = append(log, events...)
		requireSound(t, s)
	}
	requireReplayEqual(t, s, log)
}

func TestReplayOfTheLogGivesTheSameState(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 1))
		n := 0
		play(t, func() (byte, byte, byte, byte, bool) {
			n++
			x := r.Uint32()
			return byte(x), byte(x >> 8), byte(x >> 16), byte(x >> 24), n <= 300
		})
	}
}

func FuzzApply(f *testing.F) {
	f.Add([]byte{0, 0, 0, 0, 0, 1, 0, 4, 7, 0, 1, 3, 3, 1, 0, 0, 4, 0, 0, 255})
	f.Add([]byte{0, 0, 0, 0, 11, 0, 0, 1, 16, 0, 0, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		play(t, func() (op, who, whom, flag byte, ok bool) {
			if len(b) < 4 {
				return 0, 0, 0, 0, false
			}
			op, who, whom, flag, b = b[0], b[1], b[2], b[3], b[4:]
			return op, who, whom, flag, true
		})
	})
}

func FuzzDecodeBody(f *testing.F) {
	f.Add("joined", []byte(`{"participant":{"id":"li","joined_at":"2026-11-24T01:03:00.000Z"}}`))
	f.Add("hand", []byte(`{"participant":"li","raised":true}`))
	f.Add("later", []byte(`{}`))
	f.Fuzz(func(t *testing.T, kind string, data []byte) {
		b, err := DecodeBody(kind, data)
		if err != nil {
			return
		}
		enc, err := EncodeBody(b)
		if err != nil {
			t.Skip("a year that RFC 3339 cannot write")
		}
		again, err := DecodeBody(kind, enc)
		if err != nil || !reflect.DeepEqual(again, b) {
			t.Fatalf("%s: %#v became %#v (%v)", kind, b, again, err)
		}
		s := New()
		s.Replay(Event{Seq: 1, Body: b})
	})
}

func TestUnknownKindOfALaterVersionIsNamed(t *testing.T) {
	if _, err := DecodeBody("poll_opened", []byte(`{}`)); !errors.Is(err, ErrUnknownKind) {
		t.Fatalf("got %v", err)
	}
}

func TestLayoutNeverShowsSomebodyTwiceOrToHimself(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 2))
		s := New()
		for i := range 2 + r.IntN(10) {
			s.Participants = append(s.Participants, Participant{
				ID: ID(fmt.Sprintf("p%d", i)), Camera: r.IntN(4) > 0, Publishing: r.IntN(5) > 0, Connected: true,
			})
		}
		view := View{Viewer: "p0", Slots: r.IntN(7)}
		var prev []Assignment
		for range 20 {
			p := &s.Participants[r.IntN(len(s.Participants))]
			p.Camera = !p.Camera
			s.Screen = ""
			if r.IntN(3) == 0 {
				s.Screen = p.ID
			}
			speaker := s.Participants[r.IntN(len(s.Participants))].ID
			now := Layout(s, speaker, view, prev)
			requireGoodLayout(t, s, speaker, view, now)
			if again := Layout(s, speaker, view, now); !slices.Equal(again, now) {
				t.Fatalf("seed %d: not stable: %v then %v", seed, now, again)
			}
			prev = now
		}
	}
}

func requireGoodLayout(t *testing.T, s *State, speaker ID, v View, got []Assignment) {
	t.Helper()
	if len(got) != v.Slots {
		t.Fatalf("%d slots, want %d", len(got), v.Slots)
	}
	seen := map[ID]bool{}
	var visible, shown int
	for i := range s.Participants {
		if p := &s.Participants[i]; p.ID != v.Viewer && p.Camera && p.Publishing {
			visible++
		}
	}
	room := v.Slots
	for _, a := range got {
		if a.Participant == v.Viewer {
			t.Fatal("shown to himself")
		}
		if a.Label == LabelScreen {
			room--
			continue
		}
		if a.Participant == "" {
			continue
		}
		if seen[a.Participant] {
			t.Fatalf("%s twice in %v", a.Participant, got)
		}
		if !s.visible(a.Participant) {
			t.Fatalf("%s has no picture", a.Participant)
		}
		seen[a.Participant] = true
		shown++
	}
	if shown != min(visible, max(room, 0)) {
		t.Fatalf("%d shown of %d in %d slots", shown, visible, room)
	}
	if room > 0 && speaker != v.Viewer && s.visible(speaker) && !seen[speaker] {
		t.Fatalf("speaker %s is not shown: %v", speaker, got)
	}
}
