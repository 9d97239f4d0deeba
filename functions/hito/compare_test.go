package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

const anna = `{"user_id":"u1","anonymous_ids":["a1","a2"],"group_id":null,"traits":{"plan":"pro","tags":[1, 2]},"events":{"total":3,"by_name":{"Buy":1,"View":2}},
"metrics":{"revenue":12.5},"scores":{"engagement":4.2},"segments":["known","vip"],"sessions":{"count":1,"current":null},"first_seen":"2026-11-01T00:00:00.000Z","last_seen":"2026-11-02T00:00:00.000Z",
"device":null,"geo":null,"bot":false,"first_touch":null,"last_touch":null,"recent":[{"type":"track","name":"Buy","time":"2026-11-02T00:00:00.000Z"}]}`

// cloud answers a person's profile; "" knows nobody.
func cloud(t *testing.T, answer func() (status int, profile string)) string {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer secret" || r.URL.EscapedPath() != "/v1/profiles/user_id:u%2F1" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		status, body := answer()
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

func always(profile string) func() (int, string) {
	return func() (int, string) {
		if profile == "" {
			return http.StatusNotFound, `{"success":false}`
		}
		return http.StatusOK, profile
	}
}

// TestCompare: each cause, planted.
func TestCompare(t *testing.T) {
	with := func(pairs ...string) string { return strings.NewReplacer(pairs...).Replace(anna) }
	for name, c := range map[string]struct {
		other, cause string
		fields       string
	}{
		"the same":       {anna, "", ""},
		"in other words": {with(`["a1","a2"]`, `["a2","a1"]`, `[1, 2]`, `[1,2]`), "", ""},
		"faded":          {with("4.2", "4.1999"), "", ""},
		"missing":        {"", causeMissing, "known"},
		"behind":         {with(`"total":3`, `"total":2`, `"Buy":1,`, "", "2026-11-02", "2026-11-01"), causeBehind, "events last_seen recent"},
		"each behind":    {with(`"Buy":1,"View":2`, `"Buy":2,"View":1`), causeApart, "events"},
		"twice":          {with(`"total":3`, `"total":4`, `"View":2`, `"View":3`), causeTwice, "events"},
		"claims":         {with(`["a1","a2"]`, `["a1"]`), causeClaims, "anonymous_ids"},
		"its events too": {with(`["a1","a2"]`, `["a1"]`, `"total":3`, `"total":1`, `"View":2`, `"View":0`), causeClaims, "anonymous_ids events"},
		"rules":          {with("12.5", "13", `,"vip"`, ""), causeRules, "metrics segments"},
		"a metric more":  {with(`"revenue":12.5`, `"revenue":12.5,"visits":1`), causeRules, "metrics"},
		"unexplained":    {with(`"pro"`, `"free"`), causeOther, "traits"},
	} {
		t.Run(name, func(t *testing.T) {
			cmd := &compareCmd{A: cloud(t, always(anna)), B: cloud(t, always(c.other)), IDs: []string{"user_id:u/1"}, SecretKey: "secret", Sample: 10, Patience: time.Millisecond}
			got, err := cmd.compare(t.Context(), "user_id:u/1")
			if err != nil || got.Cause != c.cause || strings.Join(got.Fields, " ") != c.fields {
				t.Errorf("%+v, %v", got, err)
			}
			cmd.A, cmd.B = cmd.B, cmd.A
			if back, err := cmd.compare(t.Context(), "user_id:u/1"); err != nil || back.Cause != got.Cause {
				t.Errorf("the other way round %+v, %v", back, err)
			}
		})
	}
}

// TestCompareWaits: what is only late is not different, and what fails for a
// moment is asked again.
func TestCompareWaits(t *testing.T) {
	var asked atomic.Int64
	late := cloud(t, func() (int, string) {
		switch asked.Add(1) {
		case 1:
			return http.StatusServiceUnavailable, "{}"
		case 2, 3:
			return http.StatusNotFound, "{}"
		}
		return http.StatusOK, anna
	})
	cmd := &compareCmd{A: cloud(t, always(anna)), B: late, SecretKey: "secret", Sample: 1, Patience: time.Minute}
	got, err := cmd.compare(t.Context(), "user_id:u/1")
	if err != nil || got.Cause != "" || got.Behind <= 0 {
		t.Errorf("%+v, %v", got, err)
	}
	cmd.SecretKey = "wrong"
	if _, err := cmd.compare(t.Context(), "user_id:u/1"); err == nil || strings.Contains(err.Error(), "wrong") {
		t.Errorf("%v", err)
	}
}

// TestCompareSamples: of many, some; of what is no id, none.
func TestCompareSamples(t *testing.T) {
	cmd := &compareCmd{Sample: 3}
	ids, err := cmd.sample(strings.NewReader("user_id:1\n\n user_id:2 \nuser_id:3\nanonymous_id:4\n"))
	seen := map[string]bool{}
	for _, id := range ids {
		seen[id] = true
	}
	if err != nil || len(seen) != 3 {
		t.Errorf("%q, %v", ids, err)
	}
	for _, text := range []string{"", "u1\n", "user_id:\n", "email:x\n"} {
		if _, err := cmd.sample(strings.NewReader(text)); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}

func TestCompareReports(t *testing.T) {
	results := []compared{{ID: "user_id:1"}, {ID: "user_id:2", Behind: 1.5}, {ID: "user_id:3", Cause: causeRules, Fields: []string{"metrics", "scores"}}}
	var out bytes.Buffer
	if err := (&compareCmd{}).report(&out, results); err != errFailed {
		t.Errorf("%v", err)
	}
	want := "3 persons: 2 the same, 1 different; of the same 1 only after 1.5 s at most\nuser_id:3  metrics, scores  " + causeRules + "\n"
	if out.String() != want {
		t.Errorf("%s", &out)
	}
	out.Reset()
	if err := (&compareCmd{JSON: true}).report(&out, results[:2]); err != nil {
		t.Error(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	var second compared
	if len(lines) != 2 || json.Unmarshal([]byte(lines[1]), &second) != nil || second.Behind != 1.5 {
		t.Errorf("%s", &out)
	}
}
