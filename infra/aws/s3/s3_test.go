package s3

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/hitolayer/hito/infra/aws/environment"
	"github.com/hitolayer/hito/infra/emulators"
	"github.com/hitolayer/hito/shared/project"
)

// bucket is an S3 of one bucket that does what it is told to first.
type bucket struct {
	mu       sync.Mutex
	objects  map[string][]byte
	version  int
	asked    int
	troubles []func(http.ResponseWriter, *http.Request)
}

func (b *bucket) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asked++
	if len(b.troubles) > 0 {
		trouble := b.troubles[0]
		b.troubles = b.troubles[1:]
		trouble(w, r)
		return
	}
	key, ok := strings.CutPrefix(r.URL.Path, "/projects/")
	if !ok {
		refuse(http.StatusNotFound, "NoSuchBucket")(w, r)
		return
	}
	if r.Method == http.MethodPut {
		b.objects[key], _ = io.ReadAll(r.Body)
		b.version++
		return
	}
	data, ok := b.objects[key]
	if !ok {
		refuse(http.StatusNotFound, "NoSuchKey")(w, r)
		return
	}
	tag := fmt.Sprintf(`"v%d"`, b.version)
	if r.Header.Get("If-None-Match") == tag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	w.Header().Set("ETag", tag)
	w.Header().Set("Content-Length", strconv.Itoa(len(data)))
	_, _ = w.Write(data)
}

func refuse(status int, code string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(status)
		_, _ = fmt.Fprintf(w, "<Error><Code>%s</Code><Message>told to</Message></Error>", code)
	}
}

// breakOff promises more than it sends.
func breakOff(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Length", "1000")
	w.Header().Set("ETag", `"broken"`)
	_, _ = io.WriteString(w, "shop: {wri")
	w.(http.Flusher).Flush()
	panic(http.ErrAbortHandler)
}

func (b *bucket) put(key, data string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.objects[key] = []byte(data)
	b.version++
}

func (b *bucket) trouble(what ...func(http.ResponseWriter, *http.Request)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.troubles, b.asked = what, 0
}

func newBucket(t *testing.T) (*bucket, *s3.Client) {
	b := &bucket{objects: map[string][]byte{}}
	server := httptest.NewServer(b)
	t.Cleanup(server.Close)
	return b, client(t, server.URL)
}

func client(t *testing.T, url string) *s3.Client {
	t.Helper()
	vars := map[string]string{"AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_ENDPOINT_URL": url}
	cfg, err := environment.Config(func(name string) (string, bool) { value, ok := vars[name]; return value, ok })
	if err != nil {
		t.Fatal(err)
	}
	return NewClient(cfg)
}

// fetch tells a source's document in a word.
func fetch(t *testing.T, s project.Source, tag string) (data, newTag string) {
	t.Helper()
	got, newTag, err := s.Fetch(t.Context(), tag)
	if err != nil {
		t.Fatal(err)
	}
	if got == nil {
		return "unchanged", newTag
	}
	return string(got), newTag
}

func TestFetch(t *testing.T) {
	b, c := newBucket(t)
	source(t, Object{Client: c, Bucket: "projects", Key: "projects/shop.yaml"}, func(data string) { b.put("projects/shop.yaml", data) })
}

// source is what a project.Source owes the Registry.
func source(t *testing.T, o project.Source, put func(data string)) {
	t.Helper()
	put("first")
	data, tag := fetch(t, o, "")
	if data != "first" || tag == "" {
		t.Errorf("got %q, tag %q", data, tag)
	}
	if data, same := fetch(t, o, tag); data != "unchanged" || same != tag {
		t.Errorf("the same again: %q, tag %q, want %q", data, same, tag)
	}
	put("second")
	data, next := fetch(t, o, tag)
	if data != "second" || next == tag {
		t.Errorf("after a change: %q, tag %q", data, next)
	}
	put("")
	if data, _ := fetch(t, o, next); data != "" {
		t.Errorf("emptied: %q", data)
	}
	put(strings.Repeat("x", project.MaxFile+1000))
	if data, _ := fetch(t, o, next); len(data) != project.MaxFile+1 {
		t.Errorf("of a document larger than allowed: %d bytes", len(data))
	}
}

// TestTrouble: what passes is tried again, even in the middle of an object.
func TestTrouble(t *testing.T) {
	b, c := newBucket(t)
	b.put("shop.yaml", "fine")
	o := Object{Client: c, Bucket: "projects", Key: "shop.yaml", Patience: time.Minute}
	b.trouble(refuse(http.StatusServiceUnavailable, "SlowDown"), breakOff, refuse(http.StatusInternalServerError, "InternalError"))
	if data, tag := fetch(t, o, ""); data != "fine" || tag != `"v1"` || b.asked != 4 {
		t.Errorf("got %q, tag %q after %d calls", data, tag, b.asked)
	}
}

// TestMissing: an error tells what is missing where, and is not tried again.
func TestMissing(t *testing.T) {
	b, c := newBucket(t)
	for name, x := range map[string]struct {
		bucket  string
		trouble func(http.ResponseWriter, *http.Request)
		says    string
		missing bool
	}{
		"no object":  {"projects", nil, "s3://projects/shop.yaml: the document is missing, or may not be read: upload it", true},
		"no list":    {"projects", refuse(http.StatusForbidden, "AccessDenied"), "allow s3:GetObject", true},
		"no bucket":  {"other", nil, "no such bucket", true},
		"bad clock":  {"projects", refuse(http.StatusForbidden, "RequestTimeTooSkewed"), "s3://projects/shop.yaml", false},
		"no request": {"projects", refuse(http.StatusBadRequest, "InvalidRequest"), "InvalidRequest", false},
	} {
		t.Run(name, func(t *testing.T) {
			b.trouble()
			if x.trouble != nil {
				b.trouble(x.trouble)
			}
			_, tag, err := Object{Client: c, Bucket: x.bucket, Key: "shop.yaml"}.Fetch(t.Context(), "")
			if err == nil || !strings.Contains(err.Error(), x.says) || errors.Is(err, project.ErrMissing) != x.missing || tag != "" {
				t.Errorf("tag %q, error %v; want one that says %q", tag, err, x.says)
			}
			if b.asked != 1 {
				t.Errorf("%d calls", b.asked)
			}
		})
	}
}

// TestPatience: a bucket that does not answer holds nobody for longer than was
// allowed, and an ended context for no time.
func TestPatience(t *testing.T) {
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}))
	defer server.Close()
	defer close(release)
	o := Object{Client: client(t, server.URL), Bucket: "projects", Key: "shop.yaml", Patience: 50 * time.Millisecond}
	if _, _, err := o.Fetch(t.Context(), ""); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, project.ErrMissing) {
		t.Errorf("error %v, want that the time is over", err)
	}
	o.Patience = time.Hour
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := o.Fetch(ctx, ""); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want that it was called off", err)
	}
}

func TestLastGood(t *testing.T) {
	b, c := newBucket(t)
	lastGood(t, c)
	b.trouble(refuse(http.StatusForbidden, "AccessDenied"))
	if data, err := (LastGood{Client: c, Bucket: "projects", Prefix: "lastgood/"}).Load(t.Context(), "shop"); data != nil || err != nil {
		t.Errorf("what may not be read: %q, %v", data, err)
	}
	b.trouble(refuse(http.StatusForbidden, "AccessDenied"), refuse(http.StatusForbidden, "AccessDenied")) // looked at, then written
	if err := (LastGood{Client: c, Bucket: "projects", Prefix: "lastgood/"}).Store(t.Context(), "shop", []byte("x")); err == nil || !strings.Contains(err.Error(), "s3://projects/lastgood/shop.yaml") {
		t.Errorf("storing what may not be written: %v", err)
	}
}

// lastGood is what a project.LastGood owes the Registry.
func lastGood(t *testing.T, c API) {
	t.Helper()
	l := LastGood{Client: c, Bucket: "projects", Prefix: "lastgood/"}
	if data, err := l.Load(t.Context(), "shop"); data != nil || err != nil {
		t.Errorf("nothing kept yet: %q, %v", data, err)
	}
	for _, want := range []string{"one", "two"} {
		if err := l.Store(t.Context(), "shop", []byte(want)); err != nil {
			t.Fatal(err)
		}
		if data, err := l.Load(t.Context(), "shop"); string(data) != want || err != nil {
			t.Errorf("kept %q, %v; want %q", data, err, want)
		}
	}
	if err := l.Store(t.Context(), project.KeysName, []byte("keys")); err != nil {
		t.Fatal(err)
	}
	readOnly := l
	readOnly.ReadOnly = true
	if err := readOnly.Store(t.Context(), "shop", []byte("three")); err != nil {
		t.Error(err)
	}
	secret := l
	secret.NoKeys = true
	if err := secret.Store(t.Context(), project.KeysName, []byte("secret")); err != nil {
		t.Error(err)
	}
	if data, err := secret.Load(t.Context(), project.KeysName); data != nil || err != nil {
		t.Errorf("keys that are not those kept: %q, %v", data, err)
	}
	for name, want := range map[string]string{"shop": "two", project.KeysName: "keys"} {
		if data, err := l.Load(t.Context(), name); string(data) != want || err != nil {
			t.Errorf("%s: kept %q, %v; want %q", name, data, err, want)
		}
	}
}

// TestEmulator asks the same of moto's S3.
func TestEmulator(t *testing.T) {
	c := client(t, emulators.Moto(t))
	if _, err := c.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String("projects")}); err != nil {
		t.Fatal(err)
	}
	o := Object{Client: c, Bucket: "projects", Key: "projects/shop.yaml"}
	if _, _, err := o.Fetch(t.Context(), ""); !errors.Is(err, project.ErrMissing) {
		t.Errorf("before it is there: %v", err)
	}
	source(t, o, func(data string) {
		if _, err := c.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &o.Bucket, Key: &o.Key, Body: bytes.NewReader([]byte(data))}); err != nil {
			t.Fatal(err)
		}
	})
	lastGood(t, c)
}
