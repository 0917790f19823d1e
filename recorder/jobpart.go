package recorder

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"tongxiang/internal/media"
	"tongxiang/internal/store"
	"tongxiang/recorder/folder"
)

// beginFrames opens the file for what was gathered.
func (j *job) beginFrames(g *gather) (*part, []int) {
	id := j.entry().ID
	p, lanes, err := openFrames(j.r.storage, filepath.Join(j.r.cfg.Dir, j.dir), folder.MediaName(folder.FMP4), j.req.Stream.String(), g)
	if err != nil { // of the formats; the disk has not been asked yet
		j.set(func(rec *store.Recording) {
			rec.State, rec.Reason, rec.Detail = store.RecordingWaiting, ReasonUnplayable, err.Error()
		})
		return nil, nil
	}
	if j.left = g.left(); j.left != "" {
		j.r.log.Warn("recorded in part", "id", id, "why", j.left)
	}
	j.begun(p, g.events[0].Frame.Arrival, g.events[0].Frame.DTS)
	return p, lanes
}

// beginPackets opens the file for transport packets.
func (j *job) beginPackets(arrival int64) *part {
	p := openPackets(j.r.storage, filepath.Join(j.r.cfg.Dir, j.dir), folder.MediaName(folder.TS), j.req.Stream.String())
	j.begun(p, arrival, 0)
	return p
}

// begun takes note of a new file.
func (j *job) begun(p *part, arrival int64, zero media.Time) {
	j.part, j.arrived = p, arrival
	j.disk.Store(p.disk)
	j.set(func(rec *store.Recording) {
		rec.File = filepath.Join(j.dir, p.disk.name)
		rec.State, rec.Reason, rec.Detail = store.RecordingRunning, "", j.left
		rec.Tracks = p.tracks
		if began := rec.Started.Add(time.Duration(arrival - j.now)); j.parts == 1 && began.Before(rec.Started) {
			rec.Started = began // pre-roll
		}
	})
	if j.sites != nil {
		j.sites.begin(filepath.Join(j.r.cfg.Dir, j.dir), zero)
	}
	j.describe()
}

// nextPart closes the file because what comes now does not fit into it.
func (j *job) nextPart(*part) {
	j.parts++
	old := j.entry()
	next := store.Recording{
		ID: newID(j.r.wall()), Stream: old.Stream, Class: old.Class, Format: old.Format, Schedule: old.Schedule, Event: old.Event,
		State: store.RecordingRunning, Started: j.ended(),
		Title: fmt.Sprintf("%s (%d)", strings.TrimSuffix(old.Title, fmt.Sprintf(" (%d)", j.parts-1)), j.parts),
	}
	j.closePart(store.RecordingComplete, ReasonSourceChanged, next.ID)
	j.mu.Lock()
	j.rec = next
	j.mu.Unlock()
	j.now, j.continues = j.r.clock.Now(), old.ID
	j.dir = folder.Path(next.ID, next.Started)
	j.r.add(next.ID, j)
	j.put()
}

// ended returns the wall-clock time of now, counted from the beginning: somebody may
// have set the clock.
func (j *job) ended() time.Time {
	began := j.entry().Started
	if j.parts == 1 && j.arrived > 0 && j.arrived < j.now {
		return began.Add(time.Duration(j.r.clock.Now() - j.arrived))
	}
	return began.Add(time.Duration(j.r.clock.Now() - j.now))
}

// closePart closes the file, if one is open, and writes the entry.
func (j *job) closePart(state store.RecordingState, reason, next string) {
	at := j.ended()
	var err error
	if p := j.part; p != nil {
		if j.sites != nil {
			j.sites.end()
		}
		_, err = p.close(func() *folder.Manifest {
			j.set(func(rec *store.Recording) {
				rec.State, rec.Reason, rec.Ended = state, reason, &at
				j.measure(rec)
			})
			m := j.manifest()
			m.Next = next
			return &m
		})
	}
	j.set(func(rec *store.Recording) {
		rec.State, rec.Reason, rec.Ended = state, reason, &at
		j.measure(rec)
		if next != "" {
			rec.Detail = join(rec.Detail, "goes on in "+next)
		}
		if j.part == nil {
			rec.File = ""
			if reason == "" {
				rec.Reason = ReasonNothingCame
			}
		} else if err != nil {
			rec.Detail = join(rec.Detail, err.Error())
			if rec.Duration == 0 {
				rec.State, rec.Reason = store.RecordingFailed, diskReason(err)
			}
		}
	})
	rec := j.entry()
	j.part, j.arrived, j.left = nil, 0, ""
	j.disk.Store(nil)
	if rec.State == store.RecordingFailed || err != nil {
		j.r.failures.Add(1)
		j.r.log.Error("recording failed", "id", rec.ID, "stream", j.req.Stream, "why", rec.Reason, "err", err)
	} else {
		j.r.log.Info("recording ended", "id", rec.ID, "stream", j.req.Stream, "duration", rec.Duration, "why", reason)
	}
}
