package api

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	ics "github.com/arran4/golang-ical"
	"github.com/danielgtaylor/huma/v2"

	"tongxiang/internal/apierr"
	"tongxiang/internal/auth"
)

// calendarType is the media type of iCalendar (RFC 5545 8.1).
const calendarType = "text/calendar; charset=utf-8"

type calendarQuery struct {
	From     time.Time `query:"from" doc:"Missing: now"`
	To       time.Time `query:"to" doc:"Missing: four weeks later; 93 days at the most"`
	Stream   string    `query:"stream" maxLength:"200" doc:"Only of this stream"`
	Language string    `header:"Accept-Language"`
}

func (s *service) scheduleCalendar(a huma.API) {
	o := op("GET", "/schedules/plan.ics", "schedule-calendar", "The plan for a calendar (iCalendar), one event for each recording", auth.ManageSchedules, http.StatusOK)
	o.Responses = map[string]*huma.Response{"200": {Description: "OK", Content: map[string]*huma.MediaType{"text/calendar": {}}}}
	huma.Register(a, o, s.getCalendar)
}

func (s *service) getCalendar(ctx context.Context, in *calendarQuery) (*rawAnswer, error) {
	from, to := in.From, in.To
	if from.IsZero() {
		from = time.Now().UTC()
	}
	if to.IsZero() {
		to = from.Add(4 * week)
	}
	items, err := s.Schedules.Plan(ctx, from, to)
	if err != nil {
		return nil, problem(err)
	}
	c := ics.NewCalendarFor("tongxiang")
	c.SetMethod(ics.MethodPublish)
	zh := apierr.Chinese(in.Language)
	c.SetName("Recordings")
	if zh {
		c.SetName("录制计划")
	}
	now := time.Now().UTC()
	n := 0
	for _, o := range items {
		if in.Stream == "" || o.Stream == in.Stream {
			s.calendarEvent(ctx, c, o, now, zh)
			n++
		}
	}
	if err := s.audit(ctx, "schedule.export", "ics", fmt.Sprintf("%d", n)); err != nil {
		return nil, err
	}
	return &rawAnswer{Type: calendarType, Disposition: `attachment; filename="schedule.ics"`, Cache: "no-store", Body: []byte(c.Serialize(ics.WithNewLineWindows))}, nil
}

// calendarEvent adds an occurrence: with its own times, what is recorded around them
// in the description. One that is left out or missed is cancelled, so that a calendar
// which has it already crosses it out.
func (s *service) calendarEvent(ctx context.Context, c *ics.Calendar, o Occurrence, now time.Time, zh bool) {
	e := c.AddEvent(o.Key + "@tongxiang")
	e.SetDtStampTime(now)
	e.SetStartAt(o.Start)
	e.SetEndAt(o.End)
	e.SetSummary(o.Title)
	e.SetLocation(s.titleOf(ctx, o.Stream))
	e.SetStatus(ics.ObjectStatusConfirmed)
	text := []string{o.State}
	switch o.State {
	case "skipped", "missed":
		e.SetStatus(ics.ObjectStatusCancelled)
	case "conflict":
		e.SetStatus(ics.ObjectStatusTentative)
	}
	if o.Reason != nil {
		why := o.Reason.EN
		if zh {
			why = o.Reason.ZH
		}
		text = append(text, why)
	}
	text = append(text, o.RecordFrom.Format(time.RFC3339)+" – "+o.RecordTo.Format(time.RFC3339))
	e.SetDescription(strings.Join(text, "\n"))
	e.SetProperty(ics.ComponentPropertyCategories, o.Priority)
}
