package library

import (
	"context"
	"errors"
	"io"
	"path/filepath"
	"strings"

	"tongxiang/internal/store"
	"tongxiang/recorder/folder"
)

// Describe finds out who and what is in a recording that ended, makes it searchable by
// that, and writes it into its manifest.
func (l *Library) Describe(ctx context.Context, id string) error {
	l.edits.Lock()
	defer l.edits.Unlock()
	rec, err := l.store.Recording(ctx, id)
	if err != nil {
		return err
	}
	s := sources{from: rec.Started, to: rec.Started.Add(rec.Duration)}
	m, has := l.rec.Kept(rec)
	if has && !m.Media.IsZero() {
		s.from = m.Media
		s.to = m.Media.Add(rec.Duration)
	}
	if id, ok := meetingOf(rec.Stream); ok {
		if s.events, err = l.store.MeetingEvents(ctx, id, 0); err != nil {
			return err
		}
		if s.shots, err = l.store.MeetingShots(ctx, id, s.to); err != nil {
			return err
		}
	} else if id, ok := channelOf(rec.Stream); ok {
		if s.guide, _, err = l.store.EPG(ctx, store.EPGFilter{Channel: id, From: s.from, To: s.to}, store.Page{Limit: store.MaxPage}); err != nil {
			return err
		}
	}
	s.captions = l.captions(rec)
	d := describe(s)
	body, chapters, err := l.store.RecordingTexts(ctx, id)
	if err != nil {
		return err
	}
	if d.body == "" { // the log is gone: what is known already stays
		d.body = body
	}
	if len(d.chapters) == 0 {
		d.chapters = chapters
	}
	change := store.RecordingChange{}
	if len(rec.People) == 0 && len(d.people) > 0 {
		change.People = &d.people
	}
	if len(rec.Units) == 0 && len(d.units) > 0 {
		change.Units = &d.units
	}
	if change.People != nil || change.Units != nil {
		if rec, err = l.store.ChangeRecording(ctx, id, change); err != nil {
			return err
		}
	}
	if err := l.store.PutRecordingTexts(ctx, id, d.body, d.chapters); err != nil {
		return err
	}
	err = l.rec.Keep(rec, d.body, d.chapters)
	return errors.Join(err, l.measure(ctx, rec)) // the manifest counts
}

// captions returns the text of a recording's captions: derived/captions.vtt or .srt,
// where somebody or something put one.
func (l *Library) captions(rec store.Recording) string {
	for _, name := range []string{"captions.vtt", "captions.srt"} {
		f, err := l.rec.Open(rec, filepath.Join(folder.DerivedName, name))
		if err != nil {
			continue
		}
		b, err := io.ReadAll(io.LimitReader(f, 4*maxBody))
		// Nothing was written.
		_ = f.Close()
		if err == nil {
			return spoken(string(b))
		}
	}
	return ""
}

// spoken returns the lines of captions (WebVTT, SubRip) without times and numbers.
func spoken(captions string) string {
	var out []string
	for line := range strings.Lines(captions) {
		line = strings.TrimSpace(strings.TrimPrefix(line, "\ufeff"))
		if line == "" || strings.Contains(line, "-->") || strings.HasPrefix(line, "WEBVTT") || strings.Trim(line, "0123456789") == "" {
			continue
		}
		out = append(out, line)
	}
	return strings.Join(out, "\n")
}

func meetingOf(stream string) (string, bool) {
	rest, ok := strings.CutPrefix(stream, "meetings/")
	id, _, _ := strings.Cut(rest, "/")
	return id, ok
}

func channelOf(stream string) (string, bool) {
	id, ok := strings.CutPrefix(stream, "channels/")
	return id, ok
}
