package lambda

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hitolayer/hito/infra/aws/kinesis/shard"
	"github.com/hitolayer/hito/shared/ledger"
	"github.com/hitolayer/hito/shared/quarantine"
	"github.com/hitolayer/hito/shared/stream"
)

// fetched is a Fetcher that has just these.
type fetched []shard.Record

func (f fetched) Fetch(context.Context, string, string, string, string) ([]shard.Record, error) {
	return slices.Clone(f), nil
}

type fetcher func(arn, shardID, first, last string) ([]shard.Record, error)

func (f fetcher) Fetch(_ context.Context, arn, shardID, first, last string) ([]shard.Record, error) {
	return f(arn, shardID, first, last)
}

func TestReadDiscarded(t *testing.T) {
	d, err := readDiscarded(golden(t, "discarded.json"))
	want := discarded{
		stream: "arn:aws:kinesis:us-east-2:123456789012:stream/mystream", shard: "shardId-000000000001",
		first: "49601189658422359378836298521827638475320189012309704722", last: "49601189658422359378836298522902373528957594348623495186",
		size: 500, attempts: 3, condition: "RetryAttemptsExhausted",
	}
	if err != nil || d != want {
		t.Errorf("%+v, %v", d, err)
	}
	for _, body := range []string{"", "{}", `{"KinesisBatchInfo":{}}`, `{"DDBStreamBatchInfo":{"shardId":"s","startSequenceNumber":"1","endSequenceNumber":"1","streamArn":"a"}}`, `{"KinesisBatchInfo":{"shardId":"s","startSequenceNumber":"1","endSequenceNumber":"-1","streamArn":"a"}}`} {
		if d, err := readDiscarded([]byte(body)); err == nil {
			t.Errorf("%s is %+v", body, d)
		}
	}
}

// The records of a discarded batch are settled one and all.
func TestRedrive(t *testing.T) {
	done := map[string]int{}
	highest := 0
	u := newStream(func(ctx context.Context, rs []stream.Record) error {
		for i := range rs {
			highest = max(highest, rs[i].Attempt)
			err := (ledger.Book{}).Record(ctx, []ledger.Delta{{Source: rs[i].ID, Counts: ledger.Counts{Accepted: 2, Scored: 2}}, {People: 1}})
			if err != nil {
				return err
			}
			switch string(rs[i].Data) {
			case "1.0":
				panic("poison")
			case "2.1":
				return errors.New("away")
			}
		}
		var f stream.Failures
		for i, n := range names(rs) {
			switch n {
			case "3.0":
				f = append(f, stream.Failure{Index: i, Err: errors.New("never")})
			case "3.1":
				f = append(f, stream.Failure{Index: i, Err: stream.Permanent(errors.New("unfit"))})
			default:
				done[n]++
			}
		}
		return f.OrNil()
	})
	records := packs(t, 1, 1, 3, 3, 1, 1)
	records[4].Data = []byte("no pack")
	var asked []string
	u.Records = fetcher(func(arn, shardID, first, last string) ([]shard.Record, error) {
		asked = append(asked, arn, shardID, first, last)
		return slices.Clone(records), nil
	})
	message := discardedBody(t, shardID, "RetryAttemptsExhausted", 4, records)
	message = strings.Replace(message, testARN, testARN+"/consumer/score:1", 1) // of enhanced fan-out
	if ids := u.invoke(t, sqsEvent(t, "m-1", message, lastDelivery)); len(ids) > 0 {
		t.Errorf("reported %q", ids)
	}
	if want := []string{testARN, shardID, sequence(0), sequence(5)}; !slices.Equal(asked, want) {
		t.Errorf("fetched %q, want %q", asked, want)
	}
	for _, n := range []string{"0.0", "2.0", "2.2", "3.2", "5.0"} {
		if done[n] == 0 {
			t.Errorf("%s was not done", n)
		}
	}
	if highest != 4+lastDelivery {
		t.Errorf("attempt %d, want 4 by the mapping and 3 by the queue", highest)
	}
	reasons := map[string]string{}
	for _, e := range u.shelf.all() {
		reasons[string(e.Body)] = e.Reason
	}
	want := map[string]quarantine.Reason{
		"1.0": quarantine.Panic, "2.1": quarantine.AttemptsExhausted, "3.0": quarantine.AttemptsExhausted,
		"3.1": quarantine.Unprocessable, "no pack": quarantine.Unprocessable,
	}
	if len(reasons) != len(want) {
		t.Errorf("quarantine has %v", reasons)
	}
	for body, reason := range want {
		if reasons[body] != string(reason) {
			t.Errorf("%s is in quarantine as %q, want %q", body, reasons[body], reason)
		}
	}
	check := func() {
		t.Helper()
		for at, c := range map[string]ledger.Counts{"0.0": {Accepted: 2, Scored: 2}, "2.0": {Accepted: 2, Scored: 2}, "2.2": {Accepted: 2, Scored: 2}, "3.1": {Accepted: 2}, "3.2": {Accepted: 2, Scored: 2}, "5.0": {Accepted: 2, Scored: 2}} {
			n, i, _ := strings.Cut(at, ".")
			nth, _ := strconv.Atoi(n)
			if id := shardID + ":" + sequence(nth) + "." + i; u.books.counts[id] != c || !u.books.once[id] {
				t.Errorf("%s is booked as %+v, want %+v", at, u.books.counts[id], c)
			}
		}
	}
	check()
	// The message comes twice: nothing is booked twice, nor another entry made.
	if ids := u.invoke(t, sqsEvent(t, "m-1", message, 3)); len(ids) > 0 || len(u.shelf.all()) != len(want) {
		t.Errorf("reported %q, %d entries", ids, len(u.shelf.all()))
	}
	check()
	if len(u.books.at) != 0 { // the mapping's, which is past them
		t.Errorf("places moved: %v", u.books.at)
	}
}

func TestRedriveThatFails(t *testing.T) {
	records := packs(t, 1, 1, 1)
	body := discardedBody(t, shardID, "RecordAgeExceeded", 1, records)
	for name, c := range map[string]struct {
		change  func(*under)
		body    string
		log     string
		trimmed float64
	}{
		"fetch": {func(u *under) {
			u.Records = fetcher(func(string, string, string, string) ([]shard.Record, error) { return nil, errors.New("throttled") })
		}, body, "throttled", 0},
		"no fetcher":               {func(u *under) { u.Records = nil }, body, errNoFetcher.Error(), 0},
		"quarantine":               {func(u *under) { u.shelf.fail = func() error { return errors.New("table away") } }, body, "table away", 0},
		"ledger":                   {func(u *under) { u.books.fail = func() error { return errors.New("ledger away") } }, body, "ledger away", 0},
		"all trimmed":              {func(u *under) { u.Records = fetched(nil) }, body, errTrimmed.Error(), 3},
		"the first trimmed":        {func(u *under) { u.Records = fetched(records[1:]) }, body, errTrimmed.Error(), 1},
		"replaced by others":       {func(u *under) { u.Records = fetched(slices.Concat(records[1:], records[1:])) }, body, errTrimmed.Error(), 1},
		"not of a discarded batch": {func(*under) {}, `{"hello":"world"}`, errNotDiscarded.Error(), 0},
	} {
		t.Run(name, func(t *testing.T) {
			done := map[string]bool{}
			u := newStream(func(ctx context.Context, rs []stream.Record) error {
				var f stream.Failures
				for i, n := range names(rs) {
					if n == "1.0" {
						f = append(f, stream.Failure{Index: i, Err: errors.New("never")})
						continue
					}
					done[n] = true
					if err := (ledger.Book{}).Record(ctx, []ledger.Delta{{Source: rs[i].ID, Counts: ledger.Counts{Scored: 2}}}); err != nil {
						return err
					}
				}
				return f.OrNil()
			})
			u.Records = fetched(records)
			c.change(u)
			if ids := u.invoke(t, sqsEvent(t, "m-1", c.body, lastDelivery)); !slices.Equal(ids, []string{"m-1"}) {
				t.Errorf("reported %q", ids)
			}
			if !strings.Contains(u.log.String(), c.log) {
				t.Errorf("log: %s", u.log.String())
			}
			if n := u.spent.sum("records_trimmed"); n != c.trimmed {
				t.Errorf("%v records trimmed, want %v", n, c.trimmed)
			}
			if c.trimmed == 1 && (!done["2.0"] || len(u.shelf.all()) != 1) {
				t.Error("what is left was not settled")
			}
		})
	}
}

// Of several messages only those that failed come again.
func TestRedriveOfSeveralMessages(t *testing.T) {
	u := newStream(func(context.Context, []stream.Record) error { return nil })
	records := packs(t, 1)
	u.Records = fetcher(func(_, _, first, _ string) ([]shard.Record, error) {
		if first == sequence(0) {
			return records, nil
		}
		return nil, errors.New("away")
	})
	good := sqsEvent(t, "good", discardedBody(t, shardID, "x", 1, records), lastDelivery)
	bad := sqsEvent(t, "bad", discardedBody(t, shardID, "x", 1, packs(t, 1, 1)[1:]), lastDelivery)
	both := bytes.Replace(good, []byte(`{"Records":[`), append(bytes.TrimSuffix(bad, []byte("]}")), ','), 1)
	if ids := u.invoke(t, both); !slices.Equal(ids, []string{"bad"}) {
		t.Errorf("reported %q", ids)
	}
}

// When time runs out nothing goes to quarantine for that: the message comes again.
func TestRedriveRunsOutOfTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newStream(func(ctx context.Context, rs []stream.Record) error {
			for range rs {
				select {
				case <-time.After(4 * time.Second):
				case <-ctx.Done():
					return ctx.Err()
				}
			}
			return nil
		})
		records := packs(t, 1, 1, 1)
		u.Records, u.MaxRecords = fetched(records), 1
		ctx, cancel := context.WithTimeout(t.Context(), 7*time.Second)
		defer cancel()
		out, err := u.Invoke(ctx, sqsEvent(t, "m", discardedBody(t, shardID, "x", 1, records), lastDelivery))
		if err != nil || !slices.Equal(reported(t, out), []string{"m"}) || len(u.shelf.all()) != 0 || ctx.Err() != nil {
			t.Errorf("%s, %v, %d entries", out, err, len(u.shelf.all()))
		}
	})
}

// TestRedriveWaits: what fails only for a while is left to the queue at first, and
// is neither in quarantine nor booked.
func TestRedriveWaits(t *testing.T) {
	away := true
	u := newStream(func(ctx context.Context, rs []stream.Record) error {
		if away {
			return errors.New("the store is away")
		}
		return (ledger.Book{}).Record(ctx, []ledger.Delta{{Source: rs[0].ID, Counts: ledger.Counts{Scored: 1}}})
	})
	records := packs(t, 1)
	u.Records = fetcher(func(string, string, string, string) ([]shard.Record, error) { return records, nil })
	body := discardedBody(t, shardID, "RetryAttemptsExhausted", 6, records)
	for delivery := 1; delivery < lastDelivery; delivery++ {
		if ids := u.invoke(t, sqsEvent(t, "m", body, delivery)); !slices.Equal(ids, []string{"m"}) {
			t.Fatalf("delivery %d reported %q", delivery, ids)
		}
	}
	away = false
	if ids := u.invoke(t, sqsEvent(t, "m", body, lastDelivery-1)); len(ids) > 0 || len(u.books.counts) != 1 {
		t.Errorf("reported %q, booked %v", ids, u.books.counts)
	}
	if kept := u.Quarantine.(*shelf).all(); len(kept) > 0 {
		t.Errorf("in quarantine: %v", kept)
	}
}
