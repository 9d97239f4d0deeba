package functions

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	cloudbigtable "cloud.google.com/go/bigtable"
	"pgregory.net/rapid"

	"github.com/hitolayer/hito/infra/emulators"
	"github.com/hitolayer/hito/infra/gcp/bigtable"
	"github.com/hitolayer/hito/infra/gcp/pubsub/message"
	"github.com/hitolayer/hito/shared/ledger"
	"github.com/hitolayer/hito/shared/quarantine"
	"github.com/hitolayer/hito/shared/stream"
)

// What a handler does with a record.
const (
	succeed = iota
	transient
	permanent
	panics
)

// world is messages on their way through a subscription and its dead letters to a
// settler, whose handler, ledger and quarantine fail, whose answers are lost, and
// whose callers go away. A message may be published twice.
type world struct {
	Settler
	intn   func(n int) int
	faults int // that are left

	ledger     Ledger
	quarantine quarantine.Sink

	records   []string
	nature    map[string]int
	scored    map[string]bool // what the store knows
	people    int64           // that were booked
	kept      map[string]bool // what is in quarantine
	committed map[string]bool // by message

	// The delivery's.
	cancel context.CancelFunc
	id     string
	last   bool
	chance bool // it put in quarantine what might have succeeded
}

// fault tells whether something fails now. Two that meet give a record two
// outcomes, which these exclude: what may succeed later is put in quarantine, and
// its claim fails; and a message that has its outcome comes again as often as it
// may, its answers being lost, and fails then.
func (w *world) fault() bool {
	if w.faults == 0 || w.last && w.committed[w.id] || w.intn(6) > 0 {
		return false
	}
	w.faults--
	return true
}

func (w *world) handle(ctx context.Context, records []stream.Record) error {
	var accepted []ledger.Delta
	for i := range records {
		accepted = append(accepted, ledger.Delta{Project: "shop", Source: records[i].ID, Minute: minute, Counts: ledger.Counts{Accepted: 2}})
	}
	if err := (ledger.Book{}).Record(ctx, accepted); err != nil {
		return err
	}
	if w.fault() {
		return errAway
	}
	var f stream.Failures
	for i := range records {
		name := string(records[i].Data)
		switch w.nature[name] {
		case transient:
			f = append(f, stream.Failure{Index: i, Err: errAway})
			continue
		case permanent:
			f = append(f, stream.Failure{Index: i, Err: errUnfit})
			continue
		case panics:
			panic(name)
		}
		deltas := []ledger.Delta{{Project: "shop", Source: records[i].ID, Minute: minute, Counts: ledger.Counts{Scored: 2}}}
		if w.scored[name] {
			deltas[0].Counts, deltas[0].Again = deltas[0].Again, deltas[0].Counts
		} else {
			deltas = append(deltas, ledger.Delta{Project: "shop", Minute: minute, People: 1})
			w.people++
		}
		w.scored[name] = true
		if err := (ledger.Book{}).Record(ctx, deltas); err != nil {
			return err
		}
		switch {
		case w.fault():
			panic("now and then")
		case w.fault():
			w.cancel()
			<-ctx.Done()
			return ctx.Err()
		}
	}
	if w.fault() {
		return errAway // after the effect
	}
	if w.fault() {
		w.cancel() // it did not look
	}
	return f.OrNil()
}

// Record implements Ledger.
func (w *world) Record(ctx context.Context, deltas []ledger.Delta) error {
	if w.fault() { // what happens only once is lost with it
		for _, d := range deltas {
			w.people -= d.People
		}
		return errAway
	}
	return w.ledger.Record(ctx, deltas)
}

// CommitOnce implements Ledger.
func (w *world) CommitOnce(ctx context.Context, id string, deltas []ledger.Delta) error {
	if !w.chance && w.fault() {
		return errAway
	}
	err := w.ledger.CommitOnce(ctx, id, deltas)
	if err == nil {
		w.committed[w.id] = true
		if w.fault() {
			return errAway // the answer is lost
		}
	}
	return err
}

// Put implements quarantine.Sink.
func (w *world) Put(ctx context.Context, entries []quarantine.Entry) error {
	if w.fault() {
		return errAway
	}
	if err := w.quarantine.Put(ctx, entries); err != nil {
		return err
	}
	for _, e := range entries {
		w.kept[string(e.Body)] = true
		w.chance = w.chance || w.nature[string(e.Body)] == succeed
	}
	if !w.chance && w.fault() {
		return errAway // the answer is lost
	}
	return nil
}

// pending is a message that is not acknowledged.
type pending struct {
	m          *Message
	attempt    int
	most       int // attempts before it is a dead letter
	deadLetter bool
}

// run delivers messages until all are acknowledged, in any order; check is called
// after each delivery.
func (w *world) run(t testing.TB, messages int, check func()) {
	w.nature, w.scored, w.kept, w.committed = map[string]int{}, map[string]bool{}, map[string]bool{}, map[string]bool{}
	w.Handler, w.Ledger, w.Quarantine, w.Log = w.handle, w, w, quiet
	var waiting []*pending
	for n := range messages {
		var of []string
		for i := range 1 + w.intn(4) {
			name := fmt.Sprintf("%d.%d", n, i)
			of = append(of, name)
			w.nature[name] = []int{succeed, succeed, succeed, succeed, succeed, succeed, transient, permanent, panics}[w.intn(9)]
		}
		w.records = append(w.records, of...)
		m := packed(t, of...)
		waiting = append(waiting, &pending{m: m, most: 1 + w.intn(3)})
		if w.intn(4) == 0 { // by a publisher that got no answer
			again := *m
			again.ID += "0"
			waiting = append(waiting, &pending{m: &again, most: 1 + w.intn(3)})
		}
	}
	for len(waiting) > 0 {
		i := w.intn(len(waiting))
		p := waiting[i]
		p.attempt++
		if p.attempt > p.most && !p.deadLetter {
			p.deadLetter, p.attempt = true, 1
		}
		m := *p.m
		m.Attempt, m.Final = p.attempt, p.deadLetter
		ctx, cancel := context.WithCancel(t.Context())
		w.cancel, w.id, w.last, w.chance = cancel, message.Identity(m.Data, m.Attributes, m.ID), m.Final && m.Attempt >= lastAttempt, false
		err := w.Deliver(ctx, &m)
		cancel()
		if err == nil && !w.committed[w.id] {
			t.Fatalf("message %s is acknowledged, and not booked", m.ID)
		}
		if err == nil && !w.fault() { // else the answer is lost
			waiting = slices.Delete(waiting, i, i+1)
		}
		check()
	}
}

// verify compares what is booked with what became of the records.
func (w *world) verify(t interface{ Fatalf(string, ...any) }, got ledger.Counts, people int64) {
	want := ledger.Counts{Accepted: int64(2 * len(w.records)), Quarantined: int64(2 * len(w.kept))}
	for _, name := range w.records {
		switch {
		case w.nature[name] != succeed && !w.kept[name]:
			t.Fatalf("%s is not in quarantine", name)
		case !w.kept[name] && !w.scored[name]:
			t.Fatalf("%s is lost", name)
		case !w.kept[name]:
			want.Scored += 2
		}
	}
	if got != want || got.InFlight() != 0 || people != w.people {
		t.Fatalf("booked %+v and %d people, want %+v and %d", got, people, want, w.people)
	}
}

// TestTheLedgerBalances: whatever fails, comes again or is left, every record
// ends scored or in quarantine, and is booked as one of them, once.
func TestTheLedgerBalances(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		b := newBooks()
		// rapid's own draws belong to its goroutine.
		seed := rapid.Uint64().Draw(rt, "seed")
		w := &world{
			intn:   rand.New(rand.NewPCG(seed, 1)).IntN,
			faults: rapid.IntRange(0, 60).Draw(rt, "faults"), ledger: b, quarantine: &shelf{books: b},
		}
		w.run(t, rapid.IntRange(1, 8).Draw(rt, "messages"), func() {
			for id, counts := range b.counts {
				if counts.Accepted > 2 || counts.Scored > counts.Accepted {
					rt.Fatalf("%s is booked as %+v", id, counts)
				}
			}
		})
		w.verify(rt, b.total, b.people)
	})
}

// table makes a table on Bigtable's emulator.
func table(t testing.TB) *cloudbigtable.Table {
	t.Helper()

	t.Setenv("BIGTABLE_EMULATOR_HOST", emulators.Bigtable(t))
	ctx := t.Context()
	admin, err := cloudbigtable.NewAdminClient(ctx, "project", "instance")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = admin.Close() })
	if err := admin.CreateTableFromConf(ctx, &cloudbigtable.TableConf{TableID: "t", ColumnFamilies: bigtable.Schema()}); err != nil {
		t.Fatal(err)
	}
	client, err := cloudbigtable.NewClientWithConfig(ctx, "project", "instance", cloudbigtable.ClientConfig{MetricsProvider: cloudbigtable.NoopMetricsProvider{}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client.Open("t")
}

// TestTheLedgerBalancesOnBigtable: the same, by what keeps the books in production.
func TestTheLedgerBalancesOnBigtable(t *testing.T) {
	tbl := table(t)
	rng := rand.New(rand.NewPCG(7, 8))
	w := &world{intn: rng.IntN, faults: 200, ledger: &bigtable.Ledger{Table: tbl}, quarantine: &bigtable.Quarantine{Table: tbl}}
	w.run(t, 60, func() {})
	if w.faults > 0 || len(w.kept) < 20 {
		t.Errorf("%d faults were left, and %d records are in quarantine: this shows too little", w.faults, len(w.kept))
	}
	totals, err := w.ledger.(*bigtable.Ledger).Totals(t.Context(), "shop")
	if err != nil {
		t.Fatal(err)
	}
	w.verify(t, totals.Counts, totals.People)
}

// storm delivers the same 200 messages five times each, in parallel and in any
// order, through a settler whose handler fails now and then.
func storm(t *testing.T, l Ledger, q quarantine.Sink) (people int64, kept map[string]bool) {
	var mu sync.Mutex
	scored, failed := map[string]bool{}, map[string]bool{}
	kept = map[string]bool{}
	s := &Settler{Group: "score", Stage: quarantine.Score, Quarantine: q, Ledger: l, Log: quiet, Handler: func(ctx context.Context, records []stream.Record) error {
		if err := book(ctx, records...); err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		var f stream.Failures
		for i := range records {
			name := string(records[i].Data)
			if strings.HasSuffix(name, "7.2") {
				f, kept[name] = append(f, stream.Failure{Index: i, Err: errUnfit}), true
				continue
			}
			if scored[name] {
				continue
			}
			scored[name] = true
			people++
			if err := (ledger.Book{}).Record(ctx, []ledger.Delta{{Project: "shop", Minute: minute, People: 1}}); err != nil {
				return err
			}
		}
		if first := string(records[0].Data); !failed[first] { // each message once
			failed[first] = true
			if len(records)%2 == 0 {
				panic("now and then")
			}
			return errAway
		}
		return f.OrNil()
	}}
	var deliveries []*Message
	for n := range 200 {
		var of []string
		for i := range 1 + n%4 {
			of = append(of, fmt.Sprintf("%d.%d", n, i))
		}
		m := packed(t, of...)
		for i := range 5 {
			again := *m
			again.Attempt = 1 + i
			if i == 4 { // published once more
				again.ID += "0"
			}
			deliveries = append(deliveries, &again)
		}
	}
	rng := rand.New(rand.NewPCG(1, 2))
	rng.Shuffle(len(deliveries), func(i, j int) { deliveries[i], deliveries[j] = deliveries[j], deliveries[i] })
	queue := make(chan *Message, len(deliveries))
	for _, m := range deliveries {
		queue <- m
	}
	close(queue)
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			for m := range queue {
				for s.Deliver(t.Context(), m) != nil {
				}
			}
		})
	}
	wg.Wait()
	return people, kept
}

// stormWant is what the storm's 500 records come to.
func stormWant(kept map[string]bool) ledger.Counts {
	return ledger.Counts{Accepted: 2 * 500, Scored: 2 * (500 - int64(len(kept))), Quarantined: 2 * int64(len(kept))}
}

func TestRedeliveryStorm(t *testing.T) {
	b := newBooks()
	q := &shelf{books: b}
	people, kept := storm(t, b, q)
	if b.total != stormWant(kept) || b.people != people || len(q.all()) != len(kept) || len(kept) == 0 {
		t.Errorf("booked %+v and %d people, want %+v and %d; %d entries of %d", b.total, b.people, stormWant(kept), people, len(q.all()), len(kept))
	}
}

func TestRedeliveryStormOnBigtable(t *testing.T) {
	tbl := table(t)
	l, q := &bigtable.Ledger{Table: tbl}, &bigtable.Quarantine{Table: tbl}
	people, kept := storm(t, l, q)
	totals, err := l.Totals(t.Context(), "shop")
	entries, _, more := q.List(t.Context(), "shop", "", 1000)
	if err = errors.Join(err, more); err != nil || totals.Counts != stormWant(kept) || totals.People != people || len(entries) != len(kept) {
		t.Errorf("%v: booked %+v, want %+v and %d people; %d entries of %d", err, totals, stormWant(kept), people, len(entries), len(kept))
	}
}
