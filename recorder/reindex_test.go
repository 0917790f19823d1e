package recorder

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tongxiang/internal/apierr"
	"tongxiang/internal/playout/playtest"
	"tongxiang/internal/store"
	"tongxiang/recorder/folder"
)

// recorded records a clip of some seconds and returns its entry.
func (r *rig) recorded(q Request, seconds int) store.Recording {
	r.t.Helper()
	clip := playtest.Make(r.t, seconds, "320x180", playtest.BFrames)
	rec := r.begin(q)
	pub, tracks := r.publish(q.Stream, clip)
	r.play(clip, tracks, 4)
	<-time.After(2 * idleAfter)
	rec = r.stop(rec.ID)
	pub.Close()
	return rec
}

// again is a recorder on the same folder with an empty library.
func (r *rig) again() *rig {
	r.t.Helper()
	if err := r.rec.Close(); err != nil {
		r.t.Fatal(err)
	}
	other := *r
	st, err := store.Open(r.t.Context(), filepath.Join(r.t.TempDir(), "empty.db"), r.rec.log)
	if err != nil {
		r.t.Fatal(err)
	}
	other.store = st
	if other.rec, err = Open(Config{Dir: r.dir, Clock: r.clock}, r.hub, st, r.rec.log); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() {
		if err := errors.Join(other.rec.Close(), st.Close()); err != nil {
			r.t.Error(err)
		}
	})
	return &other
}

func TestLibraryIsMadeAnewFromTheFoldersAlone(t *testing.T) {
	t.Parallel()
	r := newRig(t, t.TempDir())
	a := r.recorded(Request{Stream: "channels/a", Title: "../../etc/新闻\x00<b>", Class: "news"}, 5)
	b := r.recorded(Request{Stream: "channels/b", Title: "培训"}, 4)
	day := filepath.Dir(filepath.Dir(r.rec.Path(a)))

	// What is not ours, lies, or leads elsewhere.
	secret := filepath.Join(t.TempDir(), "secret")
	strangers := map[string]string{
		"note.txt": "not media", "20260101-000000-zzzzzzzz.mp4": "not media", "fake/recording.json": `{"version":1,"id":"other","format":"fmp4"}`,
		"20260102-000000-aaaaaaaa/recording.json": `{"version":1,"id":"20260102-000000-aaaaaaaa","format":"fmp4","file":"../../../../secret"}`,
		"20260103-000000-aaaaaaaa/recording.json": `{"version":9,"id":"20260103-000000-aaaaaaaa","format":"fmp4"}`,
		"20260104-000000-aaaaaaaa/recording.json": "{torn",
	}
	for name, text := range strangers {
		p := filepath.Join(day, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(p), 0o700), os.WriteFile(p, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.WriteFile(secret, []byte("secret"), 0o600), os.Symlink(filepath.Dir(secret), filepath.Join(day, "20260105-000000-aaaaaaaa")),
		os.Symlink(secret, filepath.Join(filepath.Dir(r.rec.Path(b)), "link.mp4"))); err != nil {
		t.Fatal(err)
	}
	// a has an index that lies; b's media ends in the middle, and its index tells of more.
	index := filepath.Join(filepath.Dir(r.rec.Path(a)), folder.IndexName)
	honest, err := os.ReadFile(index)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(index, bytes.ReplaceAll(honest, []byte(`"offset":6`), []byte(`"offset":7`)), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(r.rec.Path(b), b.Bytes*3/4); err != nil {
		t.Fatal(err)
	}
	before := tree(t, r.dir)

	o := r.again()
	done, err := o.rec.Reindex(t.Context(), false, nil)
	if err != nil || done.Added != 2 || done.Found != 2 || done.Cut != 1 || done.Made != 2 {
		t.Fatalf("%+v, %v", done, err)
	}
	for _, name := range []string{"note.txt", "20260101-000000-zzzzzzzz.mp4", "fake", "20260102-000000-aaaaaaaa", "20260103-000000-aaaaaaaa", "20260104-000000-aaaaaaaa", "20260105-000000-aaaaaaaa", "link.mp4"} {
		if !slices.ContainsFunc(done.Left, func(l folder.Left) bool { return filepath.Base(l.Path) == name && l.Why != "" }) {
			t.Errorf("%s is not named among what is left alone: %v", name, done.Left)
		}
	}
	for path, was := range before {
		now, ok := tree(t, r.dir)[path]
		mended := strings.HasPrefix(path, filepath.Dir(a.File)) || strings.HasPrefix(path, filepath.Dir(b.File))
		if !ok || !mended && now != was {
			t.Errorf("%s was touched", path)
		}
	}
	if got, err := os.ReadFile(index); err != nil || !bytes.Equal(got, honest) {
		t.Errorf("the index was not made as it was: %v", err)
	}
	got := o.entry(a.ID, "a", func(store.Recording) bool { return true })
	a.Started = a.Started.UTC()
	if got.Title != a.Title || got.Class != "news" || got.Stream != a.Stream || got.State != store.RecordingComplete || got.Duration != a.Duration || got.Bytes != a.Bytes || got.File != a.File {
		t.Errorf("a is %+v, was %+v", got, a)
	}
	cut := o.entry(b.ID, "b", func(store.Recording) bool { return true })
	if cut.Duration >= b.Duration || cut.Duration < time.Second {
		t.Errorf("b lasts %v, was %v", cut.Duration, b.Duration)
	}
	for _, rec := range []store.Recording{got, cut} {
		want := int((rec.Duration - 100*time.Millisecond) / (40 * time.Millisecond))
		if n := playtest.ProbeFile(t, o.rec.Path(rec)).Decoded("video"); n < want {
			t.Errorf("%d pictures, want %d", n, want)
		}
	}
	// A second time, and into a library that is not empty, nothing is changed.
	got.Title = "renamed"
	after := tree(t, r.dir)
	again, err := o.rec.Reindex(t.Context(), true, nil)
	if err != nil || again.Added != 0 || again.Made != 0 || again.Cut != 0 {
		t.Errorf("%+v, %v", again, err)
	}
	for path, was := range after {
		if tree(t, r.dir)[path] != was {
			t.Errorf("%s was touched by the second time", path)
		}
	}
}

// tree returns the files below a folder with their contents; links as links.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := make(map[string]string)
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == folder.LockName {
			return err
		}
		rel, _ := filepath.Rel(dir, path)
		if d.Type()&os.ModeSymlink != 0 {
			out[rel] = "link"
			return nil
		}
		b, err := os.ReadFile(path)
		out[rel] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestEntryThatTheLibraryLostComesBackAtStart(t *testing.T) {
	t.Parallel()
	r := newRig(t, t.TempDir())
	rec := r.recorded(Request{Stream: "channels/a", Title: "a"}, 3)
	if err := errors.Join(r.rec.Close(), r.store.DeleteRecording(t.Context(), rec.ID)); err != nil {
		t.Fatal(err)
	}
	next, err := New(Config{Dir: r.dir, Clock: r.clock}, r.hub, r.store, r.rec.log)
	if err != nil {
		t.Fatal(err)
	}
	got := r.entry(rec.ID, "the entry is back", func(e store.Recording) bool { return e.Duration == rec.Duration })
	if got.Title != "a" || got.State != store.RecordingComplete {
		t.Errorf("%+v", got)
	}
	if err := next.Close(); err != nil {
		t.Error(err)
	}
}

func TestFileOfAnOlderVersionIsFoundAndPlayed(t *testing.T) {
	t.Parallel()
	r := newRig(t, t.TempDir())
	rec := r.recorded(Request{Stream: "channels/a"}, 3)
	flat := filepath.Join("2025", "03", "04", "20250304-050607-abcdefgh.mp4")
	if err := errors.Join(os.MkdirAll(filepath.Join(r.dir, filepath.Dir(flat)), 0o700), os.Rename(r.rec.Path(rec), filepath.Join(r.dir, flat)),
		os.RemoveAll(filepath.Dir(r.rec.Path(rec)))); err != nil {
		t.Fatal(err)
	}
	o := r.again()
	if done, err := o.rec.Reindex(t.Context(), false, nil); err != nil || done.Added != 1 || len(done.Left) != 0 {
		t.Fatalf("%+v, %v", done, err)
	}
	got := o.entry("20250304-050607-abcdefgh", "the old one", func(store.Recording) bool { return true })
	if got.File != flat || got.Duration != rec.Duration || got.Started.IsZero() {
		t.Errorf("%+v", got)
	}
	f, err := o.rec.Open(got, "")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, ok := o.rec.Folder(got); ok {
		t.Error("a flat file has a folder of its own")
	}
	if err := o.rec.Remove(got); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(r.dir, flat)); !os.IsNotExist(err) {
		t.Errorf("still there: %v", err)
	}
}

func TestSecondServerOnOneStorageRefusesAndSaysWhoHasIt(t *testing.T) {
	t.Parallel()
	r := newRig(t, t.TempDir())
	running := r.start("channels/a")
	second, err := New(Config{Dir: r.dir, Clock: r.clock}, r.hub, r.store, r.rec.log)
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	if err := second.Recover(t.Context()); err != nil {
		t.Fatal(err)
	}
	if rec := r.entry(running.ID, "still running", func(store.Recording) bool { return true }); !rec.State.Active() {
		t.Errorf("the second server ended the first one's recording: %+v", rec)
	}
	_, err = second.Start(t.Context(), Request{Stream: "channels/b"})
	host, _ := os.Hostname()
	var e *apierr.Error
	if !errors.As(err, &e) || e.Code != "recordings_in_use" || !strings.Contains(e.EN, host) || !strings.Contains(e.ZH, host) {
		t.Fatalf("%v: %+v", err, e)
	}
	if _, err := second.Reindex(t.Context(), false, nil); !errors.As(err, &e) || e.Code != "recordings_in_use" {
		t.Errorf("reindexed: %v", err)
	}
	if h, ok := second.Holder(); !ok || h.PID != os.Getpid() {
		t.Errorf("holder %+v", h)
	}
	r.stop(running.ID)
	if err := r.rec.Close(); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(20 * time.Second)
	for {
		rec, err := second.Start(t.Context(), Request{Stream: "channels/b"})
		if err == nil {
			if _, err := second.Stop(context.Background(), rec.ID); err != nil {
				t.Error(err)
			}
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the folder is free, and still: %v", err)
		}
		<-time.After(100 * time.Millisecond)
	}
}

func TestHeartbeatOfAnotherHostKeepsAFolderAndAStaleOneDoesNot(t *testing.T) {
	dir := t.TempDir()
	now := time.Now()
	write := func(h folder.Holder) {
		b, err := json.Marshal(h)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, folder.LockName), b, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	write(folder.Holder{Host: "elsewhere", PID: 7, Instance: "x", Heartbeat: now.Add(-20 * time.Second)})
	if _, h, err := folder.Acquire(dir, now); !errors.Is(err, folder.ErrInUse) || h.Host != "elsewhere" {
		t.Errorf("%+v, %v", h, err)
	}
	write(folder.Holder{Host: "elsewhere", PID: 7, Instance: "x", Heartbeat: now.Add(-2 * time.Minute)})
	l, _, err := folder.Acquire(dir, now)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(l.Unlock(), l.Unlock()); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(filepath.Join(dir, folder.LockName), []byte("{torn"), 0o600); err != nil {
		t.Fatal(err)
	}
	if l, _, err = folder.Acquire(dir, now); err != nil {
		t.Fatal(err)
	}
	if err := l.Unlock(); err != nil {
		t.Error(err)
	}
}
