package sfu

import (
	"bytes"
	"testing"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"

	"tongxiang/internal/media"
)

// asker asks for what is missing the way a browser does: a packet every 50 ms up to
// ten times, and for a key frame when it has given one up.
type asker struct {
	begun   bool
	newest  uint16
	missing map[uint16]*askedFor
	gaveUp  bool
}

type askedFor struct {
	tries int
	next  time.Time
}

func (a *asker) got(p *rtp.Packet, now time.Time) {
	seq := p.SequenceNumber
	if !a.begun {
		a.begun, a.newest = true, seq
	}
	if d := int16(seq - a.newest); d > 0 {
		for s := a.newest + 1; s != seq; s++ {
			a.missing[s] = &askedFor{next: now.Add(10 * time.Millisecond)}
		}
		a.newest = seq
	}
	delete(a.missing, seq)
}

func (a *asker) ask(now time.Time) (list []uint16) {
	for seq, m := range a.missing {
		switch {
		case m.tries == 10:
			delete(a.missing, seq)
			a.gaveUp = true
		case now.After(m.next):
			m.tries++
			m.next = now.Add(50 * time.Millisecond)
			list = append(list, seq)
		}
	}
	return list
}

func (a *asker) whole() bool { return len(a.missing) == 0 && !a.gaveUp }

// TestRetransmissionsToANarrowLineHaveABudget has a viewer's line drop from 2 Mbit/s
// to 300 kbit/s for 20 s under a picture of 1.2 Mbit/s.
func TestRetransmissionsToANarrowLineHaveABudget(t *testing.T) {
	t.Parallel()
	n := newNode(t, nil)
	pub := newClient(n, clientOptions{h264: true})
	cam := pub.addVideo(media.H264)[0]
	pub.post("whip", "channels/a", "x")
	cam.listen()
	stop, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(40 * time.Millisecond)
		defer tick.Stop()
		answered := 0
		for i := 0; ; i++ { // 25 pictures a second of five packets, 1150 bytes each
			asked := cam.pliCount()
			key := i%50 == 0 || asked > answered
			answered = asked
			nal := byte(0x01)
			if key {
				nal = 0x05
				stap := append([]byte{0x78, 0, byte(len(testSPS))}, testSPS...)
				cam.packet(append(stap, 0, 4, 0x68, 0xcb, 0x83, 0xcb), false)
			}
			for k := range 5 {
				flags := map[int]byte{0: 0x80, 4: 0x40}[k]
				cam.packet(append([]byte{0x7c, flags | nal, 0x88}, bytes.Repeat([]byte{byte(i), byte(k)}, 567)...), k == 4)
			}
			cam.ts += 3600
			select {
			case <-tick.C:
			case <-stop:
				return
			}
		}
	}()
	t.Cleanup(func() { close(stop); <-ended })

	line := newRelay(t, n)
	line.rate.Store(2_000_000)
	view := newClient(n, clientOptions{h264: true})
	view.edit = line.through
	v, _ := view.receive(1, 0)
	view.post("whep", "channels/a", "x")
	until(t, "picture", func() bool { return v[0].count() > 100 })

	a := &asker{missing: map[uint16]*askedFor{}}
	seen, pli := 0, time.Now()
	ssrc := uint32(v[0].track.SSRC())
	step := func() {
		all, now := v[0].all(), time.Now()
		for _, p := range all[seen:] {
			a.got(p, now)
		}
		seen = len(all)
		var out []rtcp.Packet
		if list := a.ask(now); len(list) > 0 {
			out = append(out, &rtcp.TransportLayerNack{MediaSSRC: ssrc, Nacks: rtcp.NackPairsFromSequenceNumbers(list)})
		}
		if a.gaveUp && now.Sub(pli) > time.Second {
			pli, a.gaveUp = now, false
			out = append(out, &rtcp.PictureLossIndication{MediaSSRC: ssrc})
		}
		if len(out) > 0 {
			if err := view.pc.WriteRTCP(out); err != nil && err != webrtc.ErrConnectionClosed {
				t.Error(err)
			}
		}
		<-time.After(5 * time.Millisecond)
	}
	run := func(d time.Duration) {
		for end := time.Now().Add(d); time.Now().Before(end); {
			step()
		}
	}
	run(2 * time.Second)
	before := n.eng.Stats()
	offered, went := line.down.Load(), line.went.Load()
	line.rate.Store(300_000)
	run(20 * time.Second)
	after := n.eng.Stats()
	offered, went = line.down.Load()-offered, line.went.Load()-went
	again := float64(after.Retransmitted-before.Retransmitted) * 1160
	mediaBytes := float64(after.PacketsOut-before.PacketsOut)*1182 - again // with header and tag
	t.Logf("20 s at 300 kbit/s: media %.0f kbit/s, offered to the line %.0f kbit/s, of which %.0f went through: %.3f × the media; %d packets sent again, %d not for lack of budget",
		mediaBytes*8/20e3, float64(offered)*8/20e3, float64(went)*8/20e3, float64(offered)/mediaBytes,
		after.Retransmitted-before.Retransmitted, after.Drops["retransmission_budget"]-before.Drops["retransmission_budget"])
	if share := float64(offered) / mediaBytes; share > 1.2 {
		t.Errorf("%.2f times the media was offered to the line", share)
	}
	line.rate.Store(2_000_000)
	begin := time.Now()
	until(t, "media whole again for a second", func() bool {
		wholeSince := time.Now()
		for time.Since(wholeSince) < time.Second {
			step()
			if !a.whole() {
				return false
			}
		}
		t.Logf("whole again %.2f s after the line is", wholeSince.Sub(begin).Seconds())
		return true
	})
}
