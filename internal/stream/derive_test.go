package stream

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tongxiang/internal/media"
)

// opusPacket is a valid 20 ms Opus packet: TOC byte (CELT, one frame), then payload.
func opusPacket(n byte) []byte { return []byte{0xF8, n, n, n} }

var opusFrames = TrackInfo{Label: LabelAudio, Form: Frames, Format: media.Format{Codec: media.Opus, ClockRate: 48000, Channels: 2}}

func TestMissingFormIsDerivedOnceAndOnlyWhileWanted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := testHub(t)
		track := publish(t, h, "channels/a", false).AddTrack(opusFrames)
		if track.packets.Load() != nil {
			t.Fatal("packets are derived though nobody asked")
		}
		rdA, rdB := NewReader(nil), NewReader(nil)
		a, err := track.FollowPackets(rdA, AtLive)
		if err != nil {
			t.Fatal(err)
		}
		b, err := track.FollowPackets(rdB, AtLive)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 10 {
			track.WriteFrame(&media.Frame{PTS: media.Time(i) * media.Time(20*time.Millisecond), Units: [][]byte{opusPacket(byte(i))}, Sync: true})
		}
		synctest.Wait()
		for name, c := range map[string]*Cursor[media.Packet]{"first": a, "second": b} {
			for i := range 10 {
				p := c.Next()
				if p == nil || p.Payload[1] != byte(i) {
					t.Fatalf("%s reader, packet %d: %v", name, i, p)
				}
				if want := media.Time(i) * media.Time(20*time.Millisecond); p.Time != want {
					t.Errorf("packet %d has time %d, want %d", i, p.Time, want)
				}
			}
		}
		ring := track.packets.Load()
		a.Close()
		b.Close()
		synctest.Wait()
		track.WriteFrame(&media.Frame{PTS: media.Time(time.Second), Units: [][]byte{opusPacket(99)}, Sync: true})
		synctest.Wait()
		if ring.Head() != 10 {
			t.Error("packets are still derived after the last reader left")
		}
		c, err := track.FollowPackets(NewReader(nil), AtSync)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		synctest.Wait()
		if p := c.Next(); p == nil || p.Payload[1] != 99 {
			t.Errorf("a new reader begins with %v, want the newest frame", p)
		}
	})
}

func TestDerivationEndsWithItsTrack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := testHub(t)
		p := publish(t, h, "channels/a", false)
		track := p.AddTrack(opusFrames)
		c, err := track.FollowPackets(NewReader(nil), AtLive)
		if err != nil {
			t.Fatal(err)
		}
		p.Close() // synctest fails the test when the deriving goroutine stays
		<-track.Done()
		c.Close()
	})
}

// Readers who come while a track ends, and after it, get what is there, and no
// goroutine is begun that the end did not wait for (seen with -race).
func TestReaderWhoComesAtTheEndOfATrackGetsWhatIsThere(t *testing.T) {
	h := testHub(t)
	for range 200 {
		p := publish(t, h, "channels/a", false)
		track := p.AddTrack(opusFrames)
		for i := range 3 {
			track.WriteFrame(&media.Frame{PTS: media.Time(i) * media.Time(20*time.Millisecond), Units: [][]byte{opusPacket(byte(i))}, Sync: true})
		}
		follow := func() {
			c, err := track.FollowPackets(NewReader(nil), AtOldest)
			if err != nil {
				t.Error(err)
				return
			}
			c.Close()
		}
		var readers sync.WaitGroup
		for range 2 {
			readers.Go(follow)
		}
		p.Close()
		readers.Wait()
		c, err := track.FollowPackets(NewReader(nil), AtOldest)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 3 {
			if x := c.Next(); x == nil || x.Payload[1] != byte(i) {
				t.Fatalf("packet %d is %v", i, x)
			}
		}
		c.Close()
	}
}

func TestPacketsBecomeFramesForThoseWhoWantThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := testHub(t)
		info := opusFrames
		info.Form = Packets
		track := publish(t, h, "meetings/1/li", false).AddTrack(info)
		c, err := track.FollowFrames(NewReader(nil), AtLive)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		for i := range 5 {
			track.WritePacket(&media.Packet{
				Sequence: int64(100 + i), Timestamp: int64(960 * i), Time: media.Time(i) * media.Time(20*time.Millisecond),
				Codec: media.Opus, Payload: opusPacket(byte(i)), Marker: true, Start: true, Sync: true,
			})
		}
		synctest.Wait()
		for i := range 5 {
			f := c.Next()
			if f == nil || len(f.Units) != 1 || f.Units[0][1] != byte(i) {
				t.Fatalf("frame %d: %v", i, f)
			}
		}
	})
}

func TestCodecThatCannotBeDerivedIsAnErrorThatSaysSo(t *testing.T) {
	h := testHub(t)
	info := TrackInfo{Label: LabelVideo, Form: Frames, Format: media.Format{Codec: media.AVS, ClockRate: 90000}}
	track := publish(t, h, "channels/a", false).AddTrack(info)
	if _, err := track.FollowPackets(NewReader(nil), AtLive); err == nil {
		t.Fatal("no error for a codec without an RTP form")
	}
}
