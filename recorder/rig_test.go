package recorder

import (
	"context"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"tongxiang/internal/media"
	"tongxiang/internal/playout/playtest"
	"tongxiang/internal/store"
	"tongxiang/internal/stream"
)

// rig is a recorder with a real store and a real hub.
type rig struct {
	t     *testing.T
	dir   string
	store *store.Store
	hub   *stream.Hub
	clock media.Clock
	rec   *Recorder
}

func newRig(t *testing.T, dir string) *rig {
	t.Helper()
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	st, err := store.Open(t.Context(), filepath.Join(dir, "library.db"), log)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, dir: filepath.Join(dir, "recordings"), store: st, hub: stream.NewHub(log), clock: media.NewClock()}
	if r.rec, err = New(Config{Dir: r.dir, Clock: r.clock}, r.hub, st, log); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.rec.Close(); err != nil {
			t.Error(err)
		}
		r.hub.Close()
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

func (r *rig) publish(name stream.Name, c playtest.Clip) (*stream.Publisher, []*stream.Track) {
	r.t.Helper()
	pub, err := r.hub.Publish(name, false)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(pub.Close)
	return pub, pub.SetTracks(c.Infos())
}

func (r *rig) start(name stream.Name) store.Recording {
	r.t.Helper()
	rec, err := r.rec.Start(r.t.Context(), Request{Stream: name, Title: "测试 " + name.String()})
	if err != nil {
		r.t.Fatal(err)
	}
	return rec
}

// begin starts any recording.
func (r *rig) begin(q Request) store.Recording {
	r.t.Helper()
	rec, err := r.rec.Start(r.t.Context(), q)
	if err != nil {
		r.t.Fatal(err)
	}
	return rec
}

func (r *rig) stop(id string) store.Recording {
	r.t.Helper()
	rec, err := r.rec.Stop(r.t.Context(), id)
	if err != nil {
		r.t.Fatal(err)
	}
	return rec
}

// entry waits until the library's entry is as wanted.
func (r *rig) entry(id, what string, is func(store.Recording) bool) store.Recording {
	r.t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		rec, err := r.store.Recording(context.Background(), id)
		if err == nil && is(rec) {
			return rec
		}
		if time.Now().After(deadline) {
			r.t.Fatalf("waited for %s: %+v, %v", what, rec, err)
		}
		<-time.After(20 * time.Millisecond)
	}
}

// play writes a clip's frames as fast as they would come, times speed.
func (r *rig) play(c playtest.Clip, tracks []*stream.Track, speed float64) {
	began, first := time.Now(), c.Frames[0].DTS
	for _, f := range c.Frames {
		due := time.Duration(float64(f.DTS.Sub(first)) / speed)
		if wait := due - time.Since(began); wait > 0 {
			<-time.After(wait)
		}
		g := *f.Frame
		g.Arrival = r.clock.Now()
		tracks[f.Track].WriteFrame(&g)
	}
}
