package api

import (
	"encoding/csv"
	"io"
	"net/http"
	"strings"
	"testing"

	"tongxiang/internal/auth"
)

func TestShiftLogIsWrittenReadAndTakenAway(t *testing.T) {
	w := newWorld(t)
	w.want(http.StatusUnprocessableEntity, auth.Operator, "POST", "/api/v1/shiftlog", `{"text":"  "}`)
	w.want(http.StatusUnprocessableEntity, auth.Operator, "POST", "/api/v1/shiftlog", `{"text":"x","kind":"gossip"}`)
	w.want(http.StatusForbidden, auth.Viewer, "POST", "/api/v1/shiftlog", `{"text":"x"}`)
	w.want(http.StatusForbidden, auth.Chair, "GET", "/api/v1/shiftlog", "")
	got := w.want(http.StatusCreated, auth.Operator, "POST", "/api/v1/shiftlog", `{"text":" 夜班交接\n一切正常 ","kind":"handover"}`)
	if got["text"] != "夜班交接\n一切正常" || got["author"] != "operator" || got["kind"] != "handover" {
		t.Errorf("entry: %v", got)
	}
	w.want(http.StatusCreated, auth.Administrator, "POST", "/api/v1/shiftlog", `{"text":"=1+1"}`)
	if l := w.want(http.StatusOK, auth.Operator, "GET", "/api/v1/shiftlog?q=交接", ""); l["total"] != 1.0 {
		t.Errorf("found: %v", l)
	}
	rows := exportedRows(t, w, auth.Operator, "shiftlog")
	if len(rows) != 3 || rows[0][3] != "内容" || rows[1][3] != "'=1+1" || rows[2][2] != "交接班" {
		t.Errorf("file: %q", rows)
	}
}

func TestEveryListIsExportedForThoseWhoMaySeeIt(t *testing.T) {
	w := newWorld(t)
	w.want(http.StatusCreated, auth.Operator, "POST", "/api/v1/channels", `{"id":"a","name":"甲","source":"rtsp://u:secret@10.0.0.1/x","backup":["srt://10.0.0.2:1?passphrase=geheim1234"]}`)
	rows := exportedRows(t, w, auth.Operator, "channels")
	if len(rows) != 3 || rows[2][1] != "a" || strings.Contains(strings.Join(rows[2], " "), "secret") || strings.Contains(strings.Join(rows[2], " "), "geheim") {
		t.Errorf("channels: %q", rows)
	}
	w.want(http.StatusCreated, auth.Operator, "POST", "/api/v1/meetings", `{"title":"防汛"}`)
	if rows := exportedRows(t, w, auth.Operator, "meetings"); len(rows) != 2 || rows[1][1] != "防汛" {
		t.Errorf("meetings: %q", rows)
	}
	for _, list := range []string{"alarms", "outputs", "kiosks", "jobs"} {
		if rows := exportedRows(t, w, auth.Operator, list); len(rows) != 1 {
			t.Errorf("%s: %q", list, rows)
		}
	}
	w.want(http.StatusForbidden, auth.Operator, "GET", "/api/v1/exports/users", "")
	w.want(http.StatusForbidden, auth.Viewer, "GET", "/api/v1/exports/shiftlog", "")
	w.want(http.StatusNotFound, auth.Operator, "GET", "/api/v1/exports/secrets", "")
	w.want(http.StatusUnprocessableEntity, auth.Operator, "GET", "/api/v1/exports/users?format=pdf", "")
	exportedRows(t, w, auth.Administrator, "users")
}

// exportedRows returns the rows of a list's CSV, whose byte order mark it checks, after
// a look at its .xlsx.
func exportedRows(t *testing.T, w *world, role auth.Role, list string) [][]string {
	t.Helper()
	file := func(format string) string {
		req, err := http.NewRequestWithContext(t.Context(), "GET", w.server.URL+"/api/v1/exports/"+list+"?format="+format, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+w.tokens[role])
		req.Header.Set("Accept-Language", "zh-CN")
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		if err != nil || res.StatusCode != http.StatusOK || !strings.HasPrefix(res.Header.Get("Content-Disposition"), "attachment") {
			t.Fatalf("export %s as %s: %v %s %q", list, format, err, res.Status, res.Header)
		}
		return string(b)
	}
	if b := file("xlsx"); !strings.HasPrefix(b, "PK") {
		t.Errorf("export %s: no .xlsx: %.20q", list, b)
	}
	b, ok := strings.CutPrefix(file("csv"), "\ufeff")
	if !ok {
		t.Errorf("export %s: no byte order mark", list)
	}
	rows, err := csv.NewReader(strings.NewReader(b)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return rows
}
