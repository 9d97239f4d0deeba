package console

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hitolayer/hito/shared/event"
	"github.com/hitolayer/hito/shared/stream"
)

// tail opens the tail and returns its lines.
func (s *site) tail(t *testing.T, query, key string) <-chan string {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, "GET", s.url+"/v1/tail?"+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+key)
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != 200 || response.Header.Get("Content-Type") != "application/x-ndjson" {
		t.Fatalf("%s: %d %s", query, response.StatusCode, response.Header.Get("Content-Type"))
	}
	lines := make(chan string)
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer close(lines)
		scanner := bufio.NewScanner(response.Body)
		scanner.Buffer(nil, 1<<20)
		for scanner.Scan() {
			select {
			case lines <- scanner.Text():
			case <-ctx.Done():
				return
			}
		}
	}()
	t.Cleanup(func() {
		cancel()
		_ = response.Body.Close()
		<-done
	})
	if first := next(t, lines); first != "" {
		t.Fatalf("the tail begins with %q, want a heartbeat", first)
	}
	return lines
}

func next(t *testing.T, lines <-chan string) string {
	t.Helper()
	select {
	case line, ok := <-lines:
		if !ok {
			t.Fatal("the tail has ended")
		}
		return line
	case <-time.After(20 * time.Second):
		t.Fatal("the tail says nothing")
	}
	return ""
}

func said(id string) *event.Event {
	return &event.Event{MessageId: id, Type: event.Type_TYPE_TRACK, Name: "Seen", AnonymousId: "a1", Timestamp: 1_700_000_000_123}
}

func TestTailShowsEventsWhole(t *testing.T) {
	s := startSite(t)
	lines := s.tail(t, "", "shop-secret")
	s.give(t, "shop", 1_700_000_000_500, &event.Event{
		MessageId: "m1", Type: event.Type_TYPE_TRACK, Name: "Seen", UserId: "u1", AnonymousId: "a1", Timestamp: 1_700_000_000_123,
		Properties: []byte(`{"big":12345678901234567890,"html":"<b>"}`), Traits: []byte(`{}`), Context: []byte(`{"locale":"ja"}`),
		Ip: "192.0.2.0", UserAgent: "x",
		Enriched: &event.Enriched{
			Agent: &event.Agent{Browser: "Firefox", Bot: true}, Geo: &event.Geo{Country: "JP"}, Referrer: &event.Referrer{Medium: "search"},
			Campaign: &event.Campaign{Name: "spring"}, Page: &event.Page{Host: "h", Path: "/p", Query: "q=1", Title: "T"},
		},
	}, &event.Event{MessageId: "m2", Type: event.Type_TYPE_PAGE, Name: "Home", UserId: "u1", Timestamp: 1})
	want := `{"messageId":"m1","type":"track","userId":"u1","anonymousId":"a1","event":"Seen","timestamp":"2023-11-14T22:13:20.123Z","receivedAt":"2023-11-14T22:13:20.500Z",` +
		`"properties":{"big":12345678901234567890,"html":"<b>"},"traits":{},"context":{"locale":"ja"},"ip":"192.0.2.0","userAgent":"x",` +
		`"enriched":{"device":{"browser":"Firefox"},"bot":true,"geo":{"country":"JP"},"referrer":{"medium":"search"},"campaign":{"name":"spring"},"page":{"host":"h","path":"/p","query":"q=1","title":"T"}}}`
	if got := next(t, lines); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	want = `{"messageId":"m2","type":"page","userId":"u1","name":"Home","timestamp":"1970-01-01T00:00:00.001Z","receivedAt":"2023-11-14T22:13:20.500Z"}`
	if got := next(t, lines); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestTailFilters(t *testing.T) {
	s := startSite(t)
	events := []*event.Event{
		{MessageId: "1", Type: event.Type_TYPE_TRACK, Name: "Bought", UserId: "u1"},
		{MessageId: "2", Type: event.Type_TYPE_PAGE, Name: "Home", UserId: "u1", AnonymousId: "a1"},
		{MessageId: "3", Type: event.Type_TYPE_TRACK, Name: "Seen", AnonymousId: "a1"},
		{MessageId: "end", Type: event.Type_TYPE_TRACK, Name: "Bought", UserId: "u1", AnonymousId: "a1"},
	}
	for query, want := range map[string]string{
		"":                            "1 2 3 end",
		"type=track":                  "1 3 end",
		"event=Bought":                "1 end",
		"user=a1":                     "2 3 end",
		"user=u1":                     "1 2 end",
		"user=u1&type=track":          "1 end",
		"event=Bought&user=a1":        "end",
		"event=Bought&user=a1&rate=9": "end",
	} {
		lines := s.tail(t, query, "shop-secret")
		theirs := s.tail(t, query, "bank-secret")
		for _, e := range events {
			s.give(t, "shop", 1000, e)
		}
		s.give(t, "bank", 1000, &event.Event{MessageId: "end", Type: event.Type_TYPE_TRACK, Name: "Bought", UserId: "u1", AnonymousId: "a1"})
		for source, want := range map[<-chan string]string{lines: want, theirs: "end"} {
			var got []string
			for len(got) == 0 || got[len(got)-1] != "end" {
				var e Event
				line := next(t, source)
				if line == "" {
					continue
				}
				if err := json.Unmarshal([]byte(line), &struct{ MessageID *string }{&e.MessageID}); err != nil {
					t.Fatalf("%s: %v", line, err)
				}
				got = append(got, e.MessageID)
			}
			if strings.Join(got, " ") != want {
				t.Errorf("%s: %v, want %s", query, got, want)
			}
		}
	}
}

func TestTailBeginsWithTheLatest(t *testing.T) {
	s := startSite(t)
	for i := range keepRecords + 50 {
		s.give(t, "shop", 1000, said(fmt.Sprint("m", i)))
	}
	s.give(t, "bank", 1000, said("theirs"))
	for last, want := range map[int]int{1: keepRecords + 49, 3: keepRecords + 47, keepRecords: 50} {
		lines := s.tail(t, fmt.Sprint("last=", last), "shop-secret")
		for i := range last {
			if line := next(t, lines); !strings.HasPrefix(line, fmt.Sprintf(`{"messageId":"m%d"`, want+i)) {
				t.Fatalf("last=%d: line %d is %s", last, i, line)
			}
		}
	}
}

func TestTailLeavesOutWhatExceedsTheRate(t *testing.T) {
	for _, query := range []string{"rate=5", "rate=5&user=a1"} {
		s := startSite(t)
		lines := s.tail(t, query, "shop-secret")
		const sent = 200
		for i := range sent {
			s.give(t, "shop", 1000, said(fmt.Sprint("m", i)))
		}
		shown, dropped := 0, 0
		for shown+dropped < sent {
			line := next(t, lines)
			var d struct{ Dropped int }
			switch {
			case line == "":
			case strings.HasPrefix(line, `{"dropped":`) && json.Unmarshal([]byte(line), &d) == nil:
				dropped += d.Dropped
			default:
				shown++
			}
		}
		if shown+dropped != sent || shown < 5 || dropped < sent/2 {
			t.Errorf("%s: shown %d, dropped %d of %d", query, shown, dropped, sent)
		}
	}
}

func TestSlowReaderIsToldWhatItMissed(t *testing.T) {
	h := new(Hub)
	r := h.subscribe("shop", 0, nil)
	record := stream.Record{Project: "shop", Events: 3, Data: make([]byte, 300<<10)}
	for range 50 {
		h.Observe([]stream.Record{record})
	}
	records, dropped := r.drain()
	if kept := len(records); kept != queueBytes/(300<<10) || dropped != 3*(50-kept) {
		t.Errorf("kept %d records, dropped %d events", kept, dropped)
	}
	h.unsubscribe(r)
	h.Observe([]stream.Record{record})
	if records, dropped := r.drain(); len(records) != 0 || dropped != 0 {
		t.Errorf("after it left: %d records, %d dropped", len(records), dropped)
	}
}

func TestReadersAreBounded(t *testing.T) {
	s := startSite(t)
	for range maxProjectReaders {
		s.hub.subscribe("shop", 0, nil)
	}
	status, body := s.get(t, "/v1/tail", "shop-secret")
	if status != 503 || !strings.Contains(body, "too_many_readers") {
		t.Errorf("one too many: %d %s", status, body)
	}
	next(t, s.tail(t, "", "bank-secret")) // another project's are not shut out
	for i := len(s.hub.readers); i < maxReaders; i++ {
		if s.hub.subscribe(fmt.Sprint("p", i/maxProjectReaders), 0, nil) == nil {
			t.Fatalf("%d readers are too many", i)
		}
	}
	if s.hub.subscribe("late", 0, nil) != nil {
		t.Error("readers are not bounded in all")
	}
}

func TestTailRefusesBadInput(t *testing.T) {
	s := startSite(t)
	for query, code := range map[string]string{
		"type=buy": "invalid_type", "last=0": "invalid_last", "last=201": "invalid_last", "last=x": "invalid_last",
		"rate=0": "invalid_rate", "rate=-1": "invalid_rate", "rate=1e3": "invalid_rate",
	} {
		if status, body := s.get(t, "/v1/tail?"+query, "shop-secret"); status != 400 || !strings.Contains(body, code) {
			t.Errorf("%s: %d %s", query, status, body)
		}
	}
	for _, key := range []string{"", "wrong", "shop-write"} {
		if status, _ := s.get(t, "/v1/tail", key); status != 401 {
			t.Errorf("key %q: %d", key, status)
		}
	}
	for _, method := range []string{"POST", "HEAD", "DELETE"} {
		if w := serve(&Tail{Projects: s, Hub: s.hub}, method, "/v1/tail"); w.Code != 405 || w.Header().Get("Allow") != "GET" {
			t.Errorf("%s: %d", method, w.Code)
		}
	}
}

func TestTailEndsWithItsReader(t *testing.T) {
	s := startSite(t)
	ctx, leave := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, "GET", s.url+"/v1/tail", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer shop-secret")
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	leave()
	_ = response.Body.Close()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		s.hub.mu.Lock()
		left := len(s.hub.readers)
		s.hub.mu.Unlock()
		if left == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the hub still feeds a reader that left")
		}
	}
}

func BenchmarkObserve(b *testing.B) {
	record := stream.Record{Project: "shop", Events: 10, Data: make([]byte, 7000)}
	records := make([]stream.Record, 100)
	for i := range records {
		records[i] = record
	}
	for _, readers := range []int{0, 1} {
		b.Run(fmt.Sprint("readers=", readers), func(b *testing.B) {
			h := new(Hub)
			for range readers {
				h.subscribe("shop", 0, &allowance{rate: 25, now: time.Now})
			}
			b.ReportAllocs()
			events := 0
			for b.Loop() {
				h.Observe(records)
				events += 1000
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(events), "ns/event")
		})
	}
}
