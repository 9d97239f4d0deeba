package streamtest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/hitolayer/hito/shared/stream"
)

// failedRecordComesAgain: a record named in Failures is redelivered, with
// Attempt counting up where it counts, and those not named are done.
func (s suite) failedRecordComesAgain(t *testing.T) {
	st, l := s.harness(t), newLog()
	fail := map[string]bool{"r-3": true, "r-11": true, "r-12": true}
	st.Consume(t, func(_ context.Context, rs []stream.Record) error {
		var f stream.Failures
		for i := range rs {
			l.see(&rs[i])
			if seen, _, _ := l.count(string(rs[i].Data)); fail[string(rs[i].Data)] && seen < 2 {
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
		if seen, _, attempt := l.count(data); seen < 2 || s.CountsAttempts && attempt < 2 {
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
	// One delivery may be under way yet: that whose answer got lost on the way.
	seen := -1
	s.eventually(t, func() bool {
		before := seen
		seen, _, _ = l.count("r-7")
		if seen == before {
			return true
		}
		time.Sleep(s.Quiet)
		return false
	}, func() string { return fmt.Sprintf("still delivered after it was in quarantine, %d times", seen) })
	s.quarantined(t, st, rs[7])
}

// quarantined waits until that record is in quarantine, once for each copy, and nothing else.
func (s suite) quarantined(t *testing.T, st Stream, want stream.Record) {
	t.Helper()
	s.eventually(t, func() bool { return len(st.Quarantined(t)) > 0 }, func() string { return "nothing in quarantine" })
	q := st.Quarantined(t)
	if len(q) != 1 && !s.Copies {
		t.Fatalf("%d entries in quarantine, want 1", len(q))
	}
	ids := make(map[string]bool)
	for _, e := range q {
		if string(e.Body) != string(want.Data) || e.Project != want.Project || e.Events != want.Events || e.Time != want.Time {
			t.Errorf("quarantined %+v, want the record %+v", e, want)
		}
		if e.ID == "" || e.Reason == "" || e.Stage == "" || ids[e.ID] {
			t.Errorf("entry without id, reason or stage, or a second time: %+v", e)
		}
		ids[e.ID] = true
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
