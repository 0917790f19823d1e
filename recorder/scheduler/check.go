package scheduler

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"tongxiang/internal/apierr"
	"tongxiang/internal/store"
	"tongxiang/internal/stream"
	"tongxiang/recorder"
	"tongxiang/recorder/schedule"
)

// mostSchedules bounds how many there are: each is planned anew once a minute.
const mostSchedules = 2000

func bad(code, en, zh string) *apierr.Error {
	return apierr.New(http.StatusUnprocessableEntity, code, en, zh)
}

var (
	errStream  = bad("schedule_stream", "Choose a channel or a meeting that is there (channels/ID or meetings/ID).", "请选择要录制的频道或会议。")
	errTimes   = bad("schedule_times", "Give a start and an end after it, at most 24 hours apart.", "请填写开始和结束时间，结束须晚于开始，且不超过 24 小时。")
	errPast    = bad("schedule_past", "That time is over.", "该时间已经过去。")
	errRRule   = bad("bad_rrule", "This recurrence is not one: give an RRULE of RFC 5545 such as FREQ=WEEKLY;BYDAY=MO.", "无法识别重复规则，请使用 RFC 5545 的 RRULE，例如 FREQ=WEEKLY;BYDAY=MO。")
	errDense   = bad("rrule_too_dense", "A recording repeats once a day at most, and must end before it begins again.", "录制每天最多重复一次，且须在下一次开始之前结束。")
	errNever   = bad("schedule_never", "There is no time at which this applies.", "该规则没有任何适用的时间。")
	errMixed   = bad("schedule_mixed", "An event, a title to look for and a recurrence exclude one another.", "节目、按名称匹配和重复规则不能同时使用。")
	errPadding = bad("schedule_padding", "What is recorded before and after is 0 to 4 hours each.", "提前和延后时间须在 0 到 4 小时之间。")
	errTitle   = bad("schedule_title", "There is nothing in this title to look for.", "该名称中没有可用于匹配的内容。")
	errMatch   = bad("schedule_match", "Something in what is looked for is wrong: weekdays, times of day or channels.", "匹配条件有误：请检查星期、时段或频道。")
	errZone    = bad("schedule_zone", "There is no such time zone; give an IANA name such as Asia/Shanghai.", "没有该时区，请使用 IANA 名称，例如 Asia/Shanghai。")
	errEvent   = bad("schedule_event", "The guide of this channel has no such programme.", "该频道的节目单中没有这个节目。")
	errFormat  = bad("schedule_format", "Only channels can be recorded as a transport stream.", "只有频道可以录制为 TS 格式。")
	errClass   = bad("schedule_class", "The class is meeting, news, training or agriculture.", "分类须为 meeting、news、training 或 agriculture。")
	errPrio    = bad("schedule_priority", "The priority is emergency, meeting, training or news.", "优先级须为 emergency、meeting、training 或 news。")
	errWindow  = bad("schedule_window", "Ask for 93 days at the most, the end after the start.", "查询范围最多 93 天，且结束须晚于开始。")
	errTooMany = apierr.New(http.StatusConflict, "too_many_schedules", "There are 2000 schedules already; delete some that are over.", "计划已达 2000 个，请删除已过期的计划。")
)

// at says where in a request an error is.
func at(e *apierr.Error, field string, cause error) error {
	if cause != nil {
		e = e.Because(cause)
	}
	return e.WithFields(apierr.Field{Location: "body." + field, Message: e.EN, ZH: e.ZH})
}

// Check completes a schedule that somebody asks for and says what is wrong with it:
// an [apierr.Error] that names the field.
func (s *Scheduler) Check(ctx context.Context, x *store.Schedule) error {
	if err := s.checkStream(x); err != nil {
		return err
	}
	if x.Class != "" && !slices.Contains(recorder.Classes(), x.Class) {
		return at(errClass, "class", nil)
	}
	if x.Priority == "" {
		x.Priority = priorityOf(*x).String()
	}
	if _, err := schedule.ParsePriority(x.Priority); err != nil {
		return at(errPrio, "priority", err)
	}
	if x.Format == "ts" && x.Stream != "" && !strings.HasPrefix(x.Stream, "channels/") {
		return at(errFormat, "format", nil)
	}
	if x.Event != "" {
		if err := s.checkEvent(ctx, x); err != nil {
			return err
		}
	}
	r, err := ruleOf(*x)
	if errors.Is(err, schedule.ErrZone) {
		return at(errZone, "zone", err)
	}
	if err != nil {
		return err
	}
	if err := r.Check(); err != nil {
		return s.explain(err)
	}
	if once := r.Match == nil && r.RRule == ""; once && !r.End.Add(r.PaddingAfter).After(s.wall()) {
		return at(errPast, "end", nil)
	}
	if r.RRule != "" && !s.returns(r) {
		return at(errPast, "rrule", nil)
	}
	if x.Title == "" && x.Series != nil {
		x.Title = x.Series.Title
	}
	return nil
}

// returns reports whether a recurrence has a time to come.
func (s *Scheduler) returns(r schedule.Rule) bool {
	now := s.wall()
	r.Disabled, r.Since = false, time.Time{}
	for _, span := range []time.Duration{93 * 24 * time.Hour, 9 * 366 * 24 * time.Hour} { // near ones are found sooner
		if list, _ := schedule.Plan(schedule.Input{Rules: []schedule.Rule{r}, Now: now, From: now, To: now.Add(span)}); len(list) > 0 {
			return true
		}
	}
	return false
}

// priorityOf is that of a schedule for which none was given.
func priorityOf(x store.Schedule) schedule.Priority {
	switch {
	case x.Class == "meeting", strings.HasPrefix(x.Stream, "meetings/"):
		return schedule.Meeting
	case x.Class == "news":
		return schedule.News
	}
	return schedule.Training
}

func (s *Scheduler) checkStream(x *store.Schedule) error {
	if x.Series != nil {
		for i, c := range x.Series.Channels {
			if stream.CheckID(c) != nil || !s.cfg.Source(stream.Channel(c)).Known {
				return at(errStream, fmt.Sprintf("match.channels[%d]", i), nil)
			}
		}
		if x.Stream == "" {
			return nil
		}
	}
	name, err := stream.ParseName(x.Stream)
	if err != nil {
		return at(errStream, "stream", err)
	}
	seg := name.Segments()
	switch {
	case seg[0] == "channels" && len(seg) == 2:
	case seg[0] == "meetings" && x.Series == nil && x.Event == "" && (len(seg) == 2 || len(seg) == 3 && seg[2] == stream.ProgrammeID):
		name = stream.Programme(seg[1])
	default:
		return at(errStream, "stream", nil)
	}
	if !s.cfg.Source(name).Known {
		return at(errStream, "stream", nil)
	}
	x.Stream = name.String()
	return nil
}

// checkEvent takes the times of an event from the guide.
func (s *Scheduler) checkEvent(ctx context.Context, x *store.Schedule) error {
	id, err := strconv.ParseUint(x.Event, 10, 32)
	if err != nil {
		return at(errEvent, "event", err)
	}
	list, err := s.guide.events(ctx, []schedule.EventID{{Stream: x.Stream, ID: uint32(id)}})
	if err != nil {
		return err
	}
	if len(list) == 0 {
		// One that was there when the schedule was made is recorded all the same.
		if old, err := s.store.Schedule(ctx, x.ID); err == nil && old.Event == x.Event && old.Stream == x.Stream {
			x.Start, x.End = old.Start, old.End
			return nil
		}
		return at(errEvent, "event", nil)
	}
	e := list[0]
	x.Start, x.End = &e.Start, &e.End
	if x.Title == "" {
		x.Title = e.Title
	}
	return nil
}

func (s *Scheduler) explain(err error) error {
	for _, c := range []struct {
		is    error
		to    *apierr.Error
		field string
	}{
		{schedule.ErrTimes, errTimes, "end"}, {schedule.ErrTooDense, errDense, "rrule"}, {schedule.ErrRRule, errRRule, "rrule"},
		{schedule.ErrNothing, errNever, "rrule"}, {schedule.ErrAmbiguous, errMixed, "match"}, {schedule.ErrTitle, errTitle, "match.title"},
		{schedule.ErrMatch, errMatch, "match"}, {schedule.ErrZone, errZone, "zone"}, {schedule.ErrPadding, errPadding, "padding_before"},
	} {
		if errors.Is(err, c.is) {
			return at(c.to, c.field, err)
		}
	}
	return err
}

// CheckRoom refuses one more schedule than there may be.
func (s *Scheduler) CheckRoom(ctx context.Context) error {
	_, n, err := s.store.Schedules(ctx, store.ScheduleFilter{}, store.Page{Limit: 1})
	if err == nil && n >= mostSchedules {
		return errTooMany
	}
	return err
}
