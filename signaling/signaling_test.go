package signaling

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"

	"tongxiang/signaling/meeting"
)

func TestEventsReachEverybodyAndGiveTheSameState(t *testing.T) {
	w := newWorld(t, nil)
	wang, li := w.join("wang", ""), w.join("li", "")
	for _, step := range []struct {
		by   *client
		text string
		code string
	}{
		{li, `{"type":"hand","raised":true}`, ""},
		{li, `{"type":"chat","text":"  三号会场听不到声音 "}`, ""},
		{li, `{"type":"camera","on":true}`, ""},
		{li, `{"type":"mute","participant":"wang","muted":true}`, "not_allowed"},
		{wang, `{"type":"mute","participant":"li","muted":true}`, ""},
		{li, `{"type":"mute","muted":false}`, "muted_by_chair"},
		{wang, `{"type":"mute","participant":"li","muted":false}`, ""},
		{li, `{"type":"mute","muted":false}`, ""},
		{li, `{"type":"screen","on":true}`, ""},
		{wang, `{"type":"screen","on":true}`, "screen_taken"},
		{wang, `{"type":"hand","participant":"chen","raised":false}`, "participant_not_found"},
		{wang, `{"type":"role","participant":"wang","role":"viewer"}`, "last_chair"},
		{wang, `{"type":"chat","text":" "}`, "invalid"},
		{wang, `{"type":"view","slots":[{"slot":99,"want":"auto","height":1}]}`, "invalid"},
		{wang, `{"type":"view","slots":[{"slot":0,"want":"li","height":1}]}`, ""},
		{wang, `{"type":"role","participant":"li","role":"chair"}`, ""},
		{wang, `{"type":"media"}`, ""},
		{wang, `{"type":"hello","v":1}`, "already_seated"},
		{li, `{"type":"chat","text":"end"}`, ""},
	} {
		if got := step.by.do("%s", step.text); got != step.code {
			t.Fatalf("%s: %q, want %q", step.text, got, step.code)
		}
	}
	for wang.state.Seq < li.state.Seq {
		next[Happened](wang)
	}
	if !reflect.DeepEqual(publicOf(wang.state), publicOf(li.state)) {
		t.Fatalf("wang sees %+v\nli sees %+v", wang.state, li.state)
	}
	if text := wang.state.Chat[0].Text; text != "三号会场听不到声音" {
		t.Errorf("chat %q", text)
	}
	snap, live := w.svc.Live("42")
	if !live || len(snap.Participants) != 2 || snap.Screen != "li" || snap.Participants[0].User != "" {
		t.Errorf("live: %v %+v", live, snap)
	}
}

// publicOf leaves out what the wire does not carry.
func publicOf(s *meeting.State) *meeting.State {
	c := s.Public()
	for i := range c.Participants {
		c.Participants[i].Epoch = 0
	}
	return c
}

func TestRequestsAreRefusedBeforeTheUpgradeWithAStableCode(t *testing.T) {
	w := newWorld(t, nil)
	for _, c := range []struct {
		user, path, origin string
		status             int
		code               string
	}{
		{"", "/ws/meetings/42", "", 401, "unauthenticated"},
		{"li", "/ws/meetings/404", "", 404, "meeting_not_found"},
		{"li", "/ws/meetings/410", "", 410, "meeting_ended"},
		{"li", "/ws/meetings/42", "https://evil.example", 403, "origin_not_allowed"},
	} {
		h := http.Header{"Accept-Language": {"en"}}
		if c.origin != "" {
			h.Set("Origin", c.origin)
		}
		_, res, err := w.dial(c.user, c.path, h)
		if err == nil || res == nil {
			t.Fatalf("%+v: connected", c)
		}
		body := make([]byte, 1024)
		n, _ := res.Body.Read(body)
		if res.StatusCode != c.status || !strings.Contains(string(body[:n]), `"code":"`+c.code+`"`) {
			t.Errorf("%+v: %d %s", c, res.StatusCode, body[:n])
		}
	}
	conn, _, err := w.dial("li", "/ws/meetings/42", http.Header{"Origin": {"http://server"}})
	if err != nil {
		t.Fatalf("own origin refused: %v", err)
	}
	if conn.Subprotocol() != Subprotocol {
		t.Errorf("subprotocol %q", conn.Subprotocol())
	}
	_ = conn.Close()
}

func TestPlainRequestIsToldToUpgrade(t *testing.T) {
	w := newWorld(t, nil)
	rec := httptest.NewRecorder()
	w.svc.Handler().ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/ws/meetings/42", nil))
	if rec.Code != http.StatusUpgradeRequired {
		t.Fatalf("status %d", rec.Code)
	}
}

func TestSeatHandAndMuteSurviveACut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		wang, li := w.join("wang", ""), w.join("li", "")
		li.do(`{"type":"hand","raised":true}`)
		wang.do(`{"type":"mute","participant":"li","muted":true}`)
		_ = li.conn.Close()
		event[meeting.Disconnected](wang)
		time.Sleep(50 * time.Second) // of the bubble's clock
		again := w.join("li", li.welcome.Resume)
		if !again.welcome.Resumed || again.welcome.You != "li" {
			t.Fatalf("welcome %+v", again.welcome)
		}
		p := again.state.Find("li")
		if !p.Hand || !p.Muted || !p.MutedByChair || !p.Connected {
			t.Fatalf("seat %+v", p)
		}
		event[meeting.Resumed](wang)
	})
}

func TestSeatIsGivenUpAfterSixtySeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		wang, li := w.join("wang", ""), w.join("li", "")
		li.do(`{"type":"hand","raised":true}`)
		_ = li.conn.Close()
		start := time.Now()
		if left := event[meeting.Left](wang); left.Participant != "li" || left.Reason != meeting.ReasonExpired {
			t.Fatalf("%+v", left)
		}
		if d := time.Since(start); d < meeting.SeatTime || d > meeting.SeatTime+2*tickEvery {
			t.Errorf("after %v", d)
		}
		again := w.join("li", li.welcome.Resume)
		if again.welcome.Resumed || again.state.Find("li").Hand {
			t.Fatalf("old seat came back: %+v", again.state)
		}
		if !slices.Contains(w.media.closed, "li") {
			t.Error("media of who left goes on")
		}
	})
}

func TestNewestConnectionWins(t *testing.T) {
	w := newWorld(t, nil)
	li := w.join("li", "")
	for range 5 {
		again := w.join("li", li.welcome.Resume)
		if !again.welcome.Resumed || again.welcome.You != "li" {
			t.Fatalf("%+v", again.welcome)
		}
		requireBye(t, li, "replaced", 4002)
		li = again
	}
	if code := li.do(`{"type":"hand","raised":true}`); code != "" {
		t.Fatalf("the newest cannot act: %s", code)
	}
	if n := len(li.state.Participants); n != 1 {
		t.Fatalf("%d seats", n)
	}
	if second := w.join("li", ""); second.welcome.You != "li-2" || second.state.Find("li-2").Name != "LI (2)" {
		t.Fatalf("second device: %+v", second.welcome)
	}
}

func TestSilentClientIsCutAfterFifteenSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		li := w.join("li", "")
		wang := w.connect("wang")
		wang.mute.Store(true)
		wang.raw(`{"type":"hello","v":1}`)
		next[Welcome](wang)
		start := time.Now()
		requireBye(t, wang, "heartbeat_timeout", 4006)
		if d := time.Since(start); d != silenceTime {
			t.Errorf("after %v", d)
		}
		time.Sleep(40 * time.Second)
		if code := li.do(`{"type":"hand","raised":true}`); code != "" {
			t.Fatalf("who answers pings was disturbed: %s", code)
		}
		if li.state.Find("wang").Connected {
			t.Error("wang is not shown as cut")
		}
	})
}

func TestClientWithoutHelloIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		start := time.Now()
		c := w.connect("li")
		c.mute.Store(true) // a pipe holds no pong that the server no longer reads
		requireBye(t, c, "hello_required", 4005)
		if d := time.Since(start); d != helloTime {
			t.Errorf("after %v", d)
		}
		c = w.connect("li")
		c.raw(`{"type":"hand","raised":true}`)
		requireBye(t, c, "hello_required", 4005)
		c = w.connect("li")
		c.raw(`{"type":"hello","v":99}`)
		requireBye(t, c, "unsupported_version", 4003)
	})
}

func TestBadMessagesDisturbNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		wang, li, chen := w.join("wang", ""), w.join("li", ""), w.join("chen", "")
		li.raw(`{"type":`)
		if f := next[Failure](li); f.Code != "malformed" || f.Message != errMalformed.EN {
			t.Fatalf("%+v", f)
		}
		if err := li.conn.WriteMessage(websocket.BinaryMessage, []byte{1, 2, 3}); err != nil {
			t.Fatal(err)
		}
		if f := next[Failure](li); f.Code != "malformed" {
			t.Fatalf("%+v", f)
		}
		go li.raw(strings.Repeat("x", 1<<20))
		requireBye(t, li, "message_too_large", websocket.CloseMessageTooBig)
		for range 70 {
			chen.raw(`{"type":"hand","raised":true}`)
		}
		if f := next[Failure](chen); f.Code != "too_many_messages" {
			t.Fatalf("%+v", f)
		}
		for range 200 {
			chen.raw(`{"type":"hand","raised":true}`)
		}
		requireBye(t, chen, "too_many_messages", 4008)
		if code := wang.do(`{"type":"chat","text":"still here"}`); code != "" {
			t.Fatal(code)
		}
	})
}

func TestChatIsLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		li := w.join("li", "")
		for i := range chatBurst {
			if code := li.do(`{"type":"chat","text":"%d"}`, i); code != "" {
				t.Fatalf("line %d: %s", i, code)
			}
		}
		if code := li.do(`{"type":"chat","text":"one more"}`); code != "too_many_messages" {
			t.Fatalf("got %q", code)
		}
		time.Sleep(time.Second)
		if code := li.do(`{"type":"chat","text":"later"}`); code != "" {
			t.Fatal(code)
		}
	})
}

func TestSlowClientIsClosedAndOthersGoOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		wang := w.join("wang", "")
		conn, _, err := w.dial("slow", "/ws/meetings/42", nil)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if err := conn.WriteMessage(websocket.TextMessage, []byte(`{"type":"hello","v":1}`)); err != nil {
			t.Fatal(err)
		}
		event[meeting.Joined](wang)
		// A pipe holds nothing: the server cannot write while nobody reads. Within the write
		// time the queue overflows; then the client reads again and finds its bye.
		for i := range outboxSize + 40 {
			if i%15 == 0 {
				time.Sleep(time.Second / 5)
			}
			w.media.events <- Speaking{Participants: []meeting.ID{meeting.ID([]string{"wang", "slow"}[i%2])}}
			synctest.Wait()
		}
		var last any
		for {
			_, data, err := conn.ReadMessage()
			if err != nil {
				if !websocket.IsCloseError(err, 4007) {
					t.Fatalf("closed with %v", err)
				}
				break
			}
			if last, err = DecodeServer(data); err != nil {
				t.Fatal(err)
			}
		}
		if b, ok := last.(Bye); !ok || b.Code != "slow_client" {
			t.Fatalf("last word %+v", last)
		}
		event[meeting.Disconnected](wang)
	})
}

func TestLeaveGivesTheSeatUpAtOnce(t *testing.T) {
	w := newWorld(t, nil)
	wang, li := w.join("wang", ""), w.join("li", "")
	li.raw(`{"type":"leave"}`)
	requireBye(t, li, "left", websocket.CloseNormalClosure)
	if left := event[meeting.Left](wang); left.Participant != "li" || left.Reason != meeting.ReasonLeft {
		t.Fatalf("%+v", left)
	}
}

func TestEndedMeetingSendsEverybodyAwayForGood(t *testing.T) {
	w := newWorld(t, nil)
	wang, li := w.join("wang", ""), w.join("li", "")
	if code := li.do(`{"type":"end"}`); code != "not_allowed" {
		t.Fatalf("got %q", code)
	}
	wang.raw(`{"type":"end"}`)
	requireBye(t, li, "meeting_ended", 4001)
	requireBye(t, wang, "meeting_ended", 4001)
	c := w.connect("li")
	c.raw(`{"type":"hello","v":1}`)
	requireBye(t, c, "meeting_ended", 4001)
	if err := w.svc.End(context.Background(), "42"); err != nil {
		t.Fatalf("ending twice: %v", err)
	}
	if _, live := w.svc.Live("42"); live {
		t.Error("still live")
	}
}

func TestOperatorEndsAMeeting(t *testing.T) {
	w := newWorld(t, nil)
	li := w.join("li", "")
	if err := w.svc.End(context.Background(), "42"); err != nil {
		t.Fatal(err)
	}
	requireBye(t, li, "meeting_ended", 4001)
}

func TestRestartPutsEverybodyBackInTheSeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &memoryStore{logs: map[string][]Record{}}
		w := newWorld(t, store)
		wang, li := w.join("wang", ""), w.join("li", "")
		li.do(`{"type":"hand","raised":true}`)
		li.do(`{"type":"chat","text":"before"}`)
		wang.do(`{"type":"mute","participant":"li","muted":true}`)
		w.svc.Close()
		requireBye(t, li, "shutting_down", websocket.CloseGoingAway)

		w = newWorld(t, store)
		again := w.join("li", li.welcome.Resume)
		p := again.state.Find("li")
		if !again.welcome.Resumed || !p.Hand || !p.MutedByChair || again.state.Chat[0].Text != "before" {
			t.Fatalf("%+v %+v", again.welcome, p)
		}
		if again.state.Find("wang").Connected {
			t.Error("wang is not shown as cut")
		}
		synctest.Wait()
		w.media.see(func() {
			if !w.media.muted["li"] {
				t.Error("the mute is no longer enforced")
			}
		})
		if left := event[meeting.Left](again); left.Participant != "wang" || left.Reason != meeting.ReasonExpired {
			t.Fatalf("%+v", left)
		}
		if !slices.Contains(store.kinds("42"), "restarted") {
			t.Error("the log does not say that the server restarted")
		}
	})
}

func TestWhatIsNotStoredHasNotHappened(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		wang, li := w.join("wang", ""), w.join("li", "")
		w.store.setRefuse(true)
		if code := li.do(`{"type":"hand","raised":true}`); code != "store_unavailable" {
			t.Fatalf("got %q", code)
		}
		c := w.connect("chen")
		c.raw(`{"type":"hello","v":1}`)
		requireBye(t, c, "store_unavailable", 4009)
		_ = li.conn.Close() // a fact: it is written down when the store is back
		time.Sleep(3 * time.Second)
		w.store.setRefuse(false)
		if d := event[meeting.Disconnected](wang); d.Participant != "li" {
			t.Fatalf("%+v", d)
		}
		if wang.state.Find("li").Hand || wang.state.Find("chen") != nil {
			t.Fatalf("%+v", wang.state)
		}
	})
}

func TestMediaFollowsTheMeeting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		wang, li := w.join("wang", ""), w.join("li", "")
		wang.do(`{"type":"camera","on":true}`)
		w.media.events <- PublisherUp{Participant: "wang", Video: true}
		w.media.events <- ViewerUp{Participant: "li", VideoSlots: 2, AudioSlots: 1}
		event[meeting.PublishingChanged](li)
		s := slotsWhere(li, func(s Slots) bool { return s.Video[0].Participant == "wang" && len(s.Video) == 2 })
		if s.Video[0].Live || s.Audio[0].Mid != "2" || s.Video[1].Participant != "" {
			t.Fatalf("%+v", s)
		}
		w.media.events <- VideoChanged{Viewer: "li", Slot: 0, Participant: "wang", Label: "video", Layer: 2}
		w.media.events <- AudioChanged{Viewer: "li", Slots: []meeting.ID{"wang"}}
		slotsWhere(li, func(s Slots) bool {
			return s.Video[0].Live && s.Video[0].Layer == 2 && s.Audio[0].Participant == "wang"
		})
		w.media.events <- Speaking{Participants: []meeting.ID{"wang"}}
		if sp := next[Speaker](li); sp.Participant != "wang" {
			t.Fatalf("%+v", sp)
		}
		w.media.events <- LayersWanted{Participant: "wang", RIDs: []string{"q"}}
		if l := next[Layers](wang); !slices.Equal(l.Active, []string{"q"}) {
			t.Fatalf("%+v", l)
		}
		wang.do(`{"type":"mute","participant":"li","muted":true}`)
		synctest.Wait()
		w.media.see(func() {
			want := []meeting.Assignment{{Slot: 0, Participant: "wang", Label: "video", MaxHeight: 720}, {Slot: 1, MaxHeight: 360}}
			if !w.media.muted["li"] || w.media.muted["wang"] || !slices.Equal(w.media.slots["li"], want) {
				t.Errorf("media was told %v %v", w.media.muted, w.media.slots)
			}
		})
		wang.do(`{"type":"screen","on":true}`)
		slotsWhere(li, func(s Slots) bool { return s.Video[0].Label == "screen" && s.Video[1].Participant == "wang" })
		synctest.Wait()
		var air AirInput
		for len(w.air) > 0 {
			air = <-w.air
		}
		if !reflect.DeepEqual(air, AirInput{Screen: "wang", Speakers: []meeting.ID{"wang"}, Present: []meeting.ID{"wang"}}) {
			t.Errorf("on air: %+v", air)
		}
		w.media.events <- PublisherUp{Participant: "cam1", Video: true}
		if j := event[meeting.Joined](li).Participant; !j.Encoder || j.ID != "cam1" || j.Role != meeting.Member {
			t.Fatalf("%+v", j)
		}
		w.media.events <- PublisherDown{Participant: "cam1"}
		event[meeting.Left](li)
		// A member made viewer may no longer publish.
		wang.do(`{"type":"role","participant":"li","role":"viewer"}`)
		if m := next[NewMedia](li); m.Media.WHIP != "" || m.Media.Token != "42/li/false" {
			t.Fatalf("%+v", m)
		}
	})
}

func slotsWhere(c *client, ok func(Slots) bool) Slots {
	c.t.Helper()
	for {
		if s := next[Slots](c); ok(s) {
			return s
		}
	}
}

func TestMediaTokenIsRenewedBeforeItEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		li := w.join("li", "")
		start := time.Now()
		var m NewMedia
		for range 60 { // next gives up after two minutes; the token lasts an hour
			select {
			case v := <-li.in:
				if n, ok := v.(NewMedia); ok {
					m = n
				}
			case <-time.After(time.Minute):
			}
			if m.Media.Token != "" {
				break
			}
		}
		if d := time.Since(start); m.Media.Token == "" || d > time.Hour-4*time.Minute {
			t.Fatalf("%+v after %v", m, d)
		}
	})
}

func TestRoomWithoutPeopleCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		if err := w.svc.Open(context.Background(), "42"); err != nil {
			t.Fatal(err)
		}
		li := w.join("li", "")
		li.raw(`{"type":"leave"}`)
		requireBye(t, li, "left", websocket.CloseNormalClosure)
		time.Sleep(idleTime + 3*tickEvery)
		w.svc.mu.Lock()
		n := len(w.svc.rooms)
		w.svc.mu.Unlock()
		if n != 0 {
			t.Fatalf("%d rooms are left", n)
		}
		if again := w.join("li", ""); again.welcome.Seq != 3 {
			t.Fatalf("the log was not read again: %+v", again.welcome)
		}
	})
}

func TestManyJoinAndCutAtOnceOverTCP(t *testing.T) {
	w := newWorld(t, nil)
	srv := httptest.NewServer(w.svc.Handler())
	defer srv.Close()
	url := "ws" + strings.TrimPrefix(srv.URL, "http") + "/ws/meetings/42"
	const people = 60
	errs := make(chan error, people)
	for i := range people {
		go func() {
			errs <- func() error {
				d := websocket.Dialer{Subprotocols: []string{Subprotocol, fmt.Sprintf("bearer.p%d", i)}}
				conn, _, err := d.Dial(url, nil)
				if err != nil {
					return err
				}
				defer conn.Close()
				if err := conn.WriteMessage(websocket.TextMessage, []byte(`{"type":"hello","v":1}`)); err != nil {
					return err
				}
				if err := conn.WriteMessage(websocket.TextMessage, []byte(`{"type":"hand","id":"h","raised":true}`)); err != nil {
					return err
				}
				for {
					_, data, err := conn.ReadMessage()
					if err != nil {
						return err
					}
					if v, err := DecodeServer(data); err != nil {
						return err
					} else if ok, is := v.(OK); is && ok.ID == "h" {
						return nil
					}
				}
			}()
		}()
	}
	for range people {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	eventually(t, "all cut, all hands kept", func() bool {
		snap, live := w.svc.Live("42")
		if !live || len(snap.Participants) != people {
			return false
		}
		for _, p := range snap.Participants {
			if p.Connected || !p.Hand {
				return false
			}
		}
		return true
	})
}
