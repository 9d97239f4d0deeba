package lambda

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hitolayer/hito/infra/aws/kinesis/shard"
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
	return invoke(t, t.Context(), &u.Stream, payload)
}

// invoke returns what is reported; of an invocation that failed, the first of all.
func invoke(t testing.TB, ctx context.Context, s *Stream, payload []byte) []string {
	t.Helper()
	records, err := readRecords(nil, bytes.Clone(payload))
	if err != nil {
		t.Fatal(err)
	}
	out, err := s.Invoke(ctx, payload)
	if err == nil {
		ids := reported(t, out)
		if len(records) > 1 && len(ids) > 0 && ids[0] == string(records[0].sequence) {
			t.Errorf("the first of %d records is reported: no mapping halves that", len(records))
		}
		return ids
	}
	slices.SortFunc(records, func(a, b record) int { return compare(a.sequence, b.sequence) })
	if first := string(records[0].sequence); len(records) > 1 && strings.Contains(err.Error(), "from "+first+" come again") {
		return []string{first}
	}
	t.Fatal(err)
	return nil
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
		sequence, data string
		arrived        int64
	}{
		{"49590338271490256608559692538361571095921575989136588898", "Hello, this is a test.", 1545084650987},
		{"49590338271490256608559692540925702759324208523137515618", "This is only a test.", 1545084711166},
	} {
		r := &records[i]
		if string(r.shard()) != "shardId-000000000006" || string(r.stream) != "arn:aws:kinesis:us-east-2:123456789012:stream/lambda-stream" || r.messageID != nil {
			t.Errorf("record %d of shard %q, stream %q", i, r.shard(), r.stream)
		}
		var it item
		if err := it.read(r); err != nil || it.bad != nil {
			t.Fatal(err, it.bad)
		}
		if string(it.sequence) != want.sequence || string(it.data) != want.data || it.millis() != want.arrived {
			t.Errorf("record %d is %q %q %d", i, it.sequence, it.data, it.millis())
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
	if ids := u.invoke(t, sqsEvent(t, "m", discardedBody(t, shardID, "RetryAttemptsExhausted", 3, records), lastDelivery)); len(ids) > 0 {
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
			if strings.Contains(u.log.String(), "records come again") != (c.want != sequence(0)) { // an error is told by who gets it
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
