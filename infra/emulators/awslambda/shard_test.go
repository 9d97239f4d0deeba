package awslambda

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

// TestRecordAge: what is too old is given up, before it was tried and after.
func TestRecordAge(t *testing.T) {
	s := newStream("s")
	s.putAt("s", "key", "old", time.Now().Add(-time.Hour))
	s.put("s", "key", "a")
	f, dead := &recorder{answer: poisoned("a")}, &letters{}
	m := &StreamMapping{Function: f, Client: s, SourceARN: streamARN, MaximumRecordAge: time.Minute, OnFailure: dead, Scale: 0.01}
	run(t, m)
	settled(t, m, 2)
	sent := dead.all()
	if len(sent) != 2 || sent[0].ResponseContext != nil || sent[0].RequestContext.ApproximateInvokeCount != 0 || sent[1].ResponseContext == nil ||
		sent[1].RequestContext.ApproximateInvokeCount < 1 || sent[0].RequestContext.Condition != RecordAgeExceeded || sent[1].RequestContext.Condition != RecordAgeExceeded {
		t.Errorf("messages are %+v", sent)
	}
	if strings.Contains(f.batches(), "old") {
		t.Errorf("invoked with %s", f.batches())
	}
}

// TestPayload: a batch has at most 6 MiB.
func TestPayload(t *testing.T) {
	s := newStream("s")
	for range 12 {
		s.put("s", "key", strings.Repeat("x", 1<<20))
	}
	f := &recorder{}
	m := &StreamMapping{Function: f, Client: s, SourceARN: streamARN, BatchSize: 100, Scale: 0.0001}
	run(t, m)
	settled(t, m, 12)
	var sizes []int
	for _, e := range f.events {
		sizes = append(sizes, len(e))
	}
	if !slices.Equal(sizes, []int{4, 4, 4}) { // 1 MiB is 1.33 in base64
		t.Errorf("batches of %v", sizes)
	}
}

// TestWindow: a batch is gathered for the time of the window, unless it is full.
func TestWindow(t *testing.T) {
	s := newStream("s")
	f := &recorder{}
	m := &StreamMapping{Function: f, Client: s, SourceARN: streamARN, BatchSize: 3, MaximumBatchingWindow: 300 * time.Second, Scale: 0.001}
	run(t, m)
	for i := range 5 {
		s.put("s", "key", fmt.Sprint(i))
	}
	settled(t, m, 5)
	if got := f.batches(); got != "0 1 2|3 4" {
		t.Errorf("invoked with %s", got)
	}
}

// TestLanes: with several lanes, and failures, each key's records are first
// delivered in order, in batches of up to the size, several at once.
func TestLanes(t *testing.T) {
	s := newStream("s", "t")
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range 600 {
		s.put([]string{"s", "t"}[i%2], fmt.Sprintf("%03d", rng.IntN(40)), fmt.Sprint(i))
	}
	f := &recorder{}
	inFlight, most := 0, 0
	f.answer = func(batch []handled) ([]byte, error) {
		inFlight++
		most = max(most, inFlight)
		f.mu.Unlock() // others meanwhile
		time.Sleep(time.Millisecond)
		f.mu.Lock()
		inFlight--
		switch rng.IntN(5) {
		case 0:
			return nil, errFailed
		case 1:
			return fmt.Appendf(nil, `{"batchItemFailures":[{"itemIdentifier":%q}]}`, batch[rng.IntN(len(batch))].sequence), nil
		}
		return nil, nil
	}
	m := &StreamMapping{
		Function: f, Client: s, SourceARN: streamARN, BatchSize: 7, ParallelizationFactor: 4, ReportBatchItemFailures: true,
		BisectBatchOnFunctionError: true, Scale: 0.0001,
	}
	m.Redeliver = func(Batch) bool { return m.Stats().Redelivered < 20 }
	run(t, m)
	settled(t, m, 600)
	seen := map[string]bool{}
	last := map[string]string{}
	for _, h := range f.all() {
		if seen[h.sequence] {
			continue
		}
		seen[h.sequence] = true
		at := h.shard + h.key
		if compareSequences(last[at], h.sequence) > 0 {
			t.Fatalf("key %s: %s comes after %s", h.key, h.sequence, last[at])
		}
		last[at] = h.sequence
	}
	if len(seen) != 600 || most < 3 || m.Stats().Redelivered != 20 {
		t.Errorf("%d delivered, %d at once; stats are %+v", len(seen), most, m.Stats())
	}
	for _, e := range f.events {
		if len(e) > 7 {
			t.Errorf("a batch of %d", len(e))
		}
	}
}

// TestReshard: a shard's records come after all of its parent's, also when it
// is closed while it has a backlog that fails.
func TestReshard(t *testing.T) {
	s := newStream("parent", "other")
	for i := range 30 {
		s.put("parent", "key", fmt.Sprintf("p%d", i))
	}
	s.split("parent", "child1", "child2")
	s.put("child1", "key", "c1")
	s.put("child2", "key", "c2")
	s.put("other", "key", "o")
	f := &recorder{}
	n := 0
	f.answer = func([]handled) ([]byte, error) {
		if n++; n%2 == 0 {
			return nil, errFailed
		}
		return nil, nil
	}
	m := &StreamMapping{Function: f, Client: s, SourceARN: streamARN, BatchSize: 4, Scale: 0.0001}
	stop := run(t, m)
	settled(t, m, 33)
	parents := 0
	for _, h := range f.all() {
		if strings.HasPrefix(h.data, "p") {
			parents++
		}
		if strings.HasPrefix(h.data, "c") && parents < 30 {
			t.Fatalf("%s comes after %d of the parent's records", h.data, parents)
		}
	}
	// Run again, it goes on where it was: nothing comes twice, and what is new comes.
	stop()
	before := len(f.all())
	s.put("child1", "key", "new")
	run(t, m)
	settled(t, m, 34)
	if got := f.all()[before:]; slices.ContainsFunc(got, func(h handled) bool { return h.data != "new" }) {
		t.Errorf("after a restart it delivers %v", got)
	}
}

// TestLatest: what is there before is not delivered, what comes by a reshard is from its beginning.
func TestLatest(t *testing.T) {
	s := newStream("s")
	s.put("s", "key", "before")
	f := &recorder{}
	m := &StreamMapping{Function: f, Client: s, SourceARN: streamARN, StartingPosition: "LATEST", Scale: 0.0001}
	run(t, m)
	eventually(t, func() error {
		s.mu.Lock()
		defer s.mu.Unlock()
		return equal("iterators", s.latest, 1)
	})
	s.put("s", "key", "after")
	s.put("child", "key", "child")
	s.split("s", "child")
	settled(t, m, 2)
	if got := f.batches(); got != "after|child" {
		t.Errorf("invoked with %s", got)
	}
}

// TestStreamErrors: a fault of the stream is survived, without loss or repetition.
func TestStreamErrors(t *testing.T) {
	s := newStream("s")
	s.fail = []error{
		&types.ProvisionedThroughputExceededException{}, errors.New("connection reset"), &types.ExpiredIteratorException{}, &types.ProvisionedThroughputExceededException{},
	}
	for data := range strings.FieldsSeq("a b c") {
		s.put("s", "key", data)
	}
	f := &recorder{}
	m := &StreamMapping{Function: f, Client: s, SourceARN: streamARN, BatchSize: 1, Scale: 0.0001}
	run(t, m)
	settled(t, m, 3)
	if got := f.batches(); got != "a|b|c" {
		t.Errorf("invoked with %s", got)
	}
}
