package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"tongxiang/internal/apierr"
	"tongxiang/internal/auth"
	"tongxiang/internal/sheet"
)

// week is what is shown when nobody says how much.
const week = 7 * 24 * time.Hour

type planQuery struct {
	From     time.Time `query:"from" doc:"Missing: now"`
	To       time.Time `query:"to" doc:"Missing: a week later; 93 days at the most"`
	Schedule string    `query:"schedule" maxLength:"64" doc:"Only of this schedule"`
	Stream   string    `query:"stream" maxLength:"200" doc:"Only of this stream"`
	State    string    `query:"state" enum:"planned,recording,done,missed,skipped,conflict"`
	Format   string    `query:"format" enum:"json,xlsx,csv" default:"json" doc:"A file for a spreadsheet instead"`
	Language string    `header:"Accept-Language"`
}

func (q *planQuery) window() (from, to time.Time) { return window(q.From, q.To) }

func window(from, to time.Time) (time.Time, time.Time) {
	if from.IsZero() {
		from = time.Now().UTC()
	}
	if to.IsZero() {
		to = from.Add(week)
	}
	return from, to
}

// rawAnswer is an answer whose form depends on the request.
type rawAnswer struct {
	Type        string `header:"Content-Type"`
	Disposition string `header:"Content-Disposition"`
	Cache       string `header:"Cache-Control"`
	Body        []byte
}

type previewQuery struct {
	ID   string    `query:"id" maxLength:"64" doc:"The schedule that this one would take the place of"`
	From time.Time `query:"from" doc:"Missing: now"`
	To   time.Time `query:"to" doc:"Missing: a week later"`
	Body scheduleBody
}

type preview struct {
	Items     []Occurrence `json:"items"`
	Conflicts []Occurrence `json:"conflicts" doc:"What there would be no room for because of it"`
}

func (s *service) schedulePlan(a huma.API) {
	plan := op("GET", "/schedules/plan", "schedule-plan", "What was recorded, is, and is to be, with conflicts; as a list or as a file", auth.ManageSchedules, http.StatusOK)
	items := a.OpenAPI().Components.Schemas.Schema(reflect.TypeOf(list[Occurrence]{}.Body), true, "PlanList")
	plan.Responses = map[string]*huma.Response{"200": {Description: "OK", Content: map[string]*huma.MediaType{
		"application/json": {Schema: items}, sheet.XLSX.ContentType(): {}, sheet.CSV.ContentType(): {},
	}}}
	huma.Register(a, plan, s.getPlan)
	huma.Register(a, op("POST", "/schedules/preview", "preview-schedule", "What a schedule would come to, without saving it", auth.ManageSchedules, http.StatusOK), s.previewSchedule)
}

func (s *service) previewSchedule(ctx context.Context, in *previewQuery) (*body[preview], error) {
	x, err := s.asked(ctx, &in.Body)
	if err != nil {
		return nil, problem(err)
	}
	if in.ID != "" {
		x.ID = in.ID
	}
	from, to := window(in.From, in.To)
	own, conflicts, err := s.Schedules.Preview(ctx, x, from, to)
	if err != nil {
		return nil, problem(err)
	}
	out := &body[preview]{preview{Items: own, Conflicts: conflicts}}
	if own == nil {
		out.Body.Items = []Occurrence{}
	}
	if conflicts == nil {
		out.Body.Conflicts = []Occurrence{}
	}
	return out, nil
}

func (s *service) getPlan(ctx context.Context, in *planQuery) (*rawAnswer, error) {
	from, to := in.window()
	all, err := s.Schedules.Plan(ctx, from, to)
	if err != nil {
		return nil, problem(err)
	}
	items := make([]Occurrence, 0, len(all))
	for _, o := range all {
		if (in.Schedule == "" || o.Schedule == in.Schedule) && (in.Stream == "" || o.Stream == in.Stream) && (in.State == "" || o.State == in.State) {
			items = append(items, o)
		}
	}
	if in.Format == "json" {
		b, err := json.Marshal(listOf(items, len(items)).Body)
		if err != nil {
			return nil, problem(err)
		}
		return &rawAnswer{Type: "application/json", Cache: "no-store", Body: b}, nil
	}
	f := sheet.Format(in.Format)
	var b bytes.Buffer
	if err := sheet.Write(&b, f, s.planSheet(ctx, items, apierr.Chinese(in.Language))); err != nil {
		return nil, problem(err)
	}
	name := fmt.Sprintf("schedule-%s.%s", from.In(time.Local).Format("2006-01-02"), f)
	if err := s.audit(ctx, "schedule.export", string(f), fmt.Sprintf("%d", len(items))); err != nil {
		return nil, err
	}
	return &rawAnswer{Type: f.ContentType(), Disposition: "attachment; filename*=UTF-8''" + url.PathEscape(name), Cache: "no-store", Body: b.Bytes()}, nil
}

// planSheet is the plan as people read it: times of the server's wall.
func (s *service) planSheet(ctx context.Context, items []Occurrence, zh bool) sheet.Table {
	pick := func(en, chinese string) string {
		if zh {
			return chinese
		}
		return en
	}
	t := sheet.Table{Name: pick("Schedule", "录制计划")}
	for _, c := range []struct {
		en, zh string
		width  float64
	}{
		{"Start", "开始", 20}, {"End", "结束", 20}, {"Channel", "频道", 20}, {"Title", "标题", 36}, {"Priority", "优先级", 10}, {"State", "状态", 10},
		{"Reason", "原因", 40}, {"Recorded from", "录制开始", 20}, {"Recorded to", "录制结束", 20}, {"Recording", "录像编号", 26},
	} {
		t.Columns = append(t.Columns, sheet.Column{Title: pick(c.en, c.zh), Width: c.width})
	}
	names := make(map[string]string)
	for _, o := range items {
		name, ok := names[o.Stream]
		if !ok {
			name = s.titleOf(ctx, o.Stream)
			names[o.Stream] = name
		}
		why := ""
		if o.Reason != nil {
			why = pick(o.Reason.EN, o.Reason.ZH)
		}
		if o.LostTo != nil {
			why += pick(" Lost to: ", "让位于：") + o.LostTo.Title
		}
		t.Rows = append(t.Rows, []any{
			o.Start.In(time.Local), o.End.In(time.Local), name, o.Title, pick(o.Priority, inChinese(o.Priority)), pick(o.State, inChinese(o.State)), why,
			o.RecordFrom.In(time.Local), o.RecordTo.In(time.Local), o.Recording,
		})
	}
	return t
}

// inChinese returns a code's word.
func inChinese(code string) string {
	switch code {
	case "emergency":
		return "应急"
	case "meeting":
		return "会议"
	case "training":
		return "培训"
	case "news":
		return "新闻"
	case "planned":
		return "计划中"
	case "recording":
		return "录制中"
	case "done":
		return "已完成"
	case "missed":
		return "未录"
	case "skipped":
		return "已跳过"
	case "conflict":
		return "冲突"
	}
	return code
}
