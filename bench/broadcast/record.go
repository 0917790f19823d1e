package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"tongxiang/bench/multiplex"
	"tongxiang/bench/process"
	"tongxiang/bench/site"
)

// recordings are those of all channels, as -record asks for them.
type recordings struct {
	formats []string
	ids     []string
	leave   context.CancelFunc // ends the sites of the meeting
}

// recorded is what became of them.
type recorded struct {
	count    int
	bytes    float64 // in the window
	lost     float64 // fragments
	gaps     int
	waiting  int // recordings that waited at the end of the window
	shortest float64
	probed   int
	bad      []string // what ffprobe says of a sample
}

// recordAll begins to record every channel.
func (o options) recordAll(ctx context.Context, s *server) (*recordings, error) {
	r := &recordings{formats: strings.Split(o.record, ",")}
	if err := r.convene(ctx, s); err != nil {
		return nil, err
	}
	for mux := range o.muxes {
		for service := range multiplex.Services {
			for _, format := range r.formats {
				var view struct{ ID string }
				body := map[string]string{"stream": "channels/" + channelID(mux, service), "title": multiplex.Name(mux, service), "format": format}
				if err := s.post(ctx, "/api/v1/recordings", body, &view); err != nil {
					return nil, err
				}
				r.ids = append(r.ids, view.ID)
			}
		}
	}
	return r, nil
}

// convene holds a meeting of two sites beside the channels, recorded by its setting.
func (r *recordings) convene(ctx context.Context, s *server) error {
	if err := s.post(ctx, "/api/v1/meetings", map[string]any{"id": "bench", "title": "会议", "record": true}, &struct{}{}); err != nil {
		return err
	}
	clip, err := site.Encode(ctx)
	if err != nil {
		return err
	}
	ctx, r.leave = context.WithCancel(ctx)
	for i := range 2 {
		if err := (site.Server{URL: s.url, Bearer: s.bearer, HTTP: s.http}).Sit(ctx, "bench", i, clip); err != nil {
			return err
		}
	}
	for range 200 {
		var list struct{ Items []struct{ ID string } }
		if err := s.fetch(ctx, "/api/v1/recordings?stream=meetings/bench/programme", &list); err != nil {
			return err
		}
		if len(list.Items) > 0 {
			r.ids = append(r.ids, list.Items[0].ID)
			return nil
		}
		if err := process.Pause(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
	return errors.New("the meeting is not recorded")
}

// end stops them and looks at what is on disk.
func (r *recordings) end(ctx context.Context, s *server, out *recorded) error {
	type view struct {
		State    string
		Duration float64
		Gaps     []struct{ Reason string }
	}
	defer r.leave()
	out.count, out.shortest = len(r.ids), 1e9
	for _, id := range r.ids {
		var v view
		if err := s.fetch(ctx, "/api/v1/recordings/"+id, &v); err != nil {
			return err
		}
		if v.State != "recording" {
			out.waiting++
		}
	}
	views, errs := make([]view, len(r.ids)), make([]error, len(r.ids))
	var all sync.WaitGroup
	for i, id := range r.ids {
		all.Go(func() { errs[i] = s.post(ctx, "/api/v1/recordings/"+id+"/stop", nil, &views[i]) })
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	for _, v := range views {
		out.gaps += len(v.Gaps)
		out.shortest = min(out.shortest, v.Duration)
	}
	return out.probe(ctx, s)
}

// probe has ffmpeg decode every tenth file.
func (out *recorded) probe(ctx context.Context, s *server) error {
	var files []string
	err := filepath.WalkDir(filepath.Join(s.dir, "data", "recordings"), func(path string, d os.DirEntry, err error) error {
		if err == nil && strings.HasPrefix(d.Name(), "media.") {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		return err
	}
	for i := 0; i < len(files); i += 10 {
		said, err := exec.CommandContext(ctx, "ffmpeg", "-v", "error", "-i", files[i], "-map", "0:v", "-map", "0:a", "-c", "copy", "-f", "null", "-").CombinedOutput()
		out.probed++
		if err != nil || len(said) > 0 {
			out.bad = append(out.bad, fmt.Sprintf("%s: %v %s", filepath.Base(filepath.Dir(files[i])), err, firstLine(said)))
		}
	}
	return nil
}

func firstLine(b []byte) string {
	l, _, _ := strings.Cut(strings.TrimSpace(string(b)), "\n")
	return l
}

// post sends JSON and reads the answer.
func (s *server) post(ctx context.Context, path string, body, into any) error {
	b, err := json.Marshal(body)
	if err != nil {
		return err
	}
	if body == nil {
		b = nil
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+path, bytes.NewReader(b))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+s.bearer)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := s.http.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode >= 300 {
		var p struct{ Detail string }
		_ = json.NewDecoder(res.Body).Decode(&p) // the status says enough
		return fmt.Errorf("POST %s: %s: %s", path, res.Status, p.Detail)
	}
	if err := json.NewDecoder(res.Body).Decode(into); err != nil {
		return fmt.Errorf("POST %s: %w", path, err)
	}
	return nil
}

// fetch reads an answer.
func (s *server) fetch(ctx context.Context, path string, into any) error {
	res, err := s.get(ctx, path, s.bearer)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(into); err != nil {
		return fmt.Errorf("GET %s: %w", path, err)
	}
	return nil
}
