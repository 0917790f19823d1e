package store

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"
)

// EPGEvent is an entry of a channel's programme guide.
type EPGEvent struct {
	Channel  string
	ID       int // unique within the channel at a time; broadcasters use ids again
	Start    time.Time
	End      time.Time
	Title    string
	Summary  string
	Text     string
	Language string // ISO 639-2
	// Running is the running_status of ETSI EN 300 468 table 6: 0 not known, 1 not
	// running, 2 starts in a few seconds, 3 pausing, 4 running, 5 off air.
	Running   int
	Genre     int // content_nibble_level_1 and _2 (table 29); 0: not said
	Rating    int // youngest age; 0: not said
	Scrambled bool
	Changed   time.Time // when what is said of it last changed
}

// EPGFilter chooses events; empty fields mean any.
type EPGFilter struct {
	Channel string
	From    time.Time // that end after it
	To      time.Time // that begin before it
	Text    string    // in title, summary or text; capitals do not matter in ASCII
}

const epgColumns = "channel, event_id, starts, ends, title, summary, text, language, running, genre, rating, scrambled, changed"

func scanEPG(r scanner, e *EPGEvent) error {
	return r.Scan(&e.Channel, &e.ID, at{&e.Start}, at{&e.End}, &e.Title, &e.Summary, &e.Text, &e.Language,
		&e.Running, &e.Genre, &e.Rating, &e.Scrambled, at{&e.Changed})
}

// EPGKey names an event of a channel.
type EPGKey struct {
	Channel string
	ID      int
}

// PutEPG adds events, replaces those with the same channel and id, and removes
// others, all at once.
func (s *Store) PutEPG(ctx context.Context, events []EPGEvent, remove []EPGKey) error {
	err := s.tx(ctx, func(tx *sql.Tx) error {
		del, err := tx.PrepareContext(ctx, "DELETE FROM epg_events WHERE channel = $1 AND event_id = $2")
		if err != nil {
			return err
		}
		defer del.Close()
		for _, k := range remove {
			if _, err := del.ExecContext(ctx, k.Channel, k.ID); err != nil {
				return err
			}
		}
		put, err := tx.PrepareContext(ctx, "INSERT INTO epg_events ("+epgColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
			ON CONFLICT (channel, event_id) DO UPDATE SET starts = excluded.starts, ends = excluded.ends, title = excluded.title,
			summary = excluded.summary, text = excluded.text, language = excluded.language, running = excluded.running,
			genre = excluded.genre, rating = excluded.rating, scrambled = excluded.scrambled, changed = excluded.changed`)
		if err != nil {
			return err
		}
		defer put.Close()
		for _, e := range events {
			_, err := put.ExecContext(ctx, e.Channel, e.ID, micros(e.Start), micros(e.End), e.Title, e.Summary, e.Text, e.Language,
				e.Running, e.Genre, e.Rating, e.Scrambled, micros(e.Changed))
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("put %d events of the programme guide: %w", len(events), err)
	}
	return nil
}

// EPG returns a page of events by start, and how many match.
func (s *Store) EPG(ctx context.Context, f EPGFilter, p Page) ([]EPGEvent, int, error) {
	var w where
	if f.Channel != "" {
		w.add("channel = ?", f.Channel)
	}
	if !f.From.IsZero() {
		w.add("ends > ?", micros(f.From))
	}
	if !f.To.IsZero() {
		w.add("starts < ?", micros(f.To))
	}
	if f.Text != "" {
		// One condition, so that one argument serves all three columns.
		w.add(`LOWER(title || ' ' || summary || ' ' || text) LIKE ? ESCAPE '\'`, "%"+likeText(strings.ToLower(f.Text))+"%")
	}
	l, total, err := page(ctx, s, scanEPG, epgColumns, "epg_events", "starts, channel, event_id", w, p)
	if err != nil {
		return nil, 0, fmt.Errorf("list the programme guide: %w", err)
	}
	return l, total, nil
}

// likeText makes the signs that LIKE knows stand for themselves.
func likeText(s string) string {
	return strings.NewReplacer(`\`, `\\`, "%", `\%`, "_", `\_`).Replace(s)
}

// EPGSince returns all events that end after a moment, for the guide's own memory.
func (s *Store) EPGSince(ctx context.Context, t time.Time) ([]EPGEvent, error) {
	l, err := many(ctx, s.read, scanEPG, "SELECT "+epgColumns+" FROM epg_events WHERE ends > $1 ORDER BY channel, starts", micros(t))
	if err != nil {
		return nil, fmt.Errorf("read the programme guide: %w", err)
	}
	return l, nil
}

// PruneEPG removes the events that ended before a moment and returns how many there were.
func (s *Store) PruneEPG(ctx context.Context, before time.Time) (int64, error) {
	n, err := s.exec(ctx, "DELETE FROM epg_events WHERE ends < $1", micros(before))
	if err != nil {
		return 0, fmt.Errorf("prune the programme guide: %w", err)
	}
	return n, nil
}

// DeleteEPG removes all events of a channel.
func (s *Store) DeleteEPG(ctx context.Context, channel string) error {
	if _, err := s.exec(ctx, "DELETE FROM epg_events WHERE channel = $1", channel); err != nil {
		return fmt.Errorf("delete the programme guide of %q: %w", channel, err)
	}
	return nil
}
