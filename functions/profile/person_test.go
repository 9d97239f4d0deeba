package profile

import (
	"context"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hitolayer/hito/shared/event"
	"github.com/hitolayer/hito/shared/rules"
)

func TestProfile(t *testing.T) {
	h, s := newHandler()
	first := track("", "a1", "m1", "Product Viewed", 2*time.Hour)
	first.Enriched = &event.Enriched{
		Agent:    &event.Agent{Browser: "Firefox", BrowserVersion: "140.0", Os: "Linux", Kind: "desktop"},
		Geo:      &event.Geo{Country: "JP", Asn: 2516, AsOrg: "KDDI"},
		Referrer: &event.Referrer{Medium: "search", Source: "Google", Term: "red <shoes>"},
		Campaign: &event.Campaign{Name: "spring", ClickType: "gclid", ClickId: "x"},
		Page:     &event.Page{Path: "/shoes"},
	}
	identify := &event.Event{
		MessageId: "m2", Type: event.Type_TYPE_IDENTIFY, UserId: "u1", AnonymousId: "a1",
		Traits: []byte(`{"name":"A & B <b>","age":41,"big":12345678901234567890,"tags":["x"]}`), Timestamp: clock.Add(-3 * time.Minute).UnixMilli(),
	}
	s.add("shop", first, identify, track("u1", "a1", "m3", "Product Viewed", time.Minute))
	want := `{"user_id":"u1","anonymous_ids":["a1"],"group_id":null,` +
		`"traits":{"age":41,"big":12345678901234567890,"name":"A & B <b>","tags":["x"]},` +
		`"events":{"total":3,"by_name":{"Product Viewed":2,"identify":1}},` +
		`"metrics":{},"scores":{},"segments":[],` +
		`"sessions":{"count":2,"current":{"start":"2026-03-04T05:03:07.000Z","last":"2026-03-04T05:05:07.000Z","events":2}},` +
		`"first_seen":"2026-03-04T03:06:07.000Z","last_seen":"2026-03-04T05:05:07.000Z",` +
		`"device":{"kind":"desktop","browser":"Firefox","browser_version":"140.0","os":"Linux"},` +
		`"geo":{"country":"JP","asn":2516,"as_org":"KDDI"},"bot":false,` +
		`"first_touch":{"referrer":{"medium":"search","source":"Google","term":"red <shoes>"},"campaign":{"name":"spring","click_type":"gclid","click_id":"x"}},` +
		`"last_touch":{"referrer":{"medium":"search","source":"Google","term":"red <shoes>"},"campaign":{"name":"spring","click_type":"gclid","click_id":"x"}},` +
		`"recent":[{"type":"track","name":"Product Viewed","time":"2026-03-04T05:05:07.000Z"},` +
		`{"type":"identify","time":"2026-03-04T05:03:07.000Z"},` +
		`{"type":"track","name":"Product Viewed","path":"/shoes","time":"2026-03-04T03:06:07.000Z"}]}` + "\n"
	for _, target := range []string{"/v1/profiles/user_id:u1", "/v1/profiles/anonymous_id:a1", "/v1/profiles/user_id:u1?after=m1", "/v1/profiles/anonymous_id:a1?after=m3"} {
		w := ask(t, h, "GET", target)
		if w.Code != http.StatusOK || w.Body.String() != want {
			t.Errorf("%s: %d\ngot  %swant %s", target, w.Code, w.Body, want)
		}
		if got := w.Header().Get("Content-Type"); got != "application/json" {
			t.Errorf("%s: Content-Type %q", target, got)
		}
	}
}

func TestProfileHasWhatTheRulesSay(t *testing.T) {
	r, err := rules.Parse("shop.yaml", []byte(`
metrics:
  seen: {kind: count, event: Seen}
  last_color: {kind: last, event: Seen, value: properties.color}
scores:
  interest: {expression: metrics.seen * 2.5}
segments:
  warm: scores.interest > 2.0
  known: has(traits.email)
  cold: metrics.seen == 0
`))
	if err != nil {
		t.Fatal(err)
	}
	h, s := newHandler()
	h.Rules = func(project string) *rules.Rules {
		if project != "shop" {
			t.Errorf("asked for the rules of %s", project)
		}
		return r
	}
	s.metrics = r
	e := track("u1", "", "m1", "Seen", time.Minute)
	e.Properties = []byte(`{"color":"red"}`)
	s.add("shop", e)
	w := ask(t, h, "GET", "/v1/profiles/user_id:u1")
	if want := `"metrics":{"last_color":"red","seen":1},"scores":{"interest":2.5},"segments":["warm"],`; !strings.Contains(w.Body.String(), want) {
		t.Errorf("%s lacks %s", w.Body, want)
	}
}

func TestBareAnonymousProfile(t *testing.T) {
	h, s := newHandler()
	s.add("shop", track("", "a/2", "m1", "Seen", time.Hour))
	w := ask(t, h, "GET", "/v1/profiles/anonymous_id:a%2F2")
	want := `{"user_id":null,"anonymous_ids":["a/2"],"group_id":null,"traits":{},"events":{"total":1,"by_name":{"Seen":1}},` +
		`"metrics":{},"scores":{},"segments":[],"sessions":{"count":1,"current":null},` +
		`"first_seen":"2026-03-04T04:06:07.000Z","last_seen":"2026-03-04T04:06:07.000Z","device":null,"geo":null,"bot":false,` +
		`"first_touch":null,"last_touch":null,"recent":[{"type":"track","name":"Seen","time":"2026-03-04T04:06:07.000Z"}]}` + "\n"
	if w.Body.String() != want {
		t.Errorf("got  %swant %s", w.Body, want)
	}
}

func TestNumbersThatJSONLacksAreNull(t *testing.T) {
	for _, v := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		if got := finite(v); got != nil {
			t.Errorf("finite(%v) = %v", v, got)
		}
	}
	if finite(1.5) != 1.5 || finite("x") != "x" {
		t.Error("finite changes what JSON can write")
	}
}

func TestAfterWaitsForTheEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, s := newHandler()
		s.add("shop", track("u1", "", "m1", "Seen", time.Minute))
		began := time.Now()
		time.AfterFunc(300*time.Millisecond, func() { s.add("shop", track("u1", "", "m2", "Bought", 0)) })
		w := ask(t, h, "GET", "/v1/profiles/user_id:u1?after=m2&timeout=1s")
		waited := time.Since(began)
		if w.Code != http.StatusOK || waited < 300*time.Millisecond || waited > 400*time.Millisecond {
			t.Errorf("%d after %v, want 200 soon after 300ms", w.Code, waited)
		}
		if s.loads > 15 {
			t.Errorf("asked the store %d times in %v", s.loads, waited)
		}
	})
}

func TestAfterWaitsForAPersonNotYetKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, s := newHandler()
		time.AfterFunc(50*time.Millisecond, func() { s.add("shop", track("", "new", "m1", "Seen", 0)) })
		if w := ask(t, h, "GET", "/v1/profiles/anonymous_id:new?after=m1"); w.Code != http.StatusOK {
			t.Errorf("%d, want 200", w.Code)
		}
	})
}

func TestAfterGivesUpInTime(t *testing.T) {
	for query, want := range map[string]time.Duration{
		"after=m9":             time.Second,
		"after=m9&timeout=10s": 10 * time.Second,
		"after=m9&timeout=0s":  0,
	} {
		synctest.Test(t, func(t *testing.T) {
			h, s := newHandler()
			s.add("shop", track("u1", "", "m1", "Seen", time.Minute))
			began := time.Now()
			w := ask(t, h, "GET", "/v1/profiles/user_id:u1?"+query)
			if waited := time.Since(began); waited != want || w.Code != http.StatusGatewayTimeout || failure(t, w) != "not_reflected" {
				t.Errorf("%s: %d after %v, want 504 after %v", query, w.Code, waited, want)
			}
			if s.loads > 200 {
				t.Errorf("%s: asked the store %d times", query, s.loads)
			}
		})
	}
}

func TestAfterEndsWhenTheClientLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, _ := newHandler()
		r := httptest.NewRequest("GET", "/v1/profiles/user_id:u1?after=m1&timeout=10s", nil)
		ctx, leave := context.WithCancel(t.Context())
		r = r.WithContext(ctx)
		r.Header.Set("Authorization", "Bearer shop-secret")
		time.AfterFunc(time.Second, leave)
		began := time.Now()
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if waited := time.Since(began); waited != time.Second || w.Body.Len() != 0 {
			t.Errorf("answered %q after %v, want nothing after 1s", w.Body, waited)
		}
	})
}
