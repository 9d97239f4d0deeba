package secretsmanager

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/hitolayer/hito/infra/aws/environment"
	"github.com/hitolayer/hito/infra/emulators"
)

const key = "hush-hush"

func client(t *testing.T, url string) *secretsmanager.Client {
	t.Helper()
	vars := map[string]string{"AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_ENDPOINT_URL": url}
	cfg, err := environment.Config(func(name string) (string, bool) { value, ok := vars[name]; return value, ok })
	if err != nil {
		t.Fatal(err)
	}
	return NewClient(cfg)
}

// manager answers for one secret, in the forms of Secrets Manager.
type manager struct {
	value, version string
	asked          int
	troubles       []func(http.ResponseWriter)
}

func (m *manager) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	m.asked++
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	if len(m.troubles) > 0 {
		trouble := m.troubles[0]
		m.troubles = m.troubles[1:]
		trouble(w)
		return
	}
	_, _ = fmt.Fprintf(w, `{"SecretString":%q,"VersionId":%q}`, m.value, m.version)
}

func refuse(status int, code string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		w.Header().Set("X-Amzn-Errortype", code)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, `{"message":"told to"}`)
	}
}

type clock struct{ now time.Time }

func (c *clock) Now() time.Time { return c.now }

func newSecret(t *testing.T) (*manager, *clock, *Secret) {
	m := &manager{value: "shop: {secret: [" + key + "]}", version: "v1"}
	server := httptest.NewServer(m)
	t.Cleanup(server.Close)
	c := &clock{time.Unix(1e9, 0)}
	return m, c, &Secret{Client: client(t, server.URL), ID: "hito/keys", Every: time.Minute, Now: c.Now}
}

// TestFetch: the document comes once per version, and a look at it once per Every.
func TestFetch(t *testing.T) {
	m, c, s := newSecret(t)
	fetch := func(tag string) (data, newTag string) {
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
	if data, tag := fetch(""); data != m.value || tag != "v1" {
		t.Errorf("got %q, tag %q", data, tag)
	}
	for range 5 {
		if data, tag := fetch("v1"); data != "unchanged" || tag != "v1" || m.asked != 1 {
			t.Errorf("the same again: %q, tag %q after %d calls", data, tag, m.asked)
		}
		c.now = c.now.Add(10 * time.Second)
	}
	if data, tag := fetch(""); data != m.value || tag != "v1" || m.asked != 2 {
		t.Errorf("to somebody who has none: %q, tag %q after %d calls", data, tag, m.asked)
	}
	c.now = c.now.Add(time.Minute)
	if data, tag := fetch("v1"); data != "unchanged" || tag != "v1" || m.asked != 3 {
		t.Errorf("after a minute: %q, tag %q after %d calls", data, tag, m.asked)
	}
	m.value, m.version = "shop: {secret: [other]}", "v2"
	if data, _ := fetch("v1"); data != "unchanged" || m.asked != 3 {
		t.Errorf("at once after a change: %q after %d calls", data, m.asked)
	}
	c.now = c.now.Add(time.Minute)
	if data, tag := fetch("v1"); data != m.value || tag != "v2" {
		t.Errorf("a minute after a change: %q, tag %q", data, tag)
	}
}

// TestTrouble: what passes is tried again, and after an outage at once.
func TestTrouble(t *testing.T) {
	m, _, s := newSecret(t)
	s.Patience = time.Minute
	m.troubles = []func(http.ResponseWriter){refuse(http.StatusBadRequest, "ThrottlingException"), refuse(http.StatusInternalServerError, "InternalServiceError")}
	if data, tag, err := s.Fetch(t.Context(), ""); string(data) != m.value || tag != "v1" || err != nil || m.asked != 3 {
		t.Errorf("got %q, tag %q, %v after %d calls", data, tag, err, m.asked)
	}
	m.troubles = []func(http.ResponseWriter){refuse(http.StatusBadRequest, "DecryptionFailure")}
	if _, _, err := s.Fetch(t.Context(), ""); err == nil || !strings.Contains(err.Error(), "hito/keys") || !strings.Contains(err.Error(), "DecryptionFailure") {
		t.Errorf("error %v", err)
	}
	if data, _, err := s.Fetch(t.Context(), ""); string(data) != m.value || err != nil {
		t.Errorf("right after: %q, %v", data, err)
	}
	m.troubles = []func(http.ResponseWriter){refuse(http.StatusBadRequest, "ResourceNotFoundException")}
	if _, _, err := s.Fetch(t.Context(), ""); err == nil || !strings.Contains(err.Error(), "create it") {
		t.Errorf("error %v", err)
	}
	m.value = ""
	if _, _, err := s.Fetch(t.Context(), ""); err == nil || !strings.Contains(err.Error(), "no value") {
		t.Errorf("an empty secret: %v", err)
	}
}

// TestNothingIsTold: of an answer that cannot be read, nothing gets into the error.
func TestNothingIsTold(t *testing.T) {
	m, _, s := newSecret(t)
	s.Patience = 200 * time.Millisecond
	for _, answer := range []string{
		`{"SecretString":"shop: {secret: [` + key,
		`{"SecretString":["` + key + `"]}`,
		`{"SecretBinary":"` + key + `!"}`,
		`"` + key + `"`,
	} {
		m.troubles = nil
		for range 20 { // more than there is patience for
			m.troubles = append(m.troubles, func(w http.ResponseWriter) { _, _ = io.WriteString(w, answer) })
		}
		_, tag, err := s.Fetch(context.WithoutCancel(t.Context()), "")
		if err == nil || strings.Contains(fmt.Sprintf("%v %+v %#v", err, err, err), key) || tag != "" {
			t.Errorf("answered %s: tag %q, error %v", answer, tag, err)
		}
	}
}

// TestEmulator asks moto's Secrets Manager.
func TestEmulator(t *testing.T) {
	c := client(t, emulators.Moto(t))
	s := &Secret{Client: c, ID: "hito/keys", Every: time.Nanosecond}
	if _, _, err := s.Fetch(t.Context(), ""); err == nil || !strings.Contains(err.Error(), "create it") {
		t.Errorf("before it is there: %v", err)
	}
	if _, err := c.CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{Name: &s.ID, SecretString: aws.String("one")}); err != nil {
		t.Fatal(err)
	}
	data, tag, err := s.Fetch(t.Context(), "")
	if string(data) != "one" || tag == "" || err != nil {
		t.Errorf("got %q, tag %q, %v", data, tag, err)
	}
	if data, _, err := s.Fetch(t.Context(), tag); data != nil || err != nil {
		t.Errorf("the same again: %q, %v", data, err)
	}
	if _, err := c.PutSecretValue(t.Context(), &secretsmanager.PutSecretValueInput{SecretId: &s.ID, SecretBinary: []byte("two")}); err != nil {
		t.Fatal(err)
	}
	if data, next, err := s.Fetch(t.Context(), tag); string(data) != "two" || next == tag || err != nil {
		t.Errorf("after a change: %q, tag %q, %v", data, next, err)
	}
}
