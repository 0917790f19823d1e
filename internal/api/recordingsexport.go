package api

import (
	"bytes"
	"context"
	"errors"
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

// mostExported is how many rows a file has: what a spreadsheet is still handy with.
const mostExported = 100_000

var errTooManyRows = apierr.New(http.StatusUnprocessableEntity, "too_many_rows",
	"These are more than 100,000 recordings; choose fewer, for instance by day.", "录像超过 10 万条，请缩小范围（例如按日期）后再导出。")

type recordingExport struct {
	LibraryQuery
	Format   string `query:"format" enum:"xlsx,csv" default:"xlsx"`
	Language string `header:"Accept-Language"`
}

// exportRecordings registers the library's list as a file for a spreadsheet.
func (s *service) exportRecordings(a huma.API) {
	o := op("GET", "/recordings/export", "export-recordings", "The library's list as a file: the same filters, all pages", auth.SeeRecordings, http.StatusOK)
	o.Responses = map[string]*huma.Response{"200": {Description: "OK", Content: map[string]*huma.MediaType{
		sheet.XLSX.ContentType(): {}, sheet.CSV.ContentType(): {},
	}}}
	huma.Register(a, o, func(ctx context.Context, in *recordingExport) (*rawAnswer, error) {
		table, err := s.librarySheet(ctx, in)
		if err != nil {
			return nil, err
		}
		f := sheet.Format(in.Format)
		var b bytes.Buffer
		if err := sheet.Write(&b, f, table); err != nil {
			return nil, problem(err)
		}
		name := fmt.Sprintf("recordings-%s.%s", time.Now().Format("2006-01-02"), f)
		if err := s.audit(ctx, "recording.export_list", string(f), fmt.Sprintf("%d rows %s", len(table.Rows), in.Q)); err != nil {
			return nil, err
		}
		return &rawAnswer{Type: f.ContentType(), Disposition: "attachment; filename*=UTF-8''" + url.PathEscape(name), Cache: "no-store", Body: b.Bytes()}, nil
	})
}

// librarySheet is the list as people read it: times of the server's wall.
func (s *service) librarySheet(ctx context.Context, in *recordingExport) (sheet.Table, error) {
	zh := apierr.Chinese(in.Language)
	pick := func(en, chinese string) string {
		if zh {
			return chinese
		}
		return en
	}
	t := sheet.Table{Name: pick("Recordings", "录像")}
	for _, c := range []struct {
		en, zh string
		width  float64
	}{
		{"Title", "标题", 40}, {"Class", "类别", 10}, {"Source", "来源", 24}, {"Start", "开始", 20}, {"Minutes", "时长（分钟）", 12}, {"MB", "大小（MB）", 12},
		{"State", "状态", 10}, {"Reason", "原因", 36}, {"Missing seconds", "缺失（秒）", 12}, {"People", "人员", 30}, {"Units", "单位", 30},
		{"Kept until", "保留至", 20}, {"Legal hold", "封存", 8}, {"Deleted", "删除时间", 20}, {"Recording", "录像编号", 26},
	} {
		t.Columns = append(t.Columns, sheet.Column{Title: pick(c.en, c.zh), Width: c.width})
	}
	names := make(map[string]string)
	for page := (store.LibraryPage{Limit: 500}); ; {
		l, err := s.Store.Library(ctx, in.filter(), page)
		if err != nil {
			return t, problem(err)
		}
		for _, r := range l.Recordings {
			v := s.recordingView(r, in.Language)
			name, ok := names[r.Stream]
			if !ok {
				name = s.titleOf(ctx, r.Stream)
				names[r.Stream] = name
			}
			t.Rows = append(t.Rows, []any{
				v.Title, pick(v.Class, inChinese(v.Class)), name, v.Started.In(time.Local), float64(int(v.Duration/6)) / 10, v.Bytes / 1_000_000,
				pick(v.State, stateInChinese(v.State)), v.Reason, missing(v.Gaps), strings.Join(v.People, "、"), strings.Join(v.Units, "、"),
				keptUntil(v, pick), yes(v.Hold, pick), when(v.Deleted), v.ID,
			})
		}
		if len(t.Rows) > mostExported {
			return t, problem(errTooManyRows.Because(errors.New(in.Q)))
		}
		if l.Next == "" {
			return t, nil
		}
		page.Cursor = l.Next
	}
}

func keptUntil(v recordingView, pick func(string, string) string) any {
	if v.Expires == nil {
		return pick("for ever", "永久")
	}
	return v.Expires.In(time.Local)
}

func yes(is bool, pick func(string, string) string) string {
	if is {
		return pick("yes", "是")
	}
	return ""
}

func when(at *time.Time) any {
	if at == nil {
		return nil
	}
	return at.In(time.Local)
}

// missing returns how many seconds of a recording there is nothing of.
func missing(gaps []store.Gap) float64 {
	var ms int64
	for _, g := range gaps {
		ms += g.ToMS - g.FromMS
	}
	return float64(ms/100) / 10
}

// stateInChinese returns a recording's state in a word.
func stateInChinese(state string) string {
	switch state {
	case "recording":
		return "录制中"
	case "waiting":
		return "等待中"
	case "complete":
		return "完成"
	case "interrupted":
		return "中断"
	case "failed":
		return "失败"
	case "missed":
		return "未录制"
	}
	return state
}
