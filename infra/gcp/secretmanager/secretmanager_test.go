package secretmanager

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hitolayer/hito/infra/emulators/googleapis"
	"github.com/hitolayer/hito/infra/gcp/rest"
	"github.com/hitolayer/hito/infra/projects"
	"github.com/hitolayer/hito/shared/project"
)

const (
	name = "projects/mycompany/secrets/hito-keys"
	key  = "hush-hush"
	keys = "shop: {secret: [" + key + "]}"
)

// manager is a Secret Manager that does what it is told to first.
type manager struct {
	googleapis.Secrets
	mu       sync.Mutex
	troubles []http.HandlerFunc
	down     bool
}

func (m *manager) fail(w http.ResponseWriter, r *http.Request) bool {
	m.mu.Lock()
	var trouble http.HandlerFunc
	if len(m.troubles) > 0 {
		trouble, m.troubles = m.troubles[0], m.troubles[1:]
	}
	if m.down {
		trouble = refuse(http.StatusServiceUnavailable, "down")
	}
	m.mu.Unlock()
	if trouble != nil {
		trouble(w, r)
	}
	return trouble != nil
}

func (m *manager) trouble(what ...http.HandlerFunc) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.troubles = what
}

func (m *manager) isDown(down bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.down = down
}

// refuse answers as Google does. https://cloud.google.com/apis/design/errors#http_mapping
func refuse(status int, message string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = fmt.Fprintf(w, `{"error":{"code":%d,"message":%q}}`, status, message)
	}
}

func say(answer string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, answer) }
}

func reset(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

func client(t *testing.T, h http.Handler) *rest.Client {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	c, err := NewClient(func(variable string) (string, bool) {
		return strings.TrimPrefix(s.URL, "http://"), variable == "SECRETMANAGER_EMULATOR_HOST"
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

type clock struct{ now time.Time }

func (c *clock) Now() time.Time { return c.now }

func newSecret(t *testing.T) (*manager, *clock, *Secret) {
	t.Helper()
	m, c := &manager{}, &clock{time.Unix(1e9, 0)}
	m.Fail = m.fail
	m.Add(name, []byte(keys))
	return m, c, &Secret{Client: client(t, m), Name: name, Every: time.Minute, Now: c.Now}
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

// TestFetch: the document comes once per version, and a look at it once per Every.
func TestFetch(t *testing.T) {
	m, c, s := newSecret(t)
	one, two := name+"/versions/1", name+"/versions/2"
	if data, tag := fetch(t, s, ""); data != keys || tag != one {
		t.Errorf("got %q, tag %q", data, tag)
	}
	for range 5 {
		if data, tag := fetch(t, s, one); data != "unchanged" || tag != one || m.Calls() != 1 {
			t.Errorf("the same again: %q, tag %q after %d calls", data, tag, m.Calls())
		}
		c.now = c.now.Add(10 * time.Second)
	}
	if data, tag := fetch(t, s, ""); data != keys || tag != one || m.Calls() != 2 {
		t.Errorf("to somebody who has none: %q, tag %q after %d calls", data, tag, m.Calls())
	}
	if data, tag := fetch(t, s, name+"/versions/0"); data != keys || tag != one || m.Calls() != 3 {
		t.Errorf("to somebody who has another: %q, tag %q after %d calls", data, tag, m.Calls())
	}
	c.now = c.now.Add(time.Minute)
	if data, tag := fetch(t, s, one); data != "unchanged" || tag != one || m.Calls() != 4 {
		t.Errorf("after a minute: %q, tag %q after %d calls", data, tag, m.Calls())
	}
	m.Add(name, []byte("shop: {secret: [other]}"))
	if data, _ := fetch(t, s, one); data != "unchanged" || m.Calls() != 4 {
		t.Errorf("at once after a change: %q after %d calls", data, m.Calls())
	}
	c.now = c.now.Add(time.Minute)
	if data, tag := fetch(t, s, one); data != "shop: {secret: [other]}" || tag != two {
		t.Errorf("a minute after a change: %q, tag %q", data, tag)
	}
	// The same bytes in a new version are a new version.
	m.Add(name, []byte("shop: {secret: [other]}"))
	c.now = c.now.Add(time.Minute)
	if data, tag := fetch(t, s, two); data == "unchanged" || tag != name+"/versions/3" {
		t.Errorf("a version more: %q, tag %q", data, tag)
	}
}

// TestEvery: five minutes go by between looks when nothing else is said.
func TestEvery(t *testing.T) {
	m, c, s := newSecret(t)
	s.Every = 0
	_, tag := fetch(t, s, "")
	for after, calls := range []int{1, 1, 1, 1, 1, 2, 2} { // minutes
		if fetch(t, s, tag); m.Calls() != calls {
			t.Errorf("after %d minutes: %d calls, want %d", after, m.Calls(), calls)
		}
		c.now = c.now.Add(time.Minute)
	}
}

// TestTrouble: what passes is tried again, and after an outage at once.
func TestTrouble(t *testing.T) {
	m, c, s := newSecret(t)
	s.Patience = time.Minute
	m.trouble(refuse(429, "Quota exceeded"), refuse(500, "internal"), reset, refuse(503, "down"))
	if data, tag := fetch(t, s, ""); data != keys || tag == "" || m.Calls() < 5 {
		t.Errorf("got %q, tag %q after %d calls", data, tag, m.Calls())
	}
	_, tag := fetch(t, s, "")
	c.now = c.now.Add(time.Hour)
	m.trouble(refuse(403, "denied"))
	if _, newTag, err := s.Fetch(t.Context(), tag); err == nil || newTag != "" {
		t.Errorf("tag %q, error %v", newTag, err)
	}
	before := m.Calls()
	if data, newTag := fetch(t, s, tag); data != "unchanged" || newTag != tag || m.Calls() != before+1 {
		t.Errorf("right after: %q, tag %q", data, newTag)
	}
}

// TestRefused: an error tells what to do about what, and is not tried again. Only
// a secret that is not there counts as missing, of which what was last good stays.
func TestRefused(t *testing.T) {
	for what, x := range map[string]struct {
		spoil   func(*manager)
		says    string
		missing bool
	}{
		"no secret":        {func(m *manager) { m.Delete(name) }, "create it", true},
		"not allowed":      {func(m *manager) { m.trouble(refuse(403, "Permission denied for resource")) }, "grant roles/secretmanager.secretAccessor", false},
		"no credentials":   {func(m *manager) { m.trouble(refuse(401, "Request had invalid authentication credentials.")) }, "invalid authentication", false},
		"disabled":         {func(m *manager) { m.Close(name, "DISABLED") }, "DISABLED state", false},
		"destroyed":        {func(m *manager) { m.Add(name, []byte("x")); m.Close(name, "DESTROYED") }, "DESTROYED state", false},
		"an empty value":   {func(m *manager) { m.Add(name, nil) }, "no value", false},
		"a damaged value":  {func(m *manager) { m.trouble(say(version(keys, crc("shop: {secret: [other]}")))) }, "checksum", false},
		"a wrong checksum": {func(m *manager) { m.trouble(say(version(keys, "7"))) }, "checksum", false},
		"not an answer":    {func(m *manager) { m.trouble(say("<html>log in first</html>")) }, "could not be read", false},
		"another answer":   {func(m *manager) { m.trouble(say("{}")) }, "could not be read", false},
		"too large":        {func(m *manager) { m.Add(name, []byte(strings.Repeat(key, 20_000))) }, "could not be read", false},
	} {
		t.Run(what, func(t *testing.T) {
			m, _, s := newSecret(t)
			x.spoil(m)
			data, tag, err := s.Fetch(t.Context(), "")
			if err == nil || !strings.Contains(err.Error(), x.says) || !strings.Contains(err.Error(), name) || errors.Is(err, project.ErrMissing) != x.missing {
				t.Errorf("error %v; want one that says %q", err, x.says)
			}
			if data != nil || tag != "" || m.Calls() != 1 {
				t.Errorf("%d bytes, tag %q after %d calls", len(data), tag, m.Calls())
			}
		})
	}
}

// version is an answer of Secret Manager's.
// https://cloud.google.com/secret-manager/docs/reference/rest/v1/projects.secrets.versions/access
func version(value, sum string) string {
	return fmt.Sprintf(`{"name":"%s/versions/9","payload":{"data":%q,"dataCrc32c":%q}}`, name, base64.StdEncoding.EncodeToString([]byte(value)), sum)
}

// crc is a CRC-32C bit by bit, in decimal as Google writes it.
// https://cloud.google.com/secret-manager/docs/data-integrity
func crc(text string) string {
	sum := ^uint32(0)
	for _, c := range []byte(text) {
		sum ^= uint32(c)
		for range 8 {
			sum = sum>>1 ^ 0x82f63b78&-(sum&1)
		}
	}
	return fmt.Sprint(^sum)
}

// TestSizes: the largest version that Google keeps is read, and one without a checksum.
// https://cloud.google.com/secret-manager/quotas#content_limits
func TestSizes(t *testing.T) {
	m, _, s := newSecret(t)
	largest := strings.Repeat("x", 64<<10)
	m.Add(name, []byte(largest))
	if data, _ := fetch(t, s, ""); data != largest {
		t.Errorf("%d bytes of the largest secret", len(data))
	}
	for _, answer := range []string{version(keys, crc(keys)), version(keys, "")} {
		m.trouble(say(answer))
		if data, tag := fetch(t, s, ""); data != keys || tag != name+"/versions/9" {
			t.Errorf("%s is %q, tag %q", answer, data, tag)
		}
	}
}

// TestNothingIsTold: of an answer that cannot be read, nothing gets into the error.
func TestNothingIsTold(t *testing.T) {
	encoded := base64.StdEncoding.EncodeToString([]byte(key))
	for _, answer := range []string{
		version(key, "7"),
		version(key, "")[:90],
		`{"name":"n","payload":{"data":"` + key + `!"}}`,
		`{"name":"n","payload":{"data":["` + encoded + `"]}}`,
		`{"name":"n","payload":"` + encoded + `"}`,
		`"` + key + `"`,
		key,
	} {
		m, _, s := newSecret(t)
		m.trouble(say(answer))
		_, tag, err := s.Fetch(t.Context(), "")
		said := fmt.Sprintf("%v %+v %#v", err, err, err)
		if err == nil || strings.Contains(said, key) || strings.Contains(said, encoded) || tag != "" {
			t.Errorf("answered %s: tag %q, error %v", answer, tag, err)
		}
	}
}

// TestPatience: a Secret Manager that does not answer holds nobody for longer than
// was allowed, and an ended context for no time.
func TestPatience(t *testing.T) {
	release := make(chan struct{})
	c := client(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}))
	defer close(release)
	s := &Secret{Client: c, Name: name, Patience: 50 * time.Millisecond}
	if _, _, err := s.Fetch(t.Context(), ""); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, project.ErrMissing) {
		t.Errorf("error %v, want that the time is over", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := s.Fetch(ctx, ""); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want that it was called off", err)
	}
}

// TestRegistry: secret keys that were good stay in service while Secret Manager is
// down, and while what it has is broken or gone.
func TestRegistry(t *testing.T) {
	m, c, s := newSecret(t)
	var b googleapis.Storage
	b.Put("projects", "projects/shop.yaml", []byte("settings: {ip: drop}"))
	p := projects.In("projects", func(key string) project.Source { return document{&b, key} })
	p.Keys, p.Log, s.Patience = s, slog.New(slog.DiscardHandler), 200*time.Millisecond
	refresh := func() error {
		c.now = c.now.Add(time.Hour)
		return p.Refresh(t.Context())
	}
	serves := func(when, key string) {
		t.Helper()
		if got, ok := p.BySecretKey(key); !ok || got.Name != "shop" {
			t.Errorf("%s, the secret key is of %+v, %v", when, got, ok)
		}
	}
	if err := p.Serve(t.Context()); err != nil {
		t.Fatal(err)
	}
	serves("at first", key)
	for when, spoil := range map[string]func(){
		"while it is down":             func() { m.isDown(true) },
		"while it is not allowed":      func() { m.trouble(refuse(403, "denied")) },
		"while it is damaged":          func() { m.trouble(say(version("shop: {secret: [evil]}", "7"))) },
		"while its version is broken":  func() { m.Add(name, []byte("shop: {secret: [")) },
		"while its version is empty":   func() { m.Add(name, nil) },
		"while its version is blocked": func() { m.Add(name, []byte("x")); m.Close(name, "DISABLED") },
		"while it is gone":             func() { m.Delete(name) },
	} {
		spoil()
		if err := refresh(); err == nil || strings.Contains(err.Error(), key) {
			t.Errorf("%s: %v", when, err)
		}
		serves(when, key)
		m.isDown(false)
		m.Add(name, []byte(keys))
		if err := refresh(); err != nil {
			t.Errorf("after %s: %v", when, err)
		}
	}
	m.Add(name, []byte("shop: {secret: [other]}"))
	if err := refresh(); err != nil {
		t.Error(err)
	}
	serves("once it has changed", "other")
	if _, ok := p.BySecretKey(key); ok {
		t.Error("a key that was taken away still opens")
	}
}

// document is an object that is as it was put.
type document struct {
	storage *googleapis.Storage
	key     string
}

func (d document) Fetch(context.Context, string) ([]byte, string, error) {
	data := d.storage.Get("projects", d.key)
	return data, string(data), nil
}

// TestOnlyOnGoogle: without an emulator the client is of Google itself.
func TestOnlyOnGoogle(t *testing.T) {
	t.Setenv("GCE_METADATA_HOST", "127.0.0.1:1")
	c, err := NewClient(func(string) (string, bool) { return "", false })
	if err != nil || c.URL != "https://secretmanager.googleapis.com" {
		t.Errorf("%+v, %v", c, err)
	}
}
