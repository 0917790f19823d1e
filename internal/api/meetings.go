package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"tongxiang/internal/apierr"
	"tongxiang/internal/auth"
	"tongxiang/internal/store"
	"tongxiang/internal/stream"
)

var (
	errMeetingExists = apierr.New(http.StatusConflict, "meeting_exists",
		"There is already a meeting with this id.", "该会议编号已存在。")
	errBadID = apierr.New(http.StatusUnprocessableEntity, "bad_id",
		"An id has 1 to 64 letters, digits, dots, dashes or underscores.", "编号须为 1 至 64 个字母、数字、点、短横线或下划线。")
	errEndBeforeStart = apierr.New(http.StatusUnprocessableEntity, "end_before_start",
		"The end is before the start.", "结束时间早于开始时间。")
)

type meetingView struct {
	ID           string        `json:"id"`
	Title        string        `json:"title"`
	Start        *time.Time    `json:"start,omitempty"`
	End          *time.Time    `json:"end,omitempty"`
	Created      time.Time     `json:"created"`
	CreatedBy    string        `json:"created_by"`
	Closed       *time.Time    `json:"closed,omitempty"`
	Record       string        `json:"record,omitempty" enum:"programme,all" doc:"What is recorded from the first participant to the end"`
	Live         int           `json:"live" doc:"People connected now"`
	Participants []Participant `json:"participants,omitempty"`
	Programme    *Programme    `json:"programme,omitempty" doc:"What is on air; absent while nobody watches or records it"`
}

func (s *service) meetingView(m store.Meeting, names bool) meetingView {
	live := s.Meetings.Live(m.ID)
	v := meetingView{ID: m.ID, Title: m.Title, Start: m.Start, End: m.End, Created: m.Created, CreatedBy: m.CreatedBy, Closed: m.Closed, Record: m.Record, Live: len(live),
		Programme: s.Meetings.Programme(m.ID)}
	if names {
		v.Participants = live
	}
	return v
}

type newMeeting struct {
	Body struct {
		ID     string     `json:"id,omitempty" maxLength:"64"`
		Title  string     `json:"title" minLength:"1" maxLength:"200"`
		Start  *time.Time `json:"start,omitempty"`
		End    *time.Time `json:"end,omitempty"`
		Record bool       `json:"record,omitempty" doc:"Record it from the first participant to the end"`
		Tracks string     `json:"tracks,omitempty" enum:"programme,all" doc:"all: every site too, each in a file of its own"`
	}
}

// recordSetting returns the setting of a meeting as the store has it.
func recordSetting(record bool, tracks string) string {
	switch {
	case !record:
		return ""
	case tracks == "":
		return "programme"
	}
	return tracks
}

type meetingList struct {
	Page
	All bool `query:"all" doc:"Also those that ended"`
}

type meetingChange struct {
	ByID
	Body struct {
		Title  *string    `json:"title,omitempty" minLength:"1" maxLength:"200"`
		Start  *time.Time `json:"start,omitempty"`
		End    *time.Time `json:"end,omitempty"`
		Record *bool      `json:"record,omitempty" doc:"Takes effect when the next participant joins"`
		Tracks string     `json:"tracks,omitempty" enum:"programme,all"`
	}
}

func (s *service) meetings(a huma.API) {
	huma.Register(a, op("POST", "/meetings", "create-meeting", "Convene a meeting", auth.ManageMeetings, http.StatusCreated), s.createMeeting)
	huma.Register(a, op("GET", "/meetings", "list-meetings", "Meetings, open ones first", auth.SeeMeetings, http.StatusOK), func(ctx context.Context, in *meetingList) (*list[meetingView], error) {
		rows, total, err := s.Store.Meetings(ctx, store.MeetingFilter{Open: !in.All}, in.store())
		if err != nil {
			return nil, problem(err)
		}
		out := make([]meetingView, len(rows))
		for i, m := range rows {
			out[i] = s.meetingView(m, false)
		}
		return listOf(out, total), nil
	})
	huma.Register(a, op("GET", "/meetings/{id}", "get-meeting", "A meeting and who is in it", auth.SeeMeetings, http.StatusOK), func(ctx context.Context, in *ByID) (*body[meetingView], error) {
		m, err := s.Store.Meeting(ctx, in.ID)
		if err != nil {
			return nil, found(err)
		}
		return &body[meetingView]{s.meetingView(m, true)}, nil
	})
	huma.Register(a, op("PATCH", "/meetings/{id}", "change-meeting", "Change title or times", auth.ManageMeetings, http.StatusOK), s.changeMeeting)
	huma.Register(a, op("DELETE", "/meetings/{id}", "end-meeting", "End a meeting for everybody; its log stays", auth.ManageMeetings, http.StatusNoContent), func(ctx context.Context, in *ByID) (*struct{}, error) {
		m, err := s.Store.Meeting(ctx, in.ID)
		if err != nil {
			return nil, found(err)
		}
		if m.Closed == nil {
			if err := s.Meetings.End(ctx, m.ID); err != nil {
				return nil, problem(err)
			}
		}
		return nil, s.audit(ctx, "meeting.end", m.ID, m.Title)
	})
}

func (s *service) createMeeting(ctx context.Context, in *newMeeting) (*body[meetingView], error) {
	m := store.Meeting{ID: in.Body.ID, Title: in.Body.Title, Start: in.Body.Start, End: in.Body.End, CreatedBy: principal(ctx).ID, Created: time.Now().UTC(),
		Record: recordSetting(in.Body.Record, in.Body.Tracks)}
	if m.ID == "" {
		m.ID = store.NewID()
	}
	if err := stream.CheckID(m.ID); err != nil {
		return nil, problem(errBadID.Because(err))
	}
	if m.Start != nil && m.End != nil && m.End.Before(*m.Start) {
		return nil, problem(errEndBeforeStart)
	}
	if err := s.Store.CreateMeeting(ctx, m); err != nil {
		if errors.Is(err, store.ErrConflict) {
			err = errMeetingExists.Because(err)
		}
		return nil, problem(err)
	}
	return &body[meetingView]{s.meetingView(m, true)}, s.audit(ctx, "meeting.create", m.ID, m.Title)
}

func (s *service) changeMeeting(ctx context.Context, in *meetingChange) (*body[meetingView], error) {
	m, err := s.Store.Meeting(ctx, in.ID)
	if err != nil {
		return nil, found(err)
	}
	if in.Body.Title != nil {
		m.Title = *in.Body.Title
	}
	if in.Body.Start != nil {
		m.Start = in.Body.Start
	}
	if in.Body.End != nil {
		m.End = in.Body.End
	}
	if in.Body.Record != nil {
		m.Record = recordSetting(*in.Body.Record, in.Body.Tracks)
	}
	if m.Start != nil && m.End != nil && m.End.Before(*m.Start) {
		return nil, problem(errEndBeforeStart)
	}
	if err := s.Store.UpdateMeeting(ctx, m); err != nil {
		return nil, found(err)
	}
	return &body[meetingView]{s.meetingView(m, true)}, s.audit(ctx, "meeting.change", m.ID, m.Title)
}

// audit writes down what the caller did. An action that cannot be written down is answered as an error.
func (s *service) audit(ctx context.Context, action, target, detail string) error {
	if err := s.Auth.Audit(ctx, principal(ctx), action, target, "ok", detail); err != nil {
		return problem(err)
	}
	return nil
}
