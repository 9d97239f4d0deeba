package awslambda

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

// StreamAPI is how a mapping reads a stream; *kinesis.Client has it.
type StreamAPI interface {
	ListShards(context.Context, *kinesis.ListShardsInput, ...func(*kinesis.Options)) (*kinesis.ListShardsOutput, error)
	GetShardIterator(context.Context, *kinesis.GetShardIteratorInput, ...func(*kinesis.Options)) (*kinesis.GetShardIteratorOutput, error)
	GetRecords(context.Context, *kinesis.GetRecordsInput, ...func(*kinesis.Options)) (*kinesis.GetRecordsOutput, error)
}

// A Destination takes the messages about batches that a mapping gave up.
type Destination interface {
	Send(ctx context.Context, message []byte) error
}

// A StreamMapping is an event source mapping from a Kinesis stream to a
// function. Its fields are Lambda's settings of the same names, with Lambda's
// defaults, and must not change after Run
// (docs.aws.amazon.com/lambda/latest/dg/services-kinesis-parameters.html).
//
// A shard's records are delivered in order per partition key, at least once. A
// mapping that is run again goes on from its checkpoint, as one that was
// disabled and enabled; what was delivered after the checkpoint comes again.
type StreamMapping struct {
	Function    Invoker
	FunctionARN string
	Role        string // ARN: the events' invokeIdentityArn
	Client      StreamAPI
	SourceARN   string // of the stream, or of a consumer of it, which is read like others

	BatchSize                  int           // 1 to 10,000; 0 is 100
	MaximumBatchingWindow      time.Duration // 0 to 300 s: invoke as soon as there are records
	ParallelizationFactor      int           // 1 to 10; 0 is 1
	StartingPosition           string        // TRIM_HORIZON ("") or LATEST
	MaximumRetryAttempts       *int          // nil: for ever
	MaximumRecordAge           time.Duration // 0: any
	BisectBatchOnFunctionError bool
	ReportBatchItemFailures    bool
	OnFailure                  Destination // nil: what is given up is lost

	// Scale shortens all times for tests: the batching window, the record age,
	// the polling interval of 1 s and the pause between attempts, from 1 s to a
	// minute. 0 is 1: as slow as Lambda.
	Scale float64
	// Redeliver is asked about each batch that succeeded, and may have it
	// delivered once more before the next, as when Lambda loses its checkpoint.
	Redeliver func(Batch) bool
	// Log is told what goes wrong with the stream or the destination; nil is slog.Default().
	Log *slog.Logger

	mu     sync.Mutex
	shards map[string]*positions
	listed bool // the stream's shards were seen: those that come are children
	stats  StreamStats
}

// A Batch is what a mapping delivers in one invocation.
type Batch struct {
	Shard           string
	First, Last     string // sequence numbers
	Size            int    // records
	FirstPartition  string // the first record's partition key
	EarlierAttempts int
}

// StreamStats are what has happened to a mapping.
type StreamStats struct {
	Batches     int // delivered and done, wholly or up to a failure
	Records     int // done, those delivered again not counted again
	Partial     int // answers that reported a part as failed
	Failed      int // invocations that failed the whole batch
	Bisected    int
	Throttled   int
	Discarded   int // records
	Redelivered int // batches
}

// Stats returns what has happened so far.
func (m *StreamMapping) Stats() StreamStats {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.stats
}

func (m *StreamMapping) count(add func(*StreamStats)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	add(&m.stats)
}

// Pending returns how many records were read and are neither done nor discarded.
func (m *StreamMapping) Pending() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := 0
	for _, p := range m.shards {
		n += p.pending()
	}
	return n
}

// Checkpoint returns the sequence number up to which a shard is done, "" if
// nothing is.
func (m *StreamMapping) Checkpoint(shard string) string {
	p := m.positions(shard)
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.checkpoint
}

func (m *StreamMapping) positions(shard string) *positions {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.shards == nil {
		m.shards = make(map[string]*positions)
	}
	if m.shards[shard] == nil {
		m.shards[shard] = &positions{}
	}
	return m.shards[shard]
}

func (m *StreamMapping) batchSize() int { return or(m.BatchSize, 100) }

func (m *StreamMapping) lanes() int { return or(m.ParallelizationFactor, 1) }

func (m *StreamMapping) log() *slog.Logger {
	if m.Log != nil {
		return m.Log
	}
	return slog.Default()
}

// or is v, or instead if v is 0.
func or(v, instead int) int {
	if v == 0 {
		return instead
	}
	return v
}

// scaled is d by a mapping's scale.
func scaled(scale float64, d time.Duration) time.Duration {
	if scale == 0 {
		return d
	}
	return time.Duration(float64(d) * scale)
}

// backoff is how long to pause before the attempt after n failed ones.
func backoff(scale float64, n int) time.Duration {
	return scaled(scale, min(time.Minute, time.Second<<min(max(n-1, 0), 6)))
}

// part is one part of an ARN, "" if there are not so many.
func part(arn string, i int) string {
	if parts := strings.SplitN(arn, ":", 6); i < len(parts) {
		return parts[i]
	}
	return ""
}

// streamName is the stream's in its ARN or in that of a consumer,
// stream/name/consumer/name:time.
func streamName(arn string) string {
	name, _, _ := strings.Cut(strings.TrimPrefix(part(arn, 5), "stream/"), "/")
	return name
}

// validate refuses what Lambda would.
func (m *StreamMapping) validate() error {
	switch {
	case streamName(m.SourceARN) == "":
		return fmt.Errorf("%q is no stream's ARN", m.SourceARN)
	case m.batchSize() < 1 || m.batchSize() > 10_000:
		return fmt.Errorf("BatchSize %d is not within 1 and 10000", m.BatchSize)
	case m.MaximumBatchingWindow < 0 || m.MaximumBatchingWindow > 300*time.Second:
		return fmt.Errorf("MaximumBatchingWindow %s is not within 0 and 300 s", m.MaximumBatchingWindow)
	case m.lanes() < 1 || m.lanes() > 10:
		return fmt.Errorf("ParallelizationFactor %d is not within 1 and 10", m.ParallelizationFactor)
	case m.StartingPosition != "" && m.StartingPosition != "TRIM_HORIZON" && m.StartingPosition != "LATEST":
		return fmt.Errorf("StartingPosition %q is neither TRIM_HORIZON nor LATEST", m.StartingPosition)
	case m.MaximumRetryAttempts != nil && (*m.MaximumRetryAttempts < 0 || *m.MaximumRetryAttempts > 10_000):
		return fmt.Errorf("MaximumRetryAttempts %d is not within 0 and 10000", *m.MaximumRetryAttempts)
	case m.MaximumRecordAge != 0 && (m.MaximumRecordAge < time.Minute || m.MaximumRecordAge > 7*24*time.Hour):
		return fmt.Errorf("MaximumRecordAge %s is not within 1 m and 7 days", m.MaximumRecordAge)
	}
	return nil
}

// Run delivers the stream until ctx ends, and returns nil then. Errors of the
// stream are logged and survived; an error is returned only for settings that
// Lambda would refuse.
func (m *StreamMapping) Run(ctx context.Context) error {
	if err := m.validate(); err != nil {
		return fmt.Errorf("map %s: %w", m.SourceARN, err)
	}
	var readers sync.WaitGroup
	defer readers.Wait()
	running := make(map[string]bool)
	for {
		shards, err := m.listShards(ctx)
		if err != nil && ctx.Err() == nil {
			m.log().Warn("list shards", "stream", m.SourceARN, "error", err)
		}
		for _, s := range m.startable(shards) {
			if !running[*s.ShardId] {
				running[*s.ShardId] = true
				at := m.positions(*s.ShardId)
				if at.start == "" {
					at.start = m.startingPosition()
				}
				readers.Go(func() { m.runShard(ctx, *s.ShardId, at) })
			}
		}
		if err == nil {
			m.mu.Lock()
			m.listed = true
			m.mu.Unlock()
		}
		if !wait(ctx, scaled(m.Scale, time.Second)) {
			return nil
		}
	}
}

// startingPosition is where a shard that has no checkpoint is read from: what
// came by a reshard from its beginning.
func (m *StreamMapping) startingPosition() types.ShardIteratorType {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.StartingPosition == "LATEST" && !m.listed {
		return types.ShardIteratorTypeLatest
	}
	return types.ShardIteratorTypeTrimHorizon
}

func (m *StreamMapping) listShards(ctx context.Context) ([]types.Shard, error) {
	name := streamName(m.SourceARN)
	input := &kinesis.ListShardsInput{StreamName: &name}
	var shards []types.Shard
	for {
		page, err := m.Client.ListShards(ctx, input)
		if err != nil {
			return nil, fmt.Errorf("list shards of %s: %w", name, err)
		}
		shards = append(shards, page.Shards...)
		if page.NextToken == nil {
			return shards, nil
		}
		input = &kinesis.ListShardsInput{NextToken: page.NextToken}
	}
}

// startable returns the shards whose parents are done to their end, so that a
// key's records stay in order over a reshard.
func (m *StreamMapping) startable(shards []types.Shard) []types.Shard {
	there := make(map[string]bool, len(shards))
	for _, s := range shards {
		there[*s.ShardId] = true
	}
	open := func(parent *string) bool {
		return parent != nil && there[*parent] && !m.positions(*parent).isFinished()
	}
	var out []types.Shard
	for _, s := range shards {
		if !open(s.ParentShardId) && !open(s.AdjacentParentShardId) && !m.positions(*s.ShardId).isFinished() {
			out = append(out, s)
		}
	}
	return out
}

// runShard reads a shard to its end, or until ctx ends.
func (m *StreamMapping) runShard(ctx context.Context, shard string, at *positions) {
	read := at.restart()
	lanes := m.startLanes(ctx, shard, at)
	ended := m.readShard(ctx, shard, at.start, read, lanes)
	lanes.close()
	if ended && ctx.Err() == nil {
		at.finish()
	}
}

// readShard gives what comes after read to the lanes. It returns true at the
// end of a closed shard.
func (m *StreamMapping) readShard(ctx context.Context, shard string, start types.ShardIteratorType, read string, lanes *lanes) bool {
	var iterator *string
	for failures := 0; ctx.Err() == nil; {
		page, err := m.page(ctx, shard, start, read, &iterator)
		if err != nil {
			failures++
			if throttled := new(types.ProvisionedThroughputExceededException); !errors.As(err, &throttled) && ctx.Err() == nil {
				iterator = nil // it may have expired
				m.log().Warn("read shard", "stream", m.SourceARN, "shard", shard, "error", err)
			}
			wait(ctx, backoff(m.Scale, failures))
			continue
		}
		failures = 0
		if n := len(page.Records); n > 0 {
			if !lanes.give(ctx, page.Records) {
				return false
			}
			read = *page.Records[n-1].SequenceNumber
		}
		if iterator = page.NextShardIterator; iterator == nil {
			return true
		}
		if len(page.Records) == 0 {
			wait(ctx, scaled(m.Scale, time.Second))
		}
	}
	return false
}

// page reads on at the iterator, or at a new one after what was read.
func (m *StreamMapping) page(ctx context.Context, shard string, start types.ShardIteratorType, read string, iterator **string) (*kinesis.GetRecordsOutput, error) {
	if *iterator == nil {
		var err error
		if *iterator, err = m.iterator(ctx, shard, start, read); err != nil {
			return nil, err
		}
	}
	limit := int32(min(10_000, m.batchSize()*m.lanes()))
	page, err := m.Client.GetRecords(ctx, &kinesis.GetRecordsInput{ShardIterator: *iterator, Limit: &limit})
	if err != nil {
		return nil, fmt.Errorf("get records of %s: %w", shard, err)
	}
	return page, nil
}

func (m *StreamMapping) iterator(ctx context.Context, shard string, start types.ShardIteratorType, read string) (*string, error) {
	name := streamName(m.SourceARN)
	input := &kinesis.GetShardIteratorInput{StreamName: &name, ShardId: &shard, ShardIteratorType: start}
	if read != "" {
		input.ShardIteratorType, input.StartingSequenceNumber = types.ShardIteratorTypeAfterSequenceNumber, &read
	}
	out, err := m.Client.GetShardIterator(ctx, input)
	if err != nil {
		return nil, fmt.Errorf("get iterator of %s in %s: %w", shard, name, err)
	}
	return out.ShardIterator, nil
}
