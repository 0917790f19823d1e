package hls

import (
	"bytes"
	"net/http"
	"strconv"
	"time"
)

func (x *session) serveFile(w http.ResponseWriter, r *http.Request, f file) error {
	out, patience, ok := x.output(f)
	if !ok {
		return errNotFound
	}
	switch f.kind {
	case filePart:
		// The hinted part is asked for before it exists.
		if err := x.await(r.Context(), patience, func() bool { return out.win.has(f.number, f.part) }); err != nil {
			return errNotFound.Because(err)
		}
	case fileSegment:
		if err := x.await(r.Context(), patience, func() bool { return out.win.has(f.number, -1) }); err != nil {
			return errNotFound.Because(err)
		}
	case fileMaster, fileMedia, fileOldMedia, fileTS, fileInit:
	}
	pieces := x.pieces(out, f)
	if len(pieces) == 0 {
		return errNotFound
	}
	return x.server.sendFile(w, r, "video/mp4", pieces)
}

// output finds the output of which a file is, and how long to wait for what it does
// not have yet; ok is false when it will not have it soon.
func (x *session) output(f file) (o *output, patience time.Duration, ok bool) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if f.session != x.mux.session || len(x.mux.outs) == 0 {
		return nil, 0, false
	}
	o = x.mux.outs[0]
	if f.out != "" {
		if o = x.mux.find(f.out); o == nil {
			return nil, 0, false
		}
	}
	next, _ := o.win.next()
	return o, 3 * o.win.target(), f.number <= next+1
}

func (s *Server) sendFile(w http.ResponseWriter, r *http.Request, kind string, pieces [][]byte) error {
	h := w.Header()
	h.Set("Content-Type", kind)
	// Names are never used twice, so what has one never changes. Private: who
	// may watch is decided per request.
	h.Set("Cache-Control", "private, max-age=120, immutable")
	s.stats.files.Add(1)
	for _, p := range pieces {
		s.stats.bytes.Add(uint64(len(p)))
	}
	if len(pieces) == 1 {
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(pieces[0]))
		return nil
	}
	size := 0
	for _, p := range pieces {
		size += len(p)
	}
	h.Set("Content-Length", strconv.Itoa(size))
	if r.Method == http.MethodHead {
		return nil
	}
	for _, p := range pieces {
		if _, err := w.Write(p); err != nil {
			return nil // the player went away
		}
	}
	return nil
}

// pieces returns the bytes of a file; empty when it is not there.
func (x *session) pieces(o *output, f file) [][]byte {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if f.kind == fileInit {
		if f.init < len(o.inits) && o.inits[f.init] != nil {
			return [][]byte{o.inits[f.init]}
		}
		return nil
	}
	s := o.find(f.number)
	if s == nil {
		return nil
	}
	if f.kind == filePart {
		if f.part < len(s.parts) {
			return [][]byte{s.parts[f.part].data}
		}
		return nil
	}
	return s.pieces()
}
