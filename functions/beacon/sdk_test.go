package beacon

import (
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hitolayer/hito/shared/event"
)

// need ends the test when a program is missing: loudly, and in CI as a failure.
func need(t *testing.T, program, howTo string) {
	t.Helper()
	if _, err := exec.LookPath(program); err == nil {
		return
	}
	const format = "%s IS MISSING, so the SDKs are NOT tested: %s"
	if os.Getenv("CI") == "true" {
		t.Fatalf(format, program, howTo)
	}
	t.Skipf(format, program, howTo)
}

// The SDKs that people already have must work unchanged: testdata/sdks has a
// script for each, which sends one of each call.
func TestSDKs(t *testing.T) {
	need(t, "node", "install Node.js 20 or later")
	need(t, "npm", "install npm, which comes with Node.js")
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("testdata/sdks")); err != nil {
		t.Fatal(err)
	}
	install := exec.CommandContext(t.Context(), "npm", "ci", "--ignore-scripts", "--prefer-offline")
	install.Dir = dir
	if out, err := install.CombinedOutput(); err != nil {
		t.Fatalf("npm ci: %v\n%s", err, out)
	}
	for _, sdk := range []string{"segment-node", "segment-node-legacy", "segment-browser", "rudder-node"} {
		t.Run(sdk, func(t *testing.T) {
			t.Parallel()
			c := new(capture)
			h := c.handler()
			var preflights atomic.Int32
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodOptions {
					preflights.Add(1)
				}
				h.ServeHTTP(w, r)
			}))
			defer server.Close()
			run := exec.CommandContext(t.Context(), "node", sdk+".mjs")
			run.Dir = dir
			run.Env = append(os.Environ(), "HITO_ENDPOINT="+server.URL, "HITO_WRITE_KEY=demo")
			run.WaitDelay = 10 * time.Second
			if out, err := run.CombinedOutput(); err != nil {
				t.Fatalf("node %s.mjs: %v\n%s", sdk, err, out)
			}
			checkCalls(t, sdk, c)
			if browser := sdk == "segment-browser"; browser != (preflights.Load() > 0) {
				t.Errorf("%d preflights", preflights.Load())
			}
		})
	}
}

// checkCalls sees that what arrived is what testdata/sdks/calls.mjs says.
func checkCalls(t *testing.T, sdk string, c *capture) {
	if len(c.entries) > 0 {
		t.Errorf("%d events in quarantine: %v", len(c.entries), c.reasons())
	}
	byType := map[event.Type]*event.Event{}
	ids := map[string]bool{}
	for _, e := range c.events(t) {
		if byType[e.Type] != nil {
			t.Errorf("two events of type %s", e.Type.Word())
		}
		byType[e.Type] = e
		ids[e.MessageId] = true
		// The SDK's clock is not the handler's, by months: it must not show.
		if age := received.Sub(e.Time()); age < 0 || age > time.Minute {
			t.Errorf("%s happened %v ago", e.Type.Word(), age)
		}
		if e.OriginalTimestamp == 0 || e.SentAt == 0 || strings.HasPrefix(e.MessageId, "minted") {
			t.Errorf("%s lacks its times or its id: %v", e.Type.Word(), e)
		}
		if e.UserId != sdk+"-user" {
			t.Errorf("%s of %q", e.Type.Word(), e.UserId)
		}
		if browser := strings.HasPrefix(e.UserAgent, "Mozilla/5.0 (X11"); browser != (sdk == "segment-browser") || browser != (e.Ip == "127.0.0.0") {
			t.Errorf("%s: address %q, user agent %q", e.Type.Word(), e.Ip, e.UserAgent)
		}
	}
	if len(byType) != 5 || len(ids) != 5 {
		t.Fatalf("%d types and %d ids of events, want 5", len(byType), len(ids))
	}
	for _, want := range []struct {
		t            event.Type
		field, parts string
	}{
		{event.Type_TYPE_IDENTIFY, string(byType[event.Type_TYPE_IDENTIFY].Traits), `"email":"` + sdk + `@example.com" "plan":"pro"`},
		{event.Type_TYPE_TRACK, byType[event.Type_TYPE_TRACK].Name + string(byType[event.Type_TYPE_TRACK].Properties), `Order Completed "revenue":39.9 "currency":"EUR" naïve ☕`},
		{event.Type_TYPE_PAGE, byType[event.Type_TYPE_PAGE].Name + string(byType[event.Type_TYPE_PAGE].Properties), `Home "title":"Shop"`},
		{event.Type_TYPE_GROUP, byType[event.Type_TYPE_GROUP].GroupId + string(byType[event.Type_TYPE_GROUP].Traits), sdk + `-group "name":"Acme"`},
		{event.Type_TYPE_ALIAS, byType[event.Type_TYPE_ALIAS].PreviousId, sdk + `-before`},
	} {
		for part := range strings.FieldsSeq(want.parts) {
			if !strings.Contains(want.field, part) {
				t.Errorf("%s: %q lacks %q", want.t.Word(), want.field, part)
			}
		}
	}
	for _, typ := range []event.Type{event.Type_TYPE_IDENTIFY, event.Type_TYPE_TRACK, event.Type_TYPE_PAGE, event.Type_TYPE_GROUP} {
		if a, ok := byType[typ].Claim(); !ok || a != sdk+"-anon" {
			t.Errorf("%s claims %q", typ.Word(), a)
		}
	}
}
