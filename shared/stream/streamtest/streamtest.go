// Package streamtest is the conformance suite of streams: what every adapter
// must do, whatever carries the records. It asks no more than the contract in
// package stream: at least once, in any order.
package streamtest

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hitolayer/hito/shared/quarantine"
	"github.com/hitolayer/hito/shared/stream"
)

// Stream is one stream of the adapter under test, empty and without consumers.
type Stream interface {
	stream.Publisher
	// Consume begins to deliver the stream to h until the test ends. The suite
	// calls it once, before or after it publishes.
	Consume(t *testing.T, h stream.Handler)
	// Quarantined returns what went to quarantine so far. It may be called at
	// any time, again and again.
	Quarantined(t *testing.T) []quarantine.Entry
}

// Harness makes a new stream for a test and sees to its end.
type Harness func(t *testing.T) Stream

// Features are what an adapter does beyond the least, and its bounds.
type Features struct {
	// KeyAffinity says that records of the same project and key are never with
	// two consumers at the same time.
	KeyAffinity bool
	// Bisects says that the adapter finds the record that makes a handler panic.
	Bisects bool
	// MaxAttempts is after how many deliveries a record that goes on failing is
	// in quarantine at the latest; 0 when the adapter never gives up.
	MaxAttempts int
	// MaxRecordBytes is the largest Data it carries, 1 MiB when 0.
	MaxRecordBytes int
	// Patience is how long the suite waits for what must happen, 30 s when 0;
	// Quiet how long for what must not, 200 ms when 0.
	Patience, Quiet time.Duration
}

// Run runs the suite.
func Run(t *testing.T, h Harness, f Features) {
	if f.MaxRecordBytes == 0 {
		f.MaxRecordBytes = 1 << 20
	}
	if f.Patience == 0 {
		f.Patience = 30 * time.Second
	}
	if f.Quiet == 0 {
		f.Quiet = 200 * time.Millisecond
	}
	s := suite{harness: h, Features: f}
	for _, c := range []struct {
		name string
		test func(suite, *testing.T)
		need bool
	}{
		{"DeliversEveryRecord", suite.deliversEveryRecord, true},
		{"KeepsEveryByte", suite.keepsEveryByte, true},
		{"DeliversWhatWasPublishedBefore", suite.deliversWhatWasPublishedBefore, true},
		{"EmptyPublish", suite.emptyPublish, true},
		{"LargeRecords", suite.largeRecords, true},
		{"TakesACopy", suite.takesACopy, true},
		{"ConcurrentPublishers", suite.concurrentPublishers, true},
		{"CancelledPublish", suite.cancelledPublish, true},
		{"FailedRecordComesAgain", suite.failedRecordComesAgain, true},
		{"FailedBatchComesAgain", suite.failedBatchComesAgain, true},
		{"PermanentFailureIsQuarantined", suite.permanentFailureIsQuarantined, true},
		{"AttemptsAreBounded", suite.attemptsAreBounded, f.MaxAttempts > 0},
		{"PanicHarmsNoNeighbour", suite.panicHarmsNoNeighbour, f.Bisects},
		{"KeyAffinity", suite.keyAffinity, f.KeyAffinity},
	} {
		t.Run(c.name, func(t *testing.T) {
			if !c.need {
				t.Skip("the adapter does not claim this feature")
			}
			c.test(s, t)
		})
	}
}

type suite struct {
	Features
	harness Harness
}

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
		func() string { _, missing := l.doneAll(rs); return fmt.Sprintf("records not handled, such as %q", missing) })
}

func (s suite) deliversEveryRecord(t *testing.T) {
	st, l := s.harness(t), newLog()
	st.Consume(t, l.accept)
	rs := records(500, "r")
	for part := range slices.Chunk(rs, 70) {
		s.publish(t, st, part)
	}
	s.allDone(t, l, rs)
}

// keepsEveryByte: what a handler gets is what was published, plus ID and Attempt.
func (s suite) keepsEveryByte(t *testing.T) {
	st := s.harness(t)
	odd := []stream.Record{
		{Project: "shop", Key: "u:1", Events: 1, Time: 1_700_000_000_001, Data: []byte{0, 1, 2, 255, 254, '\n', 0}},
		{Project: "shöp", Key: "u:日本語/\x00\x01 …", Events: 2500, Time: 1_700_000_000_002, Data: []byte("b")},
		{Project: "a/b", Key: "a:" + strings.Repeat("k", 200), Events: 1, Time: 1, Data: []byte("c")},
		{Project: "shop", Key: "u:2", Events: 0, Time: 1_700_000_000_003, Data: []byte("no events")},
	}
	var mu sync.Mutex
	got := map[string]stream.Record{}
	st.Consume(t, func(_ context.Context, rs []stream.Record) error {
		mu.Lock()
		defer mu.Unlock()
		for _, r := range rs {
			r.Data = slices.Clone(r.Data)
			got[string(r.Data)] = r
		}
		return nil
	})
	s.publish(t, st, odd)
	s.eventually(t, func() bool { mu.Lock(); defer mu.Unlock(); return len(got) == len(odd) },
		func() string { return fmt.Sprintf("%d of %d records came", len(got), len(odd)) })
	for _, want := range odd {
		g := got[string(want.Data)]
		if g.Project != want.Project || g.Key != want.Key || g.Events != want.Events || g.Time != want.Time {
			t.Errorf("published %+v, delivered %+v", want, g)
		}
		if g.ID == "" || g.Attempt < 1 {
			t.Errorf("record %q delivered with ID %q, attempt %d", want.Data, g.ID, g.Attempt)
		}
	}
}

func (s suite) deliversWhatWasPublishedBefore(t *testing.T) {
	st, l := s.harness(t), newLog()
	before, after := records(40, "before"), records(40, "after")
	s.publish(t, st, before)
	st.Consume(t, l.accept)
	s.publish(t, st, after)
	s.allDone(t, l, slices.Concat(before, after))
}

func (s suite) emptyPublish(t *testing.T) {
	st, l := s.harness(t), newLog()
	st.Consume(t, func(ctx context.Context, rs []stream.Record) error {
		if len(rs) == 0 {
			t.Error("a batch without records was delivered")
		}
		return l.accept(ctx, rs)
	})
	s.publish(t, st, nil)
	s.publish(t, st, []stream.Record{})
	rs := records(1, "r")
	s.publish(t, st, rs)
	s.allDone(t, l, rs)
}

func (s suite) largeRecords(t *testing.T) {
	st, l := s.harness(t), newLog()
	st.Consume(t, l.accept)
	var rs []stream.Record
	for i, size := range []int{s.MaxRecordBytes, s.MaxRecordBytes / 2, 9, s.MaxRecordBytes - 1} {
		data := make([]byte, size)
		for j := range data {
			data[j] = byte(j * (i + 3))
		}
		binary.BigEndian.PutUint64(data, uint64(i))
		rs = append(rs, stream.Record{Project: "shop", Key: "u:large", Events: 1, Time: 1, Data: data})
	}
	s.publish(t, st, rs)
	s.allDone(t, l, rs)
}

// takesACopy: the publisher may reuse its memory at once.
func (s suite) takesACopy(t *testing.T) {
	st, l := s.harness(t), newLog()
	st.Consume(t, l.accept)
	var want []stream.Record
	for i := range 20 {
		rs := records(10, fmt.Sprintf("copy%d", i))
		for j := range rs {
			want = append(want, stream.Record{Data: slices.Clone(rs[j].Data)})
		}
		s.publish(t, st, rs)
		for j := range rs {
			clear(rs[j].Data)
			rs[j] = stream.Record{}
		}
	}
	s.allDone(t, l, want)
}

func (s suite) concurrentPublishers(t *testing.T) {
	st, l := s.harness(t), newLog()
	st.Consume(t, l.accept)
	var wg sync.WaitGroup
	var all []stream.Record
	for i := range 8 {
		rs := records(120, fmt.Sprintf("p%d", i))
		all = append(all, rs...)
		wg.Go(func() {
			for part := range slices.Chunk(rs, 1+i*3) {
				if err := st.Publish(t.Context(), part); err != nil {
					t.Errorf("Publish: %v", err)
				}
			}
		})
	}
	wg.Wait()
	s.allDone(t, l, all)
}

// cancelledPublish: no success under a context that has ended, and no harm to others.
func (s suite) cancelledPublish(t *testing.T) {
	st, l := s.harness(t), newLog()
	st.Consume(t, l.accept)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := st.Publish(ctx, records(3, "cancelled")); err == nil {
		t.Error("Publish under a cancelled context succeeded")
	}
	rs := records(3, "live")
	s.publish(t, st, rs)
	s.allDone(t, l, rs)
}

// failedRecordComesAgain: a record named in Failures is redelivered, with
// Attempt counting up, and those not named are done.
func (s suite) failedRecordComesAgain(t *testing.T) {
	st, l := s.harness(t), newLog()
	fail := map[string]bool{"r-3": true, "r-11": true, "r-12": true}
	st.Consume(t, func(_ context.Context, rs []stream.Record) error {
		var f stream.Failures
		for i := range rs {
			l.see(&rs[i])
			if fail[string(rs[i].Data)] && rs[i].Attempt < 2 {
				f = append(f, stream.Failure{Index: i, Err: errors.New("not yet")})
				continue
			}
			l.finish(&rs[i])
		}
		return f.OrNil()
	})
	rs := records(20, "r")
	s.publish(t, st, rs)
	s.allDone(t, l, rs)
	for data := range fail {
		if seen, _, attempt := l.count(data); seen < 2 || attempt < 2 {
			t.Errorf("%s: %d deliveries, highest attempt %d", data, seen, attempt)
		}
	}
	if q := st.Quarantined(t); len(q) != 0 {
		t.Errorf("%d records in quarantine, first %+v", len(q), q[0])
	}
}

func (s suite) failedBatchComesAgain(t *testing.T) {
	st, l := s.harness(t), newLog()
	var mu sync.Mutex
	failures := 0
	st.Consume(t, func(_ context.Context, rs []stream.Record) error {
		for i := range rs {
			l.see(&rs[i])
		}
		mu.Lock()
		fail := failures < 3
		failures++
		mu.Unlock()
		if fail {
			return errors.New("the store is away")
		}
		for i := range rs {
			l.finish(&rs[i])
		}
		return nil
	})
	rs := records(30, "r")
	s.publish(t, st, rs)
	s.allDone(t, l, rs)
	if q := st.Quarantined(t); len(q) != 0 {
		t.Errorf("%d records in quarantine, first %+v", len(q), q[0])
	}
}

// permanentFailureIsQuarantined: whole, at once, and its neighbours are done.
func (s suite) permanentFailureIsQuarantined(t *testing.T) {
	st, l := s.harness(t), newLog()
	st.Consume(t, func(_ context.Context, rs []stream.Record) error {
		var f stream.Failures
		for i := range rs {
			l.see(&rs[i])
			if string(rs[i].Data) == "r-7" {
				f = append(f, stream.Failure{Index: i, Err: fmt.Errorf("wrapped: %w", stream.Permanent(errors.New("unreadable")))})
				continue
			}
			l.finish(&rs[i])
		}
		return f.OrNil()
	})
	rs := records(20, "r")
	s.publish(t, st, rs)
	s.allDone(t, l, slices.Delete(slices.Clone(rs), 7, 8))
	s.quarantined(t, st, rs[7])
	if _, done, _ := l.count("r-7"); done != 0 {
		t.Error("the failed record was handled")
	}
	seen, _, _ := l.count("r-7")
	time.Sleep(s.Quiet)
	if again, _, _ := l.count("r-7"); again != seen {
		t.Errorf("delivered %d more times after it was in quarantine", again-seen)
	}
}

// quarantined waits until exactly that record is in quarantine.
func (s suite) quarantined(t *testing.T, st Stream, want stream.Record) {
	t.Helper()
	s.eventually(t, func() bool { return len(st.Quarantined(t)) > 0 }, func() string { return "nothing in quarantine" })
	q := st.Quarantined(t)
	if len(q) != 1 {
		t.Fatalf("%d entries in quarantine, want 1", len(q))
	}
	e := q[0]
	if string(e.Body) != string(want.Data) || e.Project != want.Project || e.Events != want.Events || e.Time != want.Time {
		t.Errorf("quarantined %+v, want the record %+v", e, want)
	}
	if e.ID == "" || e.Reason == "" || e.Stage == "" {
		t.Errorf("entry without id, reason or stage: %+v", e)
	}
}

func (s suite) attemptsAreBounded(t *testing.T) {
	st, l := s.harness(t), newLog()
	st.Consume(t, func(_ context.Context, rs []stream.Record) error {
		var f stream.Failures
		for i := range rs {
			l.see(&rs[i])
			if string(rs[i].Data) == "r-4" {
				f = append(f, stream.Failure{Index: i, Err: errors.New("never")})
				continue
			}
			l.finish(&rs[i])
		}
		return f.OrNil()
	})
	rs := records(9, "r")
	s.publish(t, st, rs)
	s.allDone(t, l, slices.Delete(slices.Clone(rs), 4, 5))
	s.quarantined(t, st, rs[4])
	if seen, _, _ := l.count("r-4"); seen < 2 || seen > s.MaxAttempts {
		t.Errorf("delivered %d times, want 2 to %d", seen, s.MaxAttempts)
	}
}

func (s suite) panicHarmsNoNeighbour(t *testing.T) {
	st, l := s.harness(t), newLog()
	st.Consume(t, func(_ context.Context, rs []stream.Record) error {
		for i := range rs {
			if string(rs[i].Data) == "r-13" {
				panic("poison")
			}
		}
		for i := range rs {
			l.see(&rs[i])
			l.finish(&rs[i])
		}
		return nil
	})
	rs := records(40, "r")
	s.publish(t, st, rs)
	s.allDone(t, l, slices.Delete(slices.Clone(rs), 13, 14))
	s.quarantined(t, st, rs[13])
}

func (s suite) keyAffinity(t *testing.T) {
	st, l := s.harness(t), newLog()
	var mu sync.Mutex
	busy := map[string]int{}
	st.Consume(t, func(ctx context.Context, rs []stream.Record) error {
		keys := map[string]bool{}
		for i := range rs {
			keys[rs[i].Project+"\x00"+rs[i].Key] = true
		}
		mu.Lock()
		for k := range keys {
			if busy[k]++; busy[k] > 1 {
				t.Errorf("key %q is with two consumers", k)
			}
		}
		mu.Unlock()
		time.Sleep(time.Millisecond) // so that others would get in between
		err := l.accept(ctx, rs)
		mu.Lock()
		for k := range keys {
			busy[k]--
		}
		mu.Unlock()
		return err
	})
	rs := records(600, "r")
	for part := range slices.Chunk(rs, 5) {
		s.publish(t, st, part)
	}
	s.allDone(t, l, rs)
}
