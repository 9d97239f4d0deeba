package lambda

import (
	"bytes"
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/hitolayer/hito/infra/aws/kinesis/shard"
	"github.com/hitolayer/hito/shared/ledger"
	"github.com/hitolayer/hito/shared/quarantine"
	"github.com/hitolayer/hito/shared/stream"
	"github.com/hitolayer/hito/shared/telemetry"
)

const shardID = "shardId-000000000001"

// testRecord is a record named so.
func testRecord(name string) stream.Record {
	return stream.Record{Project: "shop", Key: "u:" + name, Events: 2, Time: 1_700_000_000_000, Data: []byte(name)}
}

// packs are Kinesis records, each a pack of records named "<n>.<i>".
func packs(t testing.TB, sizes ...int) []shard.Record {
	t.Helper()
	out := make([]shard.Record, len(sizes))
	for n, size := range sizes {
		rs := make([]stream.Record, size)
		for i := range rs {
			rs[i] = testRecord(fmt.Sprintf("%d.%d", n, i))
		}
		out[n] = shard.Record{PartitionKey: fmt.Sprintf("%03d", n%3), Sequence: sequence(n), Data: packed(t, rs...), Arrived: time.UnixMilli(1_700_000_000_123)}
	}
	return out
}

// under is a stream under test and what it reaches.
type under struct {
	Stream
	shelf *shelf
	books *books
	log   bytes.Buffer
	spent metrics
}

func newStream(h stream.Handler) *under {
	u := &under{shelf: &shelf{}, books: newBooks()}
	u.Handler, u.Group, u.Stage, u.Quarantine, u.Ledger, u.Telemetry = h, "score", quarantine.Score, u.shelf, u.books, &u.spent
	u.Log = slog.New(slog.NewJSONHandler(&u.log, nil))
	return u
}

type metrics []telemetry.Value

func (m *metrics) Emit(_ context.Context, function string, values ...telemetry.Value) {
	if function != "score" {
		panic(function)
	}
	*m = append(*m, values...)
}

func (m *metrics) sum(name string) (n float64) {
	for _, v := range *m {
		if v.Name == name {
			n += v.V
		}
	}
	return n
}

func (u *under) invoke(t testing.TB, payload []byte) []string {
	t.Helper()
	out, err := u.Invoke(t.Context(), payload)
	if err != nil {
		t.Fatal(err)
	}
	return reported(t, out)
}

// names are the records' data, which a handler may not keep.
func names(records []stream.Record) []string {
	out := make([]string, len(records))
	for i := range records {
		out[i] = string(records[i].Data)
	}
	return out
}

func TestReadKinesisEvent(t *testing.T) {
	records, err := readRecords(nil, golden(t, "kinesis.json"))
	if err != nil || len(records) != 2 {
		t.Fatal(len(records), err)
	}
	for i, want := range []struct {
		partition, sequence, data string
		arrived                   int64
	}{
		{"017", "49590338271490256608559692538361571095921575989136588898", "Hello, this is a test.", 1545084650987},
		{"255", "49590338271490256608559692540925702759324208523137515618", "This is only a test.", 1545084711166},
	} {
		r := &records[i]
		if string(r.shard()) != "shardId-000000000006" || string(r.stream) != "arn:aws:kinesis:us-east-2:123456789012:stream/lambda-stream" || r.messageID != nil {
			t.Errorf("record %d of shard %q, stream %q", i, r.shard(), r.stream)
		}
		var it item
		if err := it.read(r); err != nil || it.bad != nil {
			t.Fatal(err, it.bad)
		}
		if string(it.partition) != want.partition || string(it.sequence) != want.sequence || string(it.data) != want.data || it.millis() != want.arrived {
			t.Errorf("record %d is %q %q %q %d", i, it.partition, it.sequence, it.data, it.millis())
		}
	}
}

// What no pack is goes to quarantine whole, and its neighbours go on.
func TestUnreadableGoesToQuarantine(t *testing.T) {
	var got []string
	u := newStream(func(_ context.Context, rs []stream.Record) error { got = append(got, names(rs)...); return nil })
	records := packs(t, 1, 1, 2)
	records[1].Data = []byte("no pack\x00\xff")
	if ids := u.invoke(t, kinesisEvent(t, shardID, records)); len(ids) > 0 {
		t.Errorf("reported %q", ids)
	}
	if !slices.Equal(got, []string{"0.0", "2.0", "2.1"}) {
		t.Errorf("handled %q", got)
	}
	q := u.shelf.all()
	if len(q) != 1 || string(q[0].Body) != "no pack\x00\xff" || q[0].Reason != string(quarantine.Unprocessable) || q[0].Project != "" || q[0].Stage != quarantine.Score || q[0].Time != 1_700_000_000_123 || q[0].Events != 0 {
		t.Errorf("quarantine %+v", q)
	}
	if n := u.spent.sum("records_quarantined"); n != 1 {
		t.Errorf("%v records quarantined, by telemetry", n)
	}
	// Again: the same entry.
	u.invoke(t, kinesisEvent(t, shardID, records))
	if len(u.shelf.all()) != 1 {
		t.Error("a redelivery made another entry")
	}
}

func TestUndecodableData(t *testing.T) {
	u := newStream(func(context.Context, []stream.Record) error { t.Error("called"); return nil })
	payload := bytes.Replace(golden(t, "kinesis.json"), []byte("SGVsbG8s"), []byte("SGV$bG8s"), 1)
	if ids := u.invoke(t, payload); len(ids) > 0 {
		t.Errorf("reported %q", ids)
	}
	bodies := []string{}
	for _, e := range u.shelf.all() {
		bodies = append(bodies, string(e.Body))
	}
	slices.Sort(bodies)
	if len(bodies) != 2 || bodies[0] != "SGV$bG8sIHRoaXMgaXMgYSB0ZXN0Lg==" || bodies[1] != "This is only a test." {
		t.Errorf("quarantine has %q", bodies)
	}
}

// A pack that a newer build wrote waits for this build's successor.
func TestLaterFormComesAgain(t *testing.T) {
	u := newStream(func(context.Context, []stream.Record) error { return nil })
	records := packs(t, 1, 1)
	records[1].Data[2] = 99
	if ids := u.invoke(t, kinesisEvent(t, shardID, records)); !slices.Equal(ids, []string{sequence(1)}) {
		t.Errorf("reported %q", ids)
	}
	if len(u.shelf.all()) != 0 {
		t.Error("it is in quarantine")
	}
	// Until the mapping gives up.
	u.Records = fetched(records)
	if ids := u.invoke(t, sqsEvent(t, "m", discardedBody(t, shardID, "RetryAttemptsExhausted", 3, records), 1)); len(ids) > 0 {
		t.Errorf("reported %q", ids)
	}
	if q := u.shelf.all(); len(q) != 1 || q[0].Reason != string(quarantine.AttemptsExhausted) || !bytes.Equal(q[0].Body, records[1].Data) {
		t.Errorf("quarantine %+v", q)
	}
}

func TestIDsAndAttempts(t *testing.T) {
	type seen struct {
		id      string
		attempt int
	}
	var got []seen
	failing := ""
	u := newStream(func(_ context.Context, rs []stream.Record) error {
		var f stream.Failures
		for i := range rs {
			got = append(got, seen{rs[i].ID, rs[i].Attempt})
			if string(rs[i].Data) == failing {
				f = append(f, stream.Failure{Index: i, Err: errors.New("not yet")})
			}
		}
		return f.OrNil()
	})
	id := func(n, i int) string { return shardID + ":" + sequence(n) + "." + strconv.Itoa(i) }
	records := packs(t, 2, 1, 3, 1)
	failing = "1.0"
	if ids := u.invoke(t, kinesisEvent(t, shardID, records[:3])); !slices.Equal(ids, []string{sequence(1)}) {
		t.Fatalf("reported %q", ids)
	}
	u.invoke(t, kinesisEvent(t, shardID, records[1:]))
	failing = ""
	u.invoke(t, kinesisEvent(t, shardID, records[1:]))
	want := []seen{
		{id(0, 0), 1}, {id(0, 1), 1}, {id(1, 0), 1}, {id(2, 0), 1}, {id(2, 1), 1}, {id(2, 2), 1},
		{id(1, 0), 2}, {id(2, 0), 2}, {id(2, 1), 2}, {id(2, 2), 2}, {id(3, 0), 1},
		{id(1, 0), 3}, {id(2, 0), 3}, {id(2, 1), 3}, {id(2, 2), 3}, {id(3, 0), 3},
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

func TestFailureAsAWhole(t *testing.T) {
	for name, c := range map[string]struct {
		max  int
		err  error
		want string
	}{
		"whole":                      {0, errors.New("the store is away"), sequence(0)},
		"a wrapped Failures":         {0, fmt.Errorf("x: %w", stream.Failures{{Index: 3}}), sequence(0)},
		"a position there is not":    {0, stream.Failures{{Index: 99, Err: errors.New("x")}}, sequence(0)},
		"the chunk and what follows": {2, errors.New("the store is away"), sequence(2)},
	} {
		t.Run(name, func(t *testing.T) {
			var calls int
			u := newStream(func(_ context.Context, rs []stream.Record) error {
				calls++
				if slices.Contains(names(rs), "3.0") {
					return c.err
				}
				return nil
			})
			u.MaxRecords = c.max
			if ids := u.invoke(t, kinesisEvent(t, shardID, packs(t, 1, 1, 1, 1, 1, 1))); !slices.Equal(ids, []string{c.want}) {
				t.Errorf("reported %q, want %s", ids, c.want)
			}
			if calls > 2 {
				t.Errorf("%d calls: what follows comes again anyway", calls)
			}
			if !strings.Contains(u.log.String(), "records come again") {
				t.Errorf("log: %s", u.log.String())
			}
		})
	}
}

func TestPanicIsIsolated(t *testing.T) {
	done := map[string]int{}
	u := newStream(func(_ context.Context, rs []stream.Record) error {
		for i := range rs {
			if string(rs[i].Data) == "5.1" {
				panic("poison")
			}
		}
		for _, n := range names(rs) {
			done[n]++
		}
		return nil
	})
	if ids := u.invoke(t, kinesisEvent(t, shardID, packs(t, 1, 1, 1, 1, 1, 3, 1, 1, 1))); !slices.Equal(ids, []string{sequence(5)}) {
		t.Errorf("reported %q", ids)
	}
	for _, n := range []string{"0.0", "4.0", "5.0", "5.2", "6.0", "8.0"} {
		if done[n] != 1 {
			t.Errorf("%s was done %d times", n, done[n])
		}
	}
	if n := strings.Count(u.log.String(), "a handler panicked"); n != 1 || !strings.Contains(u.log.String(), "TestPanicIsIsolated") {
		t.Errorf("%d panics in the log: %s", n, u.log.String())
	}
	if len(u.shelf.all()) != 0 {
		t.Error("it is in quarantine already")
	}
}

// A panic that does not come again is told, and nothing failed.
func TestPanicOnce(t *testing.T) {
	calls := 0
	u := newStream(func(context.Context, []stream.Record) error {
		if calls++; calls == 1 {
			panic("once")
		}
		return nil
	})
	if ids := u.invoke(t, kinesisEvent(t, shardID, packs(t, 1, 1, 1))); len(ids) > 0 {
		t.Errorf("reported %q", ids)
	}
	if n := strings.Count(u.log.String(), "a handler panicked"); n != 1 {
		t.Errorf("%d panics in the log", n)
	}
}

func TestPermanentFailures(t *testing.T) {
	fail := errors.New("the table is away")
	u := newStream(func(ctx context.Context, rs []stream.Record) error {
		var f stream.Failures
		for i, n := range names(rs) {
			if err := (Book{}).Record(ctx, []ledger.Delta{{Project: "shop", Source: rs[i].ID, Counts: ledger.Counts{Accepted: 2, Scored: 2}}}); err != nil {
				return err
			}
			if n == "1.0" || n == "3.1" {
				f = append(f, stream.Failure{Index: i, Err: stream.Permanent(errors.New("unreadable"))})
			}
		}
		return f.OrNil()
	})
	u.shelf.fail = func() error { return fail }
	records := packs(t, 1, 1, 1, 2)
	if ids := u.invoke(t, kinesisEvent(t, shardID, records)); !slices.Equal(ids, []string{sequence(1)}) {
		t.Errorf("without a quarantine reported %q", ids)
	}
	u.shelf.fail = nil
	if ids := u.invoke(t, kinesisEvent(t, shardID, records)); len(ids) > 0 {
		t.Errorf("reported %q", ids)
	}
	q := u.shelf.all()
	if len(q) != 2 || string(q[0].Body) != "1.0" || q[0].Project != "shop" || q[0].Events != 2 || q[0].Reason != string(quarantine.Unprocessable) || string(q[1].Body) != "3.1" {
		t.Errorf("quarantine %+v", q)
	}
	want := map[string]ledger.Counts{}
	for _, at := range []string{"0.0", "2.0", "3.0"} {
		n, i, _ := strings.Cut(at, ".")
		nth, _ := strconv.Atoi(n)
		want[shardID+":"+sequence(nth)+"."+i] = ledger.Counts{Accepted: 2, Scored: 2}
	}
	for _, id := range []string{shardID + ":" + sequence(1) + ".0", shardID + ":" + sequence(3) + ".1"} {
		want[id] = ledger.Counts{Accepted: 2} // its outcome is the quarantine's to book
	}
	for id, c := range want {
		if u.books.counts[id] != c {
			t.Errorf("%s is booked as %+v, want %+v", id, u.books.counts[id], c)
		}
	}
	if len(u.books.counts) != len(want) {
		t.Errorf("booked %v", u.books.counts)
	}
}

func TestCommit(t *testing.T) {
	failing := "2.0"
	u := newStream(func(ctx context.Context, rs []stream.Record) error {
		var f stream.Failures
		for i, n := range names(rs) {
			err := (Book{}).Record(ctx, []ledger.Delta{{Source: rs[i].ID, Counts: ledger.Counts{Scored: 1}, Again: ledger.Counts{Duplicate: 1}}, {People: 1}})
			if err != nil {
				return err
			}
			if n == failing {
				f = append(f, stream.Failure{Index: i, Err: errors.New("not yet")})
			}
		}
		return f.OrNil()
	})
	records := packs(t, 1, 2, 2, 1)
	records[1].PartitionKey = "somebody's" // no place is kept of it
	whole := ledger.Counts{Scored: 1, Duplicate: 1}
	if ids := u.invoke(t, kinesisEvent(t, shardID, records)); !slices.Equal(ids, []string{sequence(2)}) {
		t.Fatalf("reported %q", ids)
	}
	id := func(n, i int) string { return shardID + ":" + sequence(n) + "." + strconv.Itoa(i) }
	if len(u.books.counts) != 3 || u.books.counts[id(0, 0)] != whole || u.books.counts[id(1, 0)] != whole || u.books.counts[id(1, 1)] != whole {
		t.Errorf("booked %v", u.books.counts)
	}
	if u.books.people != 6 {
		t.Errorf("%d people: what comes from no record is booked always", u.books.people)
	}
	if at := u.books.at["score/"+shardID+" 000"]; at != sequence(0) || u.books.at["score/"+shardID+" somebody's"] != "" || !u.books.once[id(1, 0)] {
		t.Errorf("places %v, once %v", u.books.at, u.books.once)
	}
	// All of it again, as after a lost answer: nothing is booked twice.
	failing = ""
	u.invoke(t, kinesisEvent(t, shardID, records))
	for n, size := range []int{1, 2, 2, 1} {
		for i := range size {
			if u.books.counts[id(n, i)] != whole {
				t.Errorf("record %d.%d is booked as %+v", n, i, u.books.counts[id(n, i)])
			}
		}
	}
	// A ledger that is away fails the whole batch.
	u.books.fail = func() error { return errors.New("away") }
	if ids := u.invoke(t, kinesisEvent(t, shardID, records)); !slices.Equal(ids, []string{sequence(0)}) {
		t.Errorf("without a ledger reported %q", ids)
	}
	if err := (Book{}).Record(t.Context(), nil); err == nil {
		t.Error("Book records outside of a handler")
	}
	u.Ledger = nil
	if ids := u.invoke(t, kinesisEvent(t, shardID, records)); len(ids) > 0 {
		t.Errorf("without books reported %q", ids)
	}
}

// aggregate is what the Kinesis Producer Library makes of user records.
func aggregate(users ...[]byte) []byte {
	var message []byte
	message = protowire.AppendTag(message, 1, protowire.BytesType) // partition_key_table
	message = protowire.AppendString(message, "017")
	for _, user := range users {
		var r []byte
		r = protowire.AppendTag(r, 1, protowire.VarintType) // partition_key_index
		r = protowire.AppendVarint(r, 0)
		r = protowire.AppendTag(r, 3, protowire.BytesType)
		r = protowire.AppendBytes(r, user)
		r = protowire.AppendTag(r, 4, protowire.BytesType) // tags
		r = protowire.AppendString(r, "\n\x01k")
		message = protowire.AppendTag(message, 3, protowire.BytesType)
		message = protowire.AppendBytes(message, r)
	}
	sum := md5.Sum(message)
	return slices.Concat(kplMagic, message, sum[:])
}

func TestAggregates(t *testing.T) {
	var got, ids []string
	u := newStream(func(_ context.Context, rs []stream.Record) error {
		got = append(got, names(rs)...)
		for i := range rs {
			ids = append(ids, strings.TrimPrefix(rs[i].ID, shardID+":"))
		}
		return nil
	})
	records := packs(t, 1, 1, 1, 1)
	records[1].Data = aggregate(packed(t, testRecord("a"), testRecord("b")), []byte("no pack"), packed(t, testRecord("c")))
	records[2].Data = aggregate(packed(t, testRecord("d")))
	records[2].Data[20]++
	if failed := u.invoke(t, kinesisEvent(t, shardID, records)); len(failed) > 0 {
		t.Errorf("reported %q", failed)
	}
	if !slices.Equal(got, []string{"0.0", "a", "b", "c", "3.0"}) {
		t.Errorf("handled %q", got)
	}
	if want := []string{sequence(0) + ".0", sequence(1) + ".0", sequence(1) + ".1", sequence(1) + ".3", sequence(3) + ".0"}; !slices.Equal(ids, want) {
		t.Errorf("IDs %q, want %q", ids, want)
	}
	q := u.shelf.all()
	if len(q) != 2 || string(q[0].Body) != "no pack" || !bytes.Equal(q[1].Body, records[2].Data) {
		t.Errorf("quarantine %+v", q)
	}
}

func FuzzDeaggregate(f *testing.F) {
	f.Add(aggregate([]byte("a"), nil, bytes.Repeat([]byte("b"), 300))[4:])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		// The checksum would keep all others out.
		for _, tail := range [][]byte{data, nil} {
			if tail == nil {
				sum := md5.Sum(data)
				tail = slices.Concat(data, sum[:])
			}
			whole := slices.Concat(kplMagic, tail)
			if !isAggregate(whole) {
				continue
			}
			users, err := deaggregate(whole)
			if err != nil {
				continue
			}
			size := 0
			for _, u := range users {
				size += len(u)
			}
			if size > len(whole) {
				t.Fatalf("%d bytes of %d", size, len(whole))
			}
			again, err := deaggregate(aggregate(users...))
			if err != nil || !slices.EqualFunc(users, again, bytes.Equal) {
				t.Fatalf("%q again is %q, %v", users, again, err)
			}
		}
	})
}

// FuzzStream: whatever the event is, Stream answers or fails.
func FuzzStream(f *testing.F) {
	f.Add(golden(f, "kinesis.json"))
	f.Add(golden(f, "sqs.json"))
	f.Add(kinesisEvent(f, shardID, packs(f, 1, 2)))
	f.Add(sqsEvent(f, "m", string(golden(f, "discarded.json")), 1))
	f.Fuzz(func(t *testing.T, payload []byte) {
		u := newStream(func(context.Context, []stream.Record) error { return nil })
		u.Records = fetched(nil)
		if out, err := u.Invoke(t.Context(), bytes.Clone(payload)); err == nil {
			reported(t, out)
		}
		q := Queue{Handler: u.Handler, Quarantine: u.shelf, Log: quiet}
		if out, err := q.Invoke(t.Context(), bytes.Clone(payload)); err == nil {
			reported(t, out)
		}
		_, _ = readDiscarded(bytes.Clone(payload))
	})
}

func TestEventsOfAnotherKind(t *testing.T) {
	u := newStream(func(context.Context, []stream.Record) error { t.Error("called"); return nil })
	for _, payload := range []string{
		"", "[]", `{"Records":[{}]}`, `{"Records":[{"kinesis":{"sequenceNumber":"1x","data":""},"eventID":"s:1"}]}`,
		`{"Records":[{"kinesis":{"sequenceNumber":"1","data":""},"eventID":"s:1"},{"kinesis":{"sequenceNumber":"2","data":""},"eventID":"t:2"}]}`, `{"Records":[`, `{"Records":[{"eventID":"x`,
	} {
		if out, err := u.Invoke(t.Context(), []byte(payload)); err == nil {
			t.Errorf("%s was answered with %s", payload, out)
		}
	}
	if ids := u.invoke(t, []byte(`{"Records":[]}`)); len(ids) != 0 {
		t.Error(ids)
	}
}

func TestBeforeEveryBatch(t *testing.T) {
	calls := 0
	u := newStream(func(context.Context, []stream.Record) error {
		if calls != 1 {
			t.Error("Before was not called before")
		}
		return nil
	})
	u.Before = func(context.Context) { calls++ }
	u.invoke(t, kinesisEvent(t, shardID, packs(t, 1)))
}

// A slow handler: calls end in time, what is done is reported as such, and the
// rest comes again.
func TestDeadline(t *testing.T) {
	for name, c := range map[string]struct {
		each    time.Duration // per record; the handler looks at its context
		margin  time.Duration
		want    string
		elapsed time.Duration
	}{
		// 10 s less 2 s of margin is 8 s: the chunks of 3 s that fit are two.
		"stops before it is late": {time.Second, 0, sequence(6), 6 * time.Second},
		"is stopped":              {5 * time.Second, 0, sequence(0), 8 * time.Second},
		"margin":                  {time.Second, time.Second, sequence(9), 9 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				u := newStream(func(ctx context.Context, rs []stream.Record) error {
					for range rs {
						select {
						case <-time.After(c.each):
						case <-ctx.Done():
							return ctx.Err()
						}
					}
					for i := range rs {
						if err := (Book{}).Record(ctx, []ledger.Delta{{Source: rs[i].ID, Counts: ledger.Counts{Scored: 1}}}); err != nil {
							return err
						}
					}
					return nil
				})
				u.MaxRecords, u.Margin = 3, c.margin
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				began := time.Now()
				out, err := u.Invoke(ctx, kinesisEvent(t, shardID, packs(t, slices.Repeat([]int{1}, 20)...)))
				if err != nil {
					t.Fatal(err)
				}
				if ids := reported(t, out); !slices.Equal(ids, []string{c.want}) {
					t.Errorf("reported %q, want %s", ids, c.want)
				}
				if got := time.Since(began); got != c.elapsed {
					t.Errorf("took %v, want %v", got, c.elapsed)
				}
				for n := range 20 {
					booked := u.books.counts[shardID+":"+sequence(n)+".0"].Scored
					if done := compare([]byte(sequence(n)), []byte(c.want)) < 0; done != (booked == 1) {
						t.Errorf("record %d is booked %d times", n, booked)
					}
				}
			})
		})
	}
}
