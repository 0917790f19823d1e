package ingest

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"tongxiang/internal/media"
	"tongxiang/internal/playout/hls"
	"tongxiang/internal/playout/playtest"
	"tongxiang/internal/stream"
)

// broadcast is a broadcast of our own making: clips are sent one after another with
// times and continuity counters going on, at the pace of their clock.
type broadcast struct {
	t       *testing.T
	conn    net.Conn
	counter [8192]byte
	pcr     int64 // of the last packet sent, 90 kHz, as sent
}

const (
	packetSize = 188
	circle     = 1 << 33 // of 90 kHz times
)

// onAir opens a socket to a port of the loopback.
func onAir(t *testing.T, port int) *broadcast {
	t.Helper()
	conn, err := net.Dial("udp4", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &broadcast{t: t, conn: conn}
}

// send sends a clip whose first clock reference becomes from, in ticks of 90 kHz.
// indicate sets the discontinuity_indicator of its first clock reference.
func (a *broadcast) send(clip []byte, from int64, indicate bool) {
	a.t.Helper()
	data := slices.Clone(clip)
	shift := int64(-1)
	begin := time.Now()
	first := int64(0)
	var batch []byte
	for p := range slices.Chunk(data, packetSize) {
		if pcr, ok := pcrOf(p); ok {
			if shift < 0 {
				shift, first = from-pcr, pcr
				if indicate {
					p[5] |= 0x80
				}
			}
			a.pcr = (pcr + shift) & (circle - 1)
			putPCR(p, a.pcr)
			a.wait(begin.Add(time.Duration(pcr-first) * time.Second / 90000))
		}
		a.restamp(p, shift)
		if batch = append(batch, p...); len(batch) == 7*packetSize {
			_, _ = a.conn.Write(batch) // nobody may be listening yet
			batch = batch[:0]
		}
	}
	_, _ = a.conn.Write(batch)
}

func (a *broadcast) wait(until time.Time) {
	d := time.Until(until)
	if d <= 0 {
		return
	}
	select {
	case <-time.After(d):
	case <-a.t.Context().Done():
	}
}

// restamp moves PTS and DTS by shift and gives the packet its counter.
func (a *broadcast) restamp(p []byte, shift int64) {
	pid := int(p[1]&0x1F)<<8 | int(p[2])
	start := 4
	if p[3]&0x20 != 0 {
		start = 5 + int(p[4])
	}
	if p[3]&0x10 != 0 {
		p[3] = p[3]&0xF0 | a.counter[pid]
		a.counter[pid] = (a.counter[pid] + 1) & 15
	}
	if p[1]&0x40 == 0 || start+19 > packetSize || shift == -1 {
		return
	}
	h := p[start:]
	if h[0] != 0 || h[1] != 0 || h[2] != 1 || h[3] < 0xBD {
		return
	}
	for at, flag := range map[int]byte{9: 0x80, 14: 0x40} {
		if h[7]&flag != 0 {
			b := h[at:]
			t := int64(b[0]&0x0E)<<29 | int64(b[1])<<22 | int64(b[2]&0xFE)<<14 | int64(b[3])<<7 | int64(b[4])>>1
			t = (t + shift) & (circle - 1)
			b[0], b[1], b[2], b[3], b[4] = b[0]&0xF0|byte(t>>29)&0x0E|1, byte(t>>22), byte(t>>14)|1, byte(t>>7), byte(t<<1)|1
		}
	}
}

func pcrOf(p []byte) (int64, bool) {
	if p[3]&0x20 == 0 || p[4] < 7 || p[5]&0x10 == 0 {
		return 0, false
	}
	b := p[6:]
	return int64(b[0])<<25 | int64(b[1])<<17 | int64(b[2])<<9 | int64(b[3])<<1 | int64(b[4])>>7, true
}

func putPCR(p []byte, t int64) {
	p[6], p[7], p[8], p[9], p[10] = byte(t>>25), byte(t>>17), byte(t>>9), byte(t>>1), byte(t<<7)|p[10]&0x7F
}

// viewer is a player of the channels' HLS, seen from the server.
type viewer struct{ url string }

func newViewer(t *testing.T, hub *stream.Hub) *viewer {
	t.Helper()
	s := hls.New(hls.Config{Authorize: func(*http.Request, stream.Name) error { return nil }}, hub, media.NewClock(), slog.New(slog.DiscardHandler))
	web := httptest.NewServer(s)
	t.Cleanup(func() {
		s.Close()
		web.Close()
	})
	return &viewer{web.URL + "/hls/channels/"}
}

func (v *viewer) get(id, path string) (string, error) {
	res, err := http.Get(v.url + id + "/" + path)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("GET %s: %s %s", path, res.Status, b)
	}
	return string(b), err
}

// playlist returns the media playlist as a player has it: when sounds came or went it
// is another one, and the multivariant playlist says which.
func (v *viewer) playlist(id string) (string, error) {
	if list, err := v.get(id, "live.m3u8"); err == nil {
		return list, nil
	}
	master, err := v.get(id, "index.m3u8")
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(master) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			return v.get(id, line)
		}
	}
	return "", fmt.Errorf("no variant in %s", master)
}

var mapLine = regexp.MustCompile(`#EXT-X-MAP:URI="([^"]+)"`)

// newest returns the newest init segment that a playlist names, and the segments
// behind it.
func newest(list string) (init string, segments []string) {
	for line := range strings.Lines(list) {
		line = strings.TrimSpace(line)
		if m := mapLine.FindStringSubmatch(line); m != nil {
			init, segments = m[1], nil
		}
		if line != "" && !strings.HasPrefix(line, "#") {
			segments = append(segments, line)
		}
	}
	return init, segments
}

// decoded plays a file with ffprobe and returns how many pictures it has and how
// wide they are.
func decoded(t *testing.T, data string) (pictures, width int) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "newest.mp4")
	if err := os.WriteFile(file, []byte(data), 0o600); err != nil {
		t.Fatal(err)
	}
	out := playtest.Run(t, nil, "ffprobe", "-v", "error", "-count_frames", "-select_streams", "v:0", "-show_entries", "stream=nb_read_frames,width", "-of", "csv=p=0", file)
	if _, err := fmt.Sscanf(strings.ReplaceAll(strings.TrimSpace(string(out)), ",", " "), "%d %d", &width, &pictures); err != nil {
		t.Fatalf("%q: %v", out, err)
	}
	return pictures, width
}

// change is what happens between two clips.
type change struct {
	name     string
	start    int64  // of the first clip's clock
	second   []byte // nil: the first again
	jump     int64  // of the clock before the second clip
	between  func(a *broadcast)
	indicate bool
	gap      bool     // time is lost, and readers are told
	width    int      // of the pictures at the end
	init     bool     // another init segment
	sounds   int      // tracks of sound more than before
	playable Playable // at the end, when it is not as before
}

// TestWhatThreeDaysBringDoesNotRestartAChannel puts each change that a broadcast makes
// sooner or later between two clips. The channel is started once, who
// reads it goes on reading, and HLS goes on, with another init segment where the
// framesOf are other ones.
func TestWhatThreeDaysBringDoesNotRestartAChannel(t *testing.T) {
	needFFmpeg(t)
	const seconds = 3
	make1 := func(size string, more ...string) []byte {
		args := []string{"-v", "error", "-f", "lavfi", "-i", "testsrc2=rate=25:size=" + size, "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000", "-t", fmt.Sprint(seconds)}
		args = append(args, strings.Fields("-c:v libx264 -preset ultrafast -bf 2 -g 25 -sc_threshold 0 -pix_fmt yuv420p -c:a aac -b:a 64k -ar 48000 -muxrate 2M -pcr_period 20")...)
		return playtest.Run(t, nil, "ffmpeg", append(append(args, more...), "-f", "mpegts", "pipe:1")...)
	}
	plain := make1("192x108", "-map", "0", "-map", "1")
	hour := int64(3600 * 90000)
	noProgramme := withoutProgramme()
	changes := []change{
		{name: "the clock wraps in mid-programme", start: circle - 90000*seconds/2},
		{name: "the clock wraps between", start: circle - 90000*seconds},
		{name: "the clock jumps ahead, indicated", jump: 5 * hour, indicate: true, gap: true},
		{name: "the clock jumps ahead without a word", jump: 5 * hour, gap: true},
		{name: "the clock jumps back, indicated", start: 9 * hour, jump: -5 * hour, indicate: true, gap: true},
		{name: "the clock jumps back without a word", start: 9 * hour, jump: -5 * hour, gap: true},
		{name: "the clock jumps back a little", start: 9 * hour, jump: -90000 * 2, gap: true},
		{name: "new parameter sets, another resolution", second: make1("256x144", "-map", "0", "-map", "1"), width: 256, init: true},
		{name: "a new version of the PMT", second: make1("192x108", "-map", "0", "-map", "1", "-tables_version", "1")},
		{name: "other PIDs", second: make1("192x108", "-map", "0", "-map", "1", "-tables_version", "1", "-mpegts_start_pid", "0x200")},
		{name: "another PMT PID", second: make1("192x108", "-map", "0", "-map", "1", "-tables_version", "1", "-mpegts_pmt_start_pid", "0x300", "-mpegts_start_pid", "0x310")},
		{name: "a second sound", second: make1("192x108", "-map", "0", "-map", "1", "-map", "1", "-tables_version", "1"), sounds: 1},
		{name: "no sound any more", second: make1("192x108", "-map", "0", "-tables_version", "1"), sounds: -1},
		{name: "another codec of sound", second: make1("192x108", "-map", "0", "-map", "1", "-tables_version", "1", "-c:a", "ac3"), playable: NeedsTranscoding},
		{name: "another service id", second: make1("192x108", "-map", "0", "-map", "1", "-tables_version", "1", "-mpegts_service_id", "7")},
		{name: "the programme leaves the PAT and comes back", between: func(a *broadcast) { a.send(noProgramme, a.pcr, false) },
			second: make1("192x108", "-map", "0", "-map", "1", "-tables_version", "2")},
	}
	// All of them are on air at the same time: each takes as long as its clips.
	h := newHouse(t)
	v := newViewer(t, h.hub)
	airings := make([]*airing, len(changes))
	for i, c := range changes {
		if c.start == 0 {
			c.start = 90000 * 100
		}
		if c.second == nil {
			c.second = plain
		}
		port := freePort(t)
		id := fmt.Sprintf("c%d", i)
		h.add(ChannelConfig{ID: id, Name: c.name, Source: fmt.Sprintf("udp://127.0.0.1:%d", port)})
		x := &airing{change: c, id: id, sub: h.hub.Open(stream.Channel(id)), done: make(chan struct{})}
		t.Cleanup(x.sub.Close)
		airings[i] = x
		go x.run(onAir(t, port), h, v, plain, seconds)
	}
	for _, x := range airings {
		t.Run(x.change.name, func(t *testing.T) {
			select {
			case <-x.done:
			case <-time.After(patience):
				t.Fatal("the broadcast does not end")
			}
			if x.err != nil {
				t.Fatal(x.err)
			}
			x.check(t, h, seconds)
		})
	}
}

// airing is one change on air. Its goroutine sets the results before it closes done.
type airing struct {
	change change
	id     string
	sub    *stream.Subscription
	done   chan struct{}

	err    error
	status Status
	before string // playlist before the change
	items  [2]int // pictures that the stream had carried when the change came, and at the end
	after  string // playlist at the end
	played string // its newest init segment and what is behind it
}

// run broadcasts and looks on.
func (x *airing) run(a *broadcast, h *house, v *viewer, plain []byte, seconds int64) {
	defer close(x.done)
	c := x.change
	a.send(plain, c.start, false)
	// What a player would see at this moment.
	if x.before, x.err = v.get(x.id, "live.m3u8"); x.err != nil {
		return
	}
	x.items[0] = framesOf(x.sub)
	if c.between != nil {
		c.between(a)
	}
	from := c.start + 90000*seconds + c.jump
	a.send(c.second, from&(circle-1), c.indicate)
	a.send(c.second, (from+90000*seconds)&(circle-1), false)
	x.status, _ = h.channels.Get(x.id)
	x.items[1] = framesOf(x.sub)
	if c.playable != "" {
		return // its HLS is the transcoder's
	}
	if x.after, x.err = v.playlist(x.id); x.err != nil {
		return
	}
	init, segments := newest(x.after)
	for _, part := range append([]string{init}, segments...) {
		var b string
		if b, x.err = v.get(x.id, part); x.err != nil {
			return
		}
		x.played += b
	}
}

// check judges what came of it.
func (x *airing) check(t *testing.T, h *house, seconds int) {
	c := x.change
	if x.status.Attempts != 1 || x.status.State != Live {
		t.Errorf("%s, started %d times: %+v", x.status.State, x.status.Attempts, x.status.Reason)
	}
	if n := x.items[1] - x.items[0]; n < 2*seconds*25-30 {
		t.Errorf("%d pictures on the same track after the change, %d were sent", n, 2*seconds*25)
	}
	h.t = t
	gaps := 0
	for i, f := range h.follow(x.id, stream.LabelVideo, atLeast(3*seconds*25-60)) {
		if f.Gap && i > 0 {
			gaps++
		}
	}
	if c.gap != (gaps > 0) {
		t.Errorf("%d gaps, time was lost: %t", gaps, c.gap)
	}
	sounds := 0
	for _, tr := range x.sub.Tracks() {
		if tr.Kind() == media.Audio {
			sounds++
		}
	}
	if sounds != 1+c.sounds {
		t.Errorf("%d tracks of sound, want %d", sounds, 1+c.sounds)
	}
	if c.playable != "" {
		if x.status.Playable != c.playable {
			t.Errorf("playable %q: %+v", x.status.Playable, x.status.PlayReason)
		}
		return
	}
	init, segments := newest(x.after)
	_, earlier := newest(x.before)
	if len(segments) == 0 || slices.Contains(earlier, segments[len(segments)-1]) {
		t.Errorf("HLS stands still:\n%s", x.after)
	}
	if was, _ := newest(x.before); c.init && init == was {
		t.Errorf("the init segment is the one of before:\n%s", x.after)
	}
	width := max(c.width, 192)
	if n, w := decoded(t, x.played); n < 50 || w != width {
		t.Errorf("%d pictures %d wide in the newest segments, want %d wide:\n%s", n, w, width, x.after)
	}
}

// framesOf returns how many pictures the present track of a stream has carried.
func framesOf(sub *stream.Subscription) int {
	for _, tr := range sub.Tracks() {
		if tr.Label() == stream.LabelVideo {
			return int(tr.Stats().Items)
		}
	}
	return 0
}

// withoutProgramme is half a second of a multiplex whose PAT has no programme, with
// null packets, as while a multiplexer is set up anew.
func withoutProgramme() []byte {
	pat := []byte{0x00, 0xB0, 0x09, 0x00, 0x01, 0xC3, 0x00, 0x00}
	crc := ^uint32(0)
	for _, b := range pat {
		crc ^= uint32(b) << 24
		for range 8 {
			if crc>>31 != 0 {
				crc = crc<<1 ^ 0x04C11DB7
			} else {
				crc <<= 1
			}
		}
	}
	pat = append(pat, byte(crc>>24), byte(crc>>16), byte(crc>>8), byte(crc))
	var out []byte
	for range 20 {
		p := make([]byte, packetSize)
		for i := range p {
			p[i] = 0xFF
		}
		null := slices.Clone(p)
		copy(null, []byte{0x47, 0x1F, 0xFF, 0x10})
		copy(p, append([]byte{0x47, 0x40, 0x00, 0x10, 0x00}, pat...))
		out = append(append(out, p...), null...)
	}
	return out
}
