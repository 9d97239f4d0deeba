package googleapis

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// call asks a service as a client would.
func call(t *testing.T, service http.Handler, method, target, body string) (status int, text string, header http.Header) {
	t.Helper()
	w := httptest.NewRecorder()
	service.ServeHTTP(w, httptest.NewRequest(method, target, strings.NewReader(body)))
	return w.Code, w.Body.String(), w.Header()
}

// refusal is what Google's APIs say went wrong.
// https://cloud.google.com/apis/design/errors#http_mapping
func refusal(t *testing.T, text string) (status int, message string) {
	t.Helper()
	var e struct {
		Error struct {
			Code    int
			Message string
		}
	}
	if err := json.Unmarshal([]byte(text), &e); err != nil {
		t.Errorf("%q is no error of Google's: %v", text, err)
	}
	return e.Error.Code, e.Error.Message
}

const shop = "/storage/v1/b/projects/o/projects%2Fshop.yaml"

// TestDownload: what objects.get answers with alt=media.
// https://cloud.google.com/storage/docs/json_api/v1/objects/get
func TestDownload(t *testing.T) {
	var s Storage
	s.Put("projects", "projects/shop.yaml", []byte("first"))
	status, text, header := call(t, &s, http.MethodGet, shop+"?alt=media", "")
	generation := header.Get("X-Goog-Generation")
	if status != 200 || text != "first" || generation == "" || header.Get("Content-Length") != "5" || header.Get("Content-Type") != "application/octet-stream" {
		t.Errorf("got %d %q, %v", status, text, header)
	}
	for asked, want := range map[string]int{generation: 304, "1": 200, "0": 200, "": 200, `"` + generation + `"`: 400, "x": 400} {
		status, text, _ := call(t, &s, http.MethodGet, shop+"?alt=media&ifGenerationNotMatch="+url.QueryEscape(asked), "")
		if status != want || (status == 200) != (text == "first") || status == 304 && text != "" {
			t.Errorf("unless it has the generation %q: %d %q, want %d", asked, status, text, want)
		}
	}
	// The same bytes put again are another generation.
	s.Put("projects", "projects/shop.yaml", []byte("first"))
	if _, _, header := call(t, &s, http.MethodGet, shop+"?alt=media&ifGenerationNotMatch="+generation, ""); header.Get("X-Goog-Generation") <= generation {
		t.Errorf("put again, it has the generation %q after %s", header.Get("X-Goog-Generation"), generation)
	}
	s.Delete("projects", "projects/shop.yaml")
	for target, want := range map[string]string{
		shop + "?alt=media&ifGenerationNotMatch=" + generation: "No such object: projects/projects/shop.yaml\n",
		"/storage/v1/b/other/o/shop.yaml?alt=media":            "The specified bucket does not exist.\n",
	} {
		if status, text, header := call(t, &s, http.MethodGet, target, ""); status != 404 || text != want || !strings.HasPrefix(header.Get("Content-Type"), "text/") {
			t.Errorf("%s: %d %q as %s", target, status, text, header.Get("Content-Type"))
		}
	}
}

// TestResource: what objects.get answers without alt=media, and what else is not there.
func TestResource(t *testing.T) {
	var s Storage
	s.Put("projects", "shop.yaml", []byte("first"))
	_, text, _ := call(t, &s, http.MethodGet, "/storage/v1/b/projects/o/shop.yaml", "")
	var got map[string]string
	if err := json.Unmarshal([]byte(text), &got); err != nil || got["kind"] != "storage#object" || got["bucket"] != "projects" || got["name"] != "shop.yaml" ||
		got["size"] != "5" || got["md5Hash"] != "iwTV43ddKY54RV78XKQE1Q==" || got["generation"] == "" {
		t.Errorf("got %s, %v", text, err)
	}
	for _, c := range []struct {
		method, target string
		status         int
		says           string
	}{
		{"GET", "/storage/v1/b/projects/o/other.yaml", 404, "No such object: projects/other.yaml"},
		{"GET", "/storage/v1/b/other/o/shop.yaml", 404, "The specified bucket does not exist."},
		{"GET", "/storage/v1/b/projects/o/shop.yaml?ifGenerationMatch=1", 412, "pre-conditions"},
		{"GET", "/storage/v1/b/projects/o/", 400, "not a call"},
		{"GET", "/storage/v1/b/projects/other", 400, "not a call"},
		{"GET", "/storage/v1/b/projects/o/a/b", 400, "not a call"},
		{"GET", "/storage/v1/b//o/shop.yaml", 400, "not a call"},
		{"GET", "/b/projects/o/shop.yaml", 400, "not a call"},
		{"DELETE", "/storage/v1/b/projects/o/shop.yaml", 400, "not a call"},
		{"POST", "/upload/storage/v1/b/projects/o?uploadType=media", 400, "not a call"},
		{"POST", "/upload/storage/v1/b/projects/o?uploadType=resumable&name=x", 400, "not a call"},
		{"POST", "/upload/storage/v1/b/other/o?uploadType=media&name=x", 404, "The specified bucket does not exist."},
		{"POST", "/upload/storage/v1/b/projects/o?uploadType=media&name=shop.yaml&ifGenerationMatch=0", 412, "pre-conditions"},
	} {
		status, text, _ := call(t, &s, c.method, c.target, "x")
		if code, message := refusal(t, text); status != c.status || code != c.status || !strings.Contains(message, c.says) {
			t.Errorf("%s %s: %d %s, want %d that says %q", c.method, c.target, status, text, c.status, c.says)
		}
	}
	if !bytes.Equal(s.Get("projects", "shop.yaml"), []byte("first")) || !slices.Equal(s.Keys("projects"), []string{"shop.yaml"}) {
		t.Errorf("refused calls had an effect: the bucket has %v", s.Keys("projects"))
	}
}

// TestUpload: what objects.insert takes in one request, under any name.
// https://cloud.google.com/storage/docs/json_api/v1/objects/insert
func TestUpload(t *testing.T) {
	var s Storage
	s.Put("projects", "x", nil)
	for _, key := range []string{"lastgood/shop.yaml", "a b+c%2F?#&=é/日.yaml", "/o/", "."} {
		status, text, _ := call(t, &s, http.MethodPost, "/upload/storage/v1/b/projects/o?uploadType=media&contentType=application%2Fyaml&name="+url.QueryEscape(key), "kept "+key)
		var o struct{ Name, Generation, ContentType string }
		if err := json.Unmarshal([]byte(text), &o); err != nil || status != 200 || o.Name != key || o.ContentType != "application/yaml" {
			t.Errorf("%q: %d %s", key, status, text)
		}
		status, text, header := call(t, &s, http.MethodGet, "/storage/v1/b/projects/o/"+url.PathEscape(key)+"?alt=media", "")
		if status != 200 || text != "kept "+key || header.Get("X-Goog-Generation") != o.Generation || header.Get("Content-Type") != "application/yaml" {
			t.Errorf("%q: %d %q, generation %q, want %q", key, status, text, header.Get("X-Goog-Generation"), o.Generation)
		}
	}
	if calls := s.Calls(); len(calls) != 8 || calls[0] != "POST projects/lastgood/shop.yaml" || calls[1] != "GET projects/lastgood/shop.yaml" {
		t.Errorf("called were %q", calls)
	}
	status, _, _ := call(t, &s, http.MethodPost, "/upload/storage/v1/b/projects/o?uploadType=media&name=large", strings.Repeat("x", maxUpload+1))
	if status != 400 || s.Get("projects", "large") != nil {
		t.Errorf("of an object that is too large, some is kept: %d", status)
	}
}

// TestSecrets: what versions.access answers.
// https://cloud.google.com/secret-manager/docs/reference/rest/v1/projects.secrets.versions/access
func TestSecrets(t *testing.T) {
	const secret = "projects/p/secrets/keys"
	var s Secrets
	access := func() (int, string) {
		t.Helper()
		status, text, _ := call(t, &s, http.MethodGet, "/v1/"+secret+"/versions/latest:access", "")
		return status, text
	}
	refused := func(want int, says string) {
		t.Helper()
		status, text := access()
		if code, message := refusal(t, text); status != want || code != want || message != says {
			t.Errorf("got %d %s, want %d that says %q", status, text, want, says)
		}
	}
	refused(404, "Secret [projects/p/secrets/keys] not found or has no versions.")
	for i, value := range []string{"one", "two"} {
		s.Add(secret, []byte(value))
		_, text := access()
		var got struct {
			Name    string
			Payload struct{ Data, DataCrc32c string }
		}
		sum := fmt.Sprint(crc32.Checksum([]byte(value), crc32.MakeTable(crc32.Castagnoli)))
		if err := json.Unmarshal([]byte(text), &got); err != nil || got.Name != fmt.Sprintf("%s/versions/%d", secret, i+1) ||
			got.Payload.Data != base64.StdEncoding.EncodeToString([]byte(value)) || got.Payload.DataCrc32c != sum {
			t.Errorf("got %s, %v", text, err)
		}
	}
	// The latest is the last one made, whatever became of it.
	for _, state := range []string{"DISABLED", "DESTROYED"} {
		s.Close(secret, state)
		refused(400, "Secret Version [projects/p/secrets/keys/versions/2] is in "+state+" state.")
	}
	s.Add(secret, []byte("three"))
	if status, text := access(); status != 200 || !strings.Contains(text, "/versions/3") {
		t.Errorf("got %d %s", status, text)
	}
	s.Delete(secret)
	refused(404, "Secret [projects/p/secrets/keys] not found or has no versions.")
	if s.Calls() != 7 {
		t.Errorf("%d calls", s.Calls())
	}
	for _, c := range []string{"POST /v1/" + secret + "/versions/latest:access", "GET /v1/" + secret + "/versions/1:access"} {
		method, target, _ := strings.Cut(c, " ")
		if status, _, _ := call(t, &s, method, target, ""); status != 400 {
			t.Errorf("%s: %d", c, status)
		}
	}
}

// TestFail: a test may have any call fail, and what is not failed goes through.
func TestFail(t *testing.T) {
	fail := func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPost || strings.HasPrefix(r.URL.Path, "/v1/") {
			http.Error(w, "told to", http.StatusTeapot)
			return true
		}
		return false
	}
	storage, secrets := Storage{Fail: fail}, Secrets{Fail: fail}
	storage.Put("projects", "shop.yaml", []byte("first"))
	for service, c := range map[http.Handler][]any{&storage: {"POST", "/upload/storage/v1/b/projects/o?uploadType=media&name=x", 418}, &secrets: {"GET", "/v1/projects/p/secrets/keys/versions/latest:access", 418}} {
		if status, _, _ := call(t, service, c[0].(string), c[1].(string), "x"); status != c[2] {
			t.Errorf("%v: %d", c, status)
		}
	}
	if status, _, _ := call(t, &storage, http.MethodGet, "/storage/v1/b/projects/o/shop.yaml", ""); status != 200 || storage.Get("projects", "x") != nil {
		t.Errorf("%d, and the bucket has %v", status, storage.Keys("projects"))
	}
}
