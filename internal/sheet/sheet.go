// Package sheet writes lists as files for a spreadsheet: .xlsx, or CSV with the byte
// order mark without which Excel takes UTF-8 for the machine's own code page.
//
// What people typed is data. A cell that begins like a formula is written as text in
// .xlsx, and in CSV, which has no types, behind an apostrophe.
package sheet

import (
	"encoding/csv"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/xuri/excelize/v2"
)

// Format is a kind of file.
type Format string

// The formats.
const (
	XLSX Format = "xlsx"
	CSV  Format = "csv"
)

// ContentType returns the media type.
func (f Format) ContentType() string {
	if f == XLSX {
		return "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
	}
	return "text/csv; charset=utf-8"
}

// Table is a list. Cells are strings, numbers, booleans, times (shown in their zone,
// to the second) or nil.
type Table struct {
	Name    string // of the sheet: at most 31 characters
	Columns []Column
	Rows    [][]any
}

// Column is the head of a column.
type Column struct {
	Title string
	Width float64 // in characters; 0: as the program likes
}

// timeLayout is how times are shown: without their zone, which the file's reader is in.
const timeLayout = "2006-01-02 15:04:05"

// Write writes a table in a format.
func Write(w io.Writer, f Format, t Table) error {
	if f == XLSX {
		return writeXLSX(w, t)
	}
	return writeCSV(w, t)
}

func writeCSV(w io.Writer, t Table) error {
	if _, err := io.WriteString(w, "\ufeff"); err != nil {
		return fmt.Errorf("write CSV: %w", err)
	}
	c := csv.NewWriter(w)
	c.UseCRLF = true // RFC 4180
	line := make([]string, len(t.Columns))
	for i, col := range t.Columns {
		line[i] = plain(col.Title)
	}
	for row := -1; row < len(t.Rows); row++ {
		if row >= 0 {
			line = line[:0]
			for _, v := range t.Rows[row] {
				line = append(line, text(v))
			}
		}
		if err := c.Write(line); err != nil {
			return fmt.Errorf("write CSV: %w", err)
		}
	}
	c.Flush()
	if err := c.Error(); err != nil {
		return fmt.Errorf("write CSV: %w", err)
	}
	return nil
}

func text(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return plain(v)
	case time.Time:
		if v.IsZero() {
			return ""
		}
		return v.Format(timeLayout)
	}
	return fmt.Sprint(v)
}

// plain makes a text harmless that a spreadsheet would compute.
func plain(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r", rune(s[0])) {
		return "'" + s
	}
	return s
}

// mostCell is what a cell of .xlsx holds.
const mostCell = 32767

func writeXLSX(w io.Writer, t Table) (err error) {
	f := excelize.NewFile()
	defer func() {
		if closeErr := f.Close(); err == nil && closeErr != nil {
			err = fmt.Errorf("write .xlsx: %w", closeErr)
		}
	}()
	if err := fill(f, t); err != nil {
		return fmt.Errorf("write .xlsx: %w", err)
	}
	if err := f.Write(w); err != nil {
		return fmt.Errorf("write .xlsx: %w", err)
	}
	return nil
}

func fill(f *excelize.File, t Table) error {
	if err := f.SetSheetName("Sheet1", t.Name); err != nil {
		return err
	}
	bold, err := f.NewStyle(&excelize.Style{Font: &excelize.Font{Bold: true}})
	if err != nil {
		return err
	}
	layout := "yyyy-mm-dd hh:mm:ss"
	clock, err := f.NewStyle(&excelize.Style{CustomNumFmt: &layout})
	if err != nil {
		return err
	}
	sw, err := f.NewStreamWriter(t.Name) // a row at a time: the memory of one
	if err != nil {
		return err
	}
	head := make([]any, len(t.Columns))
	for i, c := range t.Columns {
		if c.Width > 0 {
			if err := sw.SetColWidth(i+1, i+1, c.Width); err != nil {
				return err
			}
		}
		head[i] = excelize.Cell{StyleID: bold, Value: c.Title}
	}
	if err := sw.SetPanes(&excelize.Panes{Freeze: true, YSplit: 1, TopLeftCell: "A2", ActivePane: "bottomLeft"}); err != nil {
		return err
	}
	if err := sw.SetRow("A1", head); err != nil {
		return err
	}
	for n, row := range t.Rows {
		cells := make([]any, len(row))
		for i, v := range row {
			cells[i] = cell(v, clock)
		}
		at, err := excelize.CoordinatesToCellName(1, n+2)
		if err != nil {
			return err
		}
		if err := sw.SetRow(at, cells); err != nil {
			return err
		}
	}
	return sw.Flush()
}

func cell(v any, clock int) any {
	switch v := v.(type) {
	case string:
		if len(v) > mostCell {
			v = cut(v, mostCell)
		}
		return v
	case time.Time:
		if v.IsZero() {
			return nil
		}
		// A sheet knows no zones: what the wall shows is written.
		_, offset := v.Zone()
		return excelize.Cell{StyleID: clock, Value: v.Add(time.Duration(offset) * time.Second).UTC()}
	}
	return v
}

// cut shortens a text to n bytes at the most, at a character.
func cut(s string, n int) string {
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
