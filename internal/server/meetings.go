package server

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"net/http"
	"time"

	"tongxiang/internal/api"
	"tongxiang/internal/apierr"
	"tongxiang/internal/auth"
	"tongxiang/internal/programme"
	"tongxiang/internal/store"
	"tongxiang/internal/stream"
	"tongxiang/signaling"
	"tongxiang/signaling/meeting"
)

// mediaTokenTTL is how long a participant's WHIP and WHEP may begin after a
// welcome; the page gets a new token before it ends.
const mediaTokenTTL = 12 * time.Hour

// buildMeetings joins the signalling to the store and the accounts.
func (s *Server) buildMeetings(key []byte) error {
	// A key of its own, so that a resume token is never a bearer token.
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte("resume"))
	var err error
	s.signaling, err = signaling.New(signaling.Config{
		Authenticate: s.identify,
		Meeting:      s.meetingInfo,
		Append:       s.appendEvents,
		Load:         s.loadEvents,
		Ended:        s.meetingEnded,
		MediaToken:   s.mediaToken,
		Media:        s.rooms.of,
		OnAir:        s.onAir,
		Key:          mac.Sum(nil),
	}, s.log.With("part", "signaling"))
	return err
}

// identify says who enters a meeting, and as what.
func (s *Server) identify(r *http.Request, meetingID string) (signaling.Identity, error) {
	p, err := s.auth.Authenticate(r)
	if err != nil {
		return signaling.Identity{}, err
	}
	if !p.May(auth.Watch, stream.Programme(meetingID)) {
		return signaling.Identity{}, auth.ErrForbidden
	}
	name := p.Display
	if name == "" {
		name = p.Name
	}
	return signaling.Identity{User: p.ID, Name: name, Role: meeting.RoleOf(string(p.Role))}, nil
}

func (s *Server) meetingInfo(ctx context.Context, id string) (signaling.Info, error) {
	m, err := s.store.Meeting(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return signaling.Info{}, errNoStream.Because(err)
	}
	if err != nil {
		return signaling.Info{}, err
	}
	return signaling.Info{ID: m.ID, Title: m.Title, Ended: m.Closed != nil}, nil
}

func (s *Server) appendEvents(ctx context.Context, id string, events []signaling.Record) error {
	rows := make([]store.MeetingEvent, len(events))
	for i, e := range events {
		rows[i] = store.MeetingEvent{Meeting: id, Seq: e.Seq, At: e.At, Kind: e.Kind, Data: e.Data}
	}
	if err := s.store.AppendMeetingEvents(ctx, id, rows); err != nil {
		return err
	}
	s.meetingEvents(id, events)
	return nil
}

func (s *Server) loadEvents(ctx context.Context, id string) ([]signaling.Record, error) {
	rows, err := s.store.MeetingEvents(ctx, id, 0)
	if err != nil {
		return nil, err
	}
	out := make([]signaling.Record, len(rows))
	for i, e := range rows {
		out[i] = signaling.Record{Seq: e.Seq, At: e.At, Kind: e.Kind, Data: e.Data}
	}
	return out, nil
}

// meetingEnded closes the meeting in the store; its log says so already.
func (s *Server) meetingEnded(ctx context.Context, id string) error {
	m, err := s.store.Meeting(ctx, id)
	if err != nil {
		return err
	}
	s.rooms.end(id)
	s.later(func(ctx context.Context) { s.stopMeeting(ctx, id) })
	now := time.Now().UTC()
	m.Closed = &now
	return s.store.UpdateMeeting(ctx, m)
}

// resumeMeetings opens the rooms of meetings that are not over, so that seats which
// the last end of the server cut are given up in time though nobody comes back.
func (s *Server) resumeMeetings(ctx context.Context) {
	for offset := 0; ; {
		open, total, err := s.store.Meetings(ctx, store.MeetingFilter{Open: true}, store.Page{Offset: offset, Limit: meetingsPage})
		if err != nil {
			s.log.Error("meetings of before were not resumed", "err", err)
			return
		}
		for _, m := range open {
			if err := s.signaling.Open(ctx, m.ID); err != nil {
				s.log.Error("meeting was not resumed", "room", m.ID, "err", err)
			}
		}
		if offset += len(open); len(open) == 0 || offset >= total {
			return
		}
	}
}

// meetingsPage is how many meetings are read from the store at once.
const meetingsPage = 100

// onAir tells the meeting's programme what its director may choose from.
func (s *Server) onAir(meetingID string, in signaling.AirInput) {
	ids := func(l []meeting.ID) []string {
		out := make([]string, len(l))
		for i, id := range l {
			out[i] = string(id)
		}
		return out
	}
	s.programme.OnAir(meetingID, programme.Input{Screen: string(in.Screen), Speakers: ids(in.Speakers), Present: ids(in.Present)})
}

// mediaToken lets one participant publish and watch as himself, and nothing else.
func (s *Server) mediaToken(meetingID string, participant meeting.ID, publish bool) (string, time.Time, error) {
	role := auth.Viewer
	if publish {
		role = auth.Member
	}
	return s.auth.MediaToken(auth.TokenRequest{
		Subject: string(participant), Role: role, TTL: mediaTokenTTL,
		Stream: string(stream.Participant(meetingID, string(participant))),
	})
}

// liveMeetings is what the API sees of the meetings that people sit in.
type liveMeetings struct {
	signaling *signaling.Service
	programme *programme.Service
}

// Programme returns what a meeting's programme shows.
func (l liveMeetings) Programme(id string) *api.Programme {
	st, ok := l.programme.Status(id)
	if !ok {
		return nil
	}
	p := &api.Programme{Participant: st.Participant, Picture: string(st.Label), Transcoded: st.Transcoded}
	p.Reason, p.SoundReason = causeOf(st.Err), causeOf(st.Sound)
	return p
}

// causeOf is an error for people; nil: there is none.
func causeOf(err error) *api.Reason {
	if err == nil {
		return nil
	}
	e := apierr.As(err)
	return &api.Reason{Code: e.Code, EN: e.EN, ZH: e.ZH}
}

// Live returns who is connected now.
func (l liveMeetings) Live(id string) []api.Participant {
	snap, ok := l.signaling.Live(id)
	if !ok {
		return nil
	}
	var out []api.Participant
	for _, p := range snap.Participants {
		if p.Connected {
			out = append(out, api.Participant{ID: string(p.ID), Name: p.Name, Role: string(p.Role)})
		}
	}
	return out
}

// End closes a meeting for everybody.
func (l liveMeetings) End(ctx context.Context, id string) error { return l.signaling.End(ctx, id) }

// demoMeeting is the id of the meeting that a demo opens.
const demoMeeting = "demo"

// buildDemo convenes the demo meeting when it is not there.
func (s *Server) buildDemo(ctx context.Context) error {
	err := s.store.CreateMeeting(ctx, store.Meeting{ID: demoMeeting, Title: "演示会议", CreatedBy: "demo", Created: time.Now().UTC()})
	if errors.Is(err, store.ErrConflict) {
		return nil
	}
	return err
}
