package storage

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hitolayer/hito/infra/emulators/googleapis"
	"github.com/hitolayer/hito/infra/gcp/rest"
	"github.com/hitolayer/hito/infra/projects"
	"github.com/hitolayer/hito/shared/project"
)

// bucket is a Cloud Storage with the bucket "projects" that does what it is told
// to first, and counts what it sends of objects.
type bucket struct {
	googleapis.Storage
	mu       sync.Mutex
	asked    int
	sent     int // bytes
	down     bool
	troubles []http.HandlerFunc
}

func (b *bucket) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	b.asked++
	var trouble http.HandlerFunc
	if len(b.troubles) > 0 {
		trouble, b.troubles = b.troubles[0], b.troubles[1:]
	}
	if b.down {
		trouble = refuse(http.StatusServiceUnavailable, "down")
	}
	b.mu.Unlock()
	if trouble != nil {
		trouble(w, r)
		return
	}
	b.Storage.ServeHTTP(&counting{w, b}, r)
}

type counting struct {
	http.ResponseWriter
	b *bucket
}

func (c *counting) Write(p []byte) (int, error) {
	c.b.mu.Lock()
	c.b.sent += len(p)
	c.b.mu.Unlock()
	return c.ResponseWriter.Write(p)
}

func refuse(status int, message string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { http.Error(w, message, status) }
}

// breakOff promises more than it sends.
func breakOff(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Length", "1000")
	w.Header().Set("X-Goog-Generation", "1")
	_, _ = io.WriteString(w, "shop: {wri")
	_ = http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}

func reset(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

// did returns how often it was asked and the bytes it sent, since the last time.
func (b *bucket) did() (asked, sent int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	asked, sent, b.asked, b.sent = b.asked, b.sent, 0, 0
	return asked, sent
}

func (b *bucket) trouble(what ...http.HandlerFunc) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.troubles, b.asked = what, 0
}

func (b *bucket) isDown(down bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.down = down
}

func (b *bucket) put(key, data string) { b.Put("projects", key, []byte(data)) }

func newBucket(t *testing.T) (*bucket, *rest.Client) {
	t.Helper()
	b := &bucket{}
	b.put("other", "")
	return b, client(t, b)
}

func client(t *testing.T, h http.Handler) *rest.Client {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	c, err := NewClient(func(name string) (string, bool) {
		return strings.TrimPrefix(s.URL, "http://"), name == "STORAGE_EMULATOR_HOST"
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
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

// TestFetch: what a project.Source owes the Registry.
func TestFetch(t *testing.T) {
	b, c := newBucket(t)
	o := Object{Client: c, Bucket: "projects", Key: "projects/shop.yaml"}
	put := func(data string) { b.put(o.Key, data) }
	put("first")
	data, tag := fetch(t, o, "")
	if data != "first" || tag == "" {
		t.Errorf("got %q, tag %q", data, tag)
	}
	b.did()
	if data, same := fetch(t, o, tag); data != "unchanged" || same != tag {
		t.Errorf("the same again: %q, tag %q, want %q", data, same, tag)
	}
	if asked, sent := b.did(); asked != 1 || sent != 0 {
		t.Errorf("an unchanged object costs %d calls and %d bytes", asked, sent)
	}
	put("second")
	data, next := fetch(t, o, tag)
	if data != "second" || next == tag || next == "" {
		t.Errorf("after a change: %q, tag %q", data, next)
	}
	if data, _ := fetch(t, o, "1"); data != "second" {
		t.Errorf("to somebody who has another generation: %q", data)
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

// TestNames: whatever an object is called, it is that one which is read and written.
func TestNames(t *testing.T) {
	b, c := newBucket(t)
	for _, key := range []string{"projects/shop.yaml", "a b", "a+b", "a%2Fb", "a/b?alt=json", "a#b", "a&name=x", "日本/é.yaml", "../x", "a//b", "/o/a", `"\`} {
		b.put(key, "is "+key)
		if data, _ := fetch(t, Object{Client: c, Bucket: "projects", Key: key}, ""); data != "is "+key {
			t.Errorf("%q: read %q", key, data)
		}
		if err := (LastGood{Client: c, Bucket: "projects", Prefix: key + "/"}).Store(t.Context(), "shop", []byte("kept "+key)); err != nil {
			t.Error(err)
		}
		if got := b.Get("projects", key+"/shop.yaml"); string(got) != "kept "+key {
			t.Errorf("%q: wrote %q; the bucket has %q", key, got, b.Keys("projects"))
		}
	}
	b.Put("my-o.example.com", "x", []byte("other"))
	if data, _ := fetch(t, Object{Client: c, Bucket: "my-o.example.com", Key: "x"}, ""); data != "other" {
		t.Errorf("of another bucket: %q", data)
	}
}

// TestTrouble: what passes is tried again, even in the middle of an object.
func TestTrouble(t *testing.T) {
	b, c := newBucket(t)
	b.put("shop.yaml", "fine")
	o := Object{Client: c, Bucket: "projects", Key: "shop.yaml", Patience: time.Minute}
	b.trouble(refuse(429, "slow down"), breakOff, refuse(500, "internal"), refuse(503, "down"))
	if data, tag := fetch(t, o, ""); data != "fine" || tag == "" || tag == "1" || b.asked != 5 {
		t.Errorf("got %q, tag %q after %d calls", data, tag, b.asked)
	}
	b.trouble(reset, reset)
	if data, _ := fetch(t, o, ""); data != "fine" || b.asked < 3 {
		t.Errorf("got %q after %d calls", data, b.asked)
	}
}

const denied = "p@x.iam.gserviceaccount.com does not have storage.objects.get access to the Google Cloud Storage object. Permission 'storage.objects.get' denied on resource (or it may not exist)."

// TestMissing: an error tells what is missing where, and is not tried again. Only
// what Google says of the object itself counts as missing.
func TestMissing(t *testing.T) {
	b, c := newBucket(t)
	for name, x := range map[string]struct {
		bucket  string
		trouble http.HandlerFunc
		says    string
		missing bool
	}{
		"no object":     {"projects", nil, "gs://projects/shop.yaml: the document is missing, or may not be read: upload it", true},
		"no list":       {"projects", refuse(403, denied), "grant roles/storage.objectViewer", true},
		"no bucket":     {"missing", nil, "The specified bucket does not exist", true},
		"no billing":    {"projects", refuse(403, "The billing account for the owning project is disabled in state absent"), "billing", false},
		"no credential": {"projects", refuse(401, "Invalid Credentials"), "Invalid Credentials", false},
		"no request":    {"projects", refuse(400, "Invalid argument."), "Invalid argument", false},
	} {
		t.Run(name, func(t *testing.T) {
			b.trouble()
			if x.trouble != nil {
				b.trouble(x.trouble)
			}
			_, tag, err := Object{Client: c, Bucket: x.bucket, Key: "shop.yaml"}.Fetch(t.Context(), "7")
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
	c := client(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}))
	defer close(release)
	o := Object{Client: c, Bucket: "projects", Key: "shop.yaml", Patience: 50 * time.Millisecond}
	l := LastGood{Client: c, Bucket: "projects", Patience: 50 * time.Millisecond}
	for name, call := range map[string]func(context.Context) error{
		"fetch": func(ctx context.Context) error { _, _, err := o.Fetch(ctx, ""); return err },
		"load":  func(ctx context.Context) error { _, err := l.Load(ctx, "shop"); return err },
		"store": func(ctx context.Context) error { return l.Store(ctx, "shop", []byte("x")) },
	} {
		if err := call(t.Context()); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, project.ErrMissing) {
			t.Errorf("%s: error %v, want that the time is over", name, err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := call(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: error %v, want that it was called off", name, err)
		}
	}
}

// TestLastGood: what a project.LastGood owes the Registry.
func TestLastGood(t *testing.T) {
	b, c := newBucket(t)
	l := LastGood{Client: c, Bucket: "projects", Prefix: "lastgood/"}
	if data, err := l.Load(t.Context(), "shop"); data != nil || err != nil {
		t.Errorf("nothing kept yet: %q, %v", data, err)
	}
	for _, want := range []string{"one", "two"} {
		for range 2 {
			if err := l.Store(t.Context(), "shop", []byte(want)); err != nil {
				t.Fatal(err)
			}
		}
		if data, err := l.Load(t.Context(), "shop"); string(data) != want || err != nil {
			t.Errorf("kept %q, %v; want %q", data, err, want)
		}
	}
	if writes := len(slices.DeleteFunc(b.Calls(), func(call string) bool { return !strings.HasPrefix(call, "POST ") })); writes != 2 {
		t.Errorf("%d writes of two documents", writes)
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
	b.trouble(refuse(403, denied))
	if data, err := l.Load(t.Context(), "shop"); data != nil || err != nil {
		t.Errorf("what may not be read: %q, %v", data, err)
	}
	b.trouble(refuse(401, "Invalid Credentials"))
	if data, err := l.Load(t.Context(), "shop"); data != nil || err == nil || !strings.Contains(err.Error(), "last good shop") {
		t.Errorf("what could not be looked for: %q, %v", data, err)
	}
	b.trouble(refuse(403, denied), refuse(403, "may not write")) // looked at, then written
	if err := l.Store(t.Context(), "shop", []byte("x")); err == nil || !strings.Contains(err.Error(), "gs://projects/lastgood/shop.yaml") {
		t.Errorf("storing what may not be written: %v", err)
	}
	b.trouble(refuse(503, "down"), reset, refuse(429, "slow down"), breakOff)
	if err := l.Store(t.Context(), "shop", []byte("four")); err != nil || string(b.Get("projects", "lastgood/shop.yaml")) != "four" {
		t.Errorf("storing in trouble: %v, kept %q", err, b.Get("projects", "lastgood/shop.yaml"))
	}
}

// registry returns the projects of a bucket as a function has them.
func registry(c *rest.Client, readOnly bool) *projects.Projects {
	p := projects.In("projects", func(key string) project.Source {
		return Object{Client: c, Bucket: "projects", Key: key, Patience: 300 * time.Millisecond}
	})
	p.LastGood = LastGood{Client: c, Bucket: "projects", Prefix: "lastgood/", ReadOnly: readOnly, Patience: 300 * time.Millisecond}
	p.Log = slog.New(slog.DiscardHandler)
	return p
}

// TestRegistry: what was good stays in service while the bucket is down and while
// an object is broken, and after a restart too.
func TestRegistry(t *testing.T) {
	b, c := newBucket(t)
	b.put("projects/keys.yaml", "shop: {write: [w1]}")
	b.put("projects/shop.yaml", "settings: {ip: drop}")
	p := registry(c, false)
	serves := func(p *projects.Projects, when, ip string) {
		t.Helper()
		if got, ok := p.ByWriteKey("w1"); !ok || string(got.Settings.IP) != ip {
			t.Errorf("%s, key w1 is %+v, %v", when, got, ok)
		}
	}
	if err := p.Serve(t.Context()); err != nil {
		t.Fatal(err)
	}
	serves(p, "at first", "drop")
	b.did()
	if err := p.Refresh(t.Context()); err != nil {
		t.Error(err)
	}
	if asked, sent := b.did(); asked != 2 || sent != 0 {
		t.Errorf("a round that finds nothing new costs %d calls and %d bytes", asked, sent)
	}
	b.isDown(true)
	if err := p.Refresh(t.Context()); err == nil || !strings.Contains(err.Error(), "gs://projects/projects/shop.yaml") {
		t.Errorf("while the bucket is down: %v", err)
	}
	serves(p, "while the bucket is down", "drop")
	if err := registry(c, true).Serve(t.Context()); err == nil {
		t.Error("a function starts that could not look for its projects")
	}
	b.isDown(false)
	b.put("projects/shop.yaml", "settings: {ip: ")
	if err := p.Refresh(t.Context()); err == nil {
		t.Error("nothing is said of a broken object")
	}
	serves(p, "while the object is broken", "drop")
	again := registry(c, true)
	if err := again.Serve(t.Context()); err != nil {
		t.Error(err)
	}
	serves(again, "started while the object is broken", "drop")
	b.put("projects/shop.yaml", "settings: {ip: keep}")
	for _, p := range []*projects.Projects{p, again} {
		if err := p.Refresh(t.Context()); err != nil {
			t.Error(err)
		}
		serves(p, "mended", "keep")
	}
	if got := b.Get("projects", "lastgood/shop.yaml"); string(got) != "settings: {ip: keep}" {
		t.Errorf("kept %q", got)
	}
	b.Delete("projects", "projects/shop.yaml")
	if err := again.Refresh(t.Context()); !errors.Is(err, project.ErrMissing) {
		t.Errorf("while the object is missing: %v", err)
	}
	serves(again, "while the object is missing", "keep")
}

// TestOnlyOnGoogle: without an emulator the client is of Google itself.
func TestOnlyOnGoogle(t *testing.T) {
	t.Setenv("GCE_METADATA_HOST", "127.0.0.1:1")
	c, err := NewClient(func(string) (string, bool) { return "", false })
	if err != nil || c.URL != "https://storage.googleapis.com" {
		t.Errorf("%+v, %v", c, err)
	}
}
