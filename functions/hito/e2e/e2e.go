// Package e2e is what every hito must do, seen from outside, wherever it runs:
// real input goes in over HTTP, and what comes out is compared with an
// independent reading of the input.
package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hitolayer/hito/shared/ledger"
)

// Target is a hito with the sample project, and nobody in it yet.
type Target struct {
	// URL is where it takes beacons and is read, without a slash at its end.
	URL string
	// WriteKey and SecretKey are the sample project's.
	WriteKey, SecretKey string
	// Binary is the operator's binary: a path, or a name in PATH.
	Binary string
	// Certificate is a PEM file of the certificate to trust, where it is not one of
	// the machine's.
	Certificate string
	// Client talks to it, http.DefaultClient when nil.
	Client *http.Client
	// Patience is how long things may take, a minute when 0.
	Patience time.Duration
}

// ErrNotFound is the answer 404.
var ErrNotFound = errors.New("not found")

// Get reads JSON with the project's secret key.
func (x Target) Get(path string, into any) error {
	req, err := http.NewRequest(http.MethodGet, x.URL+path, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+x.SecretKey)
	client := x.Client
	if client == nil {
		client = http.DefaultClient
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	switch {
	case err != nil:
		return err
	case resp.StatusCode == http.StatusNotFound:
		return ErrNotFound
	case resp.StatusCode != http.StatusOK:
		return fmt.Errorf("GET %s answers %s: %s", path, resp.Status, body)
	}
	return json.Unmarshal(body, into)
}

// Settle waits until at least so many events were accepted, ever, and nothing is
// in flight. Where acceptance is booked by the consumer of the raw stream,
// nothing in flight says little by itself.
func (x Target) Settle(accepted int) (ledger.Totals, error) {
	patience := x.Patience
	if patience == 0 {
		patience = time.Minute
	}
	var totals ledger.Totals
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		totals = ledger.Totals{}
		if err := x.Get("/v1/ledger", &totals); err != nil {
			return totals, err
		}
		if totals.InFlight == 0 && totals.Accepted >= int64(accepted) {
			return totals, nil
		}
	}
	return totals, fmt.Errorf("after %v, want %d accepted and none in flight: %+v", patience, accepted, totals)
}

// environment is what programs are started with.
func (x Target) environment() []string {
	env := os.Environ()
	if x.Certificate != "" {
		env = append(env, "SSL_CERT_FILE="+x.Certificate, "NODE_EXTRA_CA_CERTS="+x.Certificate)
	}
	return env
}

// Hito runs a command of the operator's binary and returns what it prints.
func (x Target) Hito(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), x.Binary, args...)
	cmd.Env = append(x.environment(), "HITO_URL="+x.URL, "HITO_WRITE_KEY="+x.WriteKey, "HITO_SECRET_KEY="+x.SecretKey)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("hito %s: %v\n%s%s", strings.Join(args, " "), err, &out, &errs)
	}
	return out.String()
}

// Profiles are profiles as the read API answers, by selector such as
// "anonymous_id:a1", without what differs from one moment to the next.
type Profiles map[string]json.RawMessage

// moment is a time as the read API writes it.
var moment = regexp.MustCompile(`"\d{4}-\d\d-\d\dT[0-9:.]+Z"`)

// Profiles reads profiles. Scores decay from one moment to the next, and are
// left out. When timeless, so are times: two runs of what takes the time of now differ in them.
func (x Target) Profiles(t *testing.T, timeless bool, selectors ...string) Profiles {
	t.Helper()
	all := Profiles{}
	for _, s := range selectors {
		var raw json.RawMessage
		if err := x.Get("/v1/profiles/"+s, &raw); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
		var doc map[string]json.RawMessage
		if err := json.Unmarshal(raw, &doc); err != nil {
			t.Fatal(err)
		}
		delete(doc, "scores")
		if timeless {
			sortRecent(t, doc)
		}
		stable, err := json.Marshal(doc)
		if err != nil {
			t.Fatal(err)
		}
		if timeless {
			stable = moment.ReplaceAll(stable, []byte(`"…"`))
		}
		all[s] = stable
	}
	return all
}

// sortRecent takes the order from the recent events, which is their times'.
func sortRecent(t *testing.T, doc map[string]json.RawMessage) {
	t.Helper()
	var recent []json.RawMessage
	if err := json.Unmarshal(doc["recent"], &recent); err != nil {
		t.Fatal(err)
	}
	for i := range recent {
		recent[i] = moment.ReplaceAll(recent[i], []byte(`"…"`))
	}
	slices.SortFunc(recent, func(a, b json.RawMessage) int { return bytes.Compare(a, b) })
	sorted, err := json.Marshal(recent)
	if err != nil {
		t.Fatal(err)
	}
	doc["recent"] = sorted
}

// Same compares what two hitos, or one at two times, know of the same people.
func Same(t *testing.T, got, want Profiles) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%d profiles, want %d", len(got), len(want))
	}
	for s := range want {
		if !bytes.Equal(got[s], want[s]) {
			t.Errorf("%s is\n%s\nwant\n%s", s, got[s], want[s])
		}
	}
}

// missing ends a test for want of something from outside: loudly, and for good where all must run.
func missing(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(what)
	}
	t.Skip(what)
}
