package lambda

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hitolayer/hito/shared/ledger"
	"github.com/hitolayer/hito/shared/quarantine"
	"github.com/hitolayer/hito/shared/stream"
)

func TestPermanentFailures(t *testing.T) {
	fail := errors.New("the table is away")
	u := newStream(func(ctx context.Context, rs []stream.Record) error {
		var f stream.Failures
		for i, n := range names(rs) {
			if err := (ledger.Book{}).Record(ctx, []ledger.Delta{{Project: "shop", Source: rs[i].ID, Counts: ledger.Counts{Accepted: 2, Scored: 2}}}); err != nil {
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
			err := (ledger.Book{}).Record(ctx, []ledger.Delta{{Source: rs[i].ID, Counts: ledger.Counts{Scored: 1}, Again: ledger.Counts{Duplicate: 1}}, {People: 1}})
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
	if at := u.books.at["score/"+streamName(testARN)+"/"+shardID]; at != sequence(1) || len(u.books.once) > 0 {
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
	if err := (ledger.Book{}).Record(t.Context(), nil); err == nil {
		t.Error("Book records outside of a handler")
	}
	u.Ledger = nil
	if ids := u.invoke(t, kinesisEvent(t, shardID, records)); len(ids) > 0 {
		t.Errorf("without books reported %q", ids)
	}
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
						if err := (ledger.Book{}).Record(ctx, []ledger.Delta{{Source: rs[i].ID, Counts: ledger.Counts{Scored: 1}}}); err != nil {
							return err
						}
					}
					return nil
				})
				u.MaxRecords, u.Margin = 3, c.margin
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				began := time.Now()
				if ids := invoke(t, ctx, &u.Stream, kinesisEvent(t, shardID, packs(t, slices.Repeat([]int{1}, 20)...))); !slices.Equal(ids, []string{c.want}) {
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
