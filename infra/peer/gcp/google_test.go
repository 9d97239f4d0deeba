package gcp

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/hitolayer/hito/infra/emulators/sts"
)

const (
	region      = "ap-northeast-1"
	role        = "arn:aws:sts::123456789012:assumed-role/hito-beacon"
	secretKey   = "hush/secret+key"
	sessionKey  = "hush/session+key=="
	accountText = "hito-aws@p.iam.gserviceaccount.com"
	provider    = "//iam.googleapis.com/projects/17/locations/global/workloadIdentityPools/hito/providers/aws"
)

var who = Identity{Provider: provider, Account: accountText}

// credentials are a function's.
type credentials struct{ aws.Credentials }

func (c *credentials) Retrieve(context.Context) (aws.Credentials, error) {
	if !c.HasKeys() {
		return aws.Credentials{}, errors.New("no keys")
	}
	return c.Credentials, nil
}

func own() *credentials {
	return &credentials{aws.Credentials{AccessKeyID: "ASIA", SecretAccessKey: secretKey, SessionToken: sessionKey}}
}

// google is Google's token services that trust the function's role.
func google() *sts.Google {
	return &sts.Google{
		Provider: provider, Role: role, Account: accountText,
		Keys: map[string]sts.AWSKey{
			"ASIA": {Secret: secretKey, Session: sessionKey, Role: role},
			"ELSE": {Secret: secretKey, Session: sessionKey, Role: role + "-other"},
		},
	}
}

// direct is a wire that ends at a handler, within a test's bubble.
type direct struct{ http.Handler }

func (d direct) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	w := httptest.NewRecorder()
	d.ServeHTTP(w, r)
	if err := errors.Join(r.Body.Close(), r.Context().Err()); err != nil {
		return nil, err
	}
	if w.Code == lost {
		return nil, io.ErrUnexpectedEOF
	}
	resp := w.Result()
	resp.Request = r
	return resp, nil
}

// lost is the status of an answer that does not arrive.
const lost = 999

// hangs answers nobody.
func hangs(_ http.ResponseWriter, r *http.Request) bool { <-r.Context().Done(); return true }

func fails(status int) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, _ *http.Request) bool { w.WriteHeader(status); return true }
}

// token returns a function's token of Google's.
func token(g http.Handler) *Token {
	return &Token{Credentials: own(), Region: region, Identity: who, Transport: direct{g}}
}

// topicAPI is Pub/Sub's REST API, as strict as the real one.
type topicAPI struct {
	// google is who gave the tokens out, nil to take nobody's.
	google *sts.Google
	// call decides about a request: 0 takes it, 1 takes it too, but its answer is lost.
	call func(n int, messages []published) int
	// short is how many answers lack a message.
	short int

	mu     sync.Mutex
	calls  int
	tokens []string // by request
	taken  []published
	wrong  error // what the real one would not have been asked
}

type published struct {
	Data       []byte
	Attributes map[string]string
}

const topic = "projects/p/topics/raw"

func (a *topicAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	n := a.calls
	a.calls++
	a.tokens = append(a.tokens, r.Header.Get("Authorization"))
	if a.google == nil && r.Header.Get("Authorization") != "" {
		a.wrong = errors.New("an emulator was told who calls")
	}
	if a.google != nil && !a.google.Authorized(r.Header.Get("Authorization"), "https://www.googleapis.com/auth/pubsub") {
		refuse(w, http.StatusUnauthorized, "UNAUTHENTICATED", "Request had invalid authentication credentials.")
		return
	}
	messages, err := read(r)
	if err != nil {
		a.wrong = err
		refuse(w, http.StatusBadRequest, "INVALID_ARGUMENT", err.Error())
		return
	}
	status := 0
	if a.call != nil {
		status = a.call(n, messages)
	}
	if status > 1 {
		// As some do, it tells what it was sent.
		refuse(w, status, "TOLD_TO", "no. "+r.Header.Get("Authorization"))
		return
	}
	a.taken = append(a.taken, messages...)
	if status == 1 {
		w.WriteHeader(lost)
		return
	}
	if a.short > 0 {
		a.short--
		messages = messages[1:]
	}
	ids := make([]string, len(messages))
	for i := range ids {
		ids[i] = fmt.Sprint(len(a.taken) + i)
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"messageIds": ids}) // the client may be gone
}

// read returns the messages of a request, if it is one.
func read(r *http.Request) ([]published, error) {
	if _, bounded := r.Context().Deadline(); !bounded && r.RequestURI == "" { // the client's own
		return nil, errors.New("a request without a deadline")
	}
	if r.Method != http.MethodPost || r.URL.Path != "/v1/"+topic+":publish" || r.Header.Get("Content-Type") != "application/json" || r.Header.Get("Content-Encoding") != "gzip" {
		return nil, fmt.Errorf("%s %s %v", r.Method, r.URL, r.Header)
	}
	z, err := gzip.NewReader(r.Body)
	if err != nil {
		return nil, err
	}
	const most = 10_000_000
	body, err := io.ReadAll(io.LimitReader(z, most+1))
	if err != nil || len(body) > most {
		return nil, fmt.Errorf("a request of %d bytes: %w", len(body), err)
	}
	var in struct{ Messages []published }
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, err
	}
	if n := len(in.Messages); n == 0 || n > 1000 {
		return nil, fmt.Errorf("%d messages", n)
	}
	return in.Messages, nil
}

func refuse(w http.ResponseWriter, status int, code, text string) {
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"error": map[string]any{"code": status, "status": code, "message": text}}) // the client may be gone
}

// all is Google: its token services and Pub/Sub.
func all(g *sts.Google, a *topicAPI) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "/topics/") {
			a.ServeHTTP(w, r)
		} else {
			g.ServeHTTP(w, r)
		}
	})
}

// noSecrets checks that an error tells none, however it is printed.
func noSecrets(t *testing.T, err error, more ...string) {
	t.Helper()
	text := fmt.Sprintf("%v %+v %#v %q", err, err, err, err)
	for _, secret := range append(more, "hush", "ya29") {
		if secret != "" && strings.Contains(text, secret) {
			t.Errorf("%s tells %s", text, secret)
		}
	}
}

// reaches waits, in a bubble, until a time after began.
func reaches(began time.Time, after time.Duration) { time.Sleep(time.Until(began.Add(after))) }
