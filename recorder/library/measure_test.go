package library

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"tongxiang/internal/store"
	"tongxiang/recorder/folder"
	"tongxiang/recorder/retention"
)

func TestQuotaCountsEverythingInTheFolder(t *testing.T) {
	rules := thirtyDays(t)
	rules.Classes["news"] = retention.Class{Keep: rules.Classes["news"].Keep, Quota: 100_000}
	r := newRig(t, rules)
	ctx := t.Context()
	old, young := r.put(1, nil), r.put(2, nil) // 100 bytes each, and a manifest
	r.lib.Apply(ctx)
	if !r.exists(old) || !r.exists(young) {
		t.Fatalf("removed within the quota: %v", r.said())
	}
	got, err := r.store.Recording(ctx, young.ID)
	r.check(err)
	manifest := got.Beside
	if manifest == 0 || manifest > 5000 || got.Made != 0 || got.Bytes != 100 {
		t.Errorf("%d bytes beside the media file, %d made", got.Beside, got.Made)
	}
	dir := filepath.Join(r.dir, "recordings", filepath.Dir(young.File))
	derived := filepath.Join(dir, folder.DerivedName)
	r.check(os.Mkdir(derived, 0o750))
	r.check(os.WriteFile(filepath.Join(dir, "site-li.mp4"), make([]byte, 40_000), 0o600))
	r.check(os.WriteFile(filepath.Join(derived, "low.mp4"), make([]byte, 30_000), 0o600))
	r.check(os.WriteFile(filepath.Join(derived, "thumb.jpg"), make([]byte, 20_000), 0o600))
	r.check(os.Symlink("/etc/hosts", filepath.Join(dir, "stranger")))
	r.check(r.lib.Measure(ctx, young.ID))
	got, err = r.store.Recording(ctx, young.ID)
	r.check(err)
	if got.Beside != manifest+40_000 || got.Made != 50_000 || got.Size() != manifest+90_100 {
		t.Errorf("%d bytes beside the media file, %d made", got.Beside, got.Made)
	}
	r.lib.Apply(ctx)
	if !r.exists(old) {
		t.Fatalf("removed within the quota: %v", r.said())
	}
	// To the byte what is left of the quota: the older one goes, and the other may stay.
	r.check(os.WriteFile(filepath.Join(derived, "export.mp4"), make([]byte, 100_000-got.Size()), 0o600))
	r.check(r.lib.Measure(ctx, young.ID))
	r.lib.Apply(ctx)
	if r.exists(old) || !r.exists(young) || !slices.Equal(r.said(), []string{"recording.purge " + old.ID + " quota: 录制1"}) {
		t.Errorf("%v", r.said())
	}
}

func TestMeasuringARecordingWithoutAFolderIsNoFault(t *testing.T) {
	r := newRig(t, thirtyDays(t))
	flat := store.Recording{ID: "20260720-090000-bbbbbbbb", Stream: "channels/a", State: store.RecordingComplete, Started: nine, Bytes: 5, File: "2026/07/20/20260720-090000-bbbbbbbb.mp4"}
	gone := store.Recording{ID: "20260720-090000-cccccccc", Stream: "channels/a", State: store.RecordingComplete, Started: nine, Bytes: 5, File: "2026/07/20/20260720-090000-cccccccc/media.mp4"}
	for _, rec := range []store.Recording{flat, gone} {
		r.check(r.store.PutRecording(t.Context(), rec))
		r.check(r.lib.Measure(t.Context(), rec.ID))
		got, err := r.store.Recording(t.Context(), rec.ID)
		r.check(err)
		if got.Size() != 5 {
			t.Errorf("%s: %d bytes", rec.ID, got.Size())
		}
	}
}
