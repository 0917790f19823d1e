package ingest

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"

	"tongxiang/ingest/mpegts"
	"tongxiang/ingest/source"
	"tongxiang/internal/media"
	"tongxiang/internal/stream"
)

// receive runs data through the HTTP source, which does not pace, and counts the
// frames and the pictures where one can start.
func receive(t *testing.T, data []byte) (rep source.Report, frames, syncs uint64) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(data) }))
	defer server.Close()
	u, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	src, err := mpegts.New(u, 0)
	if err != nil {
		t.Fatal(err)
	}
	hub := stream.NewHub(slog.New(slog.DiscardHandler))
	defer hub.Close()
	pub, err := hub.Publish(stream.Channel("x"), false)
	if err != nil {
		t.Fatal(err)
	}
	defer pub.Close()
	var mu sync.Mutex
	out := &source.Output{
		Publisher: pub, Timeline: new(media.Timeline), Clock: media.NewClock(), Log: slog.New(slog.DiscardHandler),
		Report: func(r source.Report) {
			mu.Lock()
			defer mu.Unlock()
			rep = r
		},
	}
	if err := src.Run(t.Context(), out); source.CauseOf(err) != source.CauseEnded {
		t.Fatal(err)
	}
	sub := hub.Open(stream.Channel("x"))
	defer sub.Close()
	for _, track := range sub.Tracks() {
		s := track.Stats()
		frames += s.Items
		if track.Kind() == media.Video {
			syncs += s.Syncs
		}
	}
	mu.Lock()
	defer mu.Unlock()
	return rep, frames, syncs
}
