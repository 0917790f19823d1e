package mpegts

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"slices"
	"testing"

	"tongxiang/internal/media"
)

// twoCoded returns ten seconds of two programmes by ffmpeg: H.264 with B-frames and
// AAC, MPEG-2 with B-frames and MP2. ffmpeg gives each picture a PES packet of its
// own, and several frames of sound one.
func twoCoded(t *testing.T) []byte {
	t.Helper()
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		t.Skip("ffmpeg is not installed: this test cuts its stream")
	}
	out, err := exec.CommandContext(t.Context(), "ffmpeg", "-nostdin", "-loglevel", "error",
		"-f", "lavfi", "-i", "testsrc2=size=320x240:rate=25,noise=alls=10:allf=t", "-f", "lavfi", "-i", "mandelbrot=size=320x240:rate=25",
		"-f", "lavfi", "-i", "anoisesrc=sample_rate=48000:seed=1", "-t", "10", "-map", "0", "-map", "2", "-map", "1", "-map", "2",
		"-c:v:0", "libx264", "-preset", "veryfast", "-bf", "2", "-g", "25", "-b:v:0", "900k", "-threads", "1",
		"-c:v:1", "mpeg2video", "-bf", "2", "-g", "12", "-b:v:1", "900k",
		"-c:a:0", "aac", "-b:a:0", "128k", "-c:a:1", "mp2", "-b:a:1", "192k", "-pix_fmt", "yuv420p",
		"-program", "program_num=1:st=0:st=1", "-program", "program_num=2:st=2:st=3", "-f", "mpegts", "-").Output()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// unit is a picture or one frame of sound.
type unit struct {
	pts, dts int64
	data     []byte
	corrupt  bool
}

// unitsOf demuxes and takes groups of sound apart.
func unitsOf(data []byte) (map[uint16][]unit, *Demuxer) {
	got := make(map[uint16][]unit)
	d := NewDemuxer(Handler{Frame: func(s *Stream, f *media.Frame, at Times) {
		if s.Codec.Kind() == media.Video {
			got[s.PID] = append(got[s.PID], unit{at.PTS, at.DTS, bytes.Join(f.Units, []byte{0, 0, 1}), f.Corrupt})
			return
		}
		samples := map[media.Codec]int64{media.AAC: 1024, media.MPEGAudio: 1152}[s.Codec]
		for i, u := range f.Units {
			pts := (at.PTS + int64(i)*samples*Ticks/int64(s.Format.Rate)) & (wrap - 1)
			got[s.PID] = append(got[s.PID], unit{pts, pts, u, f.Corrupt})
		}
	}})
	d.Feed(data, 1)
	d.Flush()
	return got, d
}

// span is where an access unit lies: the packets it has bytes in, and those of its
// PES packet up to the first of the next.
type span struct {
	packets []int
	pes     []int
}

// spansOf finds, without the demuxer, in which packets the access units of a PID lie.
// A picture is a PES packet; frames of sound are told apart by their headers.
func spansOf(t *testing.T, data []byte, id uint16, syntax soundSyntax) []span {
	t.Helper()
	type piece struct {
		packet int
		bytes  []byte
	}
	var pes [][]piece
	for n := range len(data) / PacketSize {
		p := data[n*PacketSize : (n+1)*PacketSize]
		if uint16(p[1]&0x1F)<<8|uint16(p[2]) != id || p[3]&0x10 == 0 {
			continue
		}
		payload := p[4:]
		if p[3]&0x20 != 0 {
			payload = p[5+int(p[4]):]
		}
		if p[1]&0x40 != 0 {
			pes = append(pes, nil)
			payload = payload[9+int(payload[8]):]
		}
		if len(pes) > 0 {
			pes[len(pes)-1] = append(pes[len(pes)-1], piece{n, payload})
		}
	}
	var out []span
	for i, pieces := range pes {
		var all []byte
		var packet []int // of each byte
		for _, x := range pieces {
			all = append(all, x.bytes...)
			for range x.bytes {
				packet = append(packet, x.packet)
			}
		}
		if syntax == nil {
			var s span
			for _, x := range pieces {
				s.packets = append(s.packets, x.packet)
			}
			out = append(out, s)
			continue
		}
		around := slices.Compact(slices.Clone(packet))
		if i+1 < len(pes) {
			around = append(around, pes[i+1][0].packet)
		}
		for at := 0; at < len(all); {
			f, ok := syntax.frame(all[at:])
			if !ok || f.size == 0 || at+f.size > len(all) {
				t.Fatalf("PID %d: the stream is not as ffmpeg writes it", id)
			}
			out = append(out, span{slices.Compact(slices.Clone(packet[at : at+f.size])), around})
			at += f.size
		}
	}
	return out
}

// TestLostPacketsCostOnlyWhatTheyHit takes 0.5 % of the packets away. Whatever has no
// byte in them must come as it was, with its times; what has may be missing, and is
// marked if it comes otherwise.
func TestLostPacketsCostOnlyWhatTheyHit(t *testing.T) {
	data := twoCoded(t)
	clean, d := unitsOf(data)
	for seed := range uint64(8) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 0.5e3))
			lost := make(map[int]bool)
			var rest []byte
			for n := range len(data) / PacketSize {
				// The tables and the first pictures of all are left: before them nothing
				// is known, of which what is missing could be told. So is the end: sound
				// behind a hole gets its time from what comes next.
				if n > 400 && n < len(data)/PacketSize-200 && r.Float64() < 0.005 {
					lost[n] = true
					continue
				}
				rest = append(rest, data[n*PacketSize:(n+1)*PacketSize]...)
			}
			got, after := unitsOf(rest)
			if c := after.Stats().Continuity; c == 0 || c > uint64(len(lost)) {
				t.Errorf("%d continuity errors, %d packets are missing", c, len(lost))
			}
			for _, s := range d.Services() {
				for _, st := range s.Streams {
					compareLossy(t, st, spansOf(t, data, st.PID, syntaxOf(st)), clean[st.PID], got[st.PID], lost)
				}
			}
		})
	}
}

func syntaxOf(st *Stream) soundSyntax {
	switch st.Codec {
	case media.AAC:
		return &adts{}
	case media.MPEGAudio:
		return &mpegAudio{}
	}
	return nil
}

func compareLossy(t *testing.T, st *Stream, spans []span, clean, got []unit, lost map[int]bool) {
	t.Helper()
	if len(spans) != len(clean) {
		t.Fatalf("PID %d: %d access units, the packets hold %d", st.PID, len(clean), len(spans))
	}
	byTime := make(map[int64]unit)
	for _, u := range got {
		byTime[u.dts] = u
	}
	hit, whole := 0, 0
	for i, want := range clean {
		damaged := slices.ContainsFunc(spans[i].packets, func(n int) bool { return lost[n] })
		u, ok := byTime[want.dts]
		for d := int64(1); !ok && d < 3 && st.Codec.Kind() == media.Audio; d++ { // rounded
			if u, ok = byTime[want.dts+d]; !ok {
				u, ok = byTime[want.dts-d]
			}
		}
		same := ok && bytes.Equal(u.data, want.data) && (u.pts == want.pts || st.Codec.Kind() == media.Audio)
		if !damaged && !same && inHoles(spans[i], lost) {
			// Its PES packet has holes before and behind it: nothing tells its time.
			same = slices.ContainsFunc(got, func(u unit) bool { return bytes.Equal(u.data, want.data) })
		}
		switch {
		case damaged:
			hit++
			if ok && !same && !u.corrupt && st.Codec.Kind() == media.Video {
				t.Errorf("PID %d, unit %d of %d: it was hit, came otherwise and does not say so", st.PID, i, len(clean))
			}
		case !same:
			t.Errorf("PID %d (%v), unit %d of %d at %d was not hit: came %t, the same %t", st.PID, st.Codec, i, len(clean), want.dts, ok, ok && bytes.Equal(u.data, want.data))
		default:
			whole++
		}
	}
	if hit == 0 && len(lost) > 20 && st.Codec.Kind() == media.Video {
		t.Errorf("PID %d: nothing was hit", st.PID)
	}
	t.Logf("PID %d %v: %d hit, %d whole, %d came", st.PID, st.Codec, hit, whole, len(got))
}

// inHoles reports whether packets of a frame's PES packet are missing on both sides.
func inHoles(s span, lost map[int]bool) bool {
	before, behind := false, false
	for _, n := range s.pes {
		before = before || lost[n] && n < s.packets[0]
		behind = behind || lost[n] && n > s.packets[0]
	}
	return before && behind
}

// TestTwoPercentOfDuplicatesChangeNothing repeats packets as ISO/IEC 13818-1 2.4.3.3 allows.
func TestTwoPercentOfDuplicatesChangeNothing(t *testing.T) {
	data := twoCoded(t)
	clean, _ := unitsOf(data)
	r := rand.New(rand.NewPCG(2, 2))
	repeated := uint64(0)
	var more []byte
	for p := range slices.Chunk(data, PacketSize) {
		more = append(more, p...)
		if p[3]&0x10 != 0 && uint16(p[1]&0x1F)<<8|uint16(p[2]) != nullPID && r.Float64() < 0.02 {
			more = append(more, p...)
			repeated++
		}
	}
	got, d := unitsOf(more)
	if s := d.Stats(); s.Duplicates != repeated || s.Continuity != 0 {
		t.Errorf("%d repeated: %+v", repeated, s)
	}
	for pid, units := range clean {
		if !slices.EqualFunc(units, got[pid], func(a, b unit) bool {
			return a.dts == b.dts && a.pts == b.pts && !b.corrupt && bytes.Equal(a.data, b.data)
		}) {
			t.Errorf("PID %d: %d units, %d with duplicates, or other ones", pid, len(units), len(got[pid]))
		}
	}
}
