package sfu

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"

	"tongxiang/internal/media"
	"tongxiang/internal/stream"
)

// eventLog keeps what a room reports.
type eventLog struct {
	mu  sync.Mutex
	all []RoomEvent
}

func follow(r *Room) *eventLog {
	l := &eventLog{}
	go func() {
		for e := range r.Events() {
			l.mu.Lock()
			l.all = append(l.all, e)
			l.mu.Unlock()
		}
	}()
	return l
}

// last returns the newest event of a type that fits.
func last[E RoomEvent](l *eventLog, fits func(E) bool) (E, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range slices.Backward(l.all) {
		if e, ok := e.(E); ok && fits(e) {
			return e, true
		}
	}
	var none E
	return none, false
}

func is[E RoomEvent](l *eventLog, fits func(E) bool) func() bool {
	return func() bool { _, ok := last(l, fits); return ok }
}

// participant publishes a camera and a microphone into meeting 1.
func participant(n *node, id string, codec media.Codec, level int) (cam, mic *testSource, c *client) {
	c = newClient(n, clientOptions{h264: codec == media.H264, vp8: codec == media.VP8, level: level >= 0})
	mic = c.addAudio(level)
	cam = c.addVideo(codec)[0]
	c.post("whip", "meetings/1", id)
	return cam, mic, c
}

func name(id string) stream.Name { return stream.Participant("1", id) }

// turns returns the payload types in the order in which they took turns.
func turns(packets []*rtp.Packet) (list []uint8) {
	for _, p := range packets {
		if len(list) == 0 || list[len(list)-1] != p.PayloadType {
			list = append(list, p.PayloadType)
		}
	}
	return list
}

func TestSlotFollowsItsAssignmentWithoutAGap(t *testing.T) {
	n := newNode(t, nil)
	room := n.eng.Room("1")
	log := follow(room)
	// One sends H.264, the other VP8: the payload type tells them apart.
	camA, _, _ := participant(n, "a", media.H264, -1)
	camB, _, _ := participant(n, "b", media.VP8, -1)
	camA.play(videoStep, 0)
	camB.play(videoStep, 0)
	view := newClient(n, clientOptions{h264: true, vp8: true})
	v, _ := view.receive(2, 1)
	view.post("whep", "meetings/1", "c")
	until(t, "viewer to be known", is(log, func(e ViewerUp) bool {
		return e.Participant == "c" && len(e.Video) == 2 && len(e.Audio) == 1 && e.Video[0] == "0"
	}))
	if v[0].count() != 0 {
		t.Error("media before anything was assigned")
	}
	for i := range 6 {
		who := []string{"a", "b"}[i%2]
		at := v[0].count()
		room.Assign("c", []VideoSlot{{Slot: 0, Source: name(who), Label: stream.LabelVideo, MaxHeight: 360}})
		until(t, "word that the slot shows "+who, func() bool {
			e, _ := last(log, func(e VideoSlotChanged) bool { return e.Viewer == "c" && e.Slot == 0 && e.MID == "0" })
			return e.Source == name(who) && e.Label == stream.LabelVideo
		})
		until(t, "more picture", func() bool { return v[0].count() > at+10 })
	}
	all := v[0].all()
	continuous(t, all)
	if got := turns(all); len(got) != 6 {
		t.Errorf("sources seen in turn: %v", got)
	}
	// The first packet of each turn is a key frame: the old picture stayed until then.
	for i := 1; i < len(all); i++ {
		if all[i].PayloadType != all[i-1].PayloadType {
			codec := media.H264
			if all[i].PayloadType == 96 {
				codec = media.VP8
			}
			if !media.Inspect(codec, all[i].Payload).Sync {
				t.Errorf("switch %d begins with % x", i, all[i].Payload[:6])
			}
		}
	}
	room.Assign("c", nil)
	until(t, "word that the slot is empty", func() bool {
		e, _ := last(log, func(e VideoSlotChanged) bool { return e.Viewer == "c" && e.Slot == 0 })
		return e.Source == ""
	})
	if v[1].count() != 0 {
		t.Error("a slot that was never assigned got media")
	}
}

func TestSlotOfSomebodyAbsentIsEmptyUntilHePublishes(t *testing.T) {
	n := newNode(t, nil)
	room := n.eng.Room("1")
	log := follow(room)
	cam, _, _ := participant(n, "a", media.H264, -1)
	cam.play(videoStep, 0)
	view := newClient(n, clientOptions{h264: true, vp8: true})
	v, _ := view.receive(1, 0)
	view.post("whep", "meetings/1", "z")
	shows := func(source stream.Name) func() bool {
		return func() bool {
			e, ok := last(log, func(e VideoSlotChanged) bool { return e.Viewer == "z" && e.Slot == 0 })
			return ok && e.Source == source
		}
	}
	room.Assign("z", []VideoSlot{{Slot: 0, Source: name("a"), Label: stream.LabelVideo}})
	until(t, "a's picture", shows(name("a")))
	room.Assign("z", []VideoSlot{{Slot: 0, Source: name("b"), Label: stream.LabelVideo}})
	until(t, "an empty slot instead of somebody else", shows(""))
	later, _, c := participant(n, "b", media.VP8, -1)
	later.play(videoStep, 0)
	until(t, "b's picture", shows(name("b")))
	at := v[0].count()
	until(t, "more of it", func() bool { return v[0].count() > at+10 })
	continuous(t, v[0].all())
	if err := c.pc.Close(); err != nil {
		t.Fatal(err)
	}
	until(t, "an empty slot again", shows(""))
}

func TestLoudestThreeFillTheAudioSlots(t *testing.T) {
	n := newNode(t, nil)
	room := n.eng.Room("1")
	log := follow(room)
	levels := map[string]int{"a": 20, "b": 30, "c": 40, "d": 127, "e": 126}
	for _, id := range []string{"a", "b", "c", "d", "e"} {
		_, mic, _ := participant(n, id, media.H264, levels[id])
		mic.play(audioStep, 0)
	}
	// a watches too: its own voice must not come back.
	for _, who := range []string{"a", "z"} {
		view := newClient(n, clientOptions{h264: true})
		_, sinks := view.receive(1, 3)
		view.post("whep", "meetings/1", who)
		want := []string{"a", "b", "c"}
		if who == "a" {
			want = []string{"b", "c"}
		}
		until(t, who+" to hear the loudest", is(log, func(e AudioSlotsChanged) bool {
			if e.Viewer != who {
				return false
			}
			for _, id := range want {
				if !slices.Contains(e.Participants, id) {
					return false
				}
			}
			return who == "z" || !slices.Contains(e.Participants, "a")
		}))
		until(t, "sound in the slots", func() bool {
			busy := 0
			for _, s := range sinks {
				if s.count() > 20 {
					busy++
				}
			}
			return busy >= len(want)
		})
	}
	until(t, "word who speaks", is(log, func(e SpeakersChanged) bool { return slices.Equal(e.Participants, []string{"a", "b", "c"}) }))
}

func TestPublisherWithoutAudioLevelIsHeard(t *testing.T) {
	n := newNode(t, nil)
	log := follow(n.eng.Room("1"))
	_, mic, _ := participant(n, "encoder", media.H264, -1)
	mic.play(audioStep, 0)
	view := newClient(n, clientOptions{h264: true})
	_, a := view.receive(1, 1)
	view.post("whep", "meetings/1", "z")
	until(t, "sound", func() bool { return a[0].count() > 20 })
	until(t, "its name in the slot", is(log, func(e AudioSlotsChanged) bool { return slices.Equal(e.Participants, []string{"encoder"}) }))
}

func TestMutedSoundIsStoppedAtTheDoor(t *testing.T) {
	n := newNode(t, nil)
	room := n.eng.Room("1")
	room.SetMuted("a", true)
	_, mic, _ := participant(n, "a", media.H264, 20)
	mic.play(audioStep, 0)
	view := newClient(n, clientOptions{h264: true})
	_, a := view.receive(1, 1)
	view.post("whep", "meetings/1", "z")
	until(t, "muted packets to be counted", func() bool { return n.eng.Stats().Drops["muted"] > 0 })
	if a[0].count() != 0 {
		t.Error("heard while muted")
	}
	room.SetMuted("a", false)
	until(t, "sound", func() bool { return a[0].count() > 20 })
	room.SetMuted("a", true)
	dropped := n.eng.Stats().Drops["muted"]
	until(t, "muted again", func() bool { return n.eng.Stats().Drops["muted"] > dropped })
	<-time.After(6 * audioStep) // some of it is dropped by the kernel
	room.SetMuted("a", false)
	at := a[0].count()
	until(t, "sound again", func() bool { return a[0].count() > at+20 })
	continuous(t, a[0].all()) // the pause is no loss
}

func TestViewersInABurstCostOneKeyFrame(t *testing.T) {
	n := newNode(t, nil)
	cam, _, _ := participant(n, "a", media.H264, -1)
	stop := cam.play(videoStep, 0)
	room := n.eng.Room("1")
	view := newClient(n, clientOptions{h264: true})
	v, _ := view.receive(8, 0)
	view.post("whep", "meetings/1", "z")
	until(t, "the camera's first picture", func() bool { return n.eng.Stats().PacketsIn > 50 })
	// Nobody asked for a while, and the last key frame is old.
	until(t, "an old key frame", func() bool { return n.eng.Stats().PacketsIn > 150 })
	before := cam.pliCount()
	var slots []VideoSlot
	for i := range 8 {
		slots = append(slots, VideoSlot{Slot: i, Source: name("a"), Label: stream.LabelVideo})
	}
	room.Assign("z", slots)
	until(t, "picture in all slots", func() bool {
		for _, s := range v {
			if s.count() < 10 {
				return false
			}
		}
		return true
	})
	stop()
	if asked := cam.pliCount() - before; asked < 1 || asked > 2 {
		t.Errorf("%d requests for a key frame for 8 viewers at once", asked)
	}
}

func TestRequestsForAKeyFrameAreRepeatedUntilOneComes(t *testing.T) {
	n := newNode(t, nil)
	pub := newClient(n, clientOptions{h264: true})
	cam := pub.addVideo(media.H264)[0]
	pub.post("whip", "channels/a", "x")
	cam.listen()
	cam.frame(false) // media, but no key frame: the encoder is deaf, as Chromium is within 300 ms
	view := newClient(n, clientOptions{h264: true})
	v, _ := view.receive(1, 0)
	view.post("whep", "channels/a", "x")
	until(t, "the third request", func() bool { return cam.pliCount() >= 3 })
	cam.frame(true)
	until(t, "picture", func() bool { return v[0].count() >= 3 })
}

func TestSimulcastLayersAreReceivedAndOneIsChosenPerSlot(t *testing.T) {
	n := newNode(t, nil)
	room := n.eng.Room("1")
	log := follow(room)
	pub := newClient(n, clientOptions{vp8: true})
	layers := pub.addVideo(media.VP8, "q", "h", "f")
	pub.post("whip", "meetings/1", "a")
	for _, l := range layers {
		l.play(videoStep, 0)
	}
	until(t, "three layers", is(log, func(e PublisherUp) bool { return e.Participant == "a" && len(e.Tracks) == 3 }))
	view := newClient(n, clientOptions{vp8: true})
	v, _ := view.receive(1, 0)
	view.post("whep", "meetings/1", "z")
	for _, h := range []int{180, 720, 360, 180} {
		room.Assign("z", []VideoSlot{{Slot: 0, Source: name("a"), Label: stream.LabelVideo, MaxHeight: h}})
		at := v[0].count()
		until(t, fmt.Sprint("picture for height ", h), func() bool { return v[0].count() > at+10 })
	}
	continuous(t, v[0].all())
	until(t, "word which layers are wanted", is(log, func(e LayersWanted) bool { return e.Participant == "a" && len(e.RIDs) > 0 }))
}

func TestOldPacketsSentAsProbesAreNotMedia(t *testing.T) {
	// Chromium probes for bandwidth by sending old packets again as retransmissions.
	n := newNode(t, nil)
	pub := newClient(n, clientOptions{h264: true})
	cam := pub.addVideo(media.H264)[0]
	pub.post("whip", "channels/a", "x")
	cam.listen()
	cam.frame(true)
	cam.frame(false)
	view := newClient(n, clientOptions{h264: true})
	v, _ := view.receive(1, 0)
	view.post("whep", "channels/a", "x")
	until(t, "the picture", func() bool { return v[0].count() >= 5 })
	before := n.eng.Stats()
	cam.mu.Lock()
	var old []*rtp.Packet
	for _, p := range cam.sent {
		old = append(old, p)
	}
	cam.mu.Unlock()
	rtxSSRC, rtxPT := rtxOf(t, cam)
	seq := uint16(1)
	for range 20 {
		for _, p := range old {
			// RFC 4588: the old sequence number in front of the payload.
			probe := &rtp.Packet{
				Header:  rtp.Header{Version: 2, SSRC: rtxSSRC, PayloadType: rtxPT, SequenceNumber: seq, Timestamp: p.Timestamp, Marker: p.Marker},
				Payload: append([]byte{byte(p.SequenceNumber >> 8), byte(p.SequenceNumber)}, p.Payload...),
			}
			seq++
			writeRaw(t, cam, probe)
		}
	}
	until(t, "the probes to be recognised", func() bool {
		cam.frame(false) // pion hands retransmissions over with the next packet of media
		return n.eng.Stats().Drops["duplicate"] >= before.Drops["duplicate"]+20
	})
	cam.frame(false)
	until(t, "the next pictures", func() bool { return v[0].count() >= 9 })
	continuous(t, v[0].all())
}

func TestICERestartKeepsEverything(t *testing.T) {
	n := newNode(t, nil)
	pub := newClient(n, clientOptions{h264: true})
	cam := pub.addVideo(media.H264)[0]
	pub.post("whip", "channels/a", "x")
	cam.play(videoStep, 0)
	view := newClient(n, clientOptions{h264: true})
	v, _ := view.receive(1, 0)
	view.post("whep", "channels/a", "x")
	until(t, "picture", func() bool { return v[0].count() > 20 })
	for _, c := range []*client{pub, view} {
		offer, err := c.pc.CreateOffer(&webrtc.OfferOptions{ICERestart: true})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.pc.SetLocalDescription(offer); err != nil {
			t.Fatal(err)
		}
		frag := "a=ice-ufrag:" + between(offer.SDP, "a=ice-ufrag:", "\r\n") + "\r\na=ice-pwd:" + between(offer.SDP, "a=ice-pwd:", "\r\n") + "\r\n"
		resp, body := n.request(http.MethodPatch, c.location, "", typeFragment, frag, "If-Match", "*")
		if resp.StatusCode != http.StatusOK {
			t.Fatalf("%s %s", resp.Status, body)
		}
		answer := restarted(c.pc.RemoteDescription().SDP, fragment{
			ufrag: between(body, "a=ice-ufrag:", "\r\n"), pwd: between(body, "a=ice-pwd:", "\r\n"),
		})
		var cands strings.Builder
		for l := range strings.SplitSeq(body, "\r\n") {
			if strings.HasPrefix(l, "a=candidate:") {
				cands.WriteString(l + "\r\n")
			}
		}
		answer = strings.TrimSuffix(answer, "\r\n") + "\r\n" + cands.String()
		if err := c.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: answer}); err != nil {
			t.Fatal(err)
		}
		at := v[0].count()
		until(t, "picture after the restart", func() bool { return v[0].count() > at+50 })
	}
	// The streams are the same ones: nothing began anew.
	all := v[0].all()
	for i := range all {
		if all[i].SSRC != all[0].SSRC || all[i].PayloadType != all[0].PayloadType {
			t.Fatalf("packet %d: %v", i, all[i].Header)
		}
	}
	if s := n.eng.Stats(); s.Publishers != 1 || s.Viewers != 1 {
		t.Errorf("%+v", s)
	}
}

func TestNewestViewerOfAParticipantStays(t *testing.T) {
	n := newNode(t, nil)
	log := follow(n.eng.Room("1"))
	for range 2 {
		view := newClient(n, clientOptions{h264: true})
		view.receive(1, 1)
		view.post("whep", "meetings/1", "z")
		until(t, "viewer", is(log, func(e ViewerUp) bool { return e.Participant == "z" }))
	}
	until(t, "the older one to be gone", func() bool { return n.eng.Stats().Viewers == 1 })
	n.eng.Room("1").CloseParticipant("z")
	until(t, "all gone", is(log, func(e ViewerDown) bool { return e.Participant == "z" }))
	until(t, "no viewers", func() bool { return n.eng.Stats().Viewers == 0 })
}

func TestClosingAParticipantEndsItsPublisher(t *testing.T) {
	n := newNode(t, nil)
	room := n.eng.Room("1")
	log := follow(room)
	cam, _, _ := participant(n, "a", media.H264, -1)
	cam.play(videoStep, 0)
	until(t, "publisher", is(log, func(e PublisherUp) bool { return e.Participant == "a" && len(e.Tracks) > 0 }))
	room.CloseParticipant("a")
	until(t, "its end", is(log, func(e PublisherDown) bool { return e.Participant == "a" }))
	n.eng.CloseRoom("1")
	if s := n.eng.Stats(); s.Rooms != 0 || s.Publishers != 0 {
		t.Errorf("%+v", s)
	}
}

func TestRoomKeepsTheNewestOfEachEventWhenNobodyReads(t *testing.T) {
	n := newNode(t, nil)
	r := newRoom(n.eng, "9")
	r.close()
	for i := range 10000 {
		r.post("speakers", SpeakersChanged{[]string{fmt.Sprint(i)}})
		r.post("layers/a", LayersWanted{"a", []string{fmt.Sprint(i)}})
	}
	if len(r.pending) != 2 {
		t.Fatalf("%d events wait", len(r.pending))
	}
	if e, ok := r.pending[0].event.(SpeakersChanged); !ok || e.Participants[0] != "9999" {
		t.Errorf("%+v", r.pending[0])
	}
}

func TestSoundOfTheMutedIsDroppedByTheKernelUntilTheyMaySpeak(t *testing.T) {
	n := newNode(t, nil)
	room := n.eng.Room("1")
	_, mic, _ := participant(n, "a", media.H264, 30)
	mic.play(audioStep, 0)
	view := newClient(n, clientOptions{h264: true})
	_, a := view.receive(1, 1)
	view.post("whep", "meetings/1", "z")
	until(t, "sound", func() bool { return a[0].count() > 5 })
	room.SetMuted("a", true)
	until(t, "nothing of it comes in any more", func() bool {
		at := n.eng.drops.Snapshot()[stream.DropMuted.String()]
		<-time.After(10 * audioStep)
		return at > 0 && n.eng.drops.Snapshot()[stream.DropMuted.String()] == at
	})
	room.SetMuted("a", false)
	at := a[0].count()
	until(t, "sound again", func() bool { return a[0].count() > at+20 })
}
