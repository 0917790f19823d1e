package api

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"tongxiang/internal/apierr"
	"tongxiang/internal/auth"
	"tongxiang/internal/store"
	"tongxiang/internal/stream"
)

// Library keeps the recordings.
type Library interface {
	Change(ctx context.Context, id string, c store.RecordingChange) (store.Recording, error)
	// Bin puts a recording into the recycle bin, Restore takes it out, Purge removes it
	// and its files. The errors tell what runs and what is under hold.
	Bin(ctx context.Context, id string) (store.Recording, error)
	Restore(ctx context.Context, id string) (store.Recording, error)
	Purge(ctx context.Context, id string) (store.Recording, error)
	// Expires returns when a recording goes to the bin by itself; nil: never.
	Expires(store.Recording) *time.Time
	// Purges returns when what is in the bin is removed by itself; nil: never, or it is
	// not in the bin.
	Purges(store.Recording) *time.Time
}

var (
	errBadCursor = apierr.New(http.StatusUnprocessableEntity, "bad_cursor",
		"The cursor is not of this list; begin with the first page.", "翻页标记与此列表不符，请从第一页开始。")
	errExpiresWithRetention = apierr.New(http.StatusUnprocessableEntity, "bad_retention",
		"Give either expires or retention.", "expires 与 retention 只能选择其一。")
)

// recordingPage is the body of the library's list.
type recordingPage struct {
	Body struct {
		Items []recordingView `json:"items"`
		Total int             `json:"total" doc:"How many match; of a search no more than 10000 are counted"`
		More  bool            `json:"more,omitempty" doc:"There are more than total, which is a lower bound then"`
		Next  string          `json:"next" doc:"cursor of the next page; empty: this is the last"`
	}
}

// filter returns the filter in the store's words.
func (l *LibraryQuery) filter() store.LibraryFilter {
	f := store.LibraryFilter{
		Text: l.Q, Class: l.Class, Stream: l.Stream, Person: l.Person, Unit: l.Unit, State: l.state(), Deleted: l.Deleted, Sort: l.Sort,
	}
	if !l.From.IsZero() {
		f.From = &l.From
	}
	if !l.To.IsZero() {
		f.To = &l.To
	}
	return f
}

func (s *service) listRecordings(ctx context.Context, in *recordingList) (*recordingPage, error) {
	l, err := s.Store.Library(ctx, in.filter(), store.LibraryPage{Limit: in.Limit, Offset: in.Offset, Cursor: in.Cursor})
	if errors.Is(err, store.ErrBadCursor) {
		return nil, problem(errBadCursor.Because(err))
	}
	if err != nil {
		return nil, problem(err)
	}
	ids := make([]string, len(l.Recordings))
	for i, r := range l.Recordings {
		ids[i] = r.ID
	}
	seen, err := s.Store.RecordingViews(ctx, principal(ctx).ID, ids)
	if err != nil {
		return nil, problem(err)
	}
	out := &recordingPage{}
	out.Body.Items = make([]recordingView, len(l.Recordings))
	for i, r := range l.Recordings {
		v := s.recordingView(r, in.Language)
		v.Position, v.Watched = seen[r.ID].Position.Milliseconds(), seen[r.ID].Watched
		out.Body.Items[i] = v
	}
	s.made(ctx, out.Body.Items)
	out.Body.Total, out.Body.More, out.Body.Next = l.Total, l.More, l.Next
	return out, nil
}

// libraryView adds what the library knows.
func (s *service) libraryView(v *recordingView, r store.Recording) {
	v.Retention, v.Expires, v.Hold, v.Deleted, v.People, v.Units = r.Retention, r.Expires, r.Hold, r.Deleted, r.People, r.Units
	if v.Retention == "" {
		v.Retention = "class"
	}
	if s.Library != nil {
		v.Expires, v.Purges = s.Library.Expires(r), s.Library.Purges(r)
	}
	if v.People == nil {
		v.People = []string{}
	}
	if v.Units == nil {
		v.Units = []string{}
	}
}

// wholeRecording answers with all that is known of one recording.
func (s *service) wholeRecording(ctx context.Context, r store.Recording, language string) (*body[recordingView], error) {
	v := s.recordingView(r, language)
	_, chapters, err := s.Store.RecordingTexts(ctx, r.ID)
	if err != nil {
		return nil, problem(err)
	}
	seen, err := s.Store.RecordingViews(ctx, principal(ctx).ID, []string{r.ID})
	if err != nil {
		return nil, problem(err)
	}
	v.Chapters = chapters
	v.Position, v.Watched = seen[r.ID].Position.Milliseconds(), seen[r.ID].Watched
	views := []recordingView{v}
	s.made(ctx, views)
	return &body[recordingView]{views[0]}, nil
}

type recordingChange struct {
	ByID
	Language string `header:"Accept-Language"`
	Body     struct {
		Title     *string    `json:"title,omitempty" minLength:"1" maxLength:"200"`
		Class     *string    `json:"class,omitempty" enum:"meeting,news,training,agriculture,"`
		Hold      *bool      `json:"hold,omitempty" doc:"Legal hold; takes the right to delete recordings"`
		Retention *string    `json:"retention,omitempty" maxLength:"20" doc:"class, forever, days (30d) or years (10y) after its end"`
		Expires   *time.Time `json:"expires,omitempty" doc:"Keep it until then, instead of retention"`
		People    *[]string  `json:"people,omitempty" maxItems:"300"`
		Units     *[]string  `json:"units,omitempty" maxItems:"300"`
	}
}

type recordingRemoval struct {
	ByID
	Purge bool `query:"purge" doc:"Remove it and its files for ever"`
}

type recordingPosition struct {
	ByID
	Body struct {
		Position int64 `json:"position_ms" minimum:"0" maximum:"3153600000000"`
		Watched  *bool `json:"watched,omitempty" doc:"Default: the position is in the last twentieth"`
	}
}

// libraryChanges registers what people do with recordings that are there.
func (s *service) libraryChanges(a huma.API) {
	huma.Register(a, op("PATCH", "/recordings/{id}", "change-recording", "Change what is said of a recording, and how long it is kept", auth.ManageRecordings, http.StatusOK), s.changeRecording)
	huma.Register(a, op("DELETE", "/recordings/{id}", "delete-recording", "Put a recording into the recycle bin, or remove it for ever", auth.DeleteRecordings, http.StatusNoContent), s.deleteRecording)
	huma.Register(a, op("POST", "/recordings/{id}/restore", "restore-recording", "Take a recording out of the recycle bin", auth.DeleteRecordings, http.StatusOK), func(ctx context.Context, in *recordingID) (*body[recordingView], error) {
		if _, err := s.mine(ctx, in.ID, auth.DeleteRecordings); err != nil {
			return nil, err
		}
		r, err := s.Library.Restore(ctx, in.ID)
		if err != nil {
			return nil, found(err)
		}
		if err := s.audit(ctx, "recording.restore", r.ID, r.Title); err != nil {
			return nil, err
		}
		return s.wholeRecording(ctx, r, in.Language)
	})
	huma.Register(a, op("GET", "/recordings/{id}/chapters", "list-chapters", "The chapters of a recording", auth.SeeRecordings, http.StatusOK), func(ctx context.Context, in *ByID) (*list[store.Chapter], error) {
		if _, err := s.Store.Recording(ctx, in.ID); err != nil {
			return nil, found(err)
		}
		_, chapters, err := s.Store.RecordingTexts(ctx, in.ID)
		if err != nil {
			return nil, problem(err)
		}
		return listOf(chapters, len(chapters)), nil
	})
	huma.Register(a, op("PUT", "/recordings/{id}/position", "put-position", "Note where the asker stopped", auth.SeeRecordings, http.StatusNoContent), func(ctx context.Context, in *recordingPosition) (*struct{}, error) {
		r, err := s.Store.Recording(ctx, in.ID)
		if err != nil {
			return nil, found(err)
		}
		v := store.RecordingView{Recording: r.ID, Viewer: principal(ctx).ID, Position: time.Duration(in.Body.Position) * time.Millisecond, At: time.Now()}
		v.Watched = r.Duration > 0 && v.Position >= r.Duration-r.Duration/20
		if in.Body.Watched != nil {
			v.Watched = *in.Body.Watched
		}
		if err := s.Store.PutRecordingView(ctx, v); err != nil {
			return nil, found(err)
		}
		return nil, nil
	})
}

// mine returns a recording to which the caller may do something.
func (s *service) mine(ctx context.Context, id string, a auth.Action) (store.Recording, error) {
	r, err := s.Store.Recording(ctx, id)
	if err != nil {
		return r, found(err)
	}
	if s.Library == nil || s.Recorder == nil {
		return r, problem(errNoRecorder)
	}
	if name, err := stream.ParseName(r.Stream); err == nil && !principal(ctx).May(a, name) {
		return r, problem(auth.ErrForbidden)
	}
	return r, nil
}

func (s *service) changeRecording(ctx context.Context, in *recordingChange) (*body[recordingView], error) {
	old, err := s.mine(ctx, in.ID, auth.ManageRecordings)
	if err != nil {
		return nil, err
	}
	b := in.Body
	if b.Hold != nil && *b.Hold != old.Hold {
		if _, err := s.mine(ctx, in.ID, auth.DeleteRecordings); err != nil {
			return nil, err
		}
	}
	c := store.RecordingChange{Title: b.Title, Class: b.Class, Hold: b.Hold, Retention: b.Retention, People: b.People, Units: b.Units}
	if b.Expires != nil {
		if b.Retention != nil && *b.Retention != "date" {
			return nil, problem(errExpiresWithRetention)
		}
		date, until := "date", b.Expires.UTC().Truncate(time.Microsecond)
		c.Retention, c.Expires = &date, &until
	}
	r, err := s.Library.Change(ctx, in.ID, c)
	if err != nil {
		return nil, found(err)
	}
	if err := s.audit(ctx, "recording.change", r.ID, changed(old, r)); err != nil {
		return nil, err
	}
	return s.wholeRecording(ctx, r, in.Language)
}

// changed says what was changed, for the audit.
func changed(old, r store.Recording) string {
	out := []string{r.Title}
	if r.Title != old.Title {
		out = append(out, "was "+old.Title)
	}
	if r.Class != old.Class {
		out = append(out, "class "+r.Class)
	}
	if r.Hold != old.Hold {
		out = append(out, map[bool]string{true: "hold", false: "hold lifted"}[r.Hold])
	}
	if r.Retention != old.Retention || r.Expires != nil {
		kept := "kept " + r.Retention
		if r.Retention == "" {
			kept = "kept as its class"
		}
		if r.Expires != nil {
			kept = "kept until " + r.Expires.Format(time.RFC3339)
		}
		out = append(out, kept)
	}
	return strings.Join(out, "; ")
}

func (s *service) deleteRecording(ctx context.Context, in *recordingRemoval) (*struct{}, error) {
	r, err := s.mine(ctx, in.ID, auth.DeleteRecordings)
	if err != nil {
		return nil, err
	}
	do, action := s.Library.Bin, "recording.delete"
	if in.Purge {
		do, action = s.Library.Purge, "recording.purge"
	}
	if _, err := do(ctx, r.ID); err != nil {
		return nil, found(err)
	}
	return nil, s.audit(ctx, action, r.ID, r.Title)
}

// views remembers who is watching what, so that the audit has one entry for each
// time somebody sits down to watch, and not for each of a player's requests.
type views struct {
	mu   sync.Mutex
	last map[view]time.Time
}

type view struct{ viewer, recording string }

const (
	// viewPause ends a view: who comes back later begins another one.
	viewPause = 30 * time.Minute
	maxViews  = 10_000
)

// begins reports whether a request begins a view.
func (v *views) begins(viewer, recording string, now time.Time) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	k := view{viewer, recording}
	was, ok := v.last[k]
	if len(v.last) >= maxViews && !ok {
		for o, t := range v.last {
			if now.Sub(t) >= viewPause {
				delete(v.last, o)
			}
		}
		if len(v.last) >= maxViews {
			return true // rather one entry too many
		}
	}
	if v.last == nil {
		v.last = make(map[view]time.Time)
	}
	v.last[k] = now
	return !ok || now.Sub(was) >= viewPause || now.Before(was)
}

// viewed writes down that somebody begins to watch a recording. A view that cannot be
// written down does not take place.
func (s *service) viewed(r *http.Request, p auth.Principal, rec store.Recording, path string) error {
	if path != "/file" && !strings.HasPrefix(path, "/hls/") || r.URL.Query().Has("download") || r.Method == http.MethodHead {
		return nil
	}
	if !s.views.begins(p.ID, rec.ID, time.Now()) {
		return nil
	}
	if err := s.Auth.Audit(r.Context(), p, "recording.view", rec.ID, "ok", rec.Title); err != nil {
		s.views.forget(p.ID, rec.ID)
		return err
	}
	return nil
}

func (v *views) forget(viewer, recording string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.last, view{viewer, recording})
}
