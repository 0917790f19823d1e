package sfu

import (
	"slices"
	"testing"

	"tongxiang/internal/media"
)

// picture makes the packets of one picture, of which only the last has the marker.
func picture(first int64, n int, sync bool) []*media.Packet {
	out := make([]*media.Packet, n)
	for i := range out {
		b := make([]byte, 1160)
		b[0] = 0x41
		if sync {
			b[0] = 0x65
		}
		out[i] = &media.Packet{
			Sequence: first + int64(i), Timestamp: first * 900, Time: media.Time(first) * 1e7, Payload: b, Codec: media.H264,
			Start: i == 0, Sync: sync && i == 0, Marker: i == n-1,
		}
	}
	return out
}

// sentBy is how many packets a viewer's slot has sent.
func sentBy(v *viewer) uint32 { return v.slots[0].packets }

func TestThePacketsOfAPictureGoOutTogether(t *testing.T) {
	v, track := loneViewer(t, media.H264)
	at := int64(1e9)
	for _, p := range picture(0, 5, true) {
		if n := sentBy(v); n != 0 {
			t.Fatalf("%d packets went out before the picture was whole", n)
		}
		track.WritePacket(p)
		v.w.step(at)
		at += 100_000
	}
	if n := sentBy(v); n != 5 {
		t.Errorf("%d of 5 packets went out with the last one", n)
	}
}

func TestAPictureThatTakesItsTimeIsNotHeldBackLonger(t *testing.T) {
	v, track := loneViewer(t, media.H264)
	packets := picture(0, 4, true)
	at := int64(1e9)
	track.WritePacket(packets[0])
	v.w.step(at)
	if v.w.due != at+gatherFor {
		t.Errorf("the worker comes back at %d, not at %d", v.w.due, at+gatherFor)
	}
	track.WritePacket(packets[1])
	v.w.step(at + gatherFor/2)
	v.w.step(at + gatherFor - 1)
	if n := sentBy(v); n != 0 {
		t.Errorf("%d packets went out early", n)
	}
	v.w.step(at + gatherFor)
	if n := sentBy(v); n != 2 {
		t.Errorf("%d of 2 packets went out when it was time", n)
	}
	if v.w.due != 0 {
		t.Error("the worker comes back for nothing")
	}
}

func TestAPacketThatComesLateTakesTheOthersAlong(t *testing.T) {
	v, track := loneViewer(t, media.H264)
	packets := picture(0, 4, true)
	at := int64(1e9)
	track.WritePacket(packets[0])
	v.w.step(at)
	track.WritePacket(packets[1])
	v.w.step(at + gatherFor - gatherFor/3)
	if n := sentBy(v); n != 2 {
		t.Errorf("%d of 2 packets went out", n)
	}
	track.WritePacket(packets[2])
	v.w.step(at + gatherFor)
	if n := sentBy(v); n != 2 {
		t.Errorf("%d packets went out: the next one has no time of its own", n)
	}
}

func TestTwoHalvesOfTheViewersAreSentToInTurn(t *testing.T) {
	v, track := loneViewer(t, media.H264)
	other := joinViewer(t, v.eng, v.w)
	const apart = 2500 * ms / 1000
	seen := func(at int64) [2]uint32 {
		v.w.step(at)
		return [2]uint32{sentBy(v), sentBy(other)}
	}
	at := int64(1e9)
	for _, p := range picture(0, 2, true) { // whole at once
		p.Arrival = at
		track.WritePacket(p)
	}
	if got := seen(at); got != [2]uint32{2, 2} {
		t.Fatalf("%v packets of a whole picture went out", got)
	}
	at += 10 * apart
	packets := picture(2, 6, false)
	var got [][2]uint32
	for i, p := range packets {
		p.Arrival = at
		track.WritePacket(p)
		got = append(got, seen(at))
		if i == 0 {
			got = append(got, seen(at+gatherFor/2))
		}
		at += apart
	}
	want := [][2]uint32{{2, 2}, {2, 3}, {4, 3}, {4, 5}, {6, 5}, {6, 7}, {8, 8}}
	if !slices.Equal(got, want) {
		t.Errorf("went out %v, want %v", got, want)
	}
	if v.w.due != 0 || len(v.w.order[0].fresh) != 0 {
		t.Errorf("something still waits: due %d, %d packets", v.w.due, len(v.w.order[0].fresh))
	}
	if drops := v.eng.drops.Snapshot(); len(drops) > 0 {
		t.Errorf("dropped %v", drops)
	}
}

func TestWhatWaitsForTheOthersGoesOnWhenAHalfLeaves(t *testing.T) {
	v, track := loneViewer(t, media.H264)
	other := joinViewer(t, v.eng, v.w)
	packets := picture(0, 4, true)
	for _, p := range packets[:2] {
		track.WritePacket(p)
	}
	at := int64(1e9)
	v.w.step(at)
	v.w.step(at + gatherFor/2)
	v.w.remove(other)
	for _, p := range packets[2:] {
		track.WritePacket(p)
	}
	v.w.step(at + gatherFor/2 + 1)
	if n := sentBy(v); n != 4 {
		t.Errorf("%d of 4 packets went out", n)
	}
	late := joinViewer(t, v.eng, v.w)
	for _, p := range picture(4, 3, true) {
		track.WritePacket(p)
	}
	v.w.step(at + 2*gatherFor)
	if a, b := sentBy(v), sentBy(late); a != 7 || b < 3 {
		t.Errorf("%d and %d packets went out", a, b)
	}
}

func TestManyPacketsOfOnePictureDoNotWait(t *testing.T) {
	v, track := loneViewer(t, media.H264)
	for _, p := range picture(0, passPackets+3, true)[:passPackets] {
		track.WritePacket(p)
	}
	v.w.step(1e9)
	if n := sentBy(v); n != passPackets {
		t.Errorf("%d of %d packets went out", n, passPackets)
	}
}

func TestAJoinerGetsWhatIsHeldBackOnce(t *testing.T) {
	v, track := loneViewer(t, media.H264)
	packets := append(picture(0, 2, true), picture(2, 3, false)...)
	for _, p := range packets[:4] { // the second picture is not whole yet
		p.Arrival = 1e9
		track.WritePacket(p)
		v.w.step(1e9)
	}
	late := joinViewer(t, v.eng, v.w)
	late.attend(1e9)
	v.w.step(1e9)
	for _, p := range packets[4:] {
		track.WritePacket(p)
		v.w.step(1e9 + 1)
	}
	if a, b := sentBy(v), sentBy(late); a != 5 || b != 5 {
		t.Errorf("%d and %d packets went out, not 5 and 5", a, b)
	}
	if drops := v.eng.drops.Snapshot(); len(drops) > 0 {
		t.Errorf("packets were handed out twice: %v", drops)
	}
}

func TestWhatIsHeldBackGoesOutWhenTheTrackEnds(t *testing.T) {
	v, track := loneViewer(t, media.H264)
	track.WritePacket(picture(0, 3, true)[0])
	v.w.step(1e9)
	v.eng.sources.mu.Lock() // the viewer is told of it later: who is told first lets go at once
	v.w.step(1e9)           // and of what it was told before
	v.eng.hub.Close()
	v.w.step(1e9 + 1)
	held := len(v.w.taps)
	v.w.step(1e9 + gatherFor)
	v.eng.sources.mu.Unlock()
	if held != 1 {
		t.Fatal("the track was let go of with a packet held back")
	}
	if n := sentBy(v); n != 1 {
		t.Errorf("%d packets went out", n)
	}
	if len(v.w.taps) != 0 {
		t.Error("the track that ended is still followed")
	}
}
