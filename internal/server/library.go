package server

import (
	"context"
	"time"

	"tongxiang/internal/auth"
	"tongxiang/internal/programme"
	"tongxiang/internal/store"
	"tongxiang/internal/stream"
	"tongxiang/recorder/library"
	"tongxiang/recorder/retention"
)

// libraryName is who did, in the audit, what the library did by its rules.
const libraryName = "library"

// buildLibrary starts the library over the recorder's folder.
func (s *Server) buildLibrary() {
	s.library.Store(library.New(library.Config{
		Rules: s.rules(),
		Free: func() (int64, error) {
			n, err := freeBytes(s.cfg.RecordingsDir())
			return int64(min(n, 1<<62)), err
		},
		Audit: func(ctx context.Context, action, target, detail string) error {
			return s.auth.Audit(ctx, auth.Principal{Name: libraryName}, action, target, "ok", detail)
		},
	}, s.store, s.recorder, s.log.With("part", "library")))
}

// rules are the configuration's. It has been checked: periods can be read.
func (s *Server) rules() retention.Rules {
	c := s.cfg.Library
	r := retention.Rules{Bin: c.Bin, Floor: c.Floor << 30, Classes: map[string]retention.Class{}}
	for name, class := range c.Classes() {
		keep, err := retention.Parse(class.Keep)
		if err != nil {
			s.log.Error("class is kept for ever", "class", name, "err", err)
		}
		r.Classes[name] = retention.Class{Keep: keep, Quota: class.Quota << 30}
	}
	return r
}

// recordingEnded hands a recording that ended to those who work on it. It is called by
// the recorder and does not block.
func (s *Server) recordingEnded(rec store.Recording) {
	if l := s.library.Load(); l != nil { // nil while the last run's recordings are mended: it looks for them itself
		l.Ended(rec)
	}
	s.later(func(ctx context.Context) { s.jobs.Ended(ctx, rec) })
}

// shot notes what goes on air in a meeting: the chapters of its recordings.
func (s *Server) shot(meeting string, shot programme.Shot) {
	x := store.MeetingShot{At: time.Now().UTC(), Participant: shot.Picture, Screen: shot.Label == stream.LabelScreen}
	s.later(func(ctx context.Context) {
		if err := s.store.AppendMeetingShot(ctx, meeting, x); err != nil {
			s.log.Warn("what is on air is not noted", "meeting", meeting, "err", err)
		}
	})
}
