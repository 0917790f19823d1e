package sfu

import (
	"testing"
	"time"

	"tongxiang/internal/media"
	"tongxiang/internal/stream"
)

// track returns a track for tests that only need its identity.
func testTracks(t *testing.T, n int) []*stream.Track {
	t.Helper()
	hub := stream.NewHub(nil)
	p, err := hub.Publish("meetings/1/a", false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(hub.Close)
	var out []*stream.Track
	for i := range n {
		out = append(out, p.AddTrack(stream.TrackInfo{
			Label: stream.LabelVideo, Layer: i, Form: stream.Packets,
			Format: media.Format{Codec: media.H264, ClockRate: 90000},
		}))
	}
	return out
}

func at(seq int64, d time.Duration) *media.Packet {
	return &media.Packet{
		Sequence: seq, Timestamp: 1e6 + int64(media.Time(d).Ticks(90000)), Time: media.Time(time.Hour + d),
		Arrival: int64(10*time.Second + d), Codec: media.H264, Payload: []byte{0x41, 1},
	}
}

func TestSlotIsOneContinuousStreamOverSources(t *testing.T) {
	tr := testTracks(t, 2)
	var r rewriter
	step := func(p *media.Packet, track *stream.Track, source stream.Name, fresh bool) outgoing {
		t.Helper()
		o, ok := r.rewrite(p, track, source, fresh)
		if !ok {
			t.Fatalf("packet %d was refused", p.Sequence)
		}
		return o
	}
	a := step(at(500, 0), tr[0], "s/a", true)
	b := step(at(501, 40*time.Millisecond), tr[0], "s/a", false)
	if b.sequence != a.sequence+1 || b.timestamp-a.timestamp != 3600 || !a.first || b.first {
		t.Errorf("same source: %+v then %+v", a, b)
	}
	// Another layer of the same stream: its own RTP clock, the stream's Time.
	p := at(90000, 80*time.Millisecond)
	p.Timestamp, p.Arrival = 77, p.Arrival+int64(3*time.Second) // arrival does not count here
	c := step(p, tr[1], "s/a", true)
	if c.sequence != b.sequence+1 || c.timestamp-b.timestamp != 3600 || !c.first {
		t.Errorf("layer change: %+v then %+v", b, c)
	}
	// Another stream: only arrival relates the two.
	q := at(7, 0)
	q.Time, q.Arrival = -5, p.Arrival+int64(100*time.Millisecond)
	d := step(q, tr[0], "s/b", true)
	if d.sequence != c.sequence+1 || d.timestamp-c.timestamp != 9000 {
		t.Errorf("source change: %+v then %+v", c, d)
	}
	// An older clock never turns the slot's time back.
	back := at(3000, 0)
	back.Arrival = q.Arrival - int64(time.Second)
	e := step(back, tr[1], "s/c", true)
	if e.sequence != d.sequence+1 || e.timestamp != d.timestamp+1 {
		t.Errorf("backwards: %+v then %+v", d, e)
	}
}

func TestLossStaysVisibleAndAPauseDoesNot(t *testing.T) {
	tr := testTracks(t, 1)
	var r rewriter
	first, _ := r.rewrite(at(10, 0), tr[0], "s/a", true)
	lost, _ := r.rewrite(at(13, 40*time.Millisecond), tr[0], "s/a", false)
	if lost.sequence != first.sequence+3 {
		t.Errorf("two lost packets must leave a gap that the viewer can ask for: %d then %d", first.sequence, lost.sequence)
	}
	late, ok := r.rewrite(at(11, 40*time.Millisecond), tr[0], "s/a", false)
	if !ok || late.sequence != first.sequence+1 {
		t.Errorf("the repaired packet has its old place: %+v %v", late, ok)
	}
	resumed, _ := r.rewrite(at(500, 20*time.Second), tr[0], "s/a", false)
	if resumed.sequence != lost.sequence+1 {
		t.Errorf("after a pause numbers close up: %d then %d", lost.sequence, resumed.sequence)
	}
	if _, ok := r.rewrite(at(499, 20*time.Second), tr[0], "s/a", false); ok {
		t.Error("a packet from before the pause was let through")
	}
}

func TestRetransmissionFindsTheSourceOverSwitches(t *testing.T) {
	tr := testTracks(t, 2)
	var r rewriter
	sent := map[uint16]struct {
		track *stream.Track
		seq   int64
	}{}
	now := time.Duration(0)
	for i := range keptSegments - 1 {
		track := tr[i%2]
		for j := range 5 {
			p := at(int64(i*1000+j), now)
			o, _ := r.rewrite(p, track, stream.Name("s/a"), j == 0)
			sent[uint16(o.sequence)] = struct {
				track *stream.Track
				seq   int64
			}{track, p.Sequence}
			now += 40 * time.Millisecond
		}
	}
	for out, want := range sent {
		seg, found, ok := r.find(out)
		if !ok || seg.track != want.track || found-seg.offset != want.seq {
			t.Errorf("%d: found %d %v, want %d", out, found, ok, want.seq)
		}
	}
	if _, _, ok := r.find(uint16(r.current().lastOut + 1)); ok {
		t.Error("found what was not sent")
	}
}

func TestSequenceNumbersWrapInTheSlot(t *testing.T) {
	tr := testTracks(t, 1)
	var r rewriter
	var last uint16
	for i := int64(0); i < 200000; i++ {
		o, ok := r.rewrite(at(i, time.Duration(i)*time.Millisecond), tr[0], "s/a", i == 0)
		if !ok || (i > 0 && uint16(o.sequence) != last+1) {
			t.Fatalf("packet %d: %d follows %d", i, o.sequence, last)
		}
		last = uint16(o.sequence)
	}
	if seg, out, ok := r.find(last - 500); !ok || out-seg.offset != 199499 {
		t.Errorf("find after wraps: %d %v", out, ok)
	}
}

func TestVP8PictureNumbersAreTheSlotsOwn(t *testing.T) {
	tr := testTracks(t, 2)
	var r rewriter
	var scratch [64]byte
	vp := func(seq int64, d time.Duration, id uint16, tl0 byte) *media.Packet {
		p := at(seq, d)
		p.Codec = media.VP8
		// X, then I and L, 15-bit picture id, TL0PICIDX
		p.Payload = []byte{0x90, 0xc0, 0x80 | byte(id>>8), byte(id), tl0, 1, 2, 3}
		return p
	}
	send := func(p *media.Packet, track *stream.Track, fresh bool) media.VP8Descriptor {
		t.Helper()
		shared := string(p.Payload)
		o, _ := r.rewrite(p, track, "s/a", fresh)
		b := o.seg.payload(p, scratch[:])
		if string(p.Payload) != shared {
			t.Fatal("the shared payload was changed")
		}
		d, err := media.ParseVP8(b)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	a := send(vp(1, 0, 32766, 254), tr[0], true)
	b := send(vp(2, 40*time.Millisecond, 32767, 255), tr[0], false)
	c := send(vp(3, 80*time.Millisecond, 0, 0), tr[0], false) // wraps at the source
	d := send(vp(900, 120*time.Millisecond, 5, 77), tr[1], true)
	for i, x := range []media.VP8Descriptor{b, c, d} {
		prev := []media.VP8Descriptor{a, b, c}[i]
		if x.PictureID != (prev.PictureID+1)&0x7fff || x.TL0 != prev.TL0+1 {
			t.Errorf("picture %d, TL0 %d follow %d, %d", x.PictureID, x.TL0, prev.PictureID, prev.TL0)
		}
	}
}
