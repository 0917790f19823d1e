package signaling

import (
	"context"
	"errors"
	"time"

	"tongxiang/internal/apierr"
	"tongxiang/signaling/meeting"
)

// batch is what a room does at once: requests are applied one after another,
// their events are written to the store together, and only then does anybody
// hear of them. When the store refuses, nothing of it has happened.
type batch struct {
	*room
	now    time.Time
	before *meeting.State // nil until something is applied
	events []meeting.Event
	seats  []seating
	then   []func(error) // answers, in order; given the store's error
}

// seating is a session that took a seat in this batch, from an older session of the same seat.
type seating struct {
	*joining
	id      meeting.ID
	resumed bool
	old     *session
}

// handle carries out what was posted, and what time and media have brought.
func (r *room) handle(posted []any, now time.Time) {
	b := &batch{room: r, now: now}
	for _, what := range posted {
		switch q := what.(type) {
		case *joining:
			b.join(q)
		case *command:
			b.command(q)
		case *gone:
			if r.sessions[q.session.id] == q.session {
				delete(r.sessions, q.session.id)
			}
		case *request:
			b.request(q)
		}
	}
	b.reconcile()
	b.commit()
}

func (b *batch) apply(c meeting.Command) error {
	if b.before == nil {
		b.before = b.state.Clone()
	}
	events, err := b.state.Apply(c, b.now)
	b.events = append(b.events, events...)
	return err
}

// join seats a session, taking the seat over from an older one.
func (b *batch) join(q *joining) {
	who := q.session.who
	id, taken := b.state.Seat(who.User, openResume(b.cfg.Key, b.id, q.hello.Resume))
	var err error
	if taken {
		err = b.apply(meeting.Resume{Participant: id})
	} else {
		err = b.apply(meeting.Join{
			Participant: id, Name: seatName(who, q.hello.Name, id), User: who.User, Role: who.Role,
			Muted:  q.hello.Muted != nil && *q.hello.Muted,
			Camera: q.hello.Camera != nil && *q.hello.Camera,
		})
	}
	if err != nil {
		bye, _ := answer(err)
		q.session.end(bye)
		return
	}
	b.seats = append(b.seats, seating{joining: q, id: id, resumed: taken, old: b.sessions[id]})
	q.session.id = id
	b.sessions[id] = q.session
}

// seatName is what others read: the account's name, told apart when it has more than one seat.
func seatName(who Identity, chosen string, id meeting.ID) string {
	const longest = 64
	name := who.Name
	if name == "" {
		name = meeting.Clean(chosen)
	}
	if name == "" {
		name = who.User
	}
	if runes := []rune(name); len(runes) > longest {
		name = string(runes[:longest])
	}
	if n := meeting.SeatNumber(who.User, id); n != "" {
		name += " (" + n + ")"
	}
	return name
}

// command carries out a message of a seated session.
func (b *batch) command(q *command) {
	s := q.session
	if b.sessions[s.id] != s {
		return // replaced or gone meanwhile
	}
	var err error
	switch body := q.msg.Body.(type) {
	case meeting.Leave:
		err = b.apply(body.From(s.id))
		b.then = append(b.then, func(stored error) {
			if stored == nil {
				s.end(errLeft)
			}
		})
	case meeting.Request:
		err = b.apply(body.From(s.id))
	case View:
		err = b.media.view(s.id, body)
	case Refresh:
		b.then = append(b.then, func(error) { b.media.refresh(s) })
	}
	b.then = append(b.then, func(stored error) {
		switch {
		case err != nil:
			e, need := answer(err)
			if e.Status >= 500 {
				b.log.Error("command failed", "participant", s.id, "type", q.msg.Type, "err", err)
			}
			s.fail(q.msg.ID, e, need)
		case stored != nil:
			s.fail(q.msg.ID, errStoreUnavailable, "")
		case q.msg.ID != "" && q.msg.Type != "leave":
			s.send(Encode(OK{ID: q.msg.ID}))
		}
	})
}

func (b *batch) request(q *request) {
	var err error
	if q.cmd != nil {
		err = b.apply(q.cmd)
	} else {
		err = q.run(b.room)
	}
	b.then = append(b.then, func(stored error) { q.done <- errors.Join(err, stored) })
}

// reconcile makes the state agree with the facts: who is connected, whose media
// arrives, what time it is. It is repeated every second, so a fact that the store
// refused once is not lost.
func (b *batch) reconcile() {
	if b.state.Ended {
		return
	}
	var facts []meeting.Command
	if first := b.state.NextExpiry(); !first.IsZero() && !b.now.Before(first) {
		facts = append(facts, meeting.Tick{})
	}
	for i := range b.state.Participants {
		p := &b.state.Participants[i]
		if p.Connected && !p.Encoder && b.sessions[p.ID] == nil {
			facts = append(facts, meeting.Disconnect{Participant: p.ID})
		}
		if _, on := b.media.publishers[p.ID]; p.Publishing && !on {
			facts = append(facts, meeting.Publish{Participant: p.ID, On: false})
		}
	}
	for _, id := range b.media.publisherIDs() {
		pub := b.media.publishers[id]
		p := b.state.Find(id)
		if p == nil || !p.Publishing || p.Encoder && p.Camera != pub.video {
			facts = append(facts, meeting.Publish{Participant: id, On: true, Video: pub.video})
		}
	}
	for _, c := range facts {
		if err := b.apply(c); err != nil {
			b.log.Warn("fact refused", "command", c, "err", err)
		}
	}
}

// commit writes the events, then tells everybody.
func (b *batch) commit() {
	stored := b.append(b.events)
	if stored != nil {
		b.log.Error("events not stored", "events", len(b.events), "err", stored)
		*b.state = *b.before
		b.unseat()
	} else {
		b.broadcast()
		b.seat()
	}
	for _, f := range b.then {
		f(stored)
	}
	if stored == nil {
		b.afterwards()
	}
}

// broadcast sends the events to all who were seated before this batch.
func (b *batch) broadcast() {
	for _, e := range b.events {
		e = e.Public()
		msg := Encode(Happened{Seq: e.Seq, At: e.At, Event: eventBody{e.Body}})
		for id, s := range b.sessions {
			if !b.seatedNow(id, s) {
				s.send(msg)
			}
		}
	}
}

func (b *batch) seatedNow(id meeting.ID, s *session) bool {
	for i := range b.seats {
		if b.seats[i].id == id && b.seats[i].session == s {
			return true
		}
	}
	return false
}

// seat welcomes the sessions that took seats, and says goodbye to those whose seats they took.
func (b *batch) seat() {
	for _, st := range b.seats {
		if st.old != nil {
			st.old.end(errReplaced)
		}
		p := b.state.Find(st.id)
		if p == nil || b.sessions[st.id] != st.session {
			st.session.end(errReplaced) // by another one of the same batch
			continue
		}
		access, err := b.media.access(p)
		if err != nil {
			b.log.Error("no media token", "participant", p.ID, "err", err)
			st.session.end(apierr.Internal)
			continue
		}
		st.session.send(Encode(Welcome{
			V: Version, You: p.ID, Resumed: st.resumed, Seq: b.state.Seq,
			Resume:  signResume(b.cfg.Key, b.id, meeting.Claim{Participant: p.ID, Epoch: p.Epoch}),
			Meeting: st.session.info, State: b.state.Public(), Media: access,
		}))
		b.media.welcomed(p.ID, access)
		close(st.seated)
		b.log.Info("seated", "participant", p.ID, "role", p.Role, "resumed", st.resumed, "peer", st.session.client)
	}
}

// unseat takes back the seats of a batch that could not be stored.
func (b *batch) unseat() {
	for i := len(b.seats) - 1; i >= 0; i-- {
		st := b.seats[i]
		if b.sessions[st.id] == st.session {
			delete(b.sessions, st.id)
			if st.old != nil {
				b.sessions[st.id] = st.old
			}
		}
		st.session.end(errStoreUnavailable)
	}
}

// afterwards lets media, the director and the API see the new state.
func (b *batch) afterwards() {
	for id, s := range b.sessions {
		if b.state.Find(id) == nil && !b.state.Ended {
			s.end(errLeft)
			delete(b.sessions, id)
		}
	}
	if b.state.Ended && len(b.events) > 0 && b.cfg.Ended != nil {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(b.svc.ctx), storeTime)
		defer cancel()
		if err := b.cfg.Ended(ctx, b.id); err != nil {
			b.log.Error("end of the meeting not recorded", "err", err)
		}
	}
	b.media.follow(b.events, b.now)
	b.snapshot.Store(&Snapshot{
		Participants: b.state.Public().Participants, Screen: b.state.Screen, Speaker: b.media.speaker(),
	})
}
