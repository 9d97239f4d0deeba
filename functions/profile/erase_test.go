package profile

import (
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func TestEraseForgetsEveryIDOfAPerson(t *testing.T) {
	h, s := newHandler()
	s.add("shop",
		track("", "a1", "m1", "Seen", time.Hour), track("u1", "a1", "m2", "Bought", time.Minute),
		track("u1", "a2", "m3", "Bought", time.Minute), track("", "a3", "m4", "Seen", time.Minute))
	// Asked for by one of the anonymous ids, the whole person goes.
	w := ask(t, h, "DELETE", "/v1/profiles/anonymous_id:a1")
	if w.Code != http.StatusOK || w.Body.String() != `{"erased":true}`+"\n" {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	var keys []string
	for _, r := range h.Raw.(*raw).records {
		if !r.Erase || len(r.Events) != 0 || r.ReceivedAt != clock.UnixMilli() || r.Origin != "local" || r.Project != "shop" {
			t.Errorf("published %v", r)
		}
		keys = append(keys, r.Key)
	}
	slices.Sort(keys)
	if want := []string{"a:a1", "u:u1"}; !slices.Equal(keys, want) {
		t.Errorf("erased %q, want %q", keys, want)
	}
	for _, id := range []string{"user_id:u1", "anonymous_id:a1", "anonymous_id:a2"} {
		for _, method := range []string{"GET", "DELETE"} {
			if w := ask(t, h, method, "/v1/profiles/"+id); w.Code != http.StatusNotFound {
				t.Errorf("%s %s after the erasure: %d, want 404", method, id, w.Code)
			}
		}
	}
	if w := ask(t, h, "GET", "/v1/profiles/anonymous_id:a3"); w.Code != http.StatusOK {
		t.Errorf("somebody else: %d, want 200", w.Code)
	}
	// What was received before the erasure and arrives after it stays forgotten;
	// what is received later begins a new profile.
	s.add("shop", track("u1", "", "m5", "Seen", time.Second))
	if w := ask(t, h, "GET", "/v1/profiles/user_id:u1"); w.Code != http.StatusNotFound {
		t.Errorf("after a late event: %d, want 404", w.Code)
	}
	s.add("shop", track("u1", "", "m6", "Seen", -time.Second))
	if w := ask(t, h, "GET", "/v1/profiles/user_id:u1"); w.Code != http.StatusOK {
		t.Errorf("after a new event: %d, want 200", w.Code)
	}
}

// TestEraseReachesWhatIsInFlight: events that were acknowledged but not yet
// scored when their person was erased must not bring the person back.
func TestEraseReachesWhatIsInFlight(t *testing.T) {
	for _, c := range []struct{ id, key, user, anonymous string }{
		{"user_id:u1", "u:u1", "u1", "a1"}, {"anonymous_id:a1", "a:a1", "", "a1"},
	} {
		h, s := newHandler()
		if w := ask(t, h, "DELETE", "/v1/profiles/"+c.id); w.Code != http.StatusNotFound || failure(t, w) != "unknown_person" {
			t.Errorf("%s: %d %s, want 404: nothing is known yet", c.id, w.Code, w.Body)
		}
		if records := h.Raw.(*raw).records; len(records) != 1 || records[0].Key != c.key || !records[0].Erase || records[0].ReceivedAt != clock.UnixMilli() {
			t.Errorf("%s: published %v", c.id, records)
		}
		s.add("shop", track(c.user, c.anonymous, "m1", "Seen", time.Second))
		if w := ask(t, h, "GET", "/v1/profiles/"+c.id); w.Code != http.StatusNotFound {
			t.Errorf("%s: %d after what was in flight, want 404", c.id, w.Code)
		}
		s.add("shop", track(c.user, c.anonymous, "m2", "Seen", -time.Second))
		if w := ask(t, h, "GET", "/v1/profiles/"+c.id); w.Code != http.StatusOK {
			t.Errorf("%s: %d after a new event, want 200", c.id, w.Code)
		}
	}
}

func TestEraseUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, s := newHandler()
		h.Raw = &raw{store: s, delay: 3 * time.Second}
		s.add("shop", track("u1", "a1", "m1", "Seen", time.Minute))
		began := time.Now()
		w := ask(t, h, "DELETE", "/v1/profiles/user_id:u1?timeout=1s")
		if waited := time.Since(began); w.Code != http.StatusAccepted || waited != time.Second {
			t.Errorf("%d %s after %v, want 202 after 1s", w.Code, w.Body, waited)
		}
		// Again, and with the patience that is the default.
		w = ask(t, h, "DELETE", "/v1/profiles/user_id:u1")
		if waited := time.Since(began); w.Code != http.StatusOK || waited < 3*time.Second || waited > 4200*time.Millisecond {
			t.Errorf("again: %d %s after %v, want 200", w.Code, w.Body, waited)
		}
		synctest.Wait()
	})
}
