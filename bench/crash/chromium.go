package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"time"
)

// player plays a file from its last two seconds to its end, and says what it saw.
const player = `<!doctype html><video muted></video><script>
const v = document.querySelector('video')
const say = (what) => fetch('/said', { method: 'POST', body: JSON.stringify(what) })
v.onerror = () => say({ error: v.error.message || 'error ' + v.error.code })
v.onloadedmetadata = () => { v.currentTime = Math.max(0, v.duration - 2); v.play() }
v.onended = () => say({ at: v.currentTime, duration: v.duration, pictures: v.getVideoPlaybackQuality().totalVideoFrames })
setTimeout(() => say({ error: 'not at its end after 30 s, at ' + v.currentTime }), 30000)
v.src = '/file'
</script>`

// chromium plays one recording of a channel and one of a meeting in a browser. The
// page comes from here and asks the server for the file through here, so that it
// needs no account.
func (s *server) chromium(ctx context.Context) (string, error) {
	if err := s.start(ctx); err != nil {
		return "", err
	}
	var list struct{ Items []view }
	if err := s.get(ctx, "/api/v1/recordings?limit=500", &list); err != nil {
		return "", err
	}
	var out []string
	var errs []error
	for _, prefix := range []string{"channels/", "meetings/"} {
		for _, v := range list.Items {
			if strings.HasPrefix(v.Stream, prefix) && v.Format == "fmp4" && v.Duration > 3 {
				what, err := s.play(ctx, v)
				out, errs = append(out, prefix+" "+what), append(errs, err)
				break
			}
		}
	}
	return strings.Join(out, "; "), errors.Join(errs...)
}

type said struct {
	Error                  string
	At, Duration, Pictures float64
}

func (s *server) play(ctx context.Context, v view) (string, error) {
	ctx, stop := context.WithTimeout(ctx, time.Minute)
	defer stop()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	heard := make(chan said, 4)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(player)) })
	mux.HandleFunc("GET /file", func(w http.ResponseWriter, r *http.Request) {
		req, err := http.NewRequestWithContext(r.Context(), http.MethodGet, s.url+"/api/v1/recordings/"+v.ID+"/file", nil)
		if err != nil {
			return
		}
		req.Header.Set("Authorization", "Bearer "+s.bearer)
		req.Header.Set("Range", r.Header.Get("Range"))
		res, err := s.http.Do(req)
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		defer res.Body.Close()
		for _, h := range []string{"Content-Type", "Content-Range", "Content-Length", "Accept-Ranges"} {
			if x := res.Header.Get(h); x != "" {
				w.Header().Set(h, x)
			}
		}
		w.WriteHeader(res.StatusCode)
		copyTo(w, res.Body)
	})
	mux.HandleFunc("POST /said", func(_ http.ResponseWriter, r *http.Request) {
		var x said
		if json.NewDecoder(r.Body).Decode(&x) == nil {
			select {
			case heard <- x:
			default:
			}
		}
	})
	web := &http.Server{Handler: mux}
	go func() { _ = web.Serve(l) }()
	defer web.Close()
	browser := exec.CommandContext(ctx, "chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--autoplay-policy=no-user-gesture-required",
		"--user-data-dir="+s.dir+"/chromium", "http://"+l.Addr().String()+"/")
	if err := browser.Start(); err != nil {
		return "", err
	}
	defer func() {
		_ = browser.Process.Kill()
		_ = browser.Wait()
	}()
	select {
	case x := <-heard:
		if x.Error != "" {
			return x.Error, fmt.Errorf("%s: %s", v.ID, x.Error)
		}
		if x.Duration < v.Duration-1 {
			return "", fmt.Errorf("%s: it lasts %.1f s, the library says %.1f s", v.ID, x.Duration, v.Duration)
		}
		return fmt.Sprintf("played to its end at %.1f s, %d pictures decoded", x.At, int(x.Pictures)), nil
	case <-ctx.Done():
		return "", errors.New("no word from Chromium")
	}
}

// copyTo passes a body on; a player breaks off when it seeks.
func copyTo(w http.ResponseWriter, body io.Reader) { _, _ = io.Copy(w, body) }
