package main

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"tongxiang/bench/process"
)

// seat is one participant's signalling: docs/protocol.md. One goroutine answers
// the server's pings until close.
type seat struct {
	conn    *websocket.Conn
	you     string
	token   string // for media
	whip    string
	whep    string
	reading sync.WaitGroup
}

type message struct {
	Type  string `json:"type"`
	T     int64  `json:"t"`
	You   string `json:"you"`
	Media struct {
		WHIP  string `json:"whip"`
		WHEP  string `json:"whep"`
		Token string `json:"token"`
	} `json:"media"`
}

// sit enters the meeting.
func sit(ctx context.Context, s *server, token string, muted, camera bool) (*seat, error) {
	url := "ws" + strings.TrimPrefix(s.url, "http") + "/ws/meetings/" + meetingID
	d := websocket.Dialer{Subprotocols: []string{"tongxiang.v1", "bearer." + token}, HandshakeTimeout: 10 * time.Second}
	conn, res, err := d.DialContext(ctx, url, http.Header{})
	if err != nil {
		return nil, fmt.Errorf("open the WebSocket: %w", err)
	}
	_ = res.Body.Close()
	t := &seat{conn: conn}
	if err := conn.WriteJSON(map[string]any{"type": "hello", "v": 1, "muted": muted, "camera": camera}); err != nil {
		return nil, firstOf(fmt.Errorf("say hello: %w", err), conn.Close())
	}
	for t.token == "" {
		var m message
		if err := conn.ReadJSON(&m); err != nil {
			return nil, fmt.Errorf("wait for the welcome: %w", firstOf(err, conn.Close()))
		}
		if m.Type == "welcome" {
			t.you, t.token, t.whip, t.whep = m.You, m.Media.Token, m.Media.WHIP, m.Media.WHEP
		}
	}
	t.reading.Go(t.answer)
	return t, nil
}

func (t *seat) answer() {
	for {
		var m message
		if t.conn.ReadJSON(&m) != nil {
			return
		}
		if m.Type == "ping" && t.conn.WriteJSON(map[string]any{"type": "pong", "t": m.T}) != nil {
			return
		}
	}
}

func (t *seat) close() {
	_ = t.conn.Close()
	t.reading.Wait()
}

// take seats n participants.
func take(ctx context.Context, s *server, n int, how func(i int) (muted, camera bool)) ([]*seat, error) {
	token, err := s.token(ctx, "site", "member", "")
	if err != nil {
		return nil, err
	}
	var out []*seat
	for i := range n {
		muted, camera := how(i)
		t, err := sit(ctx, s, token, muted, camera)
		if err != nil {
			return out, fmt.Errorf("seat %d of %d: %w", i+1, n, err)
		}
		out = append(out, t)
	}
	return out, nil
}

// meetingResult is an 8×8 meeting.
type meetingResult struct {
	perPacket float64 // microseconds of CPU
	packets   float64 // forwarded each second
	wakes     float64 // of the server's threads, each second
	load      float64 // share of the core
	expected  float64 // pictures that arrived, as a share of those that should
}

// meetingSamples is how many of the eight decrypt what they get.
const meetingSamples = 2

// people is how many there are in the small meeting.
const people = 8

// door is where one participant of a meeting publishes and watches.
type door struct{ token, whip, whep string }

// measureMeeting has eight participants who all see and hear each other.
func measureMeeting(ctx context.Context, o options, id *identity) (r meetingResult, err error) {
	s, err := startServer(ctx, o)
	if err != nil {
		return r, err
	}
	defer func() { err = firstOf(err, s.close()) }()
	seats, err := take(ctx, s, people, func(int) (bool, bool) { return false, true })
	for _, t := range seats {
		defer t.close()
	}
	if err != nil {
		return r, err
	}
	doors := make([]door, len(seats))
	for i, t := range seats {
		doors[i] = door{t.token, t.whip, t.whep}
	}
	if r, err = measureTalk(ctx, o, id, s, doors); err == nil {
		log.Printf("  8×8: %s", r)
	}
	return r, err
}

// measurePlain is the same meeting by the plain SFU.
func measurePlain(ctx context.Context, o options, id *identity) (r meetingResult, err error) {
	s, err := startPlain(ctx, o)
	if err != nil {
		return r, err
	}
	defer func() { err = firstOf(err, s.close()) }()
	doors := make([]door, people)
	for i := range doors {
		doors[i] = door{"", fmt.Sprintf("/whip/%d", i), fmt.Sprintf("/whep/%d", i)}
	}
	if r, err = measureTalk(ctx, o, id, s, doors); err == nil {
		log.Printf("  8×8 by a plain SFU: %s", r)
	}
	return r, err
}

// measureTalk has everybody publish, then watch the others.
func measureTalk(ctx context.Context, o options, id *identity, s *server, doors []door) (r meetingResult, err error) {
	for i, d := range doors {
		p := newPublisher(id, s, d.token, true, true)
		defer p.close()
		if err := p.start(ctx, d.whip); err != nil {
			return r, fmt.Errorf("participant %d: %w", i, err)
		}
	}
	// The plain SFU knows a track when its first packet is there.
	if err := process.Pause(ctx, time.Second); err != nil {
		return r, err
	}
	var viewers []*viewer
	for i, d := range doors {
		v := newViewer(id, s, d.token, i < meetingSamples)
		defer v.close()
		if err := v.watch(ctx, d.whep, people-1, 3); err != nil {
			return r, fmt.Errorf("participant %d: %w", i, err)
		}
		viewers = append(viewers, v)
	}
	keep := newAudience(ctx, s, id, nil, "")
	defer keep.close()
	keep.adopt(viewers)
	if err := process.Pause(ctx, 4*time.Second); err != nil {
		return r, err
	}
	// Every participant gets as much as the sampled ones; the kernel drops the others'.
	count := func() (n int64) {
		for _, v := range viewers {
			n += v.packets.Load()
		}
		return n * people / meetingSamples
	}
	before, err := process.ReadUsage(s.pid())
	if err != nil {
		return r, err
	}
	woken, err := process.ReadWakes(s.pid())
	if err != nil {
		return r, err
	}
	n := count()
	if err := process.Pause(ctx, 2*o.window); err != nil {
		return r, err
	}
	after, err := process.ReadUsage(s.pid())
	if err != nil {
		return r, err
	}
	n = count() - n
	wokenAfter, err := process.ReadWakes(s.pid())
	if err != nil {
		return r, err
	}
	wall := after.At.Sub(before.At)
	if n > 0 {
		r.perPacket = float64((after.CPU - before.CPU).Nanoseconds()) / 1000 / float64(n)
	}
	r.packets = float64(n) / wall.Seconds()
	r.wakes = float64(wokenAfter-woken) / wall.Seconds()
	r.load = float64(after.CPU-before.CPU) / float64(wall)
	r.expected = r.packets / (people * ((people-1)*128 + 3*50))
	return r, nil
}

func (r meetingResult) String() string {
	return fmt.Sprintf("%.2f µs/packet, %.0f packets/s (%.0f %% of what all slots can carry), core %.0f %%, %.0f wake-ups/s",
		r.perPacket, r.packets, 100*r.expected, 100*r.load, r.wakes)
}

// roomResult is a room of a hundred sites of which one is on air.
type roomResult struct {
	speaking measurement // with the sound of the muted sites arriving
	silent   measurement // without it
	share    float64     // of the CPU that the muted sites cost
}

// measureRoom has one site on air and 99 muted ones that go on sending sound, as
// pages do: what they cost is the difference to when they do not.
func measureRoom(ctx context.Context, o options, id *identity) (r roomResult, err error) {
	const sites = 100
	s, err := startServer(ctx, o)
	if err != nil {
		return r, err
	}
	defer func() { err = firstOf(err, s.close()) }()
	seats, err := take(ctx, s, sites, func(i int) (bool, bool) { return i > 0, i == 0 })
	for _, t := range seats {
		defer t.close()
	}
	if err != nil {
		return r, err
	}
	var pubs []*publisher
	for i, t := range seats {
		p := newPublisher(id, s, t.token, true, i == 0)
		p.muted = i > 0
		defer p.close()
		if err := p.start(ctx, t.whip); err != nil {
			return r, fmt.Errorf("site %d: %w", i, err)
		}
		pubs = append(pubs, p)
	}
	// The site on air does not see itself.
	crowd := newAudience(ctx, s, id, func(i int) string { return seats[i+1].token }, seats[0].whep)
	crowd.audio = 3
	defer crowd.close()
	if err := crowd.grow(ctx, sites-1); err != nil {
		return r, err
	}
	if err := process.Pause(ctx, 4*time.Second); err != nil {
		return r, err
	}
	if r.speaking, err = crowd.measure(ctx, pubs[0], o.window); err != nil {
		return r, err
	}
	for _, p := range pubs[1:] {
		p.holds.Store(true)
	}
	if err := process.Pause(ctx, time.Second); err != nil {
		return r, err
	}
	if r.silent, err = crowd.measure(ctx, pubs[0], o.window); err != nil {
		return r, err
	}
	if r.speaking.load > 0 {
		r.share = 1 - r.silent.load/r.speaking.load
	}
	log.Printf("  100 sites: core %.1f %%, without the sound of the muted %.1f %%: they cost %.0f %%; loss %.2f %%, p99 %.1f ms",
		100*r.speaking.load, 100*r.silent.load, 100*r.share, 100*r.speaking.loss, millis(r.speaking.p99))
	return r, nil
}
