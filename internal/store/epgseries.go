package store

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// EPGTitle is what is read of every event when a title is looked for.
type EPGTitle struct {
	EPGKey
	Title string
}

// mostHints bounds the conditions of EachEPGTitle: with more, it is quicker to return
// all titles.
const mostHints = 20

// EachEPGTitle calls f for the title of every event that touches [from, to), one
// after another: the guide may have a million. It reads an index, not the events. With
// hints, titles that have none of them are left out, unless there are too many hints.
func (s *Store) EachEPGTitle(ctx context.Context, from, to time.Time, hints []string, f func(EPGTitle)) error {
	// Nothing lasts longer than three days (internal/epg), so the index has a beginning.
	const longest = 72 * time.Hour
	query := "SELECT title, channel, event_id FROM epg_events WHERE starts >= $1 AND starts < $2 AND ends > $3"
	args := []any{micros(from.Add(-longest)), micros(to), micros(from)}
	if len(hints) > 0 && len(hints) <= mostHints {
		conds := make([]string, len(hints))
		for i, h := range hints {
			args = append(args, "%"+likeText(h)+"%")
			conds[i] = fmt.Sprintf(`title LIKE $%d ESCAPE '\'`, len(args))
		}
		query += " AND (" + strings.Join(conds, " OR ") + ")"
	}
	rows, err := s.read.QueryContext(ctx, query, args...)
	if err != nil {
		return fmt.Errorf("look through the programme guide: %w", classify(err))
	}
	defer rows.Close()
	var t EPGTitle
	for rows.Next() {
		if err := rows.Scan(&t.Title, &t.Channel, &t.ID); err != nil {
			return fmt.Errorf("look through the programme guide: %w", err)
		}
		f(t)
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("look through the programme guide: %w", classify(err))
	}
	return nil
}

// EPGEvents returns events by their keys, those that there are, in no order.
func (s *Store) EPGEvents(ctx context.Context, keys []EPGKey) ([]EPGEvent, error) {
	stmt, err := s.read.PrepareContext(ctx, "SELECT "+epgColumns+" FROM epg_events WHERE channel = $1 AND event_id = $2")
	if err != nil {
		return nil, fmt.Errorf("read events of the programme guide: %w", classify(err))
	}
	defer stmt.Close()
	out := make([]EPGEvent, 0, len(keys))
	for _, k := range keys {
		rows, err := stmt.QueryContext(ctx, k.Channel, k.ID)
		if err != nil {
			return nil, fmt.Errorf("read events of the programme guide: %w", classify(err))
		}
		for rows.Next() { // one at the most
			var e EPGEvent
			if err := scanEPG(rows, &e); err != nil {
				rows.Close()
				return nil, fmt.Errorf("read events of the programme guide: %w", err)
			}
			out = append(out, e)
		}
		err = rows.Err()
		rows.Close()
		if err != nil {
			return nil, fmt.Errorf("read events of the programme guide: %w", classify(err))
		}
	}
	return out, nil
}

// EPGChanged returns the events of which something changed after a moment, in that
// order, most of them at the most.
func (s *Store) EPGChanged(ctx context.Context, after time.Time, most int) ([]EPGEvent, error) {
	l, err := many(ctx, s.read, scanEPG, fmt.Sprintf("SELECT %s FROM epg_events WHERE changed > $1 ORDER BY changed LIMIT %d", epgColumns, most), micros(after))
	if err != nil {
		return nil, fmt.Errorf("read what changed in the programme guide: %w", err)
	}
	return l, nil
}
