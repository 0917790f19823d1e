package api

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"tongxiang/internal/apierr"
	"tongxiang/internal/auth"
	"tongxiang/internal/store"
)

var errEmptyEntry = apierr.New(http.StatusUnprocessableEntity, "shiftlog_empty",
	"There is nothing in this entry.", "值班记录没有内容。")

type shiftView struct {
	ID     string    `json:"id"`
	At     time.Time `json:"at"`
	Author string    `json:"author" doc:"Id of the account"`
	Name   string    `json:"name" doc:"Of the author, as it was then"`
	Kind   string    `json:"kind" enum:"note,fault,handover"`
	Text   string    `json:"text"`
}

func shiftViewOf(e store.ShiftEntry) shiftView {
	return shiftView{e.ID, e.At, e.Author, e.Name, e.Kind, e.Text}
}

type shiftList struct {
	Page
	Text string    `query:"q" maxLength:"100" doc:"In the text or in the author's name"`
	Kind string    `query:"kind" enum:"note,fault,handover"`
	From time.Time `query:"from"`
	To   time.Time `query:"to"`
}

func (l *shiftList) filter() store.ShiftFilter {
	f := store.ShiftFilter{Text: l.Text, Kind: l.Kind}
	if !l.From.IsZero() {
		f.From = &l.From
	}
	if !l.To.IsZero() {
		f.To = &l.To
	}
	return f
}

type newShiftEntry struct {
	Body struct {
		Text string `json:"text" minLength:"1" maxLength:"2000"`
		Kind string `json:"kind,omitempty" enum:"note,fault,handover" default:"note"`
	}
}

// shiftLog is the log of those on duty. There is no change and no removal: that is
// what a log is for.
func (s *service) shiftLog(a huma.API) {
	huma.Register(a, op("GET", "/shiftlog", "list-shift-log", "The shift log, newest first", auth.KeepShiftLog, http.StatusOK), func(ctx context.Context, in *shiftList) (*list[shiftView], error) {
		rows, total, err := s.Store.ShiftLog(ctx, in.filter(), in.store())
		if err != nil {
			return nil, problem(err)
		}
		out := make([]shiftView, len(rows))
		for i, e := range rows {
			out[i] = shiftViewOf(e)
		}
		return listOf(out, total), nil
	})
	huma.Register(a, op("POST", "/shiftlog", "add-shift-entry", "Write an entry into the shift log", auth.KeepShiftLog, http.StatusCreated), func(ctx context.Context, in *newShiftEntry) (*body[shiftView], error) {
		text := strings.TrimSpace(in.Body.Text)
		if text == "" {
			return nil, problem(inField(errEmptyEntry, "text"))
		}
		p := principal(ctx)
		e := store.ShiftEntry{ID: store.NewID(), At: time.Now().UTC().Truncate(time.Microsecond), Author: p.ID, Name: p.Name, Kind: in.Body.Kind, Text: text}
		if e.Kind == "" {
			e.Kind = "note"
		}
		if u, err := s.Store.User(ctx, p.ID); err == nil && u.Display != "" { // as people call each other
			e.Name = u.Display
		}
		if err := s.Store.AddShiftEntry(ctx, e); err != nil {
			return nil, problem(err)
		}
		return &body[shiftView]{shiftViewOf(e)}, s.audit(ctx, "shiftlog.add", e.ID, e.Kind)
	})
}
