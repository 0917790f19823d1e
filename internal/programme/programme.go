// Package programme makes of each meeting one stream that can be watched and
// recorded like a channel: 播出主路. While somebody reads meetings/{id}/programme, a
// switcher carries the picture that the director chose, untouched and cut at key
// frames, and the sound of all who speak, mixed.
//
//	signalling ─ OnAir ─> director.go (who is on air?)
//	                          │
//	participants' streams ─┬─> switcher.go ─ lane.go ──────────────────────> meetings/{id}/programme
//	                       ├─> made.go: H.264 of what is not, while it is on air ─┤
//	                       └─> sound.go ─ ear.go ─> mix/ ─> encoder.go ──┘
//
// The mix is made once however many watch, in Opus and in AAC: two tracks that are
// one sound, layers 0 and 1 of one label. Without ffmpeg the sound is that of the
// dominant speaker, as he sends it.
//
// A meeting in which nobody publishes has a programme without tracks: its readers
// wait. Pictures in VP8 are made H.264 while they are on air; where that cannot be,
// they go out as they are, which replaces the programme's track, and [Service.Status]
// says why.
//
//	goroutine         owner     ends when
//	Service.run       the hub   nobody has read the programme for stream.Linger
//	encoder, three    sound     the child ends, or the programme
package programme

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	"tongxiang/internal/media"
	"tongxiang/internal/stream"
)

// Config joins the programme to the meetings' media.
type Config struct {
	// KeepLayers says that a participant's pictures are read (or not any more) by
	// the programme, so that he sends all their layers; nil: nobody is told.
	KeepLayers func(meeting, participant string, keep bool)
	// FFmpeg is the program that encodes the mix; empty: there is none, and the sound
	// is the dominant speaker's as he sends it.
	FFmpeg string
	// H264 returns the stream that carries a participant's picture in H.264, in a track
	// of the same label and with the same times, made while it is read. The error is an
	// [apierr.Error] that says why there is none. Nil: pictures are never transcoded.
	H264 func(participant stream.Name, label stream.Label) (stream.Name, error)
	// Shot is told when another picture goes on air. It must not block; nil: nobody is told.
	Shot func(meeting string, shot Shot)
}

// Service makes the programmes of all meetings. It is safe for concurrent use. Its
// goroutines are the hub's, which ends them.
type Service struct {
	cfg   Config
	hub   *stream.Hub
	clock media.Clock
	log   *slog.Logger

	unmixed atomic.Uint64 // programmes that had to do without mixing

	mu       sync.Mutex // guards what follows
	meetings map[string]*meeting
	status   map[string]Status // of the programmes that run
}

// Status is what a programme shows.
type Status struct {
	Participant string       // whose picture; empty: none
	Label       stream.Label // which of his pictures
	Transcoded  bool         // it is made H.264 of something else
	Err         error        // why outputs that need H.264 have no picture, an [apierr.Error]; nil: they have
	Sound       error        // why one speaker is heard and not all, an [apierr.Error]; nil: all are
}

// meeting is what is known of one, with news for its switcher.
type meeting struct {
	input   Input
	changed chan struct{} // closed and replaced when input changes
}

// New registers the programmes with the hub: before anybody opens one.
func New(cfg Config, hub *stream.Hub, clock media.Clock, log *slog.Logger) *Service {
	s := &Service{cfg: cfg, hub: hub, clock: clock, log: log, meetings: make(map[string]*meeting), status: make(map[string]Status)}
	hub.Provide(stream.Provider{Match: isProgramme, Run: s.run})
	return s
}

func isProgramme(name stream.Name) bool {
	segs := name.Segments()
	return len(segs) == 3 && segs[0] == "meetings" && segs[2] == stream.ProgrammeID
}

// Unmixed counts the programmes that had to do without mixing because ffmpeg failed.
func (s *Service) Unmixed() uint64 { return s.unmixed.Load() }

// Status returns what the programme of a meeting shows; ok is false while nobody
// watches or records it.
func (s *Service) Status(meeting string) (st Status, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st, ok = s.status[meeting]
	return st, ok
}

// show notes what a programme shows; nil: it does not run any more.
func (s *Service) show(meeting string, st *Status) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if st == nil {
		delete(s.status, meeting)
		return
	}
	s.status[meeting] = *st
}

// OnAir tells what the director of a meeting needs to know. It never blocks.
func (s *Service) OnAir(id string, in Input) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.meeting(id)
	m.input = in
	close(m.changed)
	m.changed = make(chan struct{})
	if in.Screen == "" && len(in.Speakers) == 0 && len(in.Present) == 0 {
		delete(s.meetings, id) // a switcher that runs has been told, and asks anew
	}
}

// meeting returns what is known of a meeting. The caller holds s.mu.
func (s *Service) meeting(id string) *meeting {
	m := s.meetings[id]
	if m == nil {
		m = &meeting{changed: make(chan struct{})}
		s.meetings[id] = m
	}
	return m
}

// input returns the director's input and a channel that is closed when there is another.
func (s *Service) input(id string) (Input, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.meeting(id)
	return m.input, m.changed
}

// run publishes one programme until ctx ends. The hub runs it.
func (s *Service) run(ctx context.Context, name stream.Name) error {
	pub, err := s.hub.Publish(name, true)
	if err != nil {
		return fmt.Errorf("publish %s: %w", name, err)
	}
	defer pub.Close()
	id := name.Segments()[1]
	s.log.Info("programme begins", "meeting", id)
	w := newSwitcher(s, id, pub)
	defer w.close()
	w.run(ctx)
	s.log.Info("programme ends", "meeting", id, "cuts", w.cuts)
	return nil
}
