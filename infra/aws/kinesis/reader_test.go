package kinesis

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/hitolayer/hito/infra/aws/kinesis/shard"
)

// aShard is a shard in memory: its record n has the sequence number base+10n.
type aShard struct {
	records int
	trimmed int // so many are gone
	size    int // of each record's data
	closed  bool
	gone    bool // the shard itself
	// empty gives so many empty pages first; stuck gives nothing else to an
	// iterator within what was trimmed.
	empty int
	stuck bool
	// fail is asked before each call.
	fail func(call string, n int) error

	calls   map[string]int
	limits  []int32
	expired map[string]bool
}

var base, _ = new(big.Int).SetString("49590338271490256608559692538361571095921575989136588898", 10)

// at returns the sequence number of record n.
func at(n int) string { return new(big.Int).Add(base, big.NewInt(int64(10*n))).String() }

// indexOf returns the first record that is not before the sequence number.
func indexOf(sequence string) int {
	n, _ := new(big.Int).SetString(sequence, 10)
	n.Sub(n, base)
	n.Add(n, big.NewInt(9))
	return int(n.Div(n, big.NewInt(10)).Int64())
}

func (s *aShard) called(name string) error {
	if s.calls == nil {
		s.calls, s.expired = map[string]int{}, map[string]bool{}
	}
	s.calls[name]++
	if s.fail != nil {
		return s.fail(name, s.calls[name])
	}
	return nil
}

func (s *aShard) GetShardIterator(_ context.Context, in *kinesis.GetShardIteratorInput, _ ...func(*kinesis.Options)) (*kinesis.GetShardIteratorOutput, error) {
	if err := s.called("iterator"); err != nil {
		return nil, err
	}
	if (in.StreamName == nil) == (in.StreamARN == nil) {
		return nil, errors.New("one of name and ARN")
	}
	if s.gone {
		return nil, &types.ResourceNotFoundException{Message: sdk.String("Shard " + *in.ShardId + " in stream raw under account 123456789012 does not exist")}
	}
	var from int
	switch in.ShardIteratorType {
	case types.ShardIteratorTypeAtSequenceNumber:
		from = indexOf(*in.StartingSequenceNumber)
	case types.ShardIteratorTypeAfterSequenceNumber:
		from = indexOf(*in.StartingSequenceNumber) + 1
	case types.ShardIteratorTypeTrimHorizon:
		return &kinesis.GetShardIteratorOutput{ShardIterator: sdk.String(fmt.Sprint("h", s.trimmed))}, nil
	default:
		return nil, fmt.Errorf("an iterator %s", in.ShardIteratorType)
	}
	return &kinesis.GetShardIteratorOutput{ShardIterator: sdk.String(fmt.Sprint("i", from))}, nil
}

func (s *aShard) GetRecords(_ context.Context, in *kinesis.GetRecordsInput, _ ...func(*kinesis.Options)) (*kinesis.GetRecordsOutput, error) {
	if err := s.called("records"); err != nil {
		return nil, err
	}
	s.limits = append(s.limits, *in.Limit)
	from, err := strconv.Atoi((*in.ShardIterator)[1:])
	if err != nil {
		return nil, err
	}
	if s.expired[*in.ShardIterator] {
		return nil, &types.ExpiredIteratorException{}
	}
	out := &kinesis.GetRecordsOutput{MillisBehindLatest: sdk.Int64(int64(max(s.records-from, 0)))}
	if s.empty > 0 || s.stuck && from < s.trimmed {
		s.empty--
		out.NextShardIterator = in.ShardIterator
		return out, nil
	}
	from = max(from, s.trimmed)
	to := min(from+int(*in.Limit), s.records)
	for n := from; n < to; n++ {
		data := make([]byte, s.size)
		copy(data, fmt.Sprint(n))
		out.Records = append(out.Records, types.Record{
			SequenceNumber: sdk.String(at(n)), PartitionKey: sdk.String("007"), Data: data, ApproximateArrivalTimestamp: sdk.Time(time.UnixMilli(int64(n))),
		})
	}
	if to < s.records || !s.closed {
		out.NextShardIterator = sdk.String(fmt.Sprint("i", to))
	}
	return out, nil
}

// fetched fails the test unless the records are those from first to last.
func fetched(t *testing.T, got []shard.Record, first, last int) {
	t.Helper()
	if len(got) != last-first+1 {
		t.Fatalf("%d records, want %d to %d", len(got), first, last)
	}
	for i, r := range got {
		n := first + i
		want := fmt.Sprint(n)
		if r.Sequence != at(n) || r.PartitionKey != "007" || string(r.Data[:len(want)]) != want || r.Arrived.UnixMilli() != int64(n) {
			t.Fatalf("record %d is %+v", n, r)
		}
	}
}

func TestFetch(t *testing.T) {
	once := func(call string, nth int, err error) func(string, int) error {
		return func(name string, n int) error {
			if name == call && n == nth {
				return err
			}
			return nil
		}
	}
	for name, c := range map[string]struct {
		s           aShard
		first, last int
	}{
		"One":         {aShard{records: 10}, 3, 3},
		"Some":        {aShard{records: 1000}, 3, 40},
		"AllOfIt":     {aShard{records: 1000, closed: true}, 0, 999},
		"ManyPages":   {aShard{records: 30_000}, 5, 28_000},
		"EmptyPages":  {aShard{records: 50, empty: 23}, 3, 40},
		"TrimmedUpTo": {aShard{records: 50, trimmed: 3}, 3, 40},
		"Throttled": {aShard{records: 50, fail: func(_ string, n int) error {
			if n < 4 {
				return throttled()
			}
			return nil
		}}, 3, 40},
		"Breaks":       {aShard{records: 500, fail: once("records", 2, broken())}, 3, 400},
		"Expires":      {aShard{records: 500, fail: once("records", 2, &types.ExpiredIteratorException{})}, 3, 400},
		"ExpiresFirst": {aShard{records: 500, fail: once("records", 1, &types.ExpiredIteratorException{})}, 3, 400},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c.s.size = 10
				r := &Reader{Client: &c.s}
				got, err := r.Fetch(t.Context(), "arn:aws:kinesis:eu-west-1:123456789012:stream/raw", "shardId-000000000001", at(c.first), at(c.last))
				if err != nil {
					t.Fatal(err)
				}
				fetched(t, got, c.first, c.last)
				if c.s.limits[0] > 100 {
					t.Errorf("the first page asks for %d records", c.s.limits[0])
				}
			})
		})
	}
}

func TestFetchSaysWhatIsLost(t *testing.T) {
	for name, c := range map[string]struct {
		s           aShard
		first, last int
		found       int // -1: nothing
	}{
		"Part":      {aShard{records: 100, trimmed: 20}, 3, 40, 20},
		"All":       {aShard{records: 100, trimmed: 60}, 3, 40, -1},
		"Empty":     {aShard{records: 60, trimmed: 60}, 3, 40, -1},
		"Closed":    {aShard{records: 60, trimmed: 60, closed: true}, 3, 40, -1},
		"Stuck":     {aShard{records: 100, trimmed: 20, stuck: true}, 3, 40, 20},
		"StuckAll":  {aShard{records: 100, trimmed: 60, stuck: true}, 3, 40, -1},
		"StuckTail": {aShard{records: 21, trimmed: 20, stuck: true, closed: true}, 3, 20, 20},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c.s.size = 10
				r := &Reader{Client: &c.s}
				got, err := r.Fetch(t.Context(), "raw", "shardId-000000000001", at(c.first), at(c.last))
				lost, ok := errors.AsType[*shard.LostError](err)
				if !ok || lost.Stream != "raw" || lost.Shard != "shardId-000000000001" || lost.First != at(c.first) || lost.Last != at(c.last) {
					t.Fatalf("got %v", err)
				}
				want := ""
				if c.found >= 0 {
					want = at(c.found)
					fetched(t, got, c.found, c.last)
				} else if len(got) > 0 {
					t.Errorf("got %d records", len(got))
				}
				if n := c.s.calls["records"]; n > 10 || name == "All" && n > 1 {
					t.Errorf("asked %d times", n)
				}
				if lost.Found != want {
					t.Errorf("found %q, want %q", lost.Found, want)
				}
				if s := err.Error(); !strings.Contains(s, at(c.first)) || !strings.Contains(s, at(c.last)) {
					t.Errorf("%q does not say which range", s)
				}
			})
		})
	}
}

func TestFetchFails(t *testing.T) {
	always := func(err error) func(string, int) error {
		return func(string, int) error { return err }
	}
	for name, c := range map[string]struct {
		s    aShard
		want error
	}{
		"NoStream":     {aShard{records: 50, fail: always(absent())}, nil},
		"Forbidden":    {aShard{records: 50, fail: always(&types.AccessDeniedException{})}, nil},
		"Throttled":    {aShard{records: 50, fail: always(throttled())}, ErrThrottled},
		"TooMuch":      {aShard{records: 500, size: 200}, ErrTooMuch},
		"EndsBefore":   {aShard{records: 30}, nil},
		"ClosedBefore": {aShard{records: 30, closed: true}, nil},
		"ShardGone":    {aShard{gone: true}, nil}, // or was never there
		"AlwaysExpired": {aShard{records: 50, fail: func(call string, _ int) error {
			return map[string]error{"records": &types.ExpiredIteratorException{}}[call]
		}}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c.s.size = max(c.s.size, 10)
				r := &Reader{Client: &c.s, MaxBytes: 5000}
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
				defer cancel()
				got, err := r.Fetch(ctx, "raw", "shardId-000000000001", at(3), at(40))
				if err == nil || len(got) > 0 {
					t.Fatalf("%d records, %v", len(got), err)
				}
				if _, lost := errors.AsType[*shard.LostError](err); lost || c.want != nil && !errors.Is(err, c.want) {
					t.Errorf("got %v", err)
				}
				for _, part := range []string{"fetch", "raw/shardId-000000000001", at(3)} {
					if !strings.Contains(err.Error(), part) {
						t.Errorf("%q does not say %q", err, part)
					}
				}
				if name == "NoStream" && c.s.calls["iterator"] != 1 {
					t.Errorf("%d calls", c.s.calls["iterator"])
				}
			})
		})
	}
	if _, err := (&Reader{Client: &aShard{}}).Fetch(t.Context(), "raw", "shardId-000000000001", at(4), at(3)); err == nil {
		t.Error("a range that ends before it begins is fetched")
	}
}
