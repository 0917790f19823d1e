package api

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"tongxiang/internal/apierr"
	"tongxiang/internal/auth"
	"tongxiang/internal/store"
	"tongxiang/internal/stream"
)

var (
	errScheduleRecording = apierr.New(http.StatusConflict, "schedule_recording",
		"This schedule is recording now. To end the recording as well, ask again with stop=true.", "该计划正在录制。如需同时停止录制，请带上 stop=true 再次提交。")
	errBadMatch = apierr.New(http.StatusUnprocessableEntity, "schedule_match",
		"Something in what is looked for is wrong: weekdays are MO to SU, times of day such as 19:00.", "匹配条件有误：星期为 MO 至 SU，时段如 19:00。")
	errPadding = apierr.New(http.StatusUnprocessableEntity, "schedule_padding",
		"What is recorded before and after is 0 to 4 hours each, in seconds or such as 5m.", "提前和延后时间须在 0 到 4 小时之间，单位为秒，或写作 5m。")
)

// Schedules records what is planned.
type Schedules interface {
	// Check completes a schedule and returns an [apierr.Error] that names the field
	// when it cannot be; CheckRoom refuses one too many.
	Check(context.Context, *store.Schedule) error
	CheckRoom(context.Context) error
	// Plan returns what touches a time; Preview what a schedule would come to that is
	// not there yet, and what there would be no room for because of it.
	Plan(ctx context.Context, from, to time.Time) ([]Occurrence, error)
	Preview(ctx context.Context, x store.Schedule, from, to time.Time) (own, conflicts []Occurrence, err error)
	// Skip leaves out the occurrence of a schedule that begins at start, or takes it in again.
	Skip(ctx context.Context, id string, start time.Time, out bool) (Occurrence, error)
	// Describe says in words when a schedule records; Following is the first time at or
	// after a moment at which it begins, where it does not follow the guide.
	Describe(x store.Schedule) (en, zh string)
	Following(x store.Schedule, after time.Time) (start, end time.Time, ok bool)
	// Recording reports whether a schedule is recording now; End ends that.
	Recording(id string) bool
	End(id string)
	// Changed says that the store has other schedules than before.
	Changed()
}

// Occurrence is one time at which a schedule applies.
type Occurrence struct {
	Key        string     `json:"key" doc:"Names it for ever, once it was begun or missed"`
	Schedule   string     `json:"schedule"`
	Stream     string     `json:"stream"`
	Title      string     `json:"title"`
	Event      *int       `json:"event,omitempty" doc:"event_id in the guide of the channel"`
	Priority   string     `json:"priority" enum:"emergency,meeting,training,news"`
	Start      time.Time  `json:"start"`
	End        time.Time  `json:"end"`
	RecordFrom time.Time  `json:"record_from" doc:"With padding"`
	RecordTo   time.Time  `json:"record_to"`
	State      string     `json:"state" enum:"planned,recording,done,missed,skipped,conflict"`
	Reason     *Reason    `json:"reason,omitempty"`
	LostTo     *Winner    `json:"lost_to,omitempty" doc:"Of a conflict: what has the room"`
	Recording  string     `json:"recording,omitempty" doc:"The newest recording"`
	Recordings []string   `json:"recordings,omitempty" doc:"All parts, when it was interrupted"`
	Begun      *time.Time `json:"begun,omitempty"`
	Ended      *time.Time `json:"ended,omitempty"`
}

// Winner is what has the room that another occurrence would need.
type Winner struct {
	Schedule string `json:"schedule"`
	Stream   string `json:"stream"`
	Title    string `json:"title"`
}

type scheduleView struct {
	ID        string         `json:"id"`
	Stream    string         `json:"stream"`
	Title     string         `json:"title"`
	Class     string         `json:"class,omitempty"`
	Format    string         `json:"format"`
	Priority  string         `json:"priority"`
	Start     *time.Time     `json:"start,omitempty"`
	End       *time.Time     `json:"end,omitempty"`
	Zone      string         `json:"zone,omitempty" doc:"IANA name; missing: the server's"`
	RRule     string         `json:"rrule,omitempty"`
	Event     *int           `json:"event,omitempty"`
	Match     *scheduleMatch `json:"match,omitempty"`
	Before    Seconds        `json:"padding_before"`
	After     Seconds        `json:"padding_after"`
	Enabled   bool           `json:"enabled"`
	Recording bool           `json:"recording" doc:"It is recording now"`
	CreatedBy string         `json:"created_by,omitempty"`
	Created   time.Time      `json:"created"`
	Changed   time.Time      `json:"changed"`
	Rule      Sentence       `json:"rule" doc:"When it records, in words, by the clock of its zone"`
	Next      *Occurrence    `json:"next,omitempty" doc:"In lists with outlook: the next time"`
	Last      *Occurrence    `json:"last,omitempty" doc:"In lists with outlook: what became of the newest that is over, of the last 31 days"`
}

// Sentence is what people read.
type Sentence struct {
	EN string `json:"en"`
	ZH string `json:"zh"`
}

func (s *service) scheduleView(x store.Schedule) scheduleView {
	v := scheduleView{
		ID: x.ID, Stream: x.Stream, Title: x.Title, Class: x.Class, Format: x.Format, Priority: x.Priority, Start: x.Start, End: x.End,
		Zone: x.Zone, RRule: x.RRule, Event: eventNumber(x.Event), Match: matchOf(x.Series), Before: Seconds(x.PaddingBefore), After: Seconds(x.PaddingAfter),
		Enabled: x.Enabled, Recording: s.Schedules.Recording(x.ID), CreatedBy: x.CreatedBy, Created: x.Created, Changed: x.Changed,
	}
	v.Rule.EN, v.Rule.ZH = s.Schedules.Describe(x)
	return v
}

func eventNumber(text string) *int {
	n, err := strconv.Atoi(text)
	if err != nil {
		return nil
	}
	return &n
}

// scheduleBody is what is asked for; a schedule is made of it, or changed by it.
type scheduleBody struct {
	Stream   *string        `json:"stream,omitempty" maxLength:"200" doc:"channels/ID or meetings/ID; with match: empty, or the only channel"`
	Title    *string        `json:"title,omitempty" maxLength:"200" doc:"Of the recordings, where the guide has none"`
	Start    *time.Time     `json:"start,omitempty" doc:"The first time"`
	End      *time.Time     `json:"end,omitempty"`
	RRule    *string        `json:"rrule,omitempty" maxLength:"500" doc:"RFC 5545, such as FREQ=WEEKLY;BYDAY=MO,WE; once a day at most"`
	Before   *Seconds       `json:"padding_before,omitempty" doc:"Recorded before: seconds, or such as 5m"`
	After    *Seconds       `json:"padding_after,omitempty" doc:"Recorded after"`
	Class    *string        `json:"class,omitempty" maxLength:"20" doc:"meeting, news, training or agriculture"`
	Priority *string        `json:"priority,omitempty" maxLength:"20" doc:"emergency, meeting, training or news; missing: by the class"`
	Zone     *string        `json:"zone,omitempty" maxLength:"64" doc:"IANA name in which the times stay the same all year; missing: the server's"`
	Match    *scheduleMatch `json:"match,omitempty" doc:"Record what has this title, wherever it is"`
	Event    *int           `json:"event,omitempty" minimum:"0" maximum:"65535" doc:"event_id of one programme in the guide of stream, which is followed"`
	Format   *string        `json:"format,omitempty" enum:"fmp4,ts"`
	Enabled  *bool          `json:"enabled,omitempty"`
}

type scheduleMatch struct {
	Title      string   `json:"title" minLength:"1" maxLength:"200" doc:"Compared without the number of the episode"`
	Channels   []string `json:"channels,omitempty" maxItems:"500" doc:"Ids; none: all"`
	Weekdays   []string `json:"weekdays,omitempty" maxItems:"7" doc:"MO, TU, WE, TH, FR, SA, SU; none: all"`
	From       string   `json:"from,omitempty" maxLength:"8" doc:"Begins at or after this time of day, such as 19:00"`
	To         string   `json:"to,omitempty" maxLength:"8" doc:"Begins at or before; may lie before from, over midnight"`
	Duplicates string   `json:"duplicates,omitempty" enum:"record,skip_recorded,skip_title_day" default:"record"`
}

// weekdays are the names of RFC 5545, from Sunday on.
func weekdays() []string { return []string{"SU", "MO", "TU", "WE", "TH", "FR", "SA"} }

func matchOf(x *store.Series) *scheduleMatch {
	if x == nil {
		return nil
	}
	m := &scheduleMatch{Title: x.Title, Channels: x.Channels, Duplicates: x.Duplicates}
	for _, d := range x.Weekdays {
		m.Weekdays = append(m.Weekdays, weekdays()[d%7])
	}
	if x.From != 0 || x.To != 0 {
		m.From, m.To = clockText(x.From), clockText(x.To)
	}
	return m
}

func clockText(d time.Duration) string { return time.Time{}.Add(d).Format("15:04") }

func (m *scheduleMatch) series() (*store.Series, error) {
	x := &store.Series{Title: m.Title, Channels: m.Channels, Duplicates: m.Duplicates}
	for i, name := range m.Weekdays {
		d := slices.Index(weekdays(), name)
		if d < 0 {
			return nil, inField(errBadMatch, "match.weekdays["+strconv.Itoa(i)+"]")
		}
		x.Weekdays = append(x.Weekdays, d)
	}
	for _, f := range []struct {
		text, field string
		to          *time.Duration
	}{{m.From, "match.from", &x.From}, {m.To, "match.to", &x.To}} {
		if f.text == "" {
			continue
		}
		t, err := time.Parse("15:04", f.text)
		if err != nil {
			return nil, inField(errBadMatch, f.field)
		}
		*f.to = time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute
	}
	if m.From != "" && m.To == "" { // to the end of the day
		x.To = 24*time.Hour - time.Minute
	}
	return x, nil
}

// inField says where in a request an error is.
func inField(e *apierr.Error, field string) error {
	return e.WithFields(apierr.Field{Location: "body." + field, Message: e.EN, ZH: e.ZH})
}

// onto writes what is asked for into a schedule and reports whether that changes when
// and what it records, beyond the end.
func (b *scheduleBody) onto(x *store.Schedule) (moved bool, err error) {
	for _, f := range []struct {
		to, from *string
		moves    bool
	}{
		{&x.Stream, b.Stream, true}, {&x.RRule, b.RRule, true}, {&x.Zone, b.Zone, true}, {&x.Format, b.Format, true},
		{&x.Title, b.Title, false}, {&x.Class, b.Class, false}, {&x.Priority, b.Priority, false},
	} {
		if f.from != nil && *f.from != *f.to {
			*f.to, moved = *f.from, moved || f.moves
		}
	}
	if b.Start != nil { // a rule's times are those of a clock without fractions
		start := b.Start.UTC().Truncate(time.Second)
		moved = moved || x.Start == nil || !x.Start.Equal(start)
		x.Start = &start
	}
	if b.End != nil {
		end := b.End.UTC().Truncate(time.Second)
		x.End = &end
	}
	if b.Event != nil {
		text := strconv.Itoa(*b.Event)
		moved = moved || x.Event != text
		x.Event = text
	}
	if b.Match != nil {
		if x.Series, err = b.Match.series(); err != nil {
			return moved, err
		}
		moved = true
	}
	for _, f := range []struct {
		to    *time.Duration
		from  *Seconds
		field string
	}{{&x.PaddingBefore, b.Before, "padding_before"}, {&x.PaddingAfter, b.After, "padding_after"}} {
		if f.from == nil {
			continue
		}
		if *f.from < 0 || time.Duration(*f.from) > 4*time.Hour {
			return moved, inField(errPadding, f.field)
		}
		*f.to = time.Duration(*f.from)
	}
	if b.Enabled != nil {
		moved = moved || x.Enabled && !*b.Enabled
		x.Enabled = *b.Enabled
	}
	return moved, nil
}

type newSchedule struct{ Body scheduleBody }

type scheduleChange struct {
	ByID
	Stop bool `query:"stop" doc:"End what it is recording now"`
	Body scheduleBody
}

type scheduleRemoval struct {
	ByID
	Stop bool `query:"stop" doc:"End what it is recording now"`
}

type scheduleList struct {
	Page
	Stream  string `query:"stream" maxLength:"200"`
	Enabled bool   `query:"enabled" doc:"Only those that are switched on"`
	Outlook bool   `query:"outlook" doc:"With next and last of each"`
}

func (s *service) schedules(a huma.API) {
	if s.Schedules == nil {
		return
	}
	huma.Register(a, op("POST", "/schedules", "create-schedule", "Plan recordings: once, by a recurrence, of one programme, or of all with a title", auth.ManageSchedules, http.StatusCreated), s.createSchedule)
	huma.Register(a, op("GET", "/schedules", "list-schedules", "Schedules, newest first", auth.ManageSchedules, http.StatusOK), func(ctx context.Context, in *scheduleList) (*list[scheduleView], error) {
		rows, total, err := s.Store.Schedules(ctx, store.ScheduleFilter{Stream: in.Stream, Enabled: in.Enabled}, in.store())
		if err != nil {
			return nil, problem(err)
		}
		out := make([]scheduleView, len(rows))
		for i, x := range rows {
			out[i] = s.scheduleView(x)
		}
		if in.Outlook {
			if err := s.outlook(ctx, rows, out); err != nil {
				return nil, problem(err)
			}
		}
		return listOf(out, total), nil
	})
	huma.Register(a, op("GET", "/schedules/{id}", "get-schedule", "A schedule", auth.ManageSchedules, http.StatusOK), func(ctx context.Context, in *ByID) (*body[scheduleView], error) {
		x, err := s.Store.Schedule(ctx, in.ID)
		if err != nil {
			return nil, found(err)
		}
		return &body[scheduleView]{s.scheduleView(x)}, nil
	})
	huma.Register(a, op("PATCH", "/schedules/{id}", "change-schedule", "Change a schedule; its end may be moved while it records", auth.ManageSchedules, http.StatusOK), s.changeSchedule)
	huma.Register(a, op("DELETE", "/schedules/{id}", "delete-schedule", "Remove a schedule; its recordings stay", auth.ManageSchedules, http.StatusNoContent), s.deleteSchedule)
	huma.Register(a, op("POST", "/schedules/{id}/skip", "skip-occurrence", "Leave one occurrence out, or take it in again; the schedule stays as it is", auth.ManageSchedules, http.StatusOK), s.skipOccurrence)
	s.schedulePlan(a)
	s.scheduleCalendar(a)
}

type occurrenceSkip struct {
	ByID
	Body struct {
		Start time.Time `json:"start" doc:"When the occurrence begins, as the plan says: start, without padding"`
		Skip  *bool     `json:"skip,omitempty" doc:"false: take it in again"`
	}
}

func (s *service) skipOccurrence(ctx context.Context, in *occurrenceSkip) (*body[Occurrence], error) {
	x, err := s.Store.Schedule(ctx, in.ID)
	if err != nil {
		return nil, found(err)
	}
	out := in.Body.Skip == nil || *in.Body.Skip
	o, err := s.Schedules.Skip(ctx, x.ID, in.Body.Start.UTC(), out)
	if err != nil {
		return nil, problem(err)
	}
	action := "schedule.skip"
	if !out {
		action = "schedule.unskip"
	}
	return &body[Occurrence]{o}, s.audit(ctx, action, x.ID, in.Body.Start.UTC().Format(time.RFC3339)+" "+x.Title)
}

func (s *service) createSchedule(ctx context.Context, in *newSchedule) (*body[scheduleView], error) {
	x, err := s.asked(ctx, &in.Body)
	if err != nil {
		return nil, problem(err)
	}
	if err := s.Schedules.CheckRoom(ctx); err != nil {
		return nil, problem(err)
	}
	if err := s.Store.CreateSchedule(ctx, x); err != nil {
		return nil, problem(err)
	}
	s.Schedules.Changed()
	return &body[scheduleView]{s.scheduleView(x)}, s.audit(ctx, "schedule.create", x.ID, x.Stream+" "+x.Title)
}

// asked returns the schedule that a body asks for, checked.
func (s *service) asked(ctx context.Context, b *scheduleBody) (store.Schedule, error) {
	now := time.Now().UTC().Truncate(time.Microsecond)
	x := store.Schedule{ID: store.NewID(), Format: "fmp4", Enabled: true, CreatedBy: principal(ctx).ID, Created: now, Changed: now}
	if _, err := b.onto(&x); err != nil {
		return x, err
	}
	if err := s.Schedules.Check(ctx, &x); err != nil {
		return x, err
	}
	if x.Title == "" {
		x.Title = s.titleOf(ctx, x.Stream)
	}
	return x, nil
}

// titleOf is what people call a stream.
func (s *service) titleOf(ctx context.Context, text string) string {
	name, err := stream.ParseName(text)
	if err != nil {
		return text
	}
	switch seg := name.Segments(); seg[0] {
	case "channels":
		if c, ok := s.Channels.Get(seg[1]); ok {
			return c.Name
		}
	case "meetings":
		if m, err := s.Store.Meeting(ctx, seg[1]); err == nil {
			return m.Title
		}
	}
	return text
}

func (s *service) changeSchedule(ctx context.Context, in *scheduleChange) (*body[scheduleView], error) {
	x, err := s.Store.Schedule(ctx, in.ID)
	if err != nil {
		return nil, found(err)
	}
	moved, err := in.Body.onto(&x)
	if err == nil && x.Enabled { // one that is over may be switched off, and given another title
		err = s.Schedules.Check(ctx, &x)
	}
	if err != nil {
		return nil, problem(err)
	}
	running := moved && s.Schedules.Recording(x.ID)
	if running && !in.Stop {
		return nil, problem(errScheduleRecording)
	}
	x.Changed = time.Now().UTC().Truncate(time.Microsecond)
	if err := s.Store.UpdateSchedule(ctx, x); err != nil {
		return nil, found(err)
	}
	if running {
		s.Schedules.End(x.ID)
	}
	s.Schedules.Changed()
	return &body[scheduleView]{s.scheduleView(x)}, s.audit(ctx, "schedule.change", x.ID, x.Stream+" "+x.Title)
}

func (s *service) deleteSchedule(ctx context.Context, in *scheduleRemoval) (*struct{}, error) {
	x, err := s.Store.Schedule(ctx, in.ID)
	if err != nil {
		return nil, found(err)
	}
	if s.Schedules.Recording(in.ID) && !in.Stop {
		return nil, problem(errScheduleRecording)
	}
	if err := s.Store.DeleteSchedule(ctx, in.ID); err != nil {
		return nil, found(err)
	}
	s.Schedules.Changed()
	return nil, s.audit(ctx, "schedule.delete", x.ID, x.Stream+" "+x.Title)
}
