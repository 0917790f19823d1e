package signaling

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"tongxiang/internal/apierr"
	"tongxiang/signaling/meeting"
)

const (
	inboxSize = 256
	// batchSize bounds how many requests share one write to the store.
	batchSize = 64
	storeTime = 5 * time.Second
	tickEvery = time.Second
	// idleTime is how long a room without people waits for some.
	idleTime = 30 * time.Second
)

// room is one meeting that is running. Its goroutine owns all fields but those
// said otherwise.
type room struct {
	id  string
	svc *Service
	cfg *Config
	log *slog.Logger

	holders  int // guarded by svc.mu: sessions and callers that may post
	inbox    chan any
	done     chan struct{} // closed when the room has ended
	why      *apierr.Error // set before done is closed
	snapshot atomic.Pointer[Snapshot]

	state    *meeting.State
	sessions map[meeting.ID]*session // the newest of each seat
	media    *roomMedia
	idle     time.Time // since when nobody is here; zero while somebody is
}

// What is posted to a room.
type (
	// joining asks for a seat; seated is closed when it is taken, else the session is ended.
	joining struct {
		session *session
		hello   Hello
		seated  chan struct{}
	}
	// command is a message of a seated session.
	command struct {
		session *session
		msg     Message
	}
	// gone says that a session has ended.
	gone struct{ session *session }
	// request comes from the server itself: a command, or something to do.
	request struct {
		cmd  meeting.Command
		run  func(*room) error
		done chan error // buffered
	}
)

func newRoom(s *Service, id string) *room {
	return &room{
		id: id, svc: s, cfg: &s.cfg, log: s.log.With("room", id),
		inbox: make(chan any, inboxSize), done: make(chan struct{}),
		sessions: make(map[meeting.ID]*session),
	}
}

// post gives something to the room; false when the room has ended, or stop is closed first.
func (r *room) post(stop <-chan struct{}, what any) bool {
	select {
	case <-r.done:
		return false
	default:
	}
	select {
	case r.inbox <- what:
		return true
	case <-r.done:
	case <-stop:
	}
	return false
}

// ending returns why the room has ended, once it has.
func (r *room) ending() *apierr.Error {
	select {
	case <-r.done:
		return r.why
	default:
		return nil
	}
}

func (r *room) whyNot(ctx context.Context) error {
	if why := r.ending(); why != nil {
		if errors.Is(why, errMeetingEnded) {
			return nil
		}
		return why
	}
	return ctx.Err()
}

// run is the room's goroutine.
func (r *room) run() {
	why := r.serve()
	r.svc.abandon(r)
	r.why = why
	close(r.done)
	for _, s := range r.sessions {
		s.end(why)
	}
	if r.media != nil {
		r.media.close()
	}
	r.log.Info("room closed", "why", why.Code)
}

// serve runs the room and returns how it ended.
func (r *room) serve() *apierr.Error {
	if err := r.load(); err != nil {
		r.log.Error("room cannot be opened", "err", err)
		return errStoreUnavailable.Because(err)
	}
	r.media = newRoomMedia(r)
	r.log.Info("room opened", "seq", r.state.Seq, "seats", len(r.state.Participants))
	tick := time.NewTicker(tickEvery)
	defer tick.Stop()
	for {
		var batch []any
		select {
		case <-r.svc.ctx.Done():
			return errShuttingDown
		case what := <-r.inbox:
			batch = r.drain(what)
		case e := <-r.media.events:
			r.media.notice(e)
			r.media.drain()
		case <-tick.C:
		}
		now := time.Now()
		r.handle(batch, now)
		if r.state.Ended {
			return errMeetingEnded
		}
		if r.isIdle(now) && r.svc.retire(r) {
			return errShuttingDown
		}
	}
}

func (r *room) drain(first any) []any {
	batch := []any{first}
	for len(batch) < batchSize {
		select {
		case what := <-r.inbox:
			batch = append(batch, what)
		default:
			return batch
		}
	}
	return batch
}

// load replays the log. Whoever was here when it broke off is disconnected.
func (r *room) load() error {
	ctx, cancel := context.WithTimeout(r.svc.ctx, storeTime)
	defer cancel()
	records, err := r.cfg.Load(ctx, r.id)
	if err != nil {
		return fmt.Errorf("load the log of meeting %q: %w", r.id, err)
	}
	r.state = meeting.New()
	for _, rec := range records {
		body, err := meeting.DecodeBody(rec.Kind, rec.Data)
		if err != nil {
			// A later version wrote it, or the disk rotted. The meeting matters more than one event.
			r.log.Warn("event skipped", "seq", rec.Seq, "err", err)
			r.state.Seq = rec.Seq
			continue
		}
		r.state.Replay(meeting.Event{Seq: rec.Seq, At: meeting.At(rec.At), Body: body})
	}
	events, err := r.state.Apply(meeting.Restart{}, time.Now())
	if err != nil && !errors.Is(err, meeting.ErrEnded) {
		return err
	}
	return r.append(events)
}

// append writes events to the log.
func (r *room) append(events []meeting.Event) error {
	if len(events) == 0 {
		return nil
	}
	records := make([]Record, len(events))
	for i, e := range events {
		data, err := meeting.EncodeBody(e.Body)
		if err != nil {
			return fmt.Errorf("encode event %d: %w", e.Seq, err)
		}
		records[i] = Record{Seq: e.Seq, At: e.At.Time, Kind: e.Body.Kind(), Data: data}
	}
	// A shutdown must not cut a write that people wait for.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.svc.ctx), storeTime)
	defer cancel()
	if err := r.cfg.Append(ctx, r.id, records); err != nil {
		return fmt.Errorf("append %d events to meeting %q: %w", len(events), r.id, err)
	}
	return nil
}

// isIdle reports whether nobody has been here for [idleTime].
func (r *room) isIdle(now time.Time) bool {
	if len(r.state.Participants) > 0 || len(r.sessions) > 0 {
		r.idle = time.Time{}
		return false
	}
	if r.idle.IsZero() {
		r.idle = now
	}
	return now.Sub(r.idle) >= idleTime
}
