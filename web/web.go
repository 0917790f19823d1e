// Package web holds the pages and serves them. The pages are built by `make web` into dist and embedded; a binary
// built without them still works and says how to build them.
package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"
)

// dist contains at least .gitkeep, so that the package builds in a fresh clone without Node.
//
//go:embed all:dist
var dist embed.FS

// policy lets the pages load nothing from anywhere but this server. The pages use the component kit's inline style
// attributes, hence style-src; scripts are never inline.
const policy = "default-src 'self'; connect-src 'self' ws: wss:; media-src 'self' blob:; worker-src 'self' blob:; " +
	"img-src 'self' data: blob:; style-src 'self' 'unsafe-inline'; object-src 'none'; base-uri 'none'; " +
	"frame-ancestors 'self'; form-action 'self'"

// missing is what every page shows when dist has not been built.
const missing = `<!doctype html>
<html lang="zh-CN"><head><meta charset="utf-8"><title>通乡 Tongxiang</title></head>
<body style="font-family:sans-serif;font-size:1.25rem;line-height:1.7;max-width:44rem;margin:3rem auto;padding:0 1rem">
<h1>页面尚未构建</h1>
<p>服务器正在运行，但这个程序编译时没有包含网页。请安装 Node.js 20 或更高版本，在源代码目录运行 <code>make web</code>，然后重新编译。</p>
<h1 lang="en">The pages have not been built</h1>
<p lang="en">The server is running, but this binary was built without its pages. Install Node.js 20 or newer, run <code>make web</code>
in the source folder and build again.</p>
</body></html>
`

// lost is what people see at an address that is no page.
const lost = `<!doctype html>
<html lang="zh-CN"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>通乡 Tongxiang</title></head>
<body style="font-family:sans-serif;font-size:1.25rem;line-height:1.7;max-width:44rem;margin:3rem auto;padding:0 1rem">
<h1>没有这个页面</h1>
<p>网址可能写错了。<a href="/">返回首页</a></p>
<h1 lang="en">There is no such page</h1>
<p lang="en">The address may be wrong. <a href="/">Go to the home page</a></p>
</body></html>
`

// asset is one file ready to be sent.
type asset struct {
	body      []byte
	gzip      []byte // nil where compressing saves nothing
	mediaType string
	etag      string
	immutable bool
}

// site is the built pages in memory. It is immutable after newSite.
type site struct {
	assets map[string]*asset // by URL path below "/", such as "assets/index-x.js"
}

// Handler serves the pages: /, /login, /meetings/{id}, /kiosk, /console and what they load. It answers GET and HEAD only, and
// it is safe for concurrent use.
func Handler() (http.Handler, error) {
	files, err := fs.Sub(dist, "dist")
	if err != nil {
		return nil, fmt.Errorf("open the embedded pages: %w", err)
	}
	return newSite(files)
}

func newSite(files fs.FS) (*site, error) {
	s := &site{assets: make(map[string]*asset)}
	err := fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || strings.HasPrefix(entry.Name(), ".") {
			return err
		}
		body, err := fs.ReadFile(files, name)
		if err != nil {
			return err
		}
		a, err := newAsset(name, body)
		if err != nil {
			return err
		}
		s.assets[name] = a
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the embedded pages: %w", err)
	}
	return s, nil
}

func newAsset(name string, body []byte) (*asset, error) {
	sum := sha256.Sum256(body)
	a := &asset{
		body:      body,
		mediaType: mediaType(name),
		etag:      `"` + hex.EncodeToString(sum[:12]) + `"`,
		// The bundler puts a hash of the content into these names: a new content has a new name.
		immutable: strings.HasPrefix(name, "assets/"),
	}
	if !compressible(a.mediaType) || len(body) < 1024 {
		return a, nil
	}
	var packed bytes.Buffer
	w, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(body); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	if packed.Len() < len(body) {
		a.gzip = packed.Bytes()
	}
	return a, nil
}

// mediaType does not ask the operating system's tables for what the pages consist of: they differ between machines.
func mediaType(name string) string {
	switch path.Ext(name) {
	case ".html":
		return "text/html; charset=utf-8"
	case ".js", ".mjs":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	case ".json", ".webmanifest":
		return "application/json"
	}
	if t := mime.TypeByExtension(path.Ext(name)); t != "" {
		return t
	}
	return "application/octet-stream"
}

func compressible(mediaType string) bool {
	return strings.HasPrefix(mediaType, "text/") || mediaType == "image/svg+xml" || mediaType == "application/json"
}

// page returns the name of the file that answers a URL path, or "".
func page(urlPath string) string {
	clean := strings.TrimSuffix(urlPath, "/")
	switch clean {
	case "", "/login":
		return "index.html"
	case "/kiosk":
		return "kiosk.html"
	case "/console":
		return "console.html"
	}
	if id, ok := strings.CutPrefix(clean, "/meetings/"); ok && id != "" && !strings.Contains(id, "/") {
		return "meeting.html"
	}
	if strings.HasPrefix(clean, "/console/") {
		return "console.html" // the console's own views
	}
	return ""
}

// ServeHTTP implements http.Handler.
func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	h := w.Header()
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(self), microphone=(self), display-capture=(self), autoplay=(self), fullscreen=(self)")

	name := page(r.URL.Path)
	if name != "" && s.assets[name] == nil {
		s.serveMissing(w, r)
		return
	}
	if name == "" {
		name = strings.TrimPrefix(r.URL.Path, "/")
	}
	a := s.assets[name]
	if a == nil {
		notFound(w, r)
		return
	}
	a.serve(w, r)
}

func (s *site) serveMissing(w http.ResponseWriter, r *http.Request) {
	serveText(w, r, http.StatusServiceUnavailable, missing)
}

// notFound answers for an address that is no page: people get a way home, what pages
// load gets a line.
func notFound(w http.ResponseWriter, r *http.Request) {
	if strings.Contains(r.Header.Get("Accept"), "text/html") {
		serveText(w, r, http.StatusNotFound, lost)
		return
	}
	http.Error(w, "找不到页面 / page not found", http.StatusNotFound)
}

func serveText(w http.ResponseWriter, r *http.Request, status int, text string) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write([]byte(text)) // the client has gone: nobody to tell
	}
}

func (a *asset) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", a.mediaType)
	body, etag := a.body, a.etag
	if a.gzip != nil {
		h.Set("Vary", "Accept-Encoding")
		if acceptsGzip(r.Header.Get("Accept-Encoding")) {
			h.Set("Content-Encoding", "gzip")
			body = a.gzip
			etag = strings.TrimSuffix(a.etag, `"`) + `-gzip"`
		}
	}
	h.Set("ETag", etag)
	if a.immutable {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	} else {
		h.Set("Cache-Control", "no-cache") // ask each time: an update of the server must reach every wall at once
	}
	if strings.Contains(r.Header.Get("If-None-Match"), etag) {
		h.Del("Content-Encoding")
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	if r.Method == http.MethodHead {
		return
	}
	_, _ = w.Write(body) // the client has gone: nobody to tell
}

// acceptsGzip reports whether an Accept-Encoding header allows gzip (RFC 9110, section 12.5.3).
func acceptsGzip(header string) bool {
	for part := range strings.SplitSeq(header, ",") {
		name, parameters, _ := strings.Cut(strings.TrimSpace(part), ";")
		if name != "gzip" && name != "*" {
			continue
		}
		q := strings.TrimSpace(parameters)
		return q != "q=0" && q != "q=0.0" && q != "q=0.00" && q != "q=0.000"
	}
	return false
}
