package shop

import (
	"encoding/json"
	"slices"
	"testing"
	"time"
)

// TestHistory: the shop shows everything the sample project reacts to, within
// the week, in events that a tracking API takes.
func TestHistory(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	names, ids, buyers, leftBehind, users := map[string]int{}, map[string]bool{}, 0, 0, map[string]bool{}
	shoppers := 0
	for events := range New(1, 300).History(now) {
		shoppers++
		added, ordered := false, false
		for _, body := range events {
			var m message
			if err := json.Unmarshal(body, &m); err != nil {
				t.Fatalf("%v in %s", err, body)
			}
			at, err := time.Parse(time.RFC3339, m.Timestamp)
			if err != nil || at.After(now) || now.Sub(at) > 8*24*time.Hour {
				t.Errorf("happened at %s (%v)", m.Timestamp, err)
			}
			if m.AnonymousID == "" || m.MessageID == "" || ids[m.MessageID] {
				t.Errorf("ids of %s", body)
			}
			ids[m.MessageID] = true
			users[m.UserID] = true
			names[m.Type+" "+m.Event]++
			added = added || m.Event == "Product Added"
			ordered = ordered || m.Event == "Order Completed"
		}
		if ordered {
			buyers++
		} else if added {
			leftBehind++
		}
	}
	for _, want := range []string{"page ", "identify ", "track Product Viewed", "track Product List Viewed", "track Product Added",
		"track Cart Viewed", "track Checkout Started", "track Order Completed"} {
		if names[want] == 0 {
			t.Errorf("no %q", want)
		}
	}
	if shoppers != 300 || buyers < 30 || leftBehind < 30 || len(users) < 50 {
		t.Errorf("%d shoppers, %d bought, %d left a cart behind, %d logged in", shoppers, buyers, leftBehind, len(users))
	}
}

func TestLive(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	s := New(7, 20)
	visitors := map[string]bool{}
	for range 500 {
		var m message
		if err := json.Unmarshal(s.Live(now), &m); err != nil {
			t.Fatal(err)
		}
		if m.Timestamp != "2026-05-01T12:00:00.000Z" {
			t.Fatalf("happened at %s", m.Timestamp)
		}
		visitors[m.AnonymousID] = true
	}
	if len(visitors) < 10 {
		t.Errorf("only %d of 20 shoppers came", len(visitors))
	}
}

// TestHistoryTwiceIsTheSame: a history that is played again, later or with more
// shoppers around, is the same events by their message ids.
func TestHistoryTwiceIsTheSame(t *testing.T) {
	play := func(shoppers int, now int64) (ids []string) {
		for events := range New(3, shoppers).History(time.Unix(now, 0)) {
			for _, body := range events {
				var m message
				if err := json.Unmarshal(body, &m); err != nil {
					t.Fatal(err)
				}
				ids = append(ids, m.MessageID+" "+m.AnonymousID+" "+m.UserID+" "+m.Type+" "+m.Event)
			}
		}
		return ids
	}
	first, later, more := play(20, 1e9), play(20, 1e9+3600), play(30, 1e9)
	if len(first) == 0 || !slices.Equal(first, later) || len(more) <= len(first) || !slices.Equal(first, more[:len(first)]) {
		t.Errorf("%d events, then %d, then %d", len(first), len(later), len(more))
	}
}

// TestSameSeedSamePlay: the seed decides everything but message ids and times.
func TestSameSeedSamePlay(t *testing.T) {
	play := func() (seen []string) {
		for events := range New(3, 20).History(time.Unix(0, 0)) {
			for _, body := range events {
				var m message
				if err := json.Unmarshal(body, &m); err != nil {
					t.Fatal(err)
				}
				m.MessageID = ""
				text, err := json.Marshal(m)
				if err != nil {
					t.Fatal(err)
				}
				seen = append(seen, string(text))
			}
		}
		return seen
	}
	a, b := play(), play()
	if len(a) != len(b) {
		t.Fatalf("%d events, then %d", len(a), len(b))
	}
	for i := range a {
		if a[i] != b[i] {
			t.Fatalf("event %d differs:\n%s\n%s", i, a[i], b[i])
		}
	}
}
