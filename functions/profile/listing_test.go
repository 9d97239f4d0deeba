package profile

import (
	"testing"
	"time"

	"github.com/hitolayer/hito/shared/ledger"
	"github.com/hitolayer/hito/shared/quarantine"
)

func TestLedger(t *testing.T) {
	h, _ := newHandler()
	b := h.Ledger.(*book)
	if got, want := ask(t, h, "GET", "/v1/ledger").Body.String(),
		`{"accepted":0,"scored":0,"duplicate":0,"quarantined":0,"suppressed":0,"in_flight":0,"people":0,"segments":{}}`+"\n"; got != want {
		t.Errorf("empty: got %swant %s", got, want)
	}
	b.totals.Add(ledger.Delta{Counts: ledger.Counts{Accepted: 9, Scored: 5, Duplicate: 1, Quarantined: 1, Suppressed: 1}, People: 2, Segments: map[string]int64{"b": 1, "a": 2}})
	if got, want := ask(t, h, "GET", "/v1/ledger").Body.String(),
		`{"accepted":9,"scored":5,"duplicate":1,"quarantined":1,"suppressed":1,"in_flight":1,"people":2,"segments":{"a":2,"b":1}}`+"\n"; got != want {
		t.Errorf("got %swant %s", got, want)
	}

	minute := clock.Unix() / 60
	b.minutes = []ledger.Minute{{Minute: minute, Counts: ledger.Counts{Accepted: 3, Scored: 2}, InFlight: 1}}
	if got, want := ask(t, h, "GET", "/v1/ledger?by=minute").Body.String(),
		`{"minutes":[{"minute":"2026-03-04T05:06:00.000Z","accepted":3,"scored":2,"duplicate":0,"quarantined":0,"suppressed":0,"in_flight":1}]}`+"\n"; got != want {
		t.Errorf("by minute: got %swant %s", got, want)
	}
	if b.first != minute-60 || b.last != minute {
		t.Errorf("asked for minutes %d to %d before now, want 60 to 0", minute-b.first, minute-b.last)
	}
	ask(t, h, "GET", "/v1/ledger?by=minute&from=2026-03-04T05:00:59%2B09:00&to=2026-03-04T05:02:00%2B09:00")
	from := time.Date(2026, 3, 3, 20, 0, 0, 0, time.UTC).Unix() / 60
	if b.first != from || b.last != from+2 {
		t.Errorf("asked for minutes %d to %d, want %d to %d", b.first, b.last, from, from+2)
	}
	b.minutes = nil
	if got := ask(t, h, "GET", "/v1/ledger?by=minute").Body.String(); got != `{"minutes":[]}`+"\n" {
		t.Errorf("no minutes: %s", got)
	}
}

func TestQuarantine(t *testing.T) {
	h, _ := newHandler()
	d := h.Quarantine.(*drawer)
	if got := ask(t, h, "GET", "/v1/quarantine").Body.String(); got != `{"entries":[],"next":null}`+"\n" {
		t.Errorf("empty: %s", got)
	}
	d.entries = []quarantine.Entry{
		{ID: "1", Project: "shop", Stage: quarantine.Beacon, Reason: "missing_id", Detail: "no userId", Time: clock.UnixMilli(), Events: 1, Body: []byte(`{"type": "track", "n": 1e400, "html": "<b>"}`)},
		{ID: "2", Project: "shop", Stage: quarantine.Score, Reason: "undecodable", Time: clock.UnixMilli(), Events: 7, Body: []byte{0, 0xff}},
		{ID: "3", Project: "shop", Stage: quarantine.Beacon, Reason: "not_utf8", Time: clock.UnixMilli(), Events: 1, Body: []byte("\"\xff\"")},
	}
	if got, want := ask(t, h, "GET", "/v1/quarantine?limit=2").Body.String(),
		`{"entries":[{"id":"1","stage":"beacon","reason":"missing_id","detail":"no userId","time":"2026-03-04T05:06:07.000Z","events":1,"body":{"type":"track","n":1e400,"html":"<b>"}},`+
			`{"id":"2","stage":"score","reason":"undecodable","time":"2026-03-04T05:06:07.000Z","events":7,"body_base64":"AP8="}],"next":"xx"}`+"\n"; got != want {
		t.Errorf("first page: got %swant %s", got, want)
	}
	if got, want := ask(t, h, "GET", "/v1/quarantine?limit=2&cursor=xx").Body.String(),
		`{"entries":[{"id":"3","stage":"beacon","reason":"not_utf8","time":"2026-03-04T05:06:07.000Z","events":1,"body_base64":"Iv8i"}],"next":null}`+"\n"; got != want {
		t.Errorf("last page: got %swant %s", got, want)
	}
}
