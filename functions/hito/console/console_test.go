package console

import (
	"io/fs"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

func serve(h http.Handler, method, path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(method, path, nil))
	return w
}

func TestPageServesItsFilesAndNothingElse(t *testing.T) {
	for path, kind := range map[string]string{
		"/": "text/html; charset=utf-8", "/console/app.js": "text/javascript; charset=utf-8",
		"/console/console.css": "text/css; charset=utf-8", "/console/icon.svg": "image/svg+xml",
	} {
		w := serve(Page{}, "GET", path)
		header := w.Header()
		if w.Code != 200 || header.Get("Content-Type") != kind || w.Body.Len() == 0 {
			t.Errorf("%s: %d %s", path, w.Code, header.Get("Content-Type"))
		}
		for name, want := range map[string]string{
			"Content-Security-Policy": policy, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
		} {
			if got := header.Get(name); got != want {
				t.Errorf("%s: %s is %q", path, name, got)
			}
		}
		r := httptest.NewRequest("GET", path, nil)
		r.Header.Set("If-None-Match", header.Get("ETag"))
		again := httptest.NewRecorder()
		Page{}.ServeHTTP(again, r)
		if again.Code != http.StatusNotModified {
			t.Errorf("%s again: %d, want 304", path, again.Code)
		}
	}
	for _, path := range []string{"/nothing", "/console/", "/console", "/console/nothing.js", "/console/../console.go", "/console/a/b", "/index.html", "/assets/app.js"} {
		if w := serve(Page{}, "GET", path); w.Code != 404 || !strings.HasPrefix(w.Body.String(), `{"success":false,`) {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
	if w := serve(Page{}, "POST", "/"); w.Code != 405 || w.Header().Get("Allow") != "GET, HEAD" {
		t.Errorf("POST: %d", w.Code)
	}
}

func TestPolicyAllowsNothingForeign(t *testing.T) {
	for _, must := range []string{"default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"} {
		if !strings.Contains(policy, must) {
			t.Errorf("the policy lacks %s", must)
		}
	}
	if strings.Contains(policy, "unsafe") || strings.Contains(policy, "*") {
		t.Errorf("the policy is loose: %s", policy)
	}
}

// What could turn text into more than text, or load something from elsewhere.
var risky = regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|setHTML|createContextualFragment|srcdoc|\beval\(|new Function|https?://|style=|\son[a-z]+="`)

func TestAssetsHoldNothingRisky(t *testing.T) {
	files := 0
	err := fs.WalkDir(assets, "assets", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files++
		text, err := fs.ReadFile(assets, path)
		for n, line := range strings.Split(string(text), "\n") {
			line = strings.ReplaceAll(line, "http://www.w3.org/2000/svg", "")
			if found := risky.FindString(line); found != "" {
				t.Errorf("%s:%d: %q", path, n+1, found)
			}
		}
		return err
	})
	if err != nil || files < 5 {
		t.Errorf("read %d files: %v", files, err)
	}
}
