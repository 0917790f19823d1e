// Package library keeps the recordings: it describes what ended, carries out what
// recorder/retention decides and what people want, and writes both into the manifests,
// so that a library made anew from the folders knows them.
//
//	goroutine     owner    ends when
//	Library.run   Library  Close
package library

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"tongxiang/internal/apierr"
	"tongxiang/internal/store"
	"tongxiang/recorder"
	"tongxiang/recorder/folder"
	"tongxiang/recorder/retention"
)

var (
	// ErrHeld: a recording under legal hold is neither deleted nor removed.
	ErrHeld = apierr.New(http.StatusConflict, "recording_held",
		"The recording is under legal hold; lift the hold first.", "该录制处于法定保留状态，请先解除保留。")
	// ErrRuns: a recording that runs is not deleted.
	ErrRuns = apierr.New(http.StatusConflict, "recording_runs",
		"The recording is still running; stop it first.", "录制仍在进行，请先停止。")
	// ErrRetention: the period cannot be read.
	ErrRetention = apierr.New(http.StatusUnprocessableEntity, "bad_retention",
		"Keep it for days (30d), years (10y), forever, as its class (class), or until a date.", "保留期限应为天数（30d）、年数（10y）、forever（永久）、class（按类别）或截止日期。")
)

// Config is what a library needs of the rest of the server.
type Config struct {
	Rules retention.Rules
	// Free returns what the recordings' disk has, in bytes.
	Free func() (int64, error)
	// Audit writes down what the library did by itself, and why.
	Audit func(ctx context.Context, action, target, detail string) error
	// Every is how often the rules are applied; 0: every ten minutes.
	Every time.Duration
	// Now is the time; nil: time.Now.
	Now func() time.Time
}

const (
	defaultEvery = 10 * time.Minute
	// settle is how long is waited before a recording that ended is looked at again,
	// while its further parts or its manifest are being written.
	settle = time.Second
	// maxWaiting bounds the recordings to be described; what is beyond is found again
	// at the next start.
	maxWaiting = 100_000
)

// Library is safe for concurrent use. Close it before the recorder and the store.
type Library struct {
	cfg   Config
	store *store.Store
	rec   *recorder.Recorder
	log   *slog.Logger
	wake  chan struct{}

	stop context.CancelFunc
	done chan struct{}

	edits    sync.Mutex // one change of an entry and its manifest at a time
	applying sync.Mutex // the rules are applied once at a time

	mu      sync.Mutex // guards what follows
	waiting []string   // ids of recordings to be described
	short   map[string]int64
}

// New starts the library.
func New(cfg Config, st *store.Store, rec *recorder.Recorder, log *slog.Logger) *Library {
	if cfg.Every == 0 {
		cfg.Every = defaultEvery
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	l := &Library{cfg: cfg, store: st, rec: rec, log: log, wake: make(chan struct{}, 1), done: make(chan struct{})}
	ctx, stop := context.WithCancel(context.Background())
	l.stop = stop
	go l.run(ctx)
	return l
}

// Close ends the library's goroutine. What it was about to do, the next start does.
func (l *Library) Close() {
	l.stop()
	<-l.done
}

// Ended is told of a recording that ended. It never blocks.
func (l *Library) Ended(rec store.Recording) {
	l.later(rec.ID)
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

func (l *Library) later(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.waiting) < maxWaiting {
		l.waiting = append(l.waiting, id)
	}
}

// run describes what ended and applies the rules until ctx ends.
func (l *Library) run(ctx context.Context) {
	defer close(l.done)
	ids, err := l.store.UndescribedRecordings(ctx, maxWaiting)
	if err != nil && ctx.Err() == nil {
		l.log.Error("recordings without a description were not looked for", "err", err)
	}
	for _, id := range ids {
		l.later(id)
	}
	apply := time.NewTimer(settle) // soon after a start, and then every so often
	defer apply.Stop()
	again := time.NewTicker(settle)
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-apply.C:
			l.Apply(ctx)
			apply.Reset(l.cfg.Every)
		case <-l.wake:
			l.describeWaiting(ctx)
		case <-again.C:
			l.describeWaiting(ctx)
		}
	}
}

// describeWaiting describes what waits for it, but for what still runs.
func (l *Library) describeWaiting(ctx context.Context) {
	l.mu.Lock()
	ids := l.waiting
	l.waiting = nil
	l.mu.Unlock()
	for i, id := range ids {
		if ctx.Err() != nil {
			return
		}
		if l.rec.Active(id) {
			l.later(id)
			continue
		}
		if err := l.Describe(ctx, id); err != nil && !errors.Is(err, store.ErrNotFound) && ctx.Err() == nil {
			l.log.Warn("recording is not described", "id", id, "err", err)
		}
		if i%100 == 99 {
			l.log.Info("describing recordings", "left", len(ids)-i-1)
		}
	}
}

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
	return l.rec.Keep(rec, d.body, d.chapters)
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

// Change changes what people may change of a recording. Retention is "class" for as
// long as its class, or as of [store.Recording].
func (l *Library) Change(ctx context.Context, id string, c store.RecordingChange) (store.Recording, error) {
	if c.Retention != nil {
		r := *c.Retention
		switch _, err := retention.Parse(r); {
		case r == "class":
			r = ""
		case r == "date" && c.Expires != nil:
		case err != nil:
			return store.Recording{}, ErrRetention.Because(err)
		}
		c.Retention = &r
	}
	return l.edit(ctx, func() (store.Recording, error) { return l.store.ChangeRecording(ctx, id, c) })
}

// Bin puts a recording into the recycle bin.
func (l *Library) Bin(ctx context.Context, id string) (store.Recording, error) {
	return l.edit(ctx, func() (store.Recording, error) {
		if _, err := l.removable(ctx, id); err != nil {
			return store.Recording{}, err
		}
		now := l.cfg.Now().UTC().Truncate(time.Microsecond)
		return l.store.BinRecording(ctx, id, &now)
	})
}

// Restore takes a recording out of the recycle bin. One whose time is over gets a new
// one, for ever, for it would go back at once.
func (l *Library) Restore(ctx context.Context, id string) (store.Recording, error) {
	return l.edit(ctx, func() (store.Recording, error) {
		rec, err := l.store.BinRecording(ctx, id, nil)
		if err != nil {
			return rec, err
		}
		if expires, ends := l.cfg.Rules.Expires(row(rec)); ends && !l.cfg.Now().Before(expires) {
			forever := retention.Forever
			return l.store.ChangeRecording(ctx, id, store.RecordingChange{Retention: &forever})
		}
		return rec, nil
	})
}

// edit carries out a change and writes it into the manifest.
func (l *Library) edit(ctx context.Context, change func() (store.Recording, error)) (store.Recording, error) {
	l.edits.Lock()
	defer l.edits.Unlock()
	rec, err := change()
	if err != nil {
		return rec, err
	}
	body, chapters, err := l.store.RecordingTexts(ctx, rec.ID)
	if err != nil {
		return rec, err
	}
	if err := l.rec.Keep(rec, body, chapters); err != nil {
		// The entry has it. A disk that is full must not keep anybody from deleting.
		l.log.Warn("change of a recording is not in its manifest", "id", rec.ID, "err", err)
	}
	return rec, nil
}

// removable returns a recording that may be removed.
func (l *Library) removable(ctx context.Context, id string) (store.Recording, error) {
	rec, err := l.store.Recording(ctx, id)
	switch {
	case err != nil:
		return rec, err
	case rec.State.Active() || l.rec.Active(id):
		return rec, ErrRuns
	case rec.Hold:
		return rec, ErrHeld
	}
	return rec, nil
}

// Purge removes a recording, its files first.
func (l *Library) Purge(ctx context.Context, id string) (store.Recording, error) {
	l.edits.Lock()
	defer l.edits.Unlock()
	rec, err := l.removable(ctx, id)
	if err != nil {
		return rec, err
	}
	if err := l.rec.Remove(rec); err != nil {
		return rec, err
	}
	return rec, l.store.DeleteRecording(ctx, id)
}

// Expires returns when a recording goes to the bin by itself; nil: never.
func (l *Library) Expires(rec store.Recording) *time.Time {
	expires, ends := l.cfg.Rules.Expires(row(rec))
	if !ends {
		return nil
	}
	expires = expires.UTC()
	return &expires
}

// row is a recording as the rules see it.
func row(rec store.Recording) retention.Row {
	x := retention.Row{
		ID: rec.ID, Class: rec.Class, Retention: rec.Retention, Expires: rec.Expires, Ended: rec.Started.Add(rec.Duration), Bytes: rec.Bytes,
		Active: rec.State.Active(), Hold: rec.Hold, Deleted: rec.Deleted,
	}
	if rec.Ended != nil {
		x.Ended = *rec.Ended
	}
	return x
}

// Apply carries out what the rules say now. run calls it; tests and operators may.
func (l *Library) Apply(ctx context.Context) {
	l.applying.Lock()
	defer l.applying.Unlock()
	if _, other := l.rec.Holder(); other {
		return // another server's folder, and its rules
	}
	var rows []retention.Row
	err := l.store.EachRecording(ctx, func(rec store.Recording) error {
		rows = append(rows, row(rec))
		return nil
	})
	if err != nil {
		if ctx.Err() == nil {
			l.log.Error("the library's rules were not applied", "err", err)
		}
		return
	}
	free := int64(-1)
	if l.cfg.Free != nil {
		if free, err = l.cfg.Free(); err != nil {
			l.log.Warn("free space is not known", "err", err)
			free = -1
		}
	}
	d := l.cfg.Rules.Decide(l.cfg.Now(), rows, free)
	for _, r := range d.Removals {
		if ctx.Err() != nil {
			return
		}
		l.remove(ctx, r)
	}
	l.tellShort(d.Short)
}

// remove carries out one decision. What was decided on may have changed: people who
// put it under hold were faster.
func (l *Library) remove(ctx context.Context, r retention.Removal) {
	var rec store.Recording
	var err error
	action := "recording.expire"
	if r.Action == retention.ToBin {
		rec, err = l.Bin(ctx, r.ID)
	} else {
		action = "recording.purge"
		rec, err = l.Purge(ctx, r.ID)
	}
	switch {
	case errors.Is(err, ErrHeld) || errors.Is(err, ErrRuns) || errors.Is(err, store.ErrNotFound):
		return
	case err != nil:
		l.log.Error("recording was not removed", "id", r.ID, "why", r.Reason, "err", err)
		return
	}
	l.log.Info("recording removed by rule", "id", r.ID, "what", r.Action, "why", r.Reason, "class", rec.Class, "title", rec.Title, "bytes", rec.Bytes)
	if l.cfg.Audit == nil {
		return
	}
	if err := l.cfg.Audit(ctx, action, r.ID, fmt.Sprintf("%s: %s", r.Reason, rec.Title)); err != nil {
		l.log.Error("removal of a recording is not in the audit", "id", r.ID, "err", err)
	}
}

// tellShort says once when a quota or the floor cannot be kept, and when it can again.
func (l *Library) tellShort(short map[string]int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for class, n := range short {
		if _, known := l.short[class]; known {
			continue
		}
		if class == "" {
			l.log.Error("the disk has less than library.floor, and nothing more may be removed", "bytes", n)
		} else {
			l.log.Error("a class has more than its quota, and nothing more of it may be removed", "class", class, "bytes", n)
		}
	}
	for class := range l.short {
		if _, still := short[class]; !still {
			l.log.Info("there is room again", "class", class)
		}
	}
	l.short = short
}

// Short returns how many bytes each class has beyond its quota though nothing of it
// may be removed; "" is the disk below its floor.
func (l *Library) Short() map[string]int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make(map[string]int64, len(l.short))
	for k, v := range l.short {
		out[k] = v
	}
	return out
}
