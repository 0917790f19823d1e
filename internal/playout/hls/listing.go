package hls

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"strconv"
	"strings"
	"sync"
)

// listing is a playlist, made and compressed once however many ask for it: on a thin
// line three playlists a second would else weigh as much as the sound.
type listing struct {
	once sync.Once
	text []byte

	packing sync.Once
	packed  []byte // nil: could not be
}

func newListing(text string) *listing {
	l := &listing{text: []byte(text)}
	l.once.Do(func() {})
	return l
}

// listing returns a media playlist as it is now, made once for all who ask for it.
func (x *session) listing(o *output) *listing {
	x.mu.RLock()
	defer x.mu.RUnlock()
	l := x.lists[o]
	if l == nil { // the output is being replaced
		return newListing(playlist(&o.win))
	}
	l.once.Do(func() { l.text = []byte(playlist(&o.win)) })
	return l
}

// pack returns the text compressed, nil when that failed.
func (l *listing) pack() []byte {
	l.packing.Do(func() {
		var b bytes.Buffer
		z, err := gzip.NewWriterLevel(&b, gzip.BestSpeed)
		if err != nil {
			return
		}
		if _, err := z.Write(l.text); err == nil && z.Close() == nil {
			l.packed = b.Bytes()
		}
	})
	return l.packed
}

// send answers with the playlist.
func (l *listing) send(w http.ResponseWriter, r *http.Request) error {
	h := w.Header()
	h.Set("Content-Type", "application/vnd.apple.mpegurl")
	h.Set("Cache-Control", "no-store")
	h.Set("Vary", "Accept-Encoding")
	body := l.text
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		if b := l.pack(); b != nil {
			h.Set("Content-Encoding", "gzip")
			body = b
		}
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	if r.Method == http.MethodHead {
		return nil
	}
	// The connection may be gone; there is nobody left to tell.
	_, _ = w.Write(body)
	return nil
}
