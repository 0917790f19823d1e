package scheduler

import (
	"strings"

	"tongxiang/internal/store"
	"tongxiang/internal/stream"
	"tongxiang/recorder/schedule"
)

func eventsOf(rows []store.EPGEvent) []schedule.Event {
	out := make([]schedule.Event, len(rows))
	for i, row := range rows {
		out[i] = eventOf(row)
	}
	return out
}

func eventOf(row store.EPGEvent) schedule.Event {
	e := schedule.Event{EventID: eventID(streamOf(row.Channel), row.ID), Title: row.Title, Text: row.Summary, Start: row.Start, End: row.End}
	if row.Text != "" && e.Text != "" {
		e.Text += " "
	}
	e.Text += row.Text
	// The numbers are those of EN 300 468; off air is not running.
	switch row.Running {
	case 1, 5:
		e.Running = schedule.NotRunning
	case 2:
		e.Running = schedule.StartsSoon
	case 3:
		e.Running = schedule.Paused
	case 4:
		e.Running = schedule.IsRunning
	}
	return e
}

func eventID(name string, id int) schedule.EventID {
	return schedule.EventID{Stream: name, ID: uint32(id)}
}

func keyOf(id schedule.EventID) store.EPGKey {
	return store.EPGKey{Channel: strings.TrimPrefix(id.Stream, "channels/"), ID: int(id.ID)}
}

// streamOf returns the stream of a channel.
func streamOf(channel string) string { return stream.Channel(channel).String() }
