//go:build acceptance

package acceptance

import (
	"bytes"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/pubsub/v2"
	"google.golang.org/grpc/codes"

	"github.com/hitolayer/hito/functions/hito/e2e"
	"github.com/hitolayer/hito/functions/score"
	"github.com/hitolayer/hito/infra/emulators/fault"
	"github.com/hitolayer/hito/infra/emulators/gcpfunctions"
	store "github.com/hitolayer/hito/infra/gcp/bigtable"
	"github.com/hitolayer/hito/infra/gcp/pubsub/message"
	"github.com/hitolayer/hito/shared/ledger"
	"github.com/hitolayer/hito/shared/quarantine"
	"github.com/hitolayer/hito/shared/stream"
)

// TestGCP starts everything as it is planned and drives it as its users do, while
// everything that can go wrong does; with Firestore, what that is asked for.
func TestGCP(t *testing.T) {
	p := packGCP(t)
	t.Run("Bigtable", func(t *testing.T) { onBigtable(t, p) })
	t.Run("Firestore", func(t *testing.T) { onFirestore(t, p) })
}

func onBigtable(t *testing.T, p packagesGCP) {
	x := installGCP(t, p, "bigtable")
	inOrder(t, x.explain, []step{
		{"AccessLog", x.accessLog},
		{"SDKs", x.sdks},
		{"CPU", x.cpu},
		{"MessagesComeAgain", x.messagesComeAgain},
		{"FunctionsAreKilled", x.functionsAreKilled},
		{"GoogleFails", x.googleFails},
		{"PoisonRecords", x.poisonRecords},
		{"BadEvents", x.badEvents},
		{"Erasure", x.erasure},
		{"Sweep", x.sweep},
		{"OnlyGoogleCalls", x.onlyGoogleCalls},
	})
}

func onFirestore(t *testing.T, p packagesGCP) {
	x := installGCP(t, p, "firestore")
	inOrder(t, x.explain, []step{
		{"AccessLog", x.accessLog},
		{"MessagesComeAgain", x.messagesComeAgain},
		{"FunctionsAreKilled", x.functionsAreKilled},
		{"FirestoreFails", x.firestoreFails},
		{"BadEvents", x.badEvents},
		{"Erasure", x.erasure},
		{"Sweep", x.sweep},
	})
}

// accessLog: the real log gives the profiles that it gives in one process, byte by byte.
func (x *gcpInstallation) accessLog(t *testing.T) {
	x.set(0.1, nil)
	defer x.set(0, nil)
	e2e.Same(t, e2e.AccessLog(t, x.target), e2e.AccessLog(t, x.local(t)))
}

// cpu tells what functions take: the processor time of whole processes, from their
// start until they are killed with nothing left to do.
func (x *gcpInstallation) cpu(t *testing.T) {
	ended := func() map[string]gcpfunctions.Stats {
		stats := map[string]gcpfunctions.Stats{}
		for name, f := range x.functions {
			for f.Kill() {
			}
			x.eventually(t, name+" to end", func() bool { return f.Ended() })
			stats[name] = f.Stats()
		}
		return stats
	}
	for _, perRequest := range []int{1, 10} {
		events := 1000 * perRequest
		before := ended()
		x.loaded(t, events, perRequest)
		for name, s := range ended() {
			requests := s.Requests - before[name].Requests
			cpu := s.CPU - before[name].CPU
			t.Logf("%d events, %d in a request of the beacon's: %s served %d requests and took %v of each, %v of each event",
				events, perRequest, name, requests, (cpu / time.Duration(max(1, requests))).Round(time.Microsecond), (cpu / time.Duration(events)).Round(100*time.Nanosecond))
		}
	}
}

func (x *gcpInstallation) messagesComeAgain(t *testing.T) {
	count := func() int {
		return x.pushes["raw-enrich"].Stats().Redelivered + x.pushes["enriched-score"].Stats().Redelivered
	}
	before := count()
	x.set(0.7, nil)
	defer x.set(0, nil)
	x.load(t, 3000)
	if again := count() - before; again < 5 {
		t.Errorf("only %d messages came again: this shows too little", again)
	} else {
		t.Logf("%d messages came again", again)
	}
}

func (x *gcpInstallation) functionsAreKilled(t *testing.T) {
	killed := func() int { return x.functions["enrich"].Stats().Killed + x.functions["score"].Stats().Killed }
	before := killed()
	left := 12
	x.set(0.2, func() (time.Duration, bool) {
		// With an instance all requests end that it serves, which is up to its
		// concurrency. More often than this, messages would run out of attempts.
		if left == 0 || rand.IntN(40) != 0 {
			return 0, false
		}
		left--
		// Within what a message takes here: in the middle of loading, saving, booking.
		return time.Duration(rand.IntN(60)) * time.Millisecond, true
	})
	defer x.set(0, nil)
	x.load(t, 3000)
	if n := killed() - before; n < 3 {
		t.Errorf("only %d were killed: this shows too little", n)
	} else {
		t.Logf("%d killed", n)
	}
}

// googleFails: calls refused and answers lost, of Pub/Sub and of Bigtable at once.
func (x *gcpInstallation) googleFails(t *testing.T) {
	x.published.SetRules(
		fault.GRPCRule{Method: "Publish", Probability: 0.1, Code: codes.Unavailable},
		fault.GRPCRule{Method: "Publish", Probability: 0.05, Code: codes.Unavailable, After: true},
	)
	x.tabled.SetRules(
		fault.GRPCRule{Method: "ReadRows", Probability: 0.05, Code: codes.Unavailable, After: true},
		fault.GRPCRule{Method: "CheckAndMutateRow", Probability: 0.05, Code: codes.Unavailable},
		fault.GRPCRule{Method: "CheckAndMutateRow", Probability: 0.05, Code: codes.DeadlineExceeded, After: true},
		fault.GRPCRule{Method: "MutateRow", Probability: 0.05, Code: codes.Internal},
	)
	before := x.published.Failed() + x.tabled.Failed()
	x.load(t, 3000)
	x.published.SetRules()
	x.tabled.SetRules()
	if n := x.published.Failed() + x.tabled.Failed() - before; n < 20 {
		t.Errorf("only %d calls failed: this shows too little", n)
	} else {
		t.Logf("%d calls failed", n)
	}
}

// firestoreFails: calls refused and answers lost.
func (x *gcpInstallation) firestoreFails(t *testing.T) {
	x.tabled.SetRules(
		fault.GRPCRule{Method: "BatchGetDocuments", Probability: 0.05, Code: codes.Unavailable, After: true},
		fault.GRPCRule{Method: "BatchWrite", Probability: 0.05, Code: codes.Unavailable},
		fault.GRPCRule{Method: "BatchWrite", Probability: 0.05, Code: codes.DeadlineExceeded, After: true},
		fault.GRPCRule{Method: "Commit", Probability: 0.05, Code: codes.Aborted},
		fault.GRPCRule{Method: "Commit", Probability: 0.05, Code: codes.Internal, After: true},
	)
	before := x.tabled.Failed()
	x.load(t, 3000)
	x.tabled.SetRules()
	if n := x.tabled.Failed() - before; n < 20 {
		t.Errorf("only %d calls failed: this shows too little", n)
	} else {
		t.Logf("%d calls failed", n)
	}
}

// poisonRecords: what no function can take ends in quarantine, once, and its
// neighbours do not notice.
func (x *gcpInstallation) poisonRecords(t *testing.T) {
	before := x.balanced(t)
	publish := func(data []byte, attributes map[string]string) {
		t.Helper()
		topic := x.client.Publisher(x.functions["beacon"].Env["HITO_RAW_STREAM"])
		defer topic.Stop()
		if _, err := topic.Publish(t.Context(), &pubsub.Message{Data: data, Attributes: attributes}).Get(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	packed := func(records ...stream.Record) {
		t.Helper()
		data, attributes, err := message.Encode("gcp", records)
		if err != nil {
			t.Fatal(err)
		}
		publish(data, attributes)
	}
	// One that nobody can open; one of a pack that nobody can read, among good
	// ones; one that is never taken, since nobody knows its project's rules.
	now := time.Now().UnixMilli()
	publish([]byte("no pack at all"), nil)
	packed(page(t, "shop", "before"), stream.Record{Project: "shop", Key: "a:bad", Events: 2, Time: now, Data: []byte{0xff}}, page(t, "shop", "after"))
	packed(page(t, "shop", "beside"), page(t, "ghost", "ghost"))

	kept := &store.Quarantine{Table: x.table}
	list := func(project string) []quarantine.Entry {
		t.Helper()
		entries, _, err := kept.List(t.Context(), project, "", 1000)
		if err != nil {
			t.Fatal(err)
		}
		return entries
	}
	x.eventually(t, "three entries in quarantine", func() bool {
		return len(list("")) == 1 && len(list("ghost")) == 1 && slices.ContainsFunc(list("shop"), func(e quarantine.Entry) bool { return e.Body[0] == 0xff })
	})
	if e := list("")[0]; string(e.Body) != "no pack at all" || e.Reason != string(quarantine.Unprocessable) || e.Stage != quarantine.Enrich {
		t.Errorf("what nobody can open is %+v", e)
	}
	if e := list("ghost")[0]; e.Reason != string(quarantine.AttemptsExhausted) || e.Stage != quarantine.Score || e.Events != 1 {
		t.Errorf("what nobody takes is %+v", e)
	}
	totals, err := x.target.Settle(int(before.Accepted) + 5)
	if err != nil {
		t.Fatal(err)
	}
	if totals.Scored != before.Scored+3 || totals.Quarantined != before.Quarantined+2 || totals.Accepted != before.Accepted+5 {
		t.Errorf("the ledger went from %+v to %+v", before, totals)
	}
	for _, key := range []string{"before", "after", "beside"} {
		var p struct{ Events struct{ Total int } }
		if err := x.target.Get("/v1/profiles/anonymous_id:"+key, &p); err != nil || p.Events.Total != 1 {
			t.Errorf("the neighbour %s has %d events, %v", key, p.Events.Total, err)
		}
	}
	books := &store.Ledger{Table: x.table}
	ghost, err := books.Totals(t.Context(), "ghost")
	if want := (ledger.Counts{Accepted: 1, Quarantined: 1}); err != nil || ghost.Counts != want {
		t.Errorf("the ghost's ledger is %+v, %v, want %+v", ghost, err, want)
	}
	if x.pushes["score-dead"].Stats().Deliveries == 0 {
		t.Error("nothing came as a dead letter")
	}
}

// sweep: every part of the table, as the schedule has them swept within an hour.
func (x *gcpInstallation) sweep(t *testing.T) {
	if len(x.deployment.Jobs) != 1 {
		t.Fatalf("%d jobs are deployed", len(x.deployment.Jobs))
	}
	j := x.deployment.Jobs[0]
	job := &gcpfunctions.Scheduler{
		Job: j.Name, URI: j.URI, Method: j.Method, Headers: j.Headers, Body: j.Body, Account: j.Account, Audience: j.Audience, Issuer: &x.issuer,
		Deadline: j.Deadline, Client: &http.Client{Transport: x.hosts},
	}
	for minute := range score.Sweeps {
		if status, err := job.Run(t.Context(), time.Unix(int64(minute)*60, 0)); err != nil || status/100 != 2 {
			t.Fatal(status, err)
		}
	}
	people := x.balanced(t).People
	x.eventually(t, "everybody to be swept", func() bool {
		x.mu.Lock()
		defer x.mu.Unlock()
		return x.swept >= float64(people)
	})
}

// onlyGoogleCalls: nobody else calls enrich and score, by way of their own
// addresses or with a token that is another's; the function itself refuses what
// the front would let through.
func (x *gcpInstallation) onlyGoogleCalls(t *testing.T) {
	account := x.functions["score"].Env["HITO_PUSH_ACCOUNT"]
	audience := x.functions["score"].Env["HITO_PUSH_AUDIENCE"]
	call := func(h http.Handler, token string) int {
		t.Helper()
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", bytes.NewReader(nil))
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		_, _ = io.Copy(io.Discard, w.Body)
		return w.Code
	}
	good := x.issuer.Token(account, audience)
	// As Cloud Run's front passes tokens on.
	stripped := func(token string) string {
		return token[:strings.LastIndexByte(token, '.')+1] + "SIGNATURE_REMOVED_BY_GOOGLE"
	}
	for name, front := range x.hosts {
		if !strings.Contains(name, "-score-") && !strings.Contains(name, "-enrich-") {
			continue
		}
		if status := call(front, good); status != http.StatusNotFound {
			t.Errorf("%s from outside answers %d", name, status)
		}
	}
	for what, c := range map[string]struct {
		token string
		want  int
	}{
		"no token":         {"", http.StatusUnauthorized},
		"another account":  {stripped(x.issuer.Token("somebody@else.example", audience)), http.StatusUnauthorized},
		"another audience": {stripped(x.issuer.Token(account, "other")), http.StatusUnauthorized},
		"nothing to take":  {stripped(good), http.StatusBadRequest},
	} {
		if status := call(x.functions["score"], c.token); status != c.want {
			t.Errorf("%s: score itself answers %d, want %d", what, status, c.want)
		}
	}
}
