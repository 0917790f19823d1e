package server

import (
	"context"
	"time"

	"tongxiang/internal/api"
	"tongxiang/internal/apierr"
	"tongxiang/internal/store"
	"tongxiang/internal/stream"
	"tongxiang/internal/transcode"
	"tongxiang/recorder"
	"tongxiang/recorder/schedule"
	"tongxiang/recorder/scheduler"
	"tongxiang/signaling"
)

// buildRecorder opens the library's folder and mends what the last run left open.
func (s *Server) buildRecorder(ctx context.Context) (err error) {
	s.recorder, err = recorder.New(recorder.Config{
		Dir: s.cfg.RecordingsDir(), Clock: s.clock, Memory: s.cfg.Recorder.Memory << 20,
		Resolve: s.changer.ResolveFor(transcode.HLS), KeepLayers: s.rooms.keepLayers, Ended: s.recordingEnded,
	}, s.hub, s.store, s.log.With("part", "recorder"))
	if err != nil {
		return err
	}
	if err := s.recorder.Recover(ctx); err != nil {
		return err
	}
	s.buildLibrary()
	return nil
}

// recordings is what the API sees of the recorder.
type recordings struct{ *recorder.Recorder }

// Start begins a recording.
func (r recordings) Start(ctx context.Context, q api.RecordingRequest) (store.Recording, error) {
	return r.Recorder.Start(ctx, recorder.Request{
		Stream: q.Stream, Title: q.Title, Class: q.Class, Format: q.Format, PreRoll: q.PreRoll, Until: q.Until,
		AllTracks: q.AllTracks, Transcode: q.Transcode,
	})
}

// Explain returns what a reason means: the recorder's, or the scheduler's, for which
// it ended a recording.
func (recordings) Explain(code string) (en, zh string) {
	if en, zh = recorder.Explain(code); en == "" {
		en, zh = scheduler.Explain(schedule.Reason(code))
	}
	return en, zh
}

// later runs what must not hold up a meeting, such as a disk, in a goroutine of its
// own, which Close waits for a moment. What comes after that is not done any more.
func (s *Server) later(f func(context.Context)) {
	s.laterMu.Lock()
	defer s.laterMu.Unlock()
	if s.laterOver { // nobody would wait for it
		return
	}
	s.background.Go(func() {
		ctx, stop := context.WithTimeout(context.Background(), laterPatience)
		defer stop()
		f(ctx)
	})
}

// laterPatience bounds what later runs.
const laterPatience = 30 * time.Second

// awaitLater waits a moment for what later runs.
func (s *Server) awaitLater() {
	s.laterMu.Lock()
	s.laterOver = true
	s.laterMu.Unlock()
	done := make(chan struct{})
	go func() {
		s.background.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(shutdownPatience):
	}
}

// meetingEvents looks at what was written to a meeting's log: whoever takes a seat
// begins the recording that the meeting's setting asks for, if it does not run.
func (s *Server) meetingEvents(id string, events []signaling.Record) {
	for _, e := range events {
		if e.Kind == eventJoined || e.Kind == eventResumed {
			s.later(func(ctx context.Context) { s.recordMeeting(ctx, id) })
			return
		}
	}
}

// Kinds of events that say that somebody took a seat, or is back in it after the
// server was away.
const (
	eventJoined  = "joined"
	eventResumed = "resumed"
)

// recordMeeting begins the recording of a meeting whose setting asks for one and that
// is not recorded yet.
func (s *Server) recordMeeting(ctx context.Context, id string) {
	m, err := s.store.Meeting(ctx, id)
	if err != nil || m.Record == "" || m.Closed != nil || s.recorder == nil {
		return
	}
	for _, rec := range s.recorder.Running() {
		if rec.Stream == stream.Programme(id).String() {
			return
		}
	}
	_, err = s.recorder.Start(ctx, recorder.Request{
		Stream: stream.Programme(id), Title: m.Title, Class: "meeting", AllTracks: m.Record == "all",
	})
	if err != nil && apierr.As(err).Code != "already_recording" {
		s.log.Error("meeting is not recorded", "meeting", id, "err", err)
	}
}

// stopMeeting ends the recordings of a meeting that is over.
func (s *Server) stopMeeting(ctx context.Context, id string) {
	for _, rec := range s.recorder.Running() {
		if rec.Stream != stream.Programme(id).String() {
			continue
		}
		if _, err := s.recorder.Stop(ctx, rec.ID); err != nil {
			s.log.Error("recording of a meeting that is over was not ended", "meeting", id, "err", err)
		}
	}
}
