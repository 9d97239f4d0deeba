//go:build acceptance

package acceptance

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hitolayer/hito/functions/hito/e2e"
	"github.com/hitolayer/hito/shared/event"
	"github.com/hitolayer/hito/shared/ledger"
	"github.com/hitolayer/hito/shared/stream"
)

// names are the functions', as in the names of what Terraform deploys.
var names = []string{"beacon", "enrich", "score", "profile"}

// hito is an installation on some cloud, seen from outside.
type hito struct {
	target e2e.Target
	plain  string // the same without TLS, which hito load does not speak
}

// serve gives an installation its addresses.
func serve(t *testing.T, handler http.Handler) hito {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "hito")
	run(t, repository(t), "go", "build", "-o", binary, "./functions/hito")
	front, plain := httptest.NewTLSServer(handler), httptest.NewServer(handler)
	t.Cleanup(front.Close)
	t.Cleanup(plain.Close)
	certificate := filepath.Join(t.TempDir(), "certificate.pem")
	if err := os.WriteFile(certificate, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: front.Certificate().Raw}), 0o644); err != nil {
		t.Fatal(err)
	}
	return hito{plain: plain.URL, target: e2e.Target{
		URL: front.URL, WriteKey: "demo", SecretKey: "demo-secret", Binary: binary, Certificate: certificate, Client: front.Client(), Patience: 3 * time.Minute,
	}}
}

// step is a test of an installation, in its turn.
type step struct {
	name string
	test func(*testing.T)
}

// inOrder runs steps; explain says more about one that failed.
func inOrder(t *testing.T, explain func(*testing.T), steps []step) {
	for _, s := range steps {
		t.Run(s.name, func(t *testing.T) {
			defer explain(t)
			s.test(t)
		})
	}
}

// short is a function's name as its folder is called.
func short(name string) string {
	return name[strings.LastIndexByte(name, '-')+1:]
}

// local starts a hito in one process to compare with.
func (x *hito) local(t *testing.T) e2e.Target {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), x.target.Binary, "run")
	log := filepath.Join(t.TempDir(), "log")
	out, err := os.Create(log)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd.Env = append(os.Environ(), "HITO_ADDR=127.0.0.1:0", "HITO_DATA="+t.TempDir(), "HITO_PROJECTS=", "HITO_LOG=json")
	cmd.Stderr = out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt) // it may have ended
		_ = cmd.Wait()
	})
	local := x.target
	local.Client = nil // it has no certificate
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		data, err := os.ReadFile(log)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(data)) {
			var entry struct{ Msg, Console string }
			if json.Unmarshal([]byte(line), &entry) == nil && entry.Msg == "hito runs" {
				local.URL = strings.TrimSuffix(entry.Console, "/")
				return local
			}
		}
	}
	t.Fatal("hito does not run")
	return local
}

// sdks: so do the SDKs, apart from times.
func (x *hito) sdks(t *testing.T) {
	e2e.Same(t, e2e.SDKs(t, x.target), e2e.SDKs(t, x.local(t)))
}

// load sends events for new visitors and sees to it that each counts once.
func (x *hito) load(t *testing.T, events int) {
	t.Helper()
	x.loaded(t, events, 10)
}

func (x *hito) loaded(t *testing.T, events, perRequest int) {
	t.Helper()
	plain := x.target
	plain.URL = x.plain
	t.Log(plain.Hito(t, "load", "--events", fmt.Sprint(events), "--visitors", "150", "--per-request", fmt.Sprint(perRequest), "--connections", "4",
		"--duration", "2m", "--drain", "3m", "--seed", fmt.Sprint(rand.Uint32()), "--verify"))
	x.balanced(t)
}

// balanced waits until the books balance.
func (x *hito) balanced(t *testing.T) ledger.Totals {
	t.Helper()
	totals, err := x.target.Settle(0)
	if err != nil {
		t.Error(err)
	}
	return totals
}

// badEvents: what the beacon refuses is answered and kept.
func (x *hito) badEvents(t *testing.T) {
	before := x.balanced(t)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, x.target.URL+"/v1/batch", strings.NewReader(
		`{"batch":[{"type":"track","event":"no id"},{"type":"page","anonymousId":"good","messageId":"good"},{"type":"nonsense","anonymousId":"x"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth(x.target.WriteKey, "")
	req.Header.Set("Hito-Receipts", "1")
	resp, err := x.target.Client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var answer struct {
		Receipts []struct{ Status string }
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || resp.StatusCode != http.StatusOK || len(answer.Receipts) != 3 ||
		answer.Receipts[0].Status != "quarantined" || answer.Receipts[1].Status != "accepted" || answer.Receipts[2].Status != "quarantined" {
		t.Errorf("%s: %+v, %v", resp.Status, answer, err)
	}
	totals, err := x.target.Settle(int(before.Accepted) + 3)
	if err != nil || totals.Quarantined != before.Quarantined+2 || totals.Scored != before.Scored+1 {
		t.Errorf("the ledger went from %+v to %+v, %v", before, totals, err)
	}
	var page struct {
		Entries []struct{ Stage, Reason string }
	}
	if err := x.target.Get("/v1/quarantine?limit=2", &page); err != nil || len(page.Entries) != 2 || page.Entries[0].Stage != "beacon" {
		t.Errorf("quarantine %+v, %v", page, err)
	}
}

func (x *hito) erasure(t *testing.T) {
	x.target.Hito(t, "send", "--type", "identify", "--user-id", "gone", "--anonymous-id", "gone-anon", "--message-id", "gone-1")
	var p struct {
		UserID string `json:"user_id"`
	}
	x.eventually(t, "the person", func() bool { return x.target.Get("/v1/profiles/user_id:gone?after=gone-1&timeout=5s", &p) == nil })
	req, err := http.NewRequestWithContext(t.Context(), http.MethodDelete, x.target.URL+"/v1/profiles/user_id:gone?timeout=10s", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+x.target.SecretKey)
	resp, err := x.target.Client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusAccepted {
		t.Errorf("erasing answers %s", resp.Status)
	}
	for _, selector := range []string{"user_id:gone", "anonymous_id:gone-anon"} {
		x.eventually(t, selector+" to be forgotten", func() bool { return x.target.Get("/v1/profiles/"+selector, &p) == e2e.ErrNotFound })
	}
}

// page is a record with a page of somebody, called key, as the beacon would make it.
func page(t *testing.T, project, key string) stream.Record {
	t.Helper()
	now := time.Now().UnixMilli()
	data, err := event.Encode(&event.Record{Project: project, Key: "a:" + key, ReceivedAt: now, Receipt: rand.Uint32(), Events: []*event.Event{{
		MessageId: "poison-" + key, Type: event.Type_TYPE_PAGE, AnonymousId: key, Timestamp: now, Context: []byte("{}"),
	}}})
	if err != nil {
		t.Fatal(err)
	}
	return stream.Record{Project: project, Key: "a:" + key, Events: 1, Time: now, Data: data}
}

func (x *hito) eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(x.target.Patience); !ok(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", x.target.Patience, what)
		}
	}
}

func repository(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Dir(strings.TrimSpace(string(out)))
}

func run(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// missing ends a test for want of something from outside: loudly, and for good where all must run.
func missing(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(what)
	}
	t.Skip(what)
}
