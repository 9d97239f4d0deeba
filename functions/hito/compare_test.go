package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hitolayer/hito/functions/hito/e2e"
	"github.com/hitolayer/hito/shared/config"
)

// sendTo sends events, without the braces, to clouds.
func sendTo(t *testing.T, events []string, clouds ...string) {
	t.Helper()
	if len(events) == 0 {
		return
	}
	for _, cloud := range clouds {
		r, err := http.NewRequest("POST", cloud+"/v1/batch?writeKey=demo", strings.NewReader(`{"batch":[{`+strings.Join(events, "},{")+`}]}`))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Hito-Receipts", "1")
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if err != nil || strings.Count(string(text), `"accepted"`) != len(events) {
			t.Fatalf("%s, %v", text, err)
		}
		if _, err := (e2e.Target{URL: cloud, SecretKey: "demo-secret"}).Settle(len(events)); err != nil {
			t.Fatal(err)
		}
	}
}

// eventOf returns an event without its braces; rest are its further fields.
func eventOf(id string, age time.Duration, rest string) string {
	return fmt.Sprintf(`"messageId":%q,"timestamp":%q,"type":"track","event":"Product Added","properties":{"price":12.5},%s`,
		id, time.Now().Add(-age).UTC().Format("2006-01-02T15:04:05.000Z"), rest)
}

func compareOf(first, second string, ids ...string) *compareCmd {
	return &compareCmd{Secret: config.Secret{SecretKey: "demo-secret"}, First: first, Second: second, ID: ids, Tolerance: 0.001, JSON: true}
}

// compared runs the command and returns its lines.
func compared(t *testing.T, c *compareCmd) ([]comparison, error) {
	t.Helper()
	var out bytes.Buffer
	failed := c.run(t.Context(), &out)
	var all []comparison
	for lines := json.NewDecoder(&out); ; {
		var one comparison
		switch err := lines.Decode(&one); err {
		case nil:
			all = append(all, one)
		case io.EOF:
			return all, failed
		default:
			t.Fatal(err)
		}
	}
}

func TestCompareTellsCauses(t *testing.T) {
	const minute, day = time.Minute, 24 * time.Hour
	aws, gcp := serveAPI(t), serveAPI(t)
	// Of events at distinct moments, so that each has its place among the recent.
	series := func(user string, n int) (events []string) {
		for i := range n {
			events = append(events, eventOf(fmt.Sprint(user, i), time.Duration(n-i)*minute+2*time.Hour, `"userId":"`+user+`"`))
		}
		return events
	}
	twice := eventOf("t1", 5*minute, `"userId":"twice"`)
	middle := series("middle", 5)
	tie := eventOf("tie8", 3*time.Hour, `"userId":"tie"`)
	for name, x := range map[string]struct {
		ask             string // when it is not the name as user_id
		both, aws, gcp  []string
		erase           bool // from gcp, before after
		after           []string
		outcome, cause  string
		where           string
		fields, without []string
	}{
		"same":        {both: series("same", 12), outcome: "equal"},
		"nobody":      {outcome: "unknown"},
		"behind":      {both: series("behind", 12), aws: []string{eventOf("b", minute, `"userId":"behind"`)}, outcome: "different", cause: "behind", where: gcp, fields: []string{"events.total", "last_seen", "recent"}, without: []string{"first_seen", "user_id"}},
		"ahead":       {both: series("ahead", 2), gcp: []string{eventOf("a", minute, `"userId":"ahead"`)}, outcome: "different", cause: "behind", where: aws},
		"between":     {both: series("between", 3), aws: []string{eventOf("i", 2*time.Hour+90*time.Second, `"userId":"between"`)}, outcome: "different", cause: "behind", where: gcp, without: []string{"last_seen", "first_seen"}},
		"middle":      {aws: middle, gcp: middle[2:3], outcome: "different", cause: "behind", where: gcp},
		"tie":         {both: append(series("tie", 8), tie, strings.NewReplacer("tie8", "tie9", "Added", "Removed").Replace(tie)), gcp: []string{eventOf("tie10", minute, `"userId":"tie"`)}, outcome: "different", cause: "behind", where: aws},
		"apart":       {aws: []string{eventOf("x", minute, `"userId":"apart"`)}, gcp: []string{eventOf("y", 2*minute, `"userId":"apart"`)}, outcome: "different", cause: "behind"},
		"new":         {aws: []string{eventOf("n", minute, `"userId":"new"`)}, outcome: "missing", cause: "behind or erased", where: gcp},
		"gone":        {both: []string{eventOf("g", 2*day, `"userId":"gone"`)}, erase: true, outcome: "missing", cause: "erased", where: gcp},
		"back":        {both: series("back", 12), erase: true, after: []string{eventOf("k", minute, `"userId":"back"`)}, outcome: "different", cause: "erased", where: gcp},
		"claimed":     {aws: nil, both: []string{eventOf("c1", minute, `"userId":"claimed","anonymousId":"ac"`)}, gcp: []string{eventOf("c2", 2*minute, `"userId":"claimer","anonymousId":"ac"`)}, outcome: "different", cause: "claims differ"},
		"by browser":  {ask: "anonymous_id:ab", both: []string{eventOf("d1", minute, `"userId":"d1","anonymousId":"ab"`)}, gcp: []string{eventOf("d2", 2*minute, `"userId":"d2","anonymousId":"ab"`)}, outcome: "different", cause: "claims differ"},
		"browsed":     {both: []string{eventOf("f1", 3*minute, `"anonymousId":"af"`), eventOf("f2", 2*minute, `"userId":"browsed","anonymousId":"af"`)}, gcp: []string{eventOf("f3", 4*minute, `"userId":"f3","anonymousId":"af"`)}, outcome: "different", cause: "claims differ"},
		"not claimed": {ask: "anonymous_id:an", both: []string{eventOf("e1", 2*minute, `"anonymousId":"an"`)}, aws: []string{eventOf("e2", minute, `"userId":"e","anonymousId":"an"`)}, outcome: "different", cause: "behind", where: gcp},
		"twice":       {both: []string{twice}, gcp: []string{strings.Replace(twice, "t1", "t2", 1)}, outcome: "different", cause: "counted twice", where: gcp},
		"long ago":    {both: series("long ago", 14), gcp: []string{eventOf("l", 2*time.Hour+13*minute+time.Second, `"userId":"long ago"`)}, outcome: "different", cause: "counted twice or lost", where: gcp},
		"told":        {aws: []string{`"messageId":"m","timestamp":"2020-01-01T00:00:00Z","type":"identify","userId":"told","traits":{"a":1}`}, gcp: []string{`"messageId":"m","timestamp":"2020-01-01T00:00:00Z","type":"identify","userId":"told","traits":{"a":{"b":2}}`}, outcome: "different", cause: "unexplained", fields: []string{"traits.a", "traits.a.b"}},
	} {
		t.Run(name, func(t *testing.T) {
			sendTo(t, x.both, aws, gcp)
			sendTo(t, x.aws, aws)
			sendTo(t, x.gcp, gcp)
			id := x.ask
			if id == "" {
				id = "user_id:" + name
			}
			if x.erase {
				kind, who, _ := strings.Cut(id, ":")
				if r := requestAPI(t, gcp, "DELETE", "/v1/profiles/"+kind+":"+url.PathEscape(who), nil); r.StatusCode != 200 {
					t.Fatal(r.Status)
				}
			}
			sendTo(t, x.after, aws, gcp)
			all, err := compared(t, compareOf(aws, gcp, id))
			if len(all) != 1 {
				t.Fatalf("%d lines, %v", len(all), err)
			}
			got := all[0]
			if got.ID != id || got.Outcome != x.outcome || got.Cause != x.cause || got.Where != x.where {
				t.Errorf("%+v, want %s, %s, %s", got, x.outcome, x.cause, x.where)
			}
			if differs := x.outcome == "different" || x.outcome == "missing"; errors.Is(err, errFailed) != differs || !differs && err != nil {
				t.Errorf("ends with %v", err)
			}
			fields := map[string]bool{}
			for _, d := range got.Differences {
				fields[d.Field] = true
				if bytes.Equal(d.Values[0], d.Values[1]) {
					t.Errorf("%s is %s on both", d.Field, d.Values[0])
				}
			}
			for _, f := range x.fields {
				if !fields[f] {
					t.Errorf("%s is not told to differ", f)
				}
			}
			for _, f := range x.without {
				if fields[f] {
					t.Errorf("%s is told to differ", f)
				}
			}
			// Asked the other way round, the same is told.
			swapped, _ := compared(t, compareOf(gcp, aws, id))
			if len(swapped) != 1 || swapped[0].Cause != x.cause || swapped[0].Where != x.where || len(swapped[0].Differences) != len(got.Differences) {
				t.Errorf("the other way round: %+v", swapped)
			}
		})
	}
}

func TestCompareTellsRulesFromEvents(t *testing.T) {
	edit := func(old, by string) func(string) {
		return func(dir string) {
			file := filepath.Join(dir, "shop.yaml")
			text, err := os.ReadFile(file)
			if err != nil || !strings.Contains(string(text), old) {
				t.Fatalf("%v, or no %s", err, old)
			}
			if err := os.WriteFile(file, []byte(strings.Replace(string(text), old, by, 1)), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	one := serveAPI(t)
	events := []string{eventOf("r", time.Minute, `"userId":"u1"`)}
	sendTo(t, events, one)
	for field, change := range map[string]func(string){
		"segments":           edit("cart_holder: scores.cart_value > 0", "cart_holder: scores.cart_value > 1000"),
		"scores.engagement":  edit("Product Added: 8", "Product Added: 9"),
		"metrics.cart_added": edit("\"properties.price * (", "\"0.001 + properties.price * ("),
		"metrics.new":        edit("metrics:\n", "metrics:\n  new:\n    kind: count\n"),
	} {
		other := serveAPI(t, change)
		sendTo(t, events, other)
		all, err := compared(t, compareOf(one, other, "user_id:u1"))
		if len(all) != 1 || all[0].Cause != "rules differ" || all[0].Where != "" || !errors.Is(err, errFailed) ||
			!slices.ContainsFunc(all[0].Differences, func(d difference) bool { return d.Field == field }) {
			t.Errorf("%s: %+v, %v", field, all, err)
		}
	}
}

// before serves what a cloud does; do is called before each answer, and may give its own.
func before(t *testing.T, cloud string, do func(n int, w http.ResponseWriter) bool) string {
	t.Helper()
	to, err := url.Parse(cloud)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(to)
	var mu sync.Mutex
	n := 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		n++
		own := do(n, w)
		mu.Unlock()
		if !own {
			proxy.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// TestCompareWaitsForWhoIsLate: what comes between two asks is no difference.
func TestCompareWaitsForWhoIsLate(t *testing.T) {
	aws, gcp := serveAPI(t), serveAPI(t)
	events := []string{eventOf("e1", time.Minute, `"userId":"u1"`)}
	sendTo(t, events, aws)
	slow := before(t, gcp, func(n int, _ http.ResponseWriter) bool {
		if n == 2 {
			sendTo(t, events, gcp)
		}
		return false
	})
	c := compareOf(aws, slow, "user_id:u1")
	c.Patience = time.Minute
	all, err := compared(t, c)
	if err != nil || len(all) != 1 || all[0].Outcome != "late" || all[0].Cause != "behind or erased" || all[0].Where != slow ||
		all[0].LateSeconds < 1 || all[0].LateSeconds > 60 || all[0].Differences != nil {
		t.Errorf("%+v, %v", all, err)
	}
}

// TestCompareAsksUntilThePatienceEnds: and once more at its end.
func TestCompareAsksUntilThePatienceEnds(t *testing.T) {
	aws, gcp := serveAPI(t), serveAPI(t)
	sendTo(t, []string{eventOf("e1", time.Minute, `"userId":"u1"`)}, aws)
	asked := 0
	c := compareOf(aws, before(t, gcp, func(n int, _ http.ResponseWriter) bool { asked = n; return false }), "user_id:u1")
	c.Patience = 1100 * time.Millisecond
	if _, err := compared(t, c); !errors.Is(err, errFailed) || asked != 3 {
		t.Errorf("asked %d times, %v", asked, err)
	}
}

// TestCompareNeedsBothClouds: who cannot be asked is not taken for one who knows nobody.
func TestCompareNeedsBothClouds(t *testing.T) {
	cloud := serveAPI(t)
	answer := func(status int, body string) func(int, http.ResponseWriter) bool {
		return func(_ int, w http.ResponseWriter) bool {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
			return true
		}
	}
	for name, x := range map[string]struct {
		url, says string
	}{
		"another 404":   {before(t, cloud, answer(404, `{"error":{"code":"not_found","message":"no such path"}}`)), "404, and not"},
		"no hito":       {before(t, cloud, answer(200, "<html>")), "does not answer with a profile"},
		"other JSON":    {before(t, cloud, answer(200, "{}")), "does not answer with a profile"},
		"refuses":       {before(t, cloud, answer(403, "go away")), "403"},
		"nobody there":  {"http://127.0.0.1:1", "127.0.0.1:1"},
		"never answers": {before(t, cloud, answer(503, "")), "503"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, c := range []*compareCmd{compareOf(cloud, x.url, "user_id:u1"), compareOf(x.url, cloud, "user_id:u1")} {
				all, err := compared(t, c)
				if _, usage := errors.AsType[usageError](err); !usage || len(all) != 0 || !strings.Contains(err.Error(), x.says) || strings.Contains(err.Error(), "demo-secret") {
					t.Errorf("%+v, %v", all, err)
				}
			}
		})
	}
	// What passes is tried again.
	busy := before(t, cloud, func(n int, w http.ResponseWriter) bool {
		return n < 3 && answer([]int{429, 500}[n-1], "")(n, w)
	})
	if all, err := compared(t, compareOf(cloud, busy, "user_id:u1")); err != nil || len(all) != 1 || all[0].Outcome != "unknown" {
		t.Errorf("%+v, %v", all, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := compareOf(cloud, cloud, "user_id:u1").run(ctx, io.Discard); err == nil {
		t.Error("interrupted, it says that all is equal")
	}
}

// TestCompareUsesEachCloudsKey: the second one's is the first's unless given.
func TestCompareUsesEachCloudsKey(t *testing.T) {
	first := serveAPI(t)
	second := serveAPI(t, func(dir string) {
		if err := os.WriteFile(filepath.Join(dir, "keys.yaml"), []byte("shop:\n  write: [demo]\n  secret: [other-secret]\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	})
	c := compareOf(first, second, "user_id:u1")
	if _, err := compared(t, c); err == nil || !strings.Contains(err.Error(), "401") {
		t.Errorf("%v", err)
	}
	c.OtherSecretKey = "other-secret"
	if _, err := compared(t, c); err != nil {
		t.Error(err)
	}
}

func TestComparePersons(t *testing.T) {
	persons := func(c *compareCmd) (ids []string, err error) {
		all, err := c.persons()
		for _, p := range all {
			ids = append(ids, p.ID)
		}
		return ids, err
	}
	c := compareOf("http://a", "https://b", "user_id:b")
	c.IDs = []byte("anonymous_id:a:1,2\r\n\nuser_id:b\nuser_id:c")
	ids, err := persons(c)
	if want := []string{"anonymous_id:a:1,2", "user_id:b", "user_id:c"}; err != nil || !slices.Equal(ids, want) {
		t.Errorf("%q, %v", ids, err)
	}
	c.IDs, c.Sample = []byte("user_id:b\nuser_id:b\nuser_id:c\nuser_id:d\n"), 2
	seen := map[string]bool{}
	for range 200 {
		ids, err := persons(c)
		if err != nil || len(ids) != 2 || ids[0] == ids[1] {
			t.Fatalf("%q, %v", ids, err)
		}
		seen[ids[0]], seen[ids[1]] = true, true
	}
	if len(seen) != 3 {
		t.Errorf("of three persons only %v are sampled", seen)
	}
	for _, id := range []string{"u1", "email:x", "user_id:"} {
		if ids, err := persons(compareOf("http://a", "http://b", id)); err == nil {
			t.Errorf("%q is taken for %q", id, ids)
		}
	}
	if ids, err := persons(compareOf("http://a", "http://b")); err == nil {
		t.Errorf("nobody is taken for %q", ids)
	}
	for _, address := range []string{"a", "ftp://a", "http://", "https://me:secret-word@a", ""} {
		_, err := persons(compareOf("http://a", address, "user_id:b"))
		if err == nil || strings.Contains(err.Error(), "secret-word") {
			t.Errorf("%q: %v", address, err)
		}
	}
}

func TestFaded(t *testing.T) {
	for _, x := range []struct {
		name, a, b string
		want       bool
	}{
		{"scores.x", "100", "100.05", true},
		{"scores.x", "100", "100.2", false},
		{"scores.x", "-100", "-100.05", true},
		{"scores.x", "100", "-100", false},
		{"scores.x", "0", "1", false},
		{"scores.x", "null", "100", false},
		{"scores.x", "", "100", false},
		{"scores.x", `"100"`, `"100.01"`, false},
		{"metrics.decayed", "100.12345678", "100.12345670", true},
		{"metrics.decayed", "0.12345678", "0.2", false},
		{"metrics.sum", "12000.5", "12000.51", false},
		{"metrics.count", "12000", "12001", false},
		{"events.total", "12000", "12001", false},
		{"traits.scores.x", "100.12345678", "100.12345670", false},
	} {
		for _, pair := range [][2]string{{x.a, x.b}, {x.b, x.a}} {
			if got := faded(x.name, json.RawMessage(pair[0]), json.RawMessage(pair[1]), 0.001); got != x.want {
				t.Errorf("%s: %s and %s: %t", x.name, pair[0], pair[1], got)
			}
		}
	}
}
