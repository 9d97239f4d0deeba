package awslambda

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

const streamARN = "arn:aws:kinesis:eu-west-3:123456789012:stream/raw"

// fakeStream is a Kinesis stream in memory.
type fakeStream struct {
	mu      sync.Mutex
	shards  []types.Shard
	records map[string][]types.Record
	closed  map[string]bool
	next    int
	fail    []error // what the next reads return
	latest  int     // iterators asked for LATEST
}

func newStream(shards ...string) *fakeStream {
	s := &fakeStream{records: map[string][]types.Record{}, closed: map[string]bool{}}
	for _, id := range shards {
		s.shards = append(s.shards, types.Shard{ShardId: &id})
	}
	return s
}

// put adds a record whose sequence numbers are of different lengths, as real ones never are.
func (s *fakeStream) put(shard, key, data string) string {
	return s.putAt(shard, key, data, time.Now())
}

func (s *fakeStream) putAt(shard, key, data string, at time.Time) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next++
	sequence := strconv.Itoa(s.next)
	s.records[shard] = append(s.records[shard], types.Record{
		SequenceNumber: &sequence, PartitionKey: &key, Data: []byte(data), ApproximateArrivalTimestamp: &at,
	})
	return sequence
}

// split closes a shard and adds its children.
func (s *fakeStream) split(parent string, children ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed[parent] = true
	for _, id := range children {
		s.shards = append(s.shards, types.Shard{ShardId: &id, ParentShardId: &parent})
	}
}

func (s *fakeStream) ListShards(_ context.Context, in *kinesis.ListShardsInput, _ ...func(*kinesis.Options)) (*kinesis.ListShardsOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if in.NextToken == nil && *in.StreamName != "raw" {
		return nil, errors.New("no such stream")
	}
	// One a page.
	at, _ := strconv.Atoi(aws.ToString(in.NextToken))
	out := &kinesis.ListShardsOutput{}
	if at < len(s.shards) {
		out.Shards = s.shards[at : at+1]
	}
	if at+1 < len(s.shards) {
		out.NextToken = aws.String(strconv.Itoa(at + 1))
	}
	return out, nil
}

func (s *fakeStream) GetShardIterator(_ context.Context, in *kinesis.GetShardIteratorInput, _ ...func(*kinesis.Options)) (*kinesis.GetShardIteratorOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := 0
	switch in.ShardIteratorType {
	case types.ShardIteratorTypeLatest:
		at = len(s.records[*in.ShardId])
		s.latest++
	case types.ShardIteratorTypeAfterSequenceNumber:
		at = 1 + slices.IndexFunc(s.records[*in.ShardId], func(r types.Record) bool { return *r.SequenceNumber == *in.StartingSequenceNumber })
	}
	return &kinesis.GetShardIteratorOutput{ShardIterator: aws.String(fmt.Sprintf("%s/%d", *in.ShardId, at))}, nil
}

func (s *fakeStream) GetRecords(_ context.Context, in *kinesis.GetRecordsInput, _ ...func(*kinesis.Options)) (*kinesis.GetRecordsOutput, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.fail) > 0 {
		err := s.fail[0]
		s.fail = s.fail[1:]
		return nil, err
	}
	shard, text, _ := strings.Cut(*in.ShardIterator, "/")
	at, err := strconv.Atoi(text)
	if err != nil {
		return nil, err
	}
	all := s.records[shard]
	end := min(len(all), at+int(*in.Limit))
	out := &kinesis.GetRecordsOutput{Records: all[at:end]}
	if end < len(all) || !s.closed[shard] {
		out.NextShardIterator = aws.String(fmt.Sprintf("%s/%d", shard, end))
	}
	return out, nil
}

// handled is one record as the function saw it.
type handled struct{ shard, sequence, key, data string }

// recorder is a function in this process that notes what it is given.
type recorder struct {
	mu     sync.Mutex
	events [][]handled
	answer func(batch []handled) ([]byte, error) // nil: all done
	raw    []byte                                // the first event
}

func (r *recorder) Invoke(_ context.Context, payload []byte) ([]byte, error) {
	if len(payload) > MaxPayload {
		return nil, ErrTooLarge
	}
	var e struct {
		Records []struct {
			EventID string
			Kinesis struct {
				SequenceNumber, PartitionKey string
				Data                         []byte
			}
		}
	}
	if err := json.Unmarshal(payload, &e); err != nil {
		return nil, err
	}
	var batch []handled
	for _, record := range e.Records {
		shard, _, _ := strings.Cut(record.EventID, ":")
		batch = append(batch, handled{shard, record.Kinesis.SequenceNumber, record.Kinesis.PartitionKey, string(record.Kinesis.Data)})
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.raw == nil {
		r.raw = payload
	}
	r.events = append(r.events, batch)
	if r.answer == nil {
		return nil, nil
	}
	return r.answer(batch)
}

// batches returns what was invoked, as the records' data: "a b|c".
func (r *recorder) batches() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []string
	for _, batch := range r.events {
		var texts []string
		for _, h := range batch {
			texts = append(texts, h.data)
		}
		out = append(out, strings.Join(texts, " "))
	}
	return strings.Join(out, "|")
}

// all returns every record delivered, in order of delivery.
func (r *recorder) all() []handled {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Concat(r.events...)
}

// letters keeps the messages of a destination.
type letters struct {
	mu   sync.Mutex
	sent []Discarded
	fail int // how often to refuse first
}

func (l *letters) Send(_ context.Context, message []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fail > 0 {
		l.fail--
		return errors.New("refused")
	}
	var d Discarded
	if err := json.Unmarshal(message, &d); err != nil {
		return err
	}
	l.sent = append(l.sent, d)
	return nil
}

func (l *letters) all() []Discarded {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.sent)
}

// run runs a mapping until the test ends or stop is called.
func run(t *testing.T, m *StreamMapping) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- m.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// settled waits until so many records are done or given up; what was under way as
// a mapping stopped may be done twice.
func settled(t *testing.T, m *StreamMapping, records int) {
	t.Helper()
	eventually(t, func() error {
		s := m.Stats()
		if s.Records+s.Discarded < records || m.Pending() != 0 {
			return fmt.Errorf("%d records are to be settled: %+v, %d pending", records, s, m.Pending())
		}
		return nil
	})
}
