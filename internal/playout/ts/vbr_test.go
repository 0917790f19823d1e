package ts

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"tongxiang/internal/media"
	"tongxiang/internal/mpegts"
	"tongxiang/internal/playout/playtest"
)

// appendAll returns the whole of a sequence and where readers may begin.
func appendAll(t *testing.T, v *VBR, s sequence) (out []byte, entries []int) {
	t.Helper()
	if err := v.SetTracks(s.formats); err != nil {
		t.Fatal(err)
	}
	for _, x := range s.frames {
		b, entry := v.Append(nil, x.track, x.frame, false)
		if entry {
			entries = append(entries, len(out))
		}
		out = append(out, b...)
	}
	return out, entries
}

func TestAStreamAtItsOwnRateIsReadTheSameFromEverySyncPoint(t *testing.T) {
	for seed := range uint64(10) {
		r := rand.New(rand.NewPCG(seed, 3))
		s := generate(r, 5, 400_000, 1<<33-90000*2, media.AAC, media.Opus)
		v := NewVBR(Service{Name: "会议"})
		out, entries := appendAll(t, v, s)
		if n := v.Drops(); n.Total() > 0 {
			t.Fatalf("%v", n)
		}
		probe(t, out, false)
		same(t, out, s)
		if len(entries) < 2 {
			t.Fatalf("%d entries", len(entries))
		}
		for _, at := range entries {
			all := places(t, out[at:])
			if all[0].pid != pidPAT || all[1].pid != v.service.PID {
				t.Fatalf("an entry begins with PIDs %#x, %#x", all[0].pid, all[1].pid)
			}
		}
		// Read from the middle, the first picture is the sync point.
		from := entries[len(entries)/2]
		got, services, _ := read(out[from:])
		pictures := got[services[0].Streams[0].PID]
		if len(pictures) == 0 || !pictures[0].Sync {
			t.Error("the first picture read from an entry is no sync point")
		}
	}
}

func TestSoundAloneHasEntriesToo(t *testing.T) {
	var s sequence
	s.sound(rand.New(rand.NewPCG(1, 1)), media.AAC, 90000, 90000*6)
	out, entries := appendAll(t, NewVBR(Service{}), s)
	probe(t, out, false)
	if len(entries) < 8 || len(entries) > 20 {
		t.Errorf("%d entries in 5 s", len(entries))
	}
}

func TestAPauseIsBridgedAndABreakMarked(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 8))
	for _, tc := range []struct {
		name  string
		pause int64 // seconds
		marks int
	}{{"a second", 1, 0}, {"an hour", 3600, 1}, {"backwards", -3600, 1}} {
		t.Run(tc.name, func(t *testing.T) {
			start := int64(90000 * 7200)
			s := generate(r, 2, 300_000, start, media.AAC)
			v := NewVBR(Service{})
			out, _ := appendAll(t, v, s)
			after := generate(r, 2, 300_000, start+90000*(2+tc.pause), media.AAC)
			for _, x := range after.frames {
				out, _ = v.Append(out, x.track, x.frame, false)
			}
			e := mpegts.NewProber()
			_, _ = e.Write(out)
			c := e.Report(nil).TR101290
			c.PCRAccuracyError, c.PTSError = 0, 0
			if c != (mpegts.TR101290{}) {
				t.Errorf("%+v", c)
			}
			marks := 0
			for _, p := range places(t, out) {
				if p.broken {
					marks++
				}
			}
			if marks != tc.marks {
				t.Errorf("%d packets with the indicator, want %d", marks, tc.marks)
			}
		})
	}
}

// TestFFmpegReadsBothMultiplexers gives ffprobe, the second opinion, real media from
// both: it must decode every picture and say nothing.
func TestFFmpegReadsBothMultiplexers(t *testing.T) {
	playtest.Tools(t)
	for _, args := range []string{
		playtest.BFrames, playtest.Broadcast,
		"-c:v libx264 -preset ultrafast -g 25 -pix_fmt yuv420p -c:a libopus -b:a 64k",
		"-c:v libx264 -preset ultrafast -g 25 -pix_fmt yuv420p -c:a ac3 -b:a 192k",
	} {
		// Our own demuxer has the times of MPEG-2; the formats are those of its streams.
		s := demuxed(t, playtest.TS(t, 4, "320x180", args))
		pictures := 0
		for _, x := range s.frames {
			if x.track == 0 {
				pictures++
			}
		}
		check := func(name string, b []byte) {
			t.Helper()
			file := filepath.Join(t.TempDir(), name)
			if err := os.WriteFile(file, b, 0o600); err != nil {
				t.Fatal(err)
			}
			p := playtest.ProbeFile(t, file)
			if n := p.Decoded("video"); n != pictures {
				t.Errorf("%s of %q: %d pictures of %d", name, args, n, pictures)
			}
			if p.Decoded("audio") == 0 {
				t.Errorf("%s of %q: no sound", name, args)
			}
		}
		for _, latm := range []bool{false, true} {
			m := newMux(t, automatic(s.need(stcOf(DefaultDelay))), Service{LATM: latm}, s.formats...)
			out, came := run(m, s)
			if n := m.Stats(); n.Drops.Total() > 0 {
				t.Errorf("%+v", n)
			}
			probe(t, out[:came], true)
			check("cbr.ts", out)
		}
		v, _ := appendAll(t, NewVBR(Service{}), s)
		probe(t, v, false)
		check("vbr.ts", v)
	}
}

// demuxed reads the first programme of a transport stream.
func demuxed(t *testing.T, b []byte) sequence {
	t.Helper()
	var s sequence
	index := map[uint16]int{}
	d := mpegts.NewDemuxer(mpegts.Handler{Frame: func(st *mpegts.Stream, f *media.Frame, at mpegts.Times) {
		i, ok := index[st.PID]
		if !ok {
			i = len(s.formats)
			index[st.PID] = i
			s.formats = append(s.formats, st.Format)
		}
		f.PTS, f.DTS = at90(at.PTS), at90(at.DTS)
		s.frames = append(s.frames, sent{i, f})
	}})
	d.Feed(b, 1)
	d.Flush()
	if len(s.formats) != 2 || s.formats[0].Codec.Kind() != media.Video {
		t.Fatalf("read %v", s.formats)
	}
	s.sort()
	return s
}
