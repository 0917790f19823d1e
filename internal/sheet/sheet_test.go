package sheet

import (
	"bytes"
	"encoding/csv"
	"strings"
	"testing"
	"time"

	"github.com/xuri/excelize/v2"
)

func table() Table {
	at := time.Date(2026, 12, 1, 19, 0, 0, 0, time.FixedZone("", 8*3600))
	return Table{
		Name: "录制计划", Columns: []Column{{"标题", 30}, {"开始", 20}, {"分钟", 0}},
		Rows: [][]any{{"新闻联播", at, 30}, {"=HYPERLINK(\"x\")", time.Time{}, 1.5}, {"a,\"b\"\n第二行", nil, nil}},
	}
}

func TestCSVOpensInExcelWithItsCharactersAndWithoutFormulas(t *testing.T) {
	var b bytes.Buffer
	if err := Write(&b, CSV, table()); err != nil {
		t.Fatal(err)
	}
	rest, ok := strings.CutPrefix(b.String(), "\ufeff")
	if !ok || !strings.Contains(rest, "\r\n") {
		t.Fatalf("%q", b.String())
	}
	rows, err := csv.NewReader(strings.NewReader(rest)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, r := range rows {
		lines = append(lines, strings.Join(r, "|"))
	}
	want := "标题|开始|分钟\n新闻联播|2026-12-01 19:00:00|30\n'=HYPERLINK(\"x\")||1.5\na,\"b\"\n第二行||"
	if got := strings.Join(lines, "\n"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestAWorkbookHasTypedCells(t *testing.T) {
	var b bytes.Buffer
	if err := Write(&b, XLSX, table()); err != nil {
		t.Fatal(err)
	}
	f, err := excelize.OpenReader(&b)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for at, want := range map[string]string{"A1": "标题", "A2": "新闻联播", "B2": "2026-12-01 19:00:00", "C2": "30", "A3": "=HYPERLINK(\"x\")", "B3": "", "C3": "1.5"} {
		if got, err := f.GetCellValue("录制计划", at); err != nil || got != want {
			t.Errorf("%s is %q, %v; want %q", at, got, err, want)
		}
	}
	if formula, err := f.GetCellFormula("录制计划", "A3"); err != nil || formula != "" {
		t.Errorf("a text became the formula %q, %v", formula, err)
	}
}

func TestATextThatNoCellHoldsIsCut(t *testing.T) {
	var b bytes.Buffer
	x := Table{Name: "x", Columns: []Column{{"t", 0}}, Rows: [][]any{{strings.Repeat("长", 20000)}}}
	if err := Write(&b, XLSX, x); err != nil {
		t.Fatal(err)
	}
}
