package kinesis

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/smithy-go"
	"pgregory.net/rapid"

	"github.com/hitolayer/hito/infra/aws/retry"
	"github.com/hitolayer/hito/shared/stream"
	"github.com/hitolayer/hito/shared/stream/pack"
)

// some returns records whose data is their number, and then noise that does not compress.
func some(n, size int) []stream.Record {
	noise := rand.NewChaCha8([32]byte{})
	records := make([]stream.Record, n)
	for i := range records {
		data := fmt.Appendf(nil, "%d:", i)
		if pad := size - len(data); pad > 0 {
			data = append(data, make([]byte, pad)...)
			_, _ = noise.Read(data[size-pad:]) // never fails
		}
		records[i] = stream.Record{Project: "shop", Key: fmt.Sprint("u:", i), Events: 1 + i%3, Time: int64(i), Data: data}
	}
	return records
}

func sameRecords(t *testing.T, got, want []stream.Record) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d records arrived of %d", len(got), len(want))
	}
	byTime := func(a, b stream.Record) int { return int(a.Time - b.Time) }
	got, want = slices.SortedFunc(slices.Values(got), byTime), slices.SortedFunc(slices.Values(want), byTime)
	for i := range got {
		if g, w := got[i], want[i]; g.Project != w.Project || g.Key != w.Key || g.Events != w.Events || g.Time != w.Time || !bytes.Equal(g.Data, w.Data) {
			t.Fatalf("record %d arrived as %s/%s %d %d, %d bytes", i, g.Project, g.Key, g.Events, g.Time, len(g.Data))
		}
	}
}

func TestPublish(t *testing.T) {
	for name, c := range map[string]struct {
		n, size        int
		p              Publisher
		calls, entries int // 0: not looked at
	}{
		"One":           {n: 1, size: 300, calls: 1, entries: 1},
		"OnePackACall":  {n: 100, size: 300, p: Publisher{Together: true}, calls: 1, entries: 1},
		"Partitions":    {n: 5000, size: 100, calls: 1, entries: pack.Partitions},
		"ManyEntries":   {n: 3000, size: 200, p: Publisher{PackBytes: 250}, calls: 6},
		"ManyBytes":     {n: 60, size: 250 << 10},
		"LargeTogether": {n: 60, size: 250 << 10, p: Publisher{Together: true, PackBytes: 900 << 10}},
		"LargeRecords":  {n: 5, size: 4 << 20, p: Publisher{MaxRecordBytes: 10 << 20}},
		"Full":          {n: 3, size: 1<<20 - 40},
		"OneAtATime":    {n: 60, size: 250 << 10, p: Publisher{Parallel: 1}},
		"ByARN":         {n: 1, size: 10, p: Publisher{Stream: "arn:aws:kinesis:eu-west-1:123456789012:stream/raw"}},
	} {
		t.Run(name, func(t *testing.T) {
			f := &fake{recordBytes: c.p.MaxRecordBytes}
			p := c.p
			p.Client = f
			if p.Stream == "" {
				p.Stream = "raw"
			}
			records := some(c.n, c.size)
			if err := p.Publish(t.Context(), records); err != nil {
				t.Fatal(err)
			}
			sameRecords(t, f.records(t), records)
			if c.calls > 0 && f.calls != c.calls || c.entries > 0 && len(f.taken) != c.entries {
				t.Errorf("%d calls with %d entries, want %d with %d", f.calls, len(f.taken), c.calls, c.entries)
			}
		})
	}
}

func TestPartitionsOfAPack(t *testing.T) {
	records := some(2000, 100)
	for _, together := range []bool{false, true} {
		f := &fake{}
		p := &Publisher{Client: f, Stream: "raw", Together: together, PackBytes: 2000}
		if err := p.Publish(t.Context(), records); err != nil {
			t.Fatal(err)
		}
		sameRecords(t, f.records(t), records)
		first := fmt.Sprintf("%03d", pack.Partition("shop", records[0].Key))
		last := map[string]int64{} // of each partition
		for _, e := range f.taken {
			packed, err := pack.Open(e.Data)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range packed {
				want := first
				if !together {
					want = fmt.Sprintf("%03d", pack.Partition("shop", r.Key))
				}
				if *e.PartitionKey != want {
					t.Fatalf("key %s travels in partition %s, want %s", r.Key, *e.PartitionKey, want)
				}
				if r.Time < last[want] {
					t.Fatalf("partition %s: record %d after %d", want, r.Time, last[want])
				}
				last[want] = r.Time
			}
		}
	}
}

// TestTakesWhatItNeeds: the caller's memory is its own when Publish returns, and
// the pool's holds nothing of it.
func TestTakesWhatItNeeds(t *testing.T) {
	f := &fake{}
	p := &Publisher{Client: f, Stream: "raw"}
	var want []stream.Record
	for round := range 10 {
		records := some(50, 100)
		for i := range records {
			records[i].Time += int64(round * 50)
			want = append(want, records[i])
			want[len(want)-1].Data = slices.Clone(records[i].Data)
		}
		if err := p.Publish(t.Context(), records); err != nil {
			t.Fatal(err)
		}
		for i := range records {
			clear(records[i].Data)
		}
		clear(records)
	}
	sameRecords(t, f.records(t), want)
	k := packings.Get().(*packing)
	for _, r := range k.spareRecords[:cap(k.spareRecords)] {
		if r.Data != nil {
			t.Fatal("the pool keeps the caller's data alive")
		}
	}
}

func TestTooLarge(t *testing.T) {
	for _, together := range []bool{false, true} {
		f := &fake{recordBytes: 1000}
		p := &Publisher{Client: f, Stream: "raw", Together: together, MaxRecordBytes: 1000}
		records := some(20, 100)
		records[3], records[17] = some(1, 1200)[0], some(1, 990)[0]
		records[11].Data = bytes.Repeat([]byte("compressible "), 1000)
		err := p.Publish(t.Context(), records)
		failures, ok := errors.AsType[stream.Failures](err)
		if !ok || len(failures) != 2 || failures[0].Index != 3 || failures[1].Index != 17 {
			t.Fatalf("got %v", err)
		}
		if !stream.IsPermanent(failures[0].Err) {
			t.Errorf("not permanent: %v", failures[0].Err)
		}
		for _, part := range []string{"raw", "1200 bytes", "at most 1000"} {
			if !strings.Contains(failures[0].Err.Error(), part) {
				t.Errorf("%q does not say %q", failures[0].Err, part)
			}
		}
		sameRecords(t, f.records(t), slices.Delete(slices.Delete(slices.Clone(records), 17, 18), 3, 4))
	}
	f := &fake{}
	p := &Publisher{Client: f, Stream: "raw", PackBytes: 1 << 30, MaxRecordBytes: 10 << 20}
	err := p.Publish(t.Context(), []stream.Record{{Data: make([]byte, pack.MaxRaw)}, {Data: []byte("small")}})
	if failures, ok := errors.AsType[stream.Failures](err); !ok || len(failures) != 1 || failures[0].Index != 0 || !stream.IsPermanent(failures[0].Err) {
		t.Errorf("more than a pack takes gives %v", err)
	}
}

// TestOnlyWhatFailedGoesAgain: and a pack that goes on failing names all its records.
func TestOnlyWhatFailedGoesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		records := some(2000, 100)
		poison := records[700].Key
		partition := fmt.Sprintf("%03d", pack.Partition("shop", poison))
		seen := map[string]int{}
		f := &fake{entry: func(n int, e *types.PutRecordsRequestEntry) error {
			seen[*e.PartitionKey]++
			if *e.PartitionKey == partition {
				return throttled()
			}
			if n == 0 && *e.PartitionKey > "200" {
				return broken()
			}
			return nil
		}}
		p := &Publisher{Client: f, Stream: "raw", Patience: 5 * time.Second}
		began := time.Now()
		err := p.Publish(t.Context(), records)
		failures, ok := errors.AsType[stream.Failures](err)
		if !ok || !errors.Is(err, ErrThrottled) || !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("got %v", err)
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("took %v of its patience of 5 s", took)
		}
		var want []int
		var rest []stream.Record
		for i := range records {
			if pack.Partition("shop", records[i].Key) == pack.Partition("shop", poison) {
				want = append(want, i)
			} else {
				rest = append(rest, records[i])
			}
		}
		var got []int
		for _, failure := range failures {
			got = append(got, failure.Index)
		}
		if !slices.Equal(got, want) {
			t.Errorf("named %v, want %v", got, want)
		}
		sameRecords(t, f.records(t), rest)
		for key, n := range seen {
			if want := map[bool]int{false: 1, true: 2}[key > "200"]; key != partition && n != want {
				t.Errorf("partition %s was sent %d times, want %d", key, n, want)
			}
		}
		if n := seen[partition]; n < 4 || n > 40 {
			t.Errorf("%d attempts in 5 s", n)
		}
	})
}

func TestWhatCannotSucceedReturnsAtOnce(t *testing.T) {
	for _, fatal := range []error{
		absent(),
		&types.AccessDeniedException{},
		&types.ValidationException{},
		&types.InvalidArgumentException{},
		&types.KMSDisabledException{},
		&smithy.GenericAPIError{Code: "UnrecognizedClientException", Fault: smithy.FaultClient},
	} {
		synctest.Test(t, func(t *testing.T) {
			f := &fake{call: func(int) (error, bool) { return fatal, false }}
			p := &Publisher{Client: f, Stream: "raw"}
			began := time.Now()
			err := p.Publish(t.Context(), some(3, 10))
			if !errors.Is(err, fatal) || errors.Is(err, ErrThrottled) || f.calls != 1 || time.Since(began) > 0 {
				t.Errorf("%d calls in %v: %v", f.calls, time.Since(began), err)
			}
			failures, _ := errors.AsType[stream.Failures](err)
			if len(failures) != 3 || stream.IsPermanent(err) || !strings.Contains(failures[0].Err.Error(), "put on stream raw: ") {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var at []time.Time
		f := &fake{call: func(n int) (error, bool) {
			at = append(at, time.Now())
			if n < 8 {
				return throttled(), false
			}
			return nil, true
		}}
		p := &Publisher{Client: f, Stream: "raw"}
		records := some(3, 10)
		if err := p.Publish(t.Context(), records); err != nil {
			t.Fatal(err)
		}
		sameRecords(t, f.records(t), records)
		for i := 1; i < len(at); i++ {
			most := min(100*time.Millisecond<<(i-1), 2*time.Second)
			if wait := at[i].Sub(at[i-1]); wait < most/2 || wait > most {
				t.Errorf("wait %d was %v, want up to %v", i, wait, most)
			}
		}
	})
}

// TestTimeIsLeft: Publish gives up before the deadline, so that its caller can answer.
func TestTimeIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{call: func(int) (error, bool) { return throttled(), false }}
		p := &Publisher{Client: f, Stream: "raw", backoff: retry.Backoff{Jitter: func() float64 { return 0 }}}
		ctx, cancel := context.WithTimeout(t.Context(), 900*time.Millisecond)
		defer cancel()
		began := time.Now()
		err := p.Publish(ctx, some(3, 10))
		if !errors.Is(err, ErrThrottled) {
			t.Errorf("got %v", err)
		}
		// 50, 100, 200, 400 ms; the next wait would be 800.
		if took := time.Since(began); took != 750*time.Millisecond || f.calls != 5 {
			t.Errorf("%d calls in %v", f.calls, took)
		}
	})
}

func TestCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		f := &fake{call: func(int) (error, bool) { return throttled(), false }}
		p := &Publisher{Client: f, Stream: "raw"}
		time.AfterFunc(time.Second, cancel)
		began := time.Now()
		if err := p.Publish(ctx, some(3, 10)); !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled while it waits: %v", err)
		}
		if took := time.Since(began); took != time.Second {
			t.Errorf("returned after %v", took)
		}
		calls := f.calls
		if err := p.Publish(ctx, some(3, 10)); !errors.Is(err, context.Canceled) || f.calls != calls {
			t.Errorf("cancelled before: %v, %d calls", err, f.calls-calls)
		}

		ctx, cancel = context.WithCancel(t.Context())
		f = &fake{hold: make(chan struct{})}
		p.Client = f
		time.AfterFunc(time.Second, cancel)
		if err := p.Publish(ctx, some(3, 10)); !errors.Is(err, context.Canceled) || f.calls != 1 {
			t.Errorf("cancelled within a call: %v, %d calls", err, f.calls)
		}
	})
}

func TestACallThatHangsIsMadeAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{hold: make(chan struct{})}
		p := &Publisher{Client: f, Stream: "raw", Timeout: 2 * time.Second}
		time.AfterFunc(5*time.Second, func() { close(f.hold) })
		records := some(3, 10)
		if err := p.Publish(t.Context(), records); err != nil {
			t.Fatal(err)
		}
		sameRecords(t, f.records(t), records)
		if f.calls != 3 {
			t.Errorf("%d calls", f.calls)
		}
	})
}

func TestParallelIsBounded(t *testing.T) {
	for _, parallel := range []int{0, 1, 7} {
		synctest.Test(t, func(t *testing.T) {
			f := &fake{hold: make(chan struct{})}
			p := &Publisher{Client: f, Stream: "raw", Parallel: parallel, Timeout: time.Minute}
			time.AfterFunc(time.Second, func() { close(f.hold) })
			records := some(70, 1<<20-100)
			if err := p.Publish(t.Context(), records); err != nil {
				t.Fatal(err)
			}
			sameRecords(t, f.records(t), records)
			want := parallel
			if parallel == 0 {
				want = 4
			}
			if f.atOnce != want {
				t.Errorf("%d calls at once, want %d", f.atOnce, want)
			}
		})
	}
}

// TestNothingIsLostUnnamed: whatever fails, every record is on the stream or named.
func TestNothingIsLostUnnamed(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		nothingIsLostUnnamed(r, func(p *Publisher, records []stream.Record) (err error) {
			synctest.Test(t, func(t *testing.T) { err = p.Publish(t.Context(), records) })
			return err
		})
	})
}

func nothingIsLostUnnamed(t *rapid.T, publish func(*Publisher, []stream.Record) error) {
	faults := []func() error{throttled, broken, absent, func() error { return errors.New("not from AWS at all") }}
	seed := rapid.Uint64().Draw(t, "seed")
	bad := rapid.SampledFrom([]float64{0, 0.1, 0.5, 1}).Draw(t, "bad")
	rnd := rand.New(rand.NewPCG(seed, seed))
	fail := func() error {
		if rnd.Float64() >= bad {
			return nil
		}
		return faults[rnd.IntN(len(faults))]()
	}
	f := &fake{
		call: func(int) (error, bool) {
			if rnd.IntN(3) > 0 {
				return nil, true
			}
			return fail(), rnd.IntN(2) == 0
		},
		entry: func(int, *types.PutRecordsRequestEntry) error { return fail() },
	}
	p := &Publisher{
		Client: f, Stream: "raw",
		Together:       rapid.Bool().Draw(t, "together"),
		MaxRecordBytes: rapid.SampledFrom([]int{0, 300, 3000}).Draw(t, "record bytes"),
		PackBytes:      rapid.SampledFrom([]int{0, 1, 500}).Draw(t, "pack bytes"),
		Parallel:       rapid.IntRange(0, 3).Draw(t, "parallel"),
		Patience:       3 * time.Second,
	}
	f.recordBytes = p.MaxRecordBytes
	records := some(rapid.IntRange(0, 700).Draw(t, "records"), 20)
	for range rapid.IntRange(0, 3).Draw(t, "large") {
		if len(records) > 0 {
			i := rapid.IntRange(0, len(records)-1).Draw(t, "which")
			records[i].Data = some(1, 500)[0].Data
		}
	}
	err := publish(p, records)
	named := map[int]bool{}
	if err != nil {
		failures, ok := err.(stream.Failures) // itself, as a Publisher must return it
		if !ok {
			t.Fatalf("%T: %v", err, err)
		}
		for i, failure := range failures {
			if i > 0 && failure.Index <= failures[i-1].Index || failure.Index < 0 || failure.Index >= len(records) {
				t.Fatalf("failure %d names record %d", i, failure.Index)
			}
			if failure.Err == nil {
				t.Fatalf("record %d failed without an error", failure.Index)
			}
			named[failure.Index] = true
		}
	}
	if f.refusedAsk != nil {
		t.Fatal(f.refusedAsk)
	}
	arrived := map[int64]bool{}
	for _, e := range f.taken {
		packed, err := pack.Open(e.Data)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range packed {
			arrived[r.Time] = true
		}
	}
	for i := range records {
		if !arrived[records[i].Time] && !named[i] {
			t.Fatalf("record %d is lost, and not named", i)
		}
	}
	if bad == 0 && len(named) > 0 && p.MaxRecordBytes != 300 {
		t.Fatalf("%d records are named though nothing failed: %v", len(named), err)
	}
}

// TestPartitionsSpreadEvenly: over however many shards share the hash keys.
func TestPartitionsSpreadEvenly(t *testing.T) {
	all := partitionKeys()
	for shards := 1; shards <= pack.Partitions; shards++ {
		counts := make([]int, shards)
		for i := range all {
			counts[shardOf(t, all[i].hash, shards)]++
		}
		for s, n := range counts {
			if n < pack.Partitions/shards || n > (pack.Partitions+shards-1)/shards {
				t.Fatalf("of %d shards, shard %d has %d partitions", shards, s, n)
			}
		}
	}
}
