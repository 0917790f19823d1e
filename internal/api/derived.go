package api

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"tongxiang/internal/apierr"
	"tongxiang/internal/auth"
	"tongxiang/internal/store"
)

var errNotMade = apierr.New(http.StatusNotFound, "not_made",
	"This has not been made of the recording yet; ask for it as a job.", "该内容尚未生成，可通过任务生成。")

// made says what was made of a recording.
type made struct {
	Thumbnail bool `json:"thumbnail"`
	Sprite    bool `json:"sprite"`
	Low       bool `json:"low"`
	Export    bool `json:"export"`
}

// made fills in what was made of recordings. Without an answer of the store there is
// nothing to be had.
func (s *service) made(ctx context.Context, views []recordingView) {
	at := make(map[string]*recordingView, len(views))
	ids := make([]string, len(views))
	for i := range views {
		ids[i], at[views[i].ID] = views[i].ID, &views[i]
	}
	rows, err := s.Store.DerivedOf(ctx, ids...)
	if err != nil {
		s.Log.Error("what was made of recordings is not known", "err", err)
		return
	}
	for _, d := range rows {
		v := at[d.Recording]
		switch d.Kind {
		case "thumbnail":
			v.Has.Thumbnail = true
		case "sprite":
			v.Has.Sprite = true
		case "rendition":
			v.Has.Low = true
		case "export":
			v.Has.Export = true
		case "verify":
			v.Verified = json.RawMessage(d.Result)
		}
	}
}

// derived serves what was made of recordings, and the playlists.
func (s *service) derived(a huma.API, mux *http.ServeMux) {
	for _, d := range []struct{ path, id, what, kind, file string }{
		{"/thumbnail", "recording-thumbnail", "A picture of the recording", "image/jpeg", "thumb.jpg"},
		{"/sprite", "recording-sprite", "Pictures of the recording in rows, laid out as sprite.json says", "image/jpeg", "sprite.jpg"},
		{"/sprite.json", "recording-sprite-layout", "width and height of one picture, columns, rows, interval_ms, count", "application/json", "sprite.json"},
		{"/low", "recording-low", "The low rendition; supports Range", "video/mp4", "low.mp4"},
	} {
		s.serveRecording(a, mux, d.path, d.id, d.what, d.kind, func(w http.ResponseWriter, r *http.Request, _ auth.Principal, rec store.Recording) {
			s.serveMade(w, r, rec, d.file, d.kind)
		})
	}
	s.serveRecording(a, mux, "/export", "recording-export", "One plain MP4 of the recording, to be downloaded", "video/mp4", func(w http.ResponseWriter, r *http.Request, p auth.Principal, rec store.Recording) {
		if err := s.Auth.Audit(r.Context(), p, "recording.download", rec.ID, "ok", rec.Title); err != nil {
			apierr.Write(w, r, s.Log, err)
			return
		}
		name := rec.Title + " " + rec.Started.Format("2006-01-02 1504") + ".mp4"
		w.Header().Set("Content-Disposition", "attachment; filename*=UTF-8''"+url.PathEscape(name))
		s.serveMade(w, r, rec, "export.mp4", "video/mp4")
	})
	const m3u8 = "application/vnd.apple.mpegurl"
	s.serveRecording(a, mux, "/hls/index.m3u8", "recording-playlist", "HLS: both qualities where there is a low rendition, else ranges of the file", m3u8, s.playlist(func(rec store.Recording) ([]byte, error) {
		if b := s.Recorder.Master(rec, "full.m3u8", "low.m3u8"); b != nil {
			return b, nil
		}
		return s.Recorder.Playlist(rec, "../file")
	}))
	s.serveRecording(a, mux, "/hls/full.m3u8", "recording-full-playlist", "HLS: ranges of the file", m3u8, s.playlist(func(rec store.Recording) ([]byte, error) { return s.Recorder.Playlist(rec, "../file") }))
	s.serveRecording(a, mux, "/hls/low.m3u8", "recording-low-playlist", "HLS: ranges of the low rendition", m3u8, s.playlist(func(rec store.Recording) ([]byte, error) { return s.Recorder.LowPlaylist(rec, "../low") }))
}

// playlist serves what a function makes of a recording.
func (s *service) playlist(of func(store.Recording) ([]byte, error)) func(http.ResponseWriter, *http.Request, auth.Principal, store.Recording) {
	return func(w http.ResponseWriter, r *http.Request, _ auth.Principal, rec store.Recording) {
		b, err := of(rec)
		if err != nil {
			apierr.Write(w, r, s.Log, err)
			return
		}
		w.Header().Set("Content-Type", "application/vnd.apple.mpegurl")
		w.Header().Set("Cache-Control", "private, no-cache")
		w.Header().Set("Vary", "Accept-Encoding")
		if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") { // three hours are 300 kB, a second and a half of a thin line
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			_, err := z.Write(b)
			if err = errors.Join(err, z.Close()); err != nil {
				s.Log.Debug("playlist was not sent", "recording", rec.ID, "err", err) // the connection may be gone
			}
			return
		}
		// The connection may be gone; there is nobody left to tell.
		_, _ = w.Write(b)
	}
}

// serveMade serves a file below a recording's derived folder.
func (s *service) serveMade(w http.ResponseWriter, r *http.Request, rec store.Recording, name, kind string) {
	if path.Base(path.Dir(filepath.ToSlash(rec.File))) != rec.ID { // a file of versions before folders
		apierr.Write(w, r, s.Log, errNotMade)
		return
	}
	f, err := s.Recorder.Open(rec, "derived/"+name)
	if err != nil {
		w.Header().Del("Content-Disposition")
		apierr.Write(w, r, s.Log, errNotMade.Because(err))
		return
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		apierr.Write(w, r, s.Log, errNotMade.Because(err))
		return
	}
	w.Header().Set("Content-Type", kind)
	w.Header().Set("ETag", fmt.Sprintf(`"%x-%x"`, info.ModTime().UnixNano(), info.Size()))
	w.Header().Set("Cache-Control", "private, no-cache")
	http.ServeContent(w, r, "", time.Time{}, f)
}
