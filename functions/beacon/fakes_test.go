package beacon

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hitolayer/hito/shared/event"
	"github.com/hitolayer/hito/shared/project"
	"github.com/hitolayer/hito/shared/quarantine"
	"github.com/hitolayer/hito/shared/stream"
	"github.com/hitolayer/hito/shared/telemetry"
)

// received is when every request of the tests comes in.
var received = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// capture is everything behind the handler.
type capture struct {
	mu       sync.Mutex
	records  []stream.Record
	entries  []quarantine.Entry
	metrics  map[string]float64
	settings project.Settings
	fail     error // of Publish
	failPut  error
	minted   int
}

func (c *capture) ByWriteKey(key string) (*project.Project, bool) {
	if key != "demo" {
		return nil, false
	}
	return &project.Project{Name: "shop", Settings: c.settings}, true
}

func (c *capture) BySecretKey(string) (*project.Project, bool) { return nil, false }

func (c *capture) Publish(ctx context.Context, records []stream.Record) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	failures, some := c.fail.(stream.Failures)
	if c.fail != nil && !some {
		return c.fail
	}
	for i, r := range records {
		if slices.ContainsFunc(failures, func(f stream.Failure) bool { return f.Index == i }) {
			continue
		}
		r.Data = bytes.Clone(r.Data) // the handler uses the memory again
		c.records = append(c.records, r)
	}
	return c.fail
}

func (c *capture) Put(_ context.Context, entries []quarantine.Entry) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failPut != nil {
		return c.failPut
	}
	c.entries = append(c.entries, entries...)
	return nil
}

func (c *capture) Emit(_ context.Context, function string, values ...telemetry.Value) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.metrics == nil {
		c.metrics = map[string]float64{}
	}
	for _, v := range values {
		c.metrics[function+"."+v.Name] += v.V
	}
}

// events returns all that was published, decoded.
func (c *capture) events(t testing.TB) (events []*event.Event) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range c.records {
		record, err := event.Decode(r.Data)
		if err != nil {
			t.Fatal(err)
		}
		if record.Project != r.Project || record.Key != r.Key || len(record.Events) != r.Events || record.ReceivedAt != r.Time {
			t.Errorf("record %+v does not say what its data says: %v", r, record)
		}
		for _, e := range record.Events {
			if e.VisitorKey() != r.Key {
				t.Errorf("event of %s in the record of %s", e.VisitorKey(), r.Key)
			}
			events = append(events, e)
		}
	}
	return events
}

func (c *capture) reasons() (reasons []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range c.entries {
		reasons = append(reasons, e.Reason)
	}
	return reasons
}

func (c *capture) handler() *Handler {
	return &Handler{
		Projects: c, Raw: c, Quarantine: c, Telemetry: c,
		Origin: "local",
		Now:    func() time.Time { return received },
		NewID: func() string {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.minted++
			return fmt.Sprintf("minted-%d", c.minted)
		},
		Log: slog.New(slog.DiscardHandler),
	}
}

// do sends one request; headers are pairs.
func do(h http.Handler, method, target, body string, headers ...string) *http.Response {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.RemoteAddr = "203.0.113.77:4242"
	for pair := range slices.Chunk(headers, 2) {
		r.Header.Set(pair[0], pair[1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func text(t testing.TB, res *http.Response) string {
	t.Helper()
	var b bytes.Buffer
	if _, err := b.ReadFrom(res.Body); err != nil {
		t.Fatal(err)
	}
	return b.String()
}
