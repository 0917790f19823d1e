package work

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"image/jpeg"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tongxiang/internal/jobs"
	"tongxiang/internal/mpegts"
	"tongxiang/internal/playout/fmp4"
	"tongxiang/internal/playout/playtest"
	"tongxiang/internal/store"
	"tongxiang/recorder/folder"
)

// rig is a shop over a folder of recordings and a real library.
type rig struct {
	t     *testing.T
	dir   string
	store *store.Store
	shop  *Shop
}

func newRig(t *testing.T) *rig {
	t.Helper()
	st, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "t.db"), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	dir := t.TempDir()
	return &rig{t: t, dir: dir, store: st, shop: &Shop{Dir: dir, FFmpeg: "ffmpeg", Library: st}}
}

var began = time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)

// ts puts a transport stream into the library as a recording.
func (r *rig) ts(id string, b []byte) store.Recording {
	r.t.Helper()
	path := filepath.Join("2026", "03", "01", id)
	dir := filepath.Join(r.dir, path)
	if err := os.MkdirAll(dir, 0o750); err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "media.ts"), b, 0o600); err != nil {
		r.t.Fatal(err)
	}
	if err := folder.WriteIndex(dir, "media.ts", indexed(b)); err != nil {
		r.t.Fatal(err)
	}
	e, err := folder.Mend(dir, "media.ts", false)
	if err != nil {
		r.t.Fatal(err)
	}
	rec := store.Recording{
		ID: id, Stream: "channels/a", Title: "新闻", Class: "news", Format: folder.TS, State: store.RecordingComplete, Started: began, Ended: &began,
		Duration: e.Duration.Truncate(time.Microsecond), Bytes: e.Bytes, File: filepath.Join(path, "media.ts"),
		Tracks: []store.RecordingTrack{{File: "media.ts", Kind: "video", Codec: "H264"}, {File: "media.ts", Kind: "audio", Codec: "AAC"}},
	}
	m := folder.Describe(rec)
	m.Media = began
	if err := errors.Join(folder.Write(dir, m), r.store.PutRecording(r.t.Context(), rec)); err != nil {
		r.t.Fatal(err)
	}
	return rec
}

// indexed tells the fragments of what ffmpeg wrote as the recorder would: each begins
// with the tables ahead of a key frame.
func indexed(b []byte) []folder.Entry {
	var out []folder.Entry
	tables, zero := 0, int64(-1)
	for at := 0; at+mpegts.PacketSize <= len(b); at += mpegts.PacketSize {
		p := b[at : at+mpegts.PacketSize]
		switch pid := int(p[1]&0x1f)<<8 | int(p[2]); {
		case pid == 0:
			tables = at
		case pid == 0x100 && p[1]&0x40 != 0 && p[3]&0x20 != 0 && p[5]&0x40 != 0: // a key frame begins
			pts := mpegts.PacketPTS(p)
			if zero < 0 {
				zero, tables = pts, 0
			}
			out = append(out, folder.Entry{Offset: int64(tables), TimeUS: (pts - zero) * 100 / 9, Sync: true, PTS: &pts})
		}
	}
	for i := range out {
		end, until := int64(len(b)), out[i].TimeUS+1e6
		if i+1 < len(out) {
			end, until = out[i+1].Offset, out[i+1].TimeUS
		}
		out[i].Length, out[i].DurationUS = end-out[i].Offset, until-out[i].TimeUS
		out[i].CRC = folder.Hex(folder.Checksum(b[out[i].Offset:end]))
	}
	return out
}

func (r *rig) folder(rec store.Recording) string { return filepath.Join(r.dir, filepath.Dir(rec.File)) }

func (r *rig) job(kind jobs.Kind, args any) store.Job {
	r.t.Helper()
	b, err := json.Marshal(args)
	if err != nil {
		r.t.Fatal(err)
	}
	return store.Job{ID: store.NewID(), Kind: string(kind), Args: string(b), Created: began.Add(time.Hour), CreatedBy: "li"}
}

func (r *rig) make(kind jobs.Kind, rec store.Recording, args any) (any, error) {
	return r.shop.Makers()[kind](r.t.Context(), rec, r.job(kind, args), func(p float64) {
		if p < 0 || p > 1 {
			r.t.Errorf("progress %v", p)
		}
	})
}

// wants checks the code of a failure.
func wants(t *testing.T, err error, code string) {
	t.Helper()
	var f *jobs.Failure
	if !errors.As(err, &f) || f.Code != code {
		t.Errorf("got %v, want %s", err, code)
	}
}

// leftovers checks that nothing half done is left.
func (r *rig) leftovers(rec store.Recording) {
	r.t.Helper()
	l, err := filepath.Glob(filepath.Join(r.folder(rec), folder.DerivedName, ".*"))
	if err != nil || len(l) > 0 {
		r.t.Errorf("left: %v, %v", l, err)
	}
}

func television(t *testing.T, seconds int) []byte {
	t.Helper()
	// Tables before every picture, as the recorder writes them before those to begin with.
	return playtest.TS(t, seconds, "320x180", playtest.BFrames+" -mpegts_flags +pat_pmt_at_frames")
}

func TestEverythingIsMadeOfARecordingWithATornEnd(t *testing.T) {
	r := newRig(t)
	rec := r.ts("torn", television(t, 12))
	media := filepath.Join(r.folder(rec), "media.ts")
	index := filepath.Join(r.folder(rec), folder.IndexName)
	info, err := os.Stat(media)
	if err != nil {
		t.Fatal(err)
	}
	lines, err := os.ReadFile(index)
	if err != nil {
		t.Fatal(err)
	}
	// The power went: the last quarter of the media is not there, the index's last line is torn.
	if err := errors.Join(os.Truncate(media, info.Size()*3/4+77), os.WriteFile(index, lines[:len(lines)-40], 0o600)); err != nil {
		t.Fatal(err)
	}
	for _, kind := range []jobs.Kind{jobs.Thumbnail, jobs.Sprite, jobs.Rendition, jobs.Export} {
		if _, err := r.make(kind, rec, nil); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
	}
	result, err := r.make(jobs.Clip, rec, ClipArgs{FromMS: 2000, ToMS: 60000})
	if err != nil {
		t.Fatal(err)
	}
	clip, err := r.store.Recording(t.Context(), result.(ClipResult).Recording)
	if err != nil || clip.Duration < 5*time.Second || clip.Duration > 8*time.Second {
		t.Errorf("%+v, %v", clip, err)
	}
	_, err = r.make(jobs.Verify, rec, nil)
	wants(t, err, jobs.CodeDamaged)
	d, err := r.store.DerivedOf(t.Context(), rec.ID)
	if err != nil || len(d) != 5 {
		t.Errorf("%+v, %v", d, err)
	}
	r.leftovers(rec)
}

func TestAClipIsWholeFragmentsFromAKeyFrameOn(t *testing.T) {
	r := newRig(t)
	rec := r.ts("whole", television(t, 12))
	rec.Gaps = []store.Gap{{FromMS: 1000, ToMS: 2000, Reason: "no_signal"}, {FromMS: 5000, ToMS: 5500, Reason: "disk_slow"}}
	before := snapshot(t, r.folder(rec))
	result, err := r.make(jobs.Clip, rec, ClipArgs{FromMS: 4600, ToMS: 7400, Title: "../../片段"})
	if err != nil {
		t.Fatal(err)
	}
	cut := result.(ClipResult)
	clip, err := r.store.Recording(t.Context(), cut.Recording)
	if err != nil {
		t.Fatal(err)
	}
	if cut.FromMS > 4600 || cut.FromMS < 2000 || cut.ToMS < 7400 || clip.Title != "../../片段" || clip.Class != "news" || !clip.Started.Equal(began.Add(time.Duration(cut.FromMS)*time.Millisecond)) {
		t.Errorf("%+v of %+v", clip, cut)
	}
	if len(clip.Gaps) != 1 || clip.Gaps[0].FromMS != 5000-cut.FromMS || clip.Gaps[0].Reason != "disk_slow" {
		t.Errorf("gaps %+v", clip.Gaps)
	}
	src, err := os.ReadFile(filepath.Join(r.dir, rec.File))
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(r.dir, clip.File))
	if err != nil || !bytes.Contains(src, got) {
		t.Errorf("the clip is not a piece of the original: %v", err)
	}
	if !bytes.Equal(before, snapshot(t, r.folder(rec))) {
		t.Error("the original was touched")
	}
	m, err := folder.Read(r.folder(clip))
	if err != nil || m.Title != clip.Title || len(m.Files) != 1 {
		t.Errorf("%+v, %v", m, err)
	}
	e, err := folder.Mend(r.folder(clip), "media.ts", true)
	if err != nil || e.Remade || e.Cut > 0 {
		t.Errorf("the clip had to be mended: %+v, %v", e, err)
	}
	if n := playtest.ProbeFile(t, filepath.Join(r.dir, clip.File)).Decoded("video"); math.Abs(float64(n)-25*clip.Duration.Seconds()) > 13 {
		t.Errorf("%d pictures in %v", n, clip.Duration)
	}
	r.leftovers(rec)
}

// snapshot is what lies in the folder of a recording, but for what is made of it.
func snapshot(t *testing.T, dir string) []byte {
	t.Helper()
	var all []byte
	for _, name := range []string{folder.ManifestName, folder.IndexName, "media.ts"} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, b...)
	}
	return all
}

func TestAClipThatWasPlacedBeforeACrashIsTakenAsItIs(t *testing.T) {
	r := newRig(t)
	rec := r.ts("crash", television(t, 6))
	j := r.job(jobs.Clip, ClipArgs{FromMS: 0, ToMS: 3000})
	first, err := r.shop.clip(t.Context(), rec, j, func(float64) {})
	if err != nil {
		t.Fatal(err)
	}
	id := first.(ClipResult).Recording
	if err := r.store.DeleteRecording(t.Context(), id); err != nil { // killed before it was in the library
		t.Fatal(err)
	}
	left := filepath.Join(r.folder(rec), folder.DerivedName, ".clip-other")
	if err := os.MkdirAll(left, 0o750); err != nil {
		t.Fatal(err)
	}
	again, err := r.shop.clip(t.Context(), rec, j, func(float64) {})
	if err != nil || again.(ClipResult) != first.(ClipResult) {
		t.Errorf("%+v, %v; first %+v", again, err, first)
	}
	if _, err := r.store.Recording(t.Context(), id); err != nil {
		t.Error(err)
	}
	r.leftovers(rec)
}

func TestBytesThatAreNotWhatTheyWereAreFoundAndLeftOutOfClips(t *testing.T) {
	r := newRig(t)
	rec := r.ts("rot", television(t, 10))
	if v, err := r.make(jobs.Verify, rec, nil); err != nil || !v.(Verified).OK {
		t.Fatalf("%+v, %v", v, err)
	}
	index, err := folder.ReadIndex(r.folder(rec), "media.ts")
	if err != nil {
		t.Fatal(err)
	}
	bad := index[len(index)/2]
	f, err := os.OpenFile(filepath.Join(r.dir, rec.File), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteAt([]byte("rotten"), bad.Offset+300)
	if err = errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	_, err = r.make(jobs.Verify, rec, nil)
	wants(t, err, jobs.CodeDamaged)
	d, err := r.store.DerivedOf(t.Context(), rec.ID)
	if err != nil || len(d) != 1 {
		t.Fatalf("%+v, %v", d, err)
	}
	var v Verified
	if err := json.Unmarshal([]byte(d[0].Result), &v); err != nil || v.OK || len(v.Damaged) != 1 || v.Damaged[0].FromMS != bad.Start().Milliseconds() || v.Damaged[0].ToMS != bad.End().Milliseconds() {
		t.Errorf("%+v, %v; want %v to %v", v, err, bad.Start(), bad.End())
	}
	result, err := r.make(jobs.Clip, rec, ClipArgs{FromMS: 0, ToMS: 60000})
	if err != nil || result.(ClipResult).Damaged != 1 {
		t.Fatalf("%+v, %v", result, err)
	}
	clip, err := r.store.Recording(t.Context(), result.(ClipResult).Recording)
	if err != nil || len(clip.Gaps) != 1 || clip.Gaps[0].Reason != jobs.CodeDamaged || clip.Gaps[0].FromMS != bad.Start().Milliseconds() {
		t.Errorf("%+v, %v", clip, err)
	}
}

func TestTheLowRenditionKeepsTheTimeLineOverAGap(t *testing.T) {
	r := newRig(t)
	one := television(t, 6)
	rec := r.ts("gap", one)
	index, err := folder.ReadIndex(r.folder(rec), "media.ts")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range index { // half a minute of nothing, and the source's clock begins anew
		e.Offset += int64(len(one))
		e.TimeUS += 36e6
		index = append(index, e)
	}
	err = errors.Join(os.WriteFile(filepath.Join(r.dir, rec.File), append(bytes.Clone(one), one...), 0o600), folder.WriteIndex(r.folder(rec), "media.ts", index))
	if err != nil {
		t.Fatal(err)
	}
	result, err := r.make(jobs.Rendition, rec, nil)
	if err != nil {
		t.Fatal(err)
	}
	info := result.(LowInfo)
	if info.Width != 320 || info.Height != 180 || info.SkippedMS != 0 {
		t.Errorf("%+v", info)
	}
	derived := filepath.Join(r.folder(rec), folder.DerivedName)
	low, err := folder.ReadIndex(derived, folder.LowName)
	if err != nil || len(low) < 6 || !low[0].Head {
		t.Fatalf("%+v, %v", low, err)
	}
	holes := 0
	for i, e := range low[2:] {
		if missing := e.Start() - low[i+1].End(); missing > time.Second {
			holes++
			if missing < 28*time.Second || missing > 32*time.Second {
				t.Errorf("a hole of %v", missing)
			}
		}
		if e.End()-e.Start() > lowKey+100*time.Millisecond {
			t.Errorf("a fragment of %v", e.End()-e.Start())
		}
	}
	if holes != 1 {
		t.Errorf("%d holes", holes)
	}
	f, err := os.Open(filepath.Join(derived, folder.LowName))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	last := time.Duration(0)
	err = fmp4.ReadFragments(f, 0, func(p fmp4.Piece) error {
		if !p.Head {
			last = p.Start
		}
		return nil
	})
	if err != nil || last < 38*time.Second || last > 43*time.Second {
		t.Errorf("the last fragment begins at %v, %v", last, err)
	}
	r.leftovers(rec)
}

func TestACancelledRenditionLeavesNothing(t *testing.T) {
	r := newRig(t)
	rec := r.ts("cancel", television(t, 20))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	_, err := r.shop.rendition(ctx, rec, r.job(jobs.Rendition, nil), func(p float64) {
		if p > 0.01 {
			cancel()
		}
	})
	if err == nil {
		t.Error("it was made")
	}
	r.leftovers(rec)
	if _, err := os.Stat(filepath.Join(r.folder(rec), folder.DerivedName, folder.LowName)); !os.IsNotExist(err) {
		t.Errorf("a rendition is there: %v", err)
	}
}

func TestThePictureIsNotABlackOne(t *testing.T) {
	r := newRig(t)
	b := playtest.Run(t, nil, "ffmpeg", strings.Fields("-v error -f lavfi -i testsrc2=rate=25:size=320x240:duration=10 -vf drawbox=color=black:t=fill:enable='lt(t,3)',setsar=4/3"+
		" -c:v libx264 -preset ultrafast -g 25 -bf 0 -pix_fmt yuv420p -mpegts_flags +pat_pmt_at_frames -f mpegts pipe:1")...)
	rec := r.ts("black", b)
	if _, err := r.make(jobs.Thumbnail, rec, nil); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(filepath.Join(r.folder(rec), folder.DerivedName, ThumbName))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	img, err := jpeg.Decode(f)
	if err != nil || img.Bounds().Dx() != 320 || img.Bounds().Dy() != 180 || liveliness(img) < 12 {
		t.Errorf("%v, %v", img.Bounds(), err)
	}
}

func TestBadInputIsToldByItsCode(t *testing.T) {
	r := newRig(t)
	rec := r.ts("bad", television(t, 4))
	for name, tc := range map[string]struct {
		change func(*store.Recording)
		kind   jobs.Kind
		args   any
		code   string
	}{
		"nothing recorded":  {func(x *store.Recording) { x.File = "" }, jobs.Thumbnail, nil, jobs.CodeNothing},
		"file gone":         {func(x *store.Recording) { x.File = "2026/03/01/bad/other.ts" }, jobs.Verify, nil, jobs.CodeNothing},
		"out of the folder": {func(x *store.Recording) { x.File = "../../bad/media.ts" }, jobs.Export, nil, jobs.CodeNothing},
		"of before folders": {func(x *store.Recording) { x.ID = "x" }, jobs.Sprite, nil, jobs.CodeNoIndex},
		"running":           {func(x *store.Recording) { x.State = store.RecordingRunning }, jobs.Rendition, nil, jobs.CodeRuns},
		"beyond the end":    {nil, jobs.Clip, ClipArgs{FromMS: 90_000, ToMS: 95_000}, jobs.CodeNoRange},
		"turned round":      {nil, jobs.Clip, ClipArgs{FromMS: 3000, ToMS: 1000}, jobs.CodeNoRange},
		"not arguments":     {nil, jobs.Clip, "x", jobs.CodeNoRange},
	} {
		x := rec
		if tc.change != nil {
			tc.change(&x)
		}
		_, err := r.make(tc.kind, x, tc.args)
		t.Log(name)
		wants(t, err, tc.code)
	}
	r.shop.FFmpeg = "no-such-program"
	_, err := r.make(jobs.Rendition, rec, nil)
	wants(t, err, jobs.CodeNoFFmpeg)
	r.shop.FFmpeg = "ffmpeg"
	noise := r.ts("noise", bytes.Repeat(append([]byte{0x47, 0x1f, 0xff, 0x10}, make([]byte, 184)...), 4000))
	for kind, code := range map[jobs.Kind]string{jobs.Thumbnail: jobs.CodeNoPicture, jobs.Sprite: jobs.CodeNoPicture, jobs.Rendition: jobs.CodeNoPicture, jobs.Export: jobs.CodeFFmpeg} {
		_, err := r.make(kind, noise, nil)
		wants(t, err, code)
		var f *jobs.Failure
		if errors.As(err, &f) && f.Detail == "" {
			t.Errorf("%s: ffmpeg's last words are not kept", kind)
		}
	}
	r.leftovers(noise)
}

func TestALinkInsteadOfTheDerivedFolderIsNotFollowed(t *testing.T) {
	r := newRig(t)
	rec := r.ts("link", television(t, 3))
	outside := t.TempDir()
	if err := os.Symlink(outside, filepath.Join(r.folder(rec), folder.DerivedName)); err != nil {
		t.Fatal(err)
	}
	if _, err := r.make(jobs.Verify, rec, nil); err == nil {
		t.Error("it was followed")
	}
	if l, err := os.ReadDir(outside); err != nil || len(l) > 0 {
		t.Errorf("%v, %v", l, err)
	}
}

func TestWhatIsThereIsNotMadeAgainUnlessSomebodyAsks(t *testing.T) {
	r := newRig(t)
	rec := r.ts("there", television(t, 3))
	thumb := filepath.Join(r.folder(rec), folder.DerivedName, ThumbName)
	if err := errors.Join(os.MkdirAll(filepath.Dir(thumb), 0o750), os.WriteFile(thumb, []byte("old"), 0o600)); err != nil {
		t.Fatal(err)
	}
	j := r.job(jobs.Thumbnail, nil)
	j.CreatedBy = ""
	if _, err := r.shop.thumbnail(t.Context(), rec, j, func(float64) {}); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(thumb); err != nil || string(b) != "old" {
		t.Errorf("%q, %v", b, err)
	}
	if d, err := r.store.DerivedOf(t.Context(), rec.ID); err != nil || len(d) != 1 {
		t.Errorf("%+v, %v", d, err)
	}
	if _, err := r.make(jobs.Thumbnail, rec, nil); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(thumb); err != nil || string(b) == "old" {
		t.Errorf("%q, %v", b, err)
	}
}

func TestASpriteIsLaidOut(t *testing.T) {
	for _, tc := range []struct {
		length time.Duration
		want   SpriteInfo
	}{
		{time.Second, SpriteInfo{160, 90, 1, 1, 5000, 1}},
		{12 * time.Second, SpriteInfo{160, 90, 3, 1, 5000, 3}},
		{time.Minute, SpriteInfo{160, 90, 10, 2, 5000, 12}},
		{3 * time.Hour, SpriteInfo{160, 90, 10, 10, 108000, 100}},
	} {
		if got := layout(tc.length); got != tc.want {
			t.Errorf("%v: %+v, want %+v", tc.length, got, tc.want)
		}
	}
}

func TestAClipBeginsAtASyncPointThatIsNear(t *testing.T) {
	var index []folder.Entry
	for i := range 40 { // a second each; sync points at 0, 2, 4, and none after that
		index = append(index, folder.Entry{TimeUS: int64(i) * 1e6, DurationUS: 1e6, Sync: i%2 == 0 && i < 5})
	}
	for _, tc := range []struct {
		from, to, first, last int // seconds
	}{{0, 2, 0, 1}, {3, 5, 2, 4}, {5, 6, 4, 5}, {15, 18, 4, 17}, {30, 33, 30, 32}, {39, 90, 39, 39}, {40, 50, -1, 0}, {5, 5, -1, 0}} {
		got := choose(index, time.Duration(tc.from)*time.Second, time.Duration(tc.to)*time.Second)
		if tc.first < 0 {
			if len(got) > 0 {
				t.Errorf("%+v: %v", tc, got)
			}
			continue
		}
		if len(got) == 0 || got[0].TimeUS != int64(tc.first)*1e6 || got[len(got)-1].TimeUS != int64(tc.last)*1e6 {
			t.Errorf("%+v: %v", tc, got)
		}
	}
}
