package api

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"tongxiang/internal/apierr"
	"tongxiang/internal/auth"
	"tongxiang/internal/sheet"
	"tongxiang/internal/store"
)

// mostListed bounds the rows of a file.
const mostListed = 50_000

// words picks those of the reader's language.
type words func(en, zh string) string

// column is the head of an exported column.
type column struct {
	en, zh string
	width  float64
}

// exported is a list that people take away as a file.
type exported struct {
	need    auth.Action
	en, zh  string // name of the sheet
	columns []column
	rows    func(context.Context, words) ([][]any, error)
}

type exportQuery struct {
	List     string `path:"list" maxLength:"40" doc:"channels, alarms, outputs, meetings, schedules, jobs, kiosks, users or shiftlog"`
	Format   string `query:"format" enum:"xlsx,csv" default:"xlsx"`
	Language string `header:"Accept-Language"`
}

// exports are the lists that have no file form of their own. Times are those of the
// server's wall.
func (s *service) exports(a huma.API) {
	o := op("GET", "/exports/{list}", "export-list", "A list as a file for a spreadsheet, in the reader's language", "", http.StatusOK)
	o.Responses = map[string]*huma.Response{"200": {Description: "The file", Content: map[string]*huma.MediaType{sheet.XLSX.ContentType(): {}, sheet.CSV.ContentType(): {}}}}
	lists := s.exportable()
	huma.Register(a, o, func(ctx context.Context, in *exportQuery) (*rawAnswer, error) {
		x, ok := lists[in.List]
		if !ok {
			return nil, problem(errNotFound)
		}
		if !principal(ctx).May(x.need, "") {
			return nil, problem(auth.ErrForbidden)
		}
		return s.exportedFile(ctx, in, x)
	})
}

func (s *service) exportedFile(ctx context.Context, in *exportQuery, x exported) (*rawAnswer, error) {
	say := func(en, _ string) string { return en }
	if apierr.Chinese(in.Language) {
		say = func(_, zh string) string { return zh }
	}
	rows, err := x.rows(ctx, say)
	if err != nil {
		return nil, problem(err)
	}
	t := sheet.Table{Name: say(x.en, x.zh), Rows: rows}
	for _, c := range x.columns {
		t.Columns = append(t.Columns, sheet.Column{Title: say(c.en, c.zh), Width: c.width})
	}
	f := sheet.Format(in.Format)
	var b bytes.Buffer
	if err := sheet.Write(&b, f, t); err != nil {
		return nil, problem(err)
	}
	if err := s.audit(ctx, in.List+".export", string(f), fmt.Sprint(len(rows))); err != nil {
		return nil, err
	}
	name := fmt.Sprintf("%s-%s.%s", in.List, time.Now().Format("2006-01-02"), f)
	return &rawAnswer{Type: f.ContentType(), Disposition: "attachment; filename*=UTF-8''" + url.PathEscape(name), Cache: "no-store", Body: b.Bytes()}, nil
}

// wall is a time as the server's wall shows it; none is an empty cell.
func wall(t *time.Time) any {
	if t == nil || t.IsZero() {
		return nil
	}
	return t.In(time.Local)
}

// all reads a list of the store page by page.
func all[T any](read func(store.Page) ([]T, int, error), row func(T) []any) ([][]any, error) {
	var out [][]any
	for len(out) < mostListed {
		l, total, err := read(store.Page{Limit: store.MaxPage, Offset: len(out)})
		if err != nil {
			return nil, err
		}
		for _, x := range l {
			out = append(out, row(x))
		}
		if len(l) == 0 || len(out) >= total {
			break
		}
	}
	return out, nil
}

func (s *service) exportable() map[string]exported {
	return map[string]exported{
		"channels": {auth.ManageChannels, "Channels", "频道", []column{
			{"Number", "频道号", 8}, {"Identifier", "标识", 16}, {"Name", "名称", 24}, {"State", "状态", 12}, {"Since", "起始", 20}, {"Reason", "原因", 40},
			{"Codecs", "编码", 30}, {"Bits a second", "码率（bit/s）", 14}, {"Source", "信号源", 44}, {"Backups", "备用信号源", 44}, {"On backup", "备路播出", 10},
		}, s.channelRows},
		"alarms": {auth.SeeChannels, "Alarms", "报警", []column{
			{"Channel", "频道", 24}, {"Alarm", "报警", 16}, {"Begin", "开始", 20}, {"End", "结束", 20}, {"Seconds", "持续（秒）", 12},
		}, s.alarmRows},
		"outputs": {auth.ManageChannels, "Outputs", "输出", []column{
			{"Identifier", "标识", 16}, {"Stream", "节目", 24}, {"Address", "地址", 44}, {"State", "状态", 12}, {"Since", "起始", 20}, {"Reason", "原因", 40}, {"Bits a second now", "当前码率（bit/s）", 18},
		}, s.outputRows},
		"meetings": {auth.ManageMeetings, "Meetings", "会议", []column{
			{"Identifier", "标识", 20}, {"Title", "会议名称", 40}, {"Start", "开始", 20}, {"End", "结束", 20}, {"Closed", "结束会议", 20}, {"Connected now", "在会人数", 10},
		}, func(ctx context.Context, _ words) ([][]any, error) {
			return all(func(p store.Page) ([]store.Meeting, int, error) {
				return s.Store.Meetings(ctx, store.MeetingFilter{}, p)
			}, func(m store.Meeting) []any {
				return []any{m.ID, m.Title, wall(m.Start), wall(m.End), wall(m.Closed), len(s.Meetings.Live(m.ID))}
			})
		}},
		"jobs": {auth.SeeRecordings, "Jobs", "任务", []column{
			{"Job", "任务", 16}, {"Recording", "录像", 36}, {"State", "状态", 10}, {"Percent", "进度（%）", 10}, {"Cause", "原因", 40}, {"Tries", "次数", 8},
			{"Asked for", "提交时间", 20}, {"Begun", "开始", 20}, {"Ended", "结束", 20},
		}, s.jobRows},
		"kiosks": {auth.ManageDevices, "Kiosks", "收看终端", []column{
			{"Name", "名称", 30}, {"Added", "添加时间", 20}, {"Last seen", "最近在线", 20}, {"Revoked", "吊销时间", 20},
		}, func(ctx context.Context, _ words) ([][]any, error) {
			return all(func(p store.Page) ([]store.Device, int, error) { return s.Store.Devices(ctx, p) }, func(d store.Device) []any {
				return []any{d.Name, wall(&d.Created), wall(d.Seen), wall(d.Revoked)}
			})
		}},
		"users": {auth.ManageUsers, "Users", "用户", []column{
			{"Login name", "登录名", 20}, {"Display name", "显示名称", 24}, {"Role", "角色", 16}, {"Disabled", "已停用", 10}, {"Added", "添加时间", 20},
		}, func(ctx context.Context, _ words) ([][]any, error) {
			return all(func(p store.Page) ([]store.User, int, error) { return s.Store.Users(ctx, "", p) }, func(u store.User) []any {
				return []any{u.Name, u.Display, string(u.Role), u.Disabled, wall(&u.Created)}
			})
		}},
		"schedules": {auth.ManageSchedules, "Schedules", "录制计划", []column{
			{"Title", "标题", 36}, {"Channel", "频道", 24}, {"Rule", "规则", 44}, {"Enabled", "启用", 8}, {"Next", "下次开始", 20}, {"Last", "上次", 20},
			{"Result", "上次结果", 10}, {"Reason", "原因", 40}, {"Priority", "优先级", 10}, {"Minutes before", "提前（分钟）", 14}, {"Minutes after", "延后（分钟）", 14}, {"Format", "格式", 8},
		}, s.scheduleRows},
		"shiftlog": {auth.KeepShiftLog, "Shift log", "值班记录", []column{
			{"Time", "时间", 20}, {"On duty", "值班员", 16}, {"Kind", "类别", 10}, {"Entry", "内容", 80},
		}, func(ctx context.Context, say words) ([][]any, error) {
			return all(func(p store.Page) ([]store.ShiftEntry, int, error) {
				return s.Store.ShiftLog(ctx, store.ShiftFilter{}, p)
			}, func(e store.ShiftEntry) []any {
				return []any{wall(&e.At), e.Name, say(e.Kind, shiftKind(e.Kind)), e.Text}
			})
		}},
	}
}

func (s *service) channelRows(_ context.Context, say words) ([][]any, error) {
	var out [][]any
	for i, c := range s.Channels.List() {
		var tracks []string
		for _, t := range c.Tracks {
			tracks = append(tracks, t.Codec)
		}
		out = append(out, []any{
			i + 1, c.ID, c.Name, say(c.State, signalInChinese(c.State)), wall(&c.Since), say(c.Reason.EN, c.Reason.ZH), strings.Join(tracks, ", "), c.Bitrate,
			hidePassword(c.Source), hidePasswords(c.Backup), say(mark(c.OnBackup, "yes"), mark(c.OnBackup, "是")),
		})
	}
	return out, nil
}

func (s *service) outputRows(_ context.Context, say words) ([][]any, error) {
	if s.Outputs == nil {
		return nil, nil
	}
	var out [][]any
	for _, o := range s.Outputs.List() {
		out = append(out, []any{o.ID, o.Stream, o.Address, say(o.State, signalInChinese(o.State)), wall(&o.Since), say(o.Reason.EN, o.Reason.ZH), o.Now})
	}
	return out, nil
}

func (s *service) jobRows(ctx context.Context, say words) ([][]any, error) {
	return all(func(p store.Page) ([]store.Job, int, error) { return s.Store.Jobs(ctx, store.JobFilter{}, p) }, func(j store.Job) []any {
		v := s.jobView(ctx, j)
		title, cause := v.Title, ""
		if title == "" {
			title = v.Recording
		}
		if v.Cause != nil {
			cause = say(v.Cause.EN, v.Cause.ZH)
		}
		return []any{say(v.Kind, jobInChinese(v.Kind)), title, say(v.State, jobInChinese(v.State)), int(100 * v.Progress), cause, v.Attempts, wall(&v.Created), wall(v.Began), wall(v.Ended)}
	})
}

func (s *service) alarmRows(ctx context.Context, say words) ([][]any, error) {
	names := make(map[string]string)
	for _, c := range s.Channels.List() {
		names[c.ID] = c.Name
	}
	return all(func(p store.Page) ([]store.ChannelAlarm, int, error) {
		return s.Store.ChannelAlarms(ctx, store.AlarmFilter{}, p)
	}, func(x store.ChannelAlarm) []any {
		name := names[x.Channel]
		if name == "" {
			name = x.Channel
		}
		var seconds any
		if x.Cleared != nil {
			seconds = x.Cleared.Sub(x.Raised).Seconds()
		}
		return []any{name, say(x.Alarm, alarmInChinese(x.Alarm)), wall(&x.Raised), wall(x.Cleared), seconds}
	})
}

func mark(b bool, word string) string {
	if b {
		return word
	}
	return ""
}

// hidePassword leaves out what a file that goes round must not tell.
func hidePassword(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	q := u.Query()
	for _, secret := range []string{"passphrase", "password", "token"} {
		if q.Has(secret) {
			q.Set(secret, "xxxxx")
			u.RawQuery = q.Encode()
		}
	}
	return u.Redacted()
}

func hidePasswords(addresses []string) string {
	out := make([]string, len(addresses))
	for i, a := range addresses {
		out[i] = hidePassword(a)
	}
	return strings.Join(out, "\n")
}
