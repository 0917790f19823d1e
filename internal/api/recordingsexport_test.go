package api

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/xuri/excelize/v2"

	"tongxiang/internal/auth"
	"tongxiang/internal/store"
)

func TestLibraryIsExportedAsItsFiltersSay(t *testing.T) {
	w := newWorld(t)
	begin := time.Date(2026, 11, 26, 8, 0, 0, 0, time.UTC)
	const n = 1203 // more than two pages
	for i := range n {
		r := store.Recording{
			ID: fmt.Sprintf("r%04d", i), Stream: "channels/fixed", Title: fmt.Sprintf("培训 %d", i), Class: "training", State: store.RecordingComplete,
			Started: begin.Add(time.Duration(i) * time.Minute), Duration: 90 * time.Second,
		}
		if i == 0 {
			r.Title, r.Class, r.Gaps, r.Hold = "=cmd()", "news", []store.Gap{{FromMS: 1000, ToMS: 3500, Reason: "disk_full"}}, true
		}
		if err := w.store.PutRecording(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	get := func(role auth.Role, query, language string) (int, http.Header, []byte) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.server.URL+"/api/v1/recordings/export?"+query, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+w.tokens[role])
		req.Header.Set("Accept-Language", language)
		res, err := w.server.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, res.Header, b
	}

	status, header, b := get(auth.Viewer, "format=csv&class=news", "zh-CN")
	if status != http.StatusOK || !strings.Contains(header.Get("Content-Disposition"), ".csv") || !bytes.HasPrefix(b, []byte("\ufeff标题,类别")) {
		t.Fatalf("%d %v %q", status, header, b)
	}
	rows, err := csv.NewReader(bytes.NewReader(b)).ReadAll()
	if err != nil || len(rows) != 2 {
		t.Fatalf("%v %v", rows, err)
	}
	for column, want := range map[int]string{0: "'=cmd()", 1: "新闻", 2: "固定", 4: "1.5", 6: "完成", 8: "2.5", 12: "是", 14: "r0000"} {
		if rows[1][column] != want {
			t.Errorf("%s: %q, want %q", rows[0][column], rows[1][column], want)
		}
	}

	status, _, b = get(auth.Operator, "format=xlsx", "en")
	if status != http.StatusOK {
		t.Fatalf("%d %s", status, b)
	}
	f, err := excelize.OpenReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	all, err := f.GetRows("Recordings")
	if err != nil || len(all) != n+1 || all[0][0] != "Title" || all[1][0] != fmt.Sprintf("培训 %d", n-1) || all[n][0] != "=cmd()" {
		t.Fatalf("%d rows, %v", len(all), err)
	}

	for query, want := range map[string]int{"format=pdf": 422, "class=cats": 422} {
		if status, _, b := get(auth.Operator, query, "en"); status != want {
			t.Errorf("%s: %d %s", query, status, b)
		}
	}
	if status, _, _ := get(auth.Kiosk, "", "en"); status != http.StatusForbidden {
		t.Errorf("a kiosk was answered %d", status)
	}
	noted, _, err := w.store.Audit(t.Context(), store.AuditFilter{}, store.Page{Limit: 10})
	if err != nil || len(noted) < 2 || noted[0].Action != "recording.export_list" {
		t.Errorf("the audit has %+v, %v", noted, err)
	}
}
