package recorder

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tongxiang/ingest"
	"tongxiang/internal/mpegts"
	"tongxiang/internal/playout/playtest"
	"tongxiang/internal/store"
	"tongxiang/recorder/folder"
)

// multiplex makes a transport stream of two programmes, the first with two sounds and
// one in private data that we cannot name.
func multiplex(t *testing.T, seconds string) []byte {
	t.Helper()
	playtest.Tools(t)
	return playtest.Run(t, nil, "ffmpeg", strings.Fields("-v error -f lavfi -i testsrc2=rate=25:size=320x180 -f lavfi -i sine=frequency=440:sample_rate=48000"+
		" -f lavfi -i testsrc=rate=25:size=160x120 -f lavfi -i sine=frequency=880:sample_rate=48000 -t "+seconds+
		" -map 0:v -map 1:a -map 3:a -map 3:a -map 2:v -map 3:a -c:v libx264 -preset ultrafast -bf 2 -g 25 -sc_threshold 0 -pix_fmt yuv420p -c:a aac -b:a 64k -c:a:2 s302m -ac:a:2 2 -strict -2"+
		" -program title=第一:program_num=101:st=0:st=1:st=2:st=3 -program title=two:program_num=102:st=4:st=5"+
		" -metadata:s:1 language=chi -metadata:s:2 language=eng -f mpegts pipe:1")...)
}

// packetsOf returns the packets of a stream that are not tables, of the PIDs that keep.
func packetsOf(b []byte, keep func(pid uint16) bool) (out [][]byte) {
	for ; len(b) >= mpegts.PacketSize; b = b[mpegts.PacketSize:] {
		if pid := uint16(b[1]&0x1F)<<8 | uint16(b[2]); keep(pid) {
			out = append(out, b[:mpegts.PacketSize])
		}
	}
	return out
}

func TestTransportStreamIsRecordedAsReceived(t *testing.T) {
	t.Parallel()
	sent := multiplex(t, "8")
	src := filepath.Join(t.TempDir(), "mux.ts")
	mustWrite(t, src, sent)
	r := newRig(t, t.TempDir())
	channels := ingest.NewChannels(r.hub, r.clock, r.rec.log, ingest.Options{})
	t.Cleanup(channels.Close)
	rec := r.begin(Request{Stream: "channels/a", Format: folder.TS})
	if err := channels.Add(ingest.ChannelConfig{ID: "a", Source: "file://" + src + "?loop=0", Program: 101}); err != nil {
		t.Fatal(err)
	}
	r.entry(rec.ID, "it begins", func(e store.Recording) bool { return e.File != "" && e.State == store.RecordingRunning })
	r.entry(rec.ID, "the end of the source", func(store.Recording) bool {
		c, _ := channels.Get("a")
		return c.State == ingest.Lost && c.Reason.Code == "source_ended"
	})
	rec = r.stop(rec.ID)
	if rec.State != store.RecordingComplete || rec.Format != "ts" || rec.Duration < 4*time.Second || rec.Duration > 8500*time.Millisecond || len(rec.Gaps) > 0 {
		t.Errorf("entry %+v", rec)
	}
	if len(rec.Tracks) != 4 || rec.Tracks[0].Codec != "H264" || rec.Tracks[1].Language != "chi" || rec.Tracks[3].Kind != "other" {
		t.Errorf("tracks %+v", rec.Tracks)
	}
	got, err := os.ReadFile(r.rec.Path(rec))
	if err != nil {
		t.Fatal(err)
	}
	// Every packet of the programme is there, in order, from the first picture on that
	// was sent after the recording found the channel, which it looks for each second.
	pids := map[uint16]bool{0x100: true, 0x101: true, 0x102: true, 0x103: true}
	want := packetsOf(sent, func(pid uint16) bool { return pids[pid] })
	have := packetsOf(got, func(pid uint16) bool { return pid >= 0x100 && pid < 0x1000 && pid != 0x1FFF })
	if len(have) == 0 || len(have) > len(want) || len(have) < len(want)/2 {
		t.Fatalf("%d packets of %d", len(have), len(want))
	}
	tail := want[len(want)-len(have):]
	for i := range have {
		if !bytes.Equal(have[i], tail[i]) {
			t.Fatalf("packet %d of %d is not the one that was sent", i, len(have))
		}
	}
	probe(t, r.rec.Path(rec))
	index, err := folder.ReadIndex(filepath.Dir(r.rec.Path(rec)), "media.ts")
	if err != nil || len(index) < 4 {
		t.Fatalf("%d entries, %v", len(index), err)
	}
	syncs, end := 0, int64(0)
	for i, e := range index {
		if e.Offset != end || e.Errors != 0 || e.PTS == nil {
			t.Errorf("entry %d: %+v", i, e)
		}
		if crc := folder.Hex(folder.Checksum(got[e.Offset : e.Offset+e.Length])); crc != e.CRC {
			t.Errorf("entry %d: checksum %s, is %s", i, e.CRC, crc)
		}
		if e.Sync {
			syncs++
		}
		end = e.Offset + e.Length
	}
	if end != int64(len(got)) || syncs < len(index)-2 {
		t.Errorf("index ends at %d of %d, %d of %d are sync points", end, len(got), syncs, len(index))
	}
	list, err := r.rec.Playlist(rec, "../file")
	if err != nil || !strings.Contains(string(list), "#EXT-X-ENDLIST") || strings.Count(string(list), "#EXTINF") < 2 || strings.Contains(string(list), "EXT-X-MAP") {
		t.Errorf("%v: %s", err, list)
	}
	tornTS(t, got, index, rec.Duration)
}

// TestTransportStreamGoesOnWhenItsClockGoesBack records a source whose clock returns to
// its beginning every four seconds, as a file's does that is played again and again,
// and a playout's at a splice: less than what passes for another clock.
func TestTransportStreamGoesOnWhenItsClockGoesBack(t *testing.T) {
	t.Parallel()
	src := filepath.Join(t.TempDir(), "mux.ts")
	mustWrite(t, src, multiplex(t, "4"))
	r := newRig(t, t.TempDir())
	channels := ingest.NewChannels(r.hub, r.clock, r.rec.log, ingest.Options{})
	t.Cleanup(channels.Close)
	rec := r.begin(Request{Stream: "channels/a", Format: folder.TS})
	if err := channels.Add(ingest.ChannelConfig{ID: "a", Source: "file://" + src, Program: 101}); err != nil {
		t.Fatal(err)
	}
	r.entry(rec.ID, "two turns and a half", func(store.Recording) bool { l, _ := r.rec.Live(rec.ID); return l.Duration > 10*time.Second })
	rec = r.stop(rec.ID)
	if took := rec.Ended.Sub(rec.Started); rec.State != store.RecordingComplete || len(rec.Gaps) > 0 || rec.Duration > took {
		t.Errorf("entry %+v, which took %v", rec, took)
	}
	index, err := folder.ReadIndex(filepath.Dir(r.rec.Path(rec)), "media.ts")
	if err != nil {
		t.Fatal(err)
	}
	turns, end := 0, time.Duration(0)
	for i, e := range index {
		if e.Start() < end-time.Millisecond || e.End()-e.Start() > 2*time.Second || e.Errors != 0 {
			t.Errorf("entry %d of %v to %v after %v, %d errors", i, e.Start(), e.End(), end, e.Errors)
		}
		if i > 0 && clockJump(index[i-1], e) {
			turns++
		}
		end = e.End()
	}
	if turns < 2 {
		t.Errorf("%d turns in %+v", turns, index)
	}
	list, err := r.rec.Playlist(rec, "../file")
	if err != nil || strings.Count(string(list), "#EXT-X-DISCONTINUITY") != turns || strings.Contains(string(list), "#EXT-X-GAP") {
		t.Errorf("%v: players are not told of %d turns: %s", err, turns, list)
	}
}

// tornTS cuts and zeroes the end of the file, which lasts so long, and takes the index
// away. What is found to be left lacks its last fragment at most.
func tornTS(t *testing.T, media []byte, index []folder.Entry, whole time.Duration) {
	last := index[len(index)-1]
	for _, c := range []struct {
		name  string
		media []byte
		lines int // of the index that are kept
		size  int64
	}{
		{"cut within a packet", media[:last.Offset+1000], len(index), last.Offset + 940},
		{"zeroed from within a packet", append(bytes.Clone(media[:last.Offset+1000]), make([]byte, 5000)...), 3, last.Offset + 1128},
		{"no index", media, 0, int64(len(media))},
		{"index of another file", media, -1, int64(len(media))},
	} {
		dir := filepath.Join(t.TempDir(), "r")
		mustWrite(t, filepath.Join(dir, "media.ts"), c.media)
		kept := index[:max(c.lines, 0)]
		if c.lines < 0 {
			kept = []folder.Entry{{Offset: 0, Length: 1880, CRC: "00000000", DurationUS: 1e6}, {Offset: 1880, Length: 1880, CRC: "00000000", DurationUS: 1e6}}
		}
		if err := folder.WriteIndex(dir, "media.ts", kept); err != nil {
			t.Fatal(err)
		}
		got, err := folder.Mend(dir, "media.ts", false)
		if err != nil || got.Bytes != c.size {
			t.Errorf("%s: %d bytes, want %d; %v", c.name, got.Bytes, c.size, err)
			continue
		}
		end := int64(0)
		for _, e := range got.Index {
			if e.Offset != end {
				t.Errorf("%s: a hole at %d", c.name, end)
			}
			end = e.Offset + e.Length
		}
		if end != c.size || got.Duration < whole-1500*time.Millisecond || got.Duration > whole+500*time.Millisecond {
			t.Errorf("%s: the index ends at %d of %d and %v", c.name, end, c.size, got.Duration)
		}
		if again, err := folder.Mend(dir, "media.ts", true); err != nil || again.Remade || again.Cut != 0 {
			t.Errorf("%s: mended twice: %+v, %v", c.name, again.Remade, err)
		}
	}
}

// probe has ffprobe read the whole file: one programme, no error.
func probe(t *testing.T, path string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "ffprobe", "-v", "error", "-show_programs", "-show_streams", "-of", "json", path)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	var p struct {
		Programs []struct {
			ID   int               `json:"program_id"`
			Tags map[string]string `json:"tags"`
		} `json:"programs"`
	}
	if err == nil {
		err = json.Unmarshal(out, &p)
	}
	if err != nil || errs.Len() > 0 || len(p.Programs) != 1 || p.Programs[0].ID != 101 || p.Programs[0].Tags["service_name"] != "第一" {
		t.Errorf("%v: %s: %+v", err, errs.String(), p)
	}
	dec := exec.CommandContext(t.Context(), "ffmpeg", "-v", "error", "-xerror", "-i", path, "-map", "0:v", "-map", "0:a", "-f", "null", "-")
	if out, err := dec.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("decode: %v: %s", err, out)
	}
}

func TestChannelThatIsNoTransportStreamSaysSo(t *testing.T) {
	t.Parallel()
	r := newRig(t, t.TempDir())
	channels := ingest.NewChannels(r.hub, r.clock, r.rec.log, ingest.Options{})
	t.Cleanup(channels.Close)
	clip := playtest.Make(t, 8, "320x180", playtest.BFrames)
	rec := r.begin(Request{Stream: "channels/a", Format: folder.TS})
	_, tracks := r.publish("channels/a", clip)
	go r.play(clip, tracks, 1)
	r.entry(rec.ID, "the reason", func(e store.Recording) bool {
		return e.State == store.RecordingWaiting && e.Reason == ReasonNoTransport
	})
	if rec = r.stop(rec.ID); rec.File != "" {
		t.Errorf("%+v", rec)
	}
}

func TestRequestsThatMakeNoSenseAreRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t, t.TempDir())
	for _, q := range []Request{
		{Stream: "channels/a", Format: "avi"}, {Stream: "channels/a", Class: "sport"}, {Stream: "channels/a", PreRoll: -1},
		{Stream: "channels/a", PreRoll: time.Hour}, {Stream: "meetings/1/programme", Format: folder.TS}, {Stream: "channels/a", AllTracks: true},
	} {
		if rec, err := r.rec.Start(t.Context(), q); err == nil {
			t.Errorf("%+v was accepted as %+v", q, rec)
		}
	}
}
