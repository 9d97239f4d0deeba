// Package console is what a browser at the local process sees, and what feeds
// it: the page, the live tail of events, and how fast things go.
package console

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/hitolayer/hito/functions/profile"
)

//go:embed assets
var assets embed.FS

// policy lets the page load its own files and nothing else, from nowhere else.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; " +
	"frame-ancestors 'none'; base-uri 'none'; form-action 'none'"

var types = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
}

// Page serves the console's files: the page at /, what it loads under
// /console/. The page holds no data: it asks for a secret key and reads with it.
type Page struct{}

// ServeHTTP answers with a file, 404 for other paths.
func (Page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name, ok := strings.CutPrefix(r.URL.Path, "/console/")
	if r.URL.Path == "/" {
		name, ok = "index.html", true
	}
	var file []byte
	if ok && name != "" && !strings.Contains(name, "/") {
		file, _ = assets.ReadFile("assets/" + name)
	}
	if file == nil {
		profile.Refuse(w, http.StatusNotFound, "not_found", "no such path; the console is at /")
		return
	}
	if !profile.Allow(w, r, "GET, HEAD") {
		return
	}
	header := w.Header()
	header.Set("Content-Type", types[path.Ext(name)])
	header.Set("Content-Security-Policy", policy)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Cross-Origin-Opener-Policy", "same-origin")
	header.Set("Cache-Control", "no-cache")
	sum := sha256.Sum256(file)
	header.Set("ETag", `"`+hex.EncodeToString(sum[:8])+`"`)
	http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(file))
}
