package recorder

import (
	"slices"
	"time"

	"tongxiang/internal/playout/feed"
	"tongxiang/internal/store"
	"tongxiang/internal/stream"
	"tongxiang/recorder/folder"
)

// frameTrouble says why a feed brings nothing that can be recorded.
func frameTrouble(f *feed.Feed) (reason, detail string) {
	if refused := f.Refused(); len(refused) > 0 && len(f.Tracks()) == 0 {
		return ReasonUnplayable, refused[0].Err.Error()
	}
	return ReasonNoSignal, ""
}

func (j *job) packetTrouble() (reason, detail string) {
	if j.r.hub.Published(j.req.Stream) && j.packets.part == nil && carries(j.r.hub, j.req.Stream, j.packets.heard) {
		return ReasonNoTransport, ""
	}
	return ReasonNoSignal, ""
}

// carries reports whether a stream has had media since a moment of the clock.
func carries(hub *stream.Hub, name stream.Name, since int64) bool {
	sub := hub.Open(name)
	defer sub.Close()
	return slices.ContainsFunc(sub.Tracks(), func(t *stream.Track) bool { return t.Stats().Last > since })
}

// look judges, at every beat, how the recording is.
func (j *job) look(heard int64, trouble func() (reason, detail string)) {
	if j.r.taken() {
		j.end(errTaken)
		return
	}
	if j.packets != nil && j.packets.cut != nil {
		if tracks, ok := j.packets.cut.news(j.req.Stream.String()); ok {
			j.part.tracks = tracks
			j.set(func(rec *store.Recording) { rec.Tracks = tracks })
			j.describe()
		}
	}
	state, reason, detail := store.RecordingRunning, "", ""
	if time.Duration(j.r.clock.Now()-heard) >= awayAfter {
		state = store.RecordingWaiting
		reason, detail = trouble()
	}
	gaps := 0
	if j.part != nil {
		if stuck := j.part.disk.state(); stuck != "" {
			state, reason, detail = store.RecordingWaiting, stuck, ""
		}
		j.part.unsynced()
		gaps = len(j.part.gaps)
	}
	old := j.entry()
	news := old.State != state || old.Reason != reason || len(old.Gaps) != gaps
	if j.part != nil && j.sites != nil && j.sites.count() != j.described {
		j.describe()
	}
	if !news && (j.part == nil || time.Since(j.told) < progressEvery) {
		return
	}
	j.set(func(rec *store.Recording) {
		rec.State, rec.Reason, rec.Detail = state, reason, join(j.left, detail)
		j.measure(rec)
	})
	if news {
		j.r.log.Info("recording", "id", old.ID, "state", state, "reason", reason, "gaps", gaps)
		j.describe()
	}
}

// measure notes how far the file is.
func (j *job) measure(rec *store.Recording) {
	if j.part == nil {
		return
	}
	e := j.part.disk.written()
	rec.Bytes, rec.Duration = e.bytes, e.duration.Truncate(time.Microsecond)
	rec.Beside = j.beside()
	rec.Gaps = slices.Clone(j.part.gaps)
}

// beside returns how much the sites' own files have.
func (j *job) beside() int64 {
	if j.sites == nil {
		return 0
	}
	return j.sites.bytes()
}

// describe has the manifest written.
func (j *job) describe() {
	if j.part != nil {
		j.part.disk.describe(j.manifest())
	}
}

func (j *job) manifest() folder.Manifest {
	m := folder.Describe(j.entry())
	m.File = j.part.disk.name
	m.Media = m.Started.Add(time.Duration(j.arrived - j.now))
	if j.arrived < j.now && j.parts == 1 {
		m.Media = m.Started // which was moved there
	}
	m.Gaps = slices.Clone(j.part.gaps)
	m.Continues = j.continues
	m.Files = []folder.File{j.part.file()}
	if j.sites != nil {
		m.Files = append(m.Files, j.sites.files()...)
		j.described = len(m.Files) - 1
	}
	return m
}
