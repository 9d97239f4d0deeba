package streamtest

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/hitolayer/hito/shared/stream"
)

// log is what a handler saw.
type log struct {
	mu       sync.Mutex
	seen     map[string]int // deliveries by data
	done     map[string]int // deliveries that the handler did not fail
	attempts map[string]int // the highest Attempt
}

func newLog() *log {
	return &log{seen: map[string]int{}, done: map[string]int{}, attempts: map[string]int{}}
}

func (l *log) see(r *stream.Record) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seen[string(r.Data)]++
	l.attempts[string(r.Data)] = max(l.attempts[string(r.Data)], r.Attempt)
}

func (l *log) finish(r *stream.Record) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.done[string(r.Data)]++
}

func (l *log) count(data string) (seen, done, attempt int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.seen[data], l.done[data], l.attempts[data]
}

// doneAll reports whether every record was handled; missing names some that were not.
func (l *log) doneAll(records []stream.Record) (ok bool, missing []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range records {
		if l.done[string(records[i].Data)] == 0 {
			if missing = append(missing, clip(string(records[i].Data))); len(missing) > 5 {
				break
			}
		}
	}
	return len(missing) == 0, missing
}

func clip(s string) string { return s[:min(len(s), 40)] }

// accept handles everything.
func (l *log) accept(_ context.Context, records []stream.Record) error {
	for i := range records {
		l.see(&records[i])
		l.finish(&records[i])
	}
	return nil
}

func records(n int, prefix string) []stream.Record {
	out := make([]stream.Record, n)
	for i := range out {
		out[i] = stream.Record{
			Project: "shop", Key: fmt.Sprintf("a:%s%d", prefix, i%17), Events: 1 + i%3,
			Time: 1_700_000_000_000 + int64(i), Data: fmt.Appendf(nil, "%s-%d", prefix, i),
		}
	}
	return out
}

func (s suite) publish(t *testing.T, p stream.Publisher, records []stream.Record) {
	t.Helper()
	if err := p.Publish(t.Context(), records); err != nil {
		t.Fatalf("Publish of %d records: %v", len(records), err)
	}
}

// eventually waits until ok; what says what is missing.
func (s suite) eventually(t *testing.T, ok func() bool, what func() string) {
	t.Helper()
	deadline := time.Now().Add(s.Patience)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("not after %v: %s", s.Patience, what())
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func (s suite) allDone(t *testing.T, l *log, rs []stream.Record) {
	t.Helper()
	s.eventually(t,
		func() bool { ok, _ := l.doneAll(rs); return ok },
		func() string {
			_, missing := l.doneAll(rs)
			return fmt.Sprintf("records not handled, such as %q", missing)
		})
}
