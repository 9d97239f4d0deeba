package functions

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hitolayer/hito/infra/gcp/pubsub/message"
	"github.com/hitolayer/hito/shared/ledger"
	"github.com/hitolayer/hito/shared/quarantine"
	"github.com/hitolayer/hito/shared/stream"
	"github.com/hitolayer/hito/shared/stream/pack"
)

var (
	errAway  = errors.New("the table is away")
	errUnfit = stream.Permanent(errors.New("unfit"))
)

// failing names the record of that name, if it is there.
func failing(records []stream.Record, name string, err error) error {
	if i := slices.Index(names(records), name); i >= 0 {
		return stream.Failures{{Index: i, Err: err}}
	}
	return nil
}

// TestDeliver: what becomes of a message of four records, by what its handler does.
func TestDeliver(t *testing.T) {
	type reasons = map[string]quarantine.Reason
	type c struct {
		handler func(records []stream.Record) error
		change  func(*under, *Message)
		again   string   // what the error says, if it comes again
		kept    reasons  // in quarantine
		booked  []string // records, "-" of which only the acceptance is
	}
	all := []string{"a", "b", "c", "d"}
	good := func([]stream.Record) error { return nil }
	on := func(name string, do func() error) func([]stream.Record) error {
		return func(records []stream.Record) error {
			if slices.Contains(names(records), name) {
				return do()
			}
			return nil
		}
	}
	poison := on("c", func() error { panic("poison") })
	unfit := func(records []stream.Record) error { return failing(records, "c", errUnfit) }
	notYet := func(records []stream.Record) error { return failing(records, "c", errAway) }
	attempt := func(n int) func(*under, *Message) {
		return func(_ *under, m *Message) { *m = *dead(m, n) }
	}
	for name, c := range map[string]c{
		"all done":         {handler: good, booked: all},
		"all done, late":   {handler: good, change: attempt(1), booked: all},
		"for a while":      {handler: notYet, again: errAway.Error()},
		"does not say why": {handler: func(r []stream.Record) error { return failing(r, "c", nil) }, again: errFailed.Error()},
		"as a whole":       {handler: func([]stream.Record) error { return errAway }, again: errAway.Error()},
		"a panic":          {handler: poison, again: "panic: poison"},
		"for good":         {handler: unfit, kept: reasons{"c": quarantine.Unprocessable}, booked: []string{"a", "b", "-c", "d"}},
		"as a whole for good": {
			handler: func([]stream.Record) error { return errUnfit },
			kept:    reasons{"a": quarantine.Unprocessable, "b": quarantine.Unprocessable, "c": quarantine.Unprocessable, "d": quarantine.Unprocessable},
			booked:  []string{"-a", "-b", "-c", "-d"},
		},
		// What comes again leaves nothing in quarantine, where it would be booked.
		"for good and for a while": {handler: func(records []stream.Record) error {
			return stream.Failures{{Index: 1, Err: errUnfit}, {Index: 2, Err: errAway}}
		}, again: errAway.Error()},
		// What a call fails with for good is of its own records only.
		"for good beside a panic": {handler: func(records []stream.Record) error {
			switch n := names(records); {
			case slices.Contains(n, "a") && slices.Contains(n, "d"):
				panic("too many")
			case slices.Contains(n, "a"):
				return errUnfit
			}
			return nil
		}, kept: reasons{"a": quarantine.Unprocessable, "b": quarantine.Unprocessable}, booked: []string{"-a", "-b", "c", "d"}},
		// A position that there is not says nothing of any record.
		"a position there is not": {handler: func([]stream.Record) error {
			return stream.Failures{{Index: 0, Err: errUnfit}, {Index: 4, Err: errUnfit}}
		}, again: "names records that 4 do not have"},
		"a negative position":      {handler: func([]stream.Record) error { return stream.Failures{{Index: -1}} }, again: "names records"},
		"no quarantine for a time": {handler: unfit, change: func(u *under, _ *Message) { u.shelf.fail = func() error { return errAway } }, again: "in quarantine: the table is away"},
		"no ledger for a time":     {handler: good, change: func(u *under, _ *Message) { u.books.failCommit = func() error { return errAway } }, again: "commit message"},
		"no books":                 {handler: unfit, change: func(u *under, _ *Message) { u.Ledger = nil }, kept: reasons{"c": quarantine.Unprocessable}},
		"not opened": {handler: good, change: func(_ *under, m *Message) { m.Data = []byte("no pack") },
			kept: reasons{"no pack": quarantine.Unprocessable}},
		"opened by a later build": {handler: good, change: func(_ *under, m *Message) { m.Attributes[message.Schema] = "2" }, again: pack.ErrForm.Error()},

		"dead, for a while, at first":        {handler: notYet, change: attempt(1), again: errAway.Error()},
		"dead, for a while, once more":       {handler: notYet, change: attempt(2), again: errAway.Error()},
		"dead, a panic":                      {handler: poison, change: attempt(2), again: "panic: poison"},
		"dead, for good":                     {handler: unfit, change: attempt(1), kept: reasons{"c": quarantine.Unprocessable}, booked: []string{"a", "b", "-c", "d"}},
		"dead, opened by a later build":      {handler: good, change: func(_ *under, m *Message) { *m = *dead(m, 2); m.Attributes[message.Schema] = "2" }, again: pack.ErrForm.Error()},
		"in the end, for a while":            {handler: notYet, change: attempt(3), kept: reasons{"c": quarantine.AttemptsExhausted}, booked: []string{"a", "b", "-c", "d"}},
		"in the end, late":                   {handler: notYet, change: attempt(5), kept: reasons{"c": quarantine.AttemptsExhausted}, booked: []string{"a", "b", "-c", "d"}},
		"in the end, a panic":                {handler: poison, change: attempt(3), kept: reasons{"c": quarantine.Panic}, booked: []string{"a", "b", "-c", "d"}},
		"in the end, one as a whole":         {handler: on("c", func() error { return errAway }), change: attempt(3), kept: reasons{"c": quarantine.AttemptsExhausted}, booked: []string{"a", "b", "-c", "d"}},
		"in the end, a position there isn't": {handler: func([]stream.Record) error { return stream.Failures{{Index: 4}} }, change: attempt(3), kept: reasons{"a": quarantine.AttemptsExhausted, "b": quarantine.AttemptsExhausted, "c": quarantine.AttemptsExhausted, "d": quarantine.AttemptsExhausted}, booked: []string{"-a", "-b", "-c", "-d"}},
		"in the end, no quarantine": {handler: notYet, change: func(u *under, m *Message) {
			*m = *dead(m, 3)
			u.shelf.fail = func() error { return errAway }
		}, again: "put 1 records in quarantine"},
		// An attempt is not counted without the dead-letter topic.
		"not dead, often": {handler: notYet, change: func(_ *under, m *Message) { m.Attempt = 30 }, again: errAway.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			m := packed(t, all...)
			u := newSettler(func(ctx context.Context, records []stream.Record) error {
				if err := book(ctx, records...); err != nil {
					return err
				}
				if err := (ledger.Book{}).Record(ctx, []ledger.Delta{{Project: "shop", People: 1}}); err != nil {
					return err
				}
				return c.handler(records)
			})
			if c.change != nil {
				c.change(u, m)
			}
			id := message.Identity(m.Data, m.Attributes, m.ID)
			err := u.Deliver(t.Context(), m)
			if (err != nil) != (c.again != "") || err != nil && (!strings.Contains(err.Error(), c.again) || !strings.Contains(err.Error(), id)) {
				t.Errorf("%v, want %q of %s", err, c.again, id)
			}
			if got := u.shelf.kept(); !maps.Equal(got, c.kept) {
				t.Errorf("quarantine has %v, want %v", got, c.kept)
			}
			want := map[string]ledger.Counts{}
			for _, name := range c.booked {
				name, only := strings.CutPrefix(name, "-")
				counts := ledger.Counts{Accepted: 2, Scored: 2}
				if only {
					counts.Scored = 0
				}
				want[id+"."+string('0'+name[0]-'a')] = counts
			}
			if name == "not opened" {
				want[id] = ledger.Counts{} // claimed
			}
			if !maps.Equal(u.books.counts, want) {
				t.Errorf("booked %v, want %v", u.books.counts, want)
			}
			if n := u.books.commits; c.again == "" && u.Ledger != nil && n != 1 || len(u.books.ids) > 0 != (c.again == "" && u.Ledger != nil) {
				t.Errorf("%d commits, as %v", n, u.books.ids)
			}
			again, kept := 0.0, float64(len(c.kept))
			if c.again != "" {
				again = 4
				if strings.Contains(name, "later build") {
					again = 1 // of which it is not known how many there are
				}
			}
			if a, q := u.spent.sum("records_redelivered"), u.spent.sum("records_quarantined"); a != again || q != kept {
				t.Errorf("%v records redelivered and %v quarantined, want %v and %v", a, q, again, kept)
			}
		})
	}
}

// TestLooseIsBookedAtOnce: what comes from no record has happened, once, whatever
// becomes of the message.
func TestLooseIsBookedAtOnce(t *testing.T) {
	people := func(ctx context.Context) error {
		return ledger.Book{}.Record(ctx, []ledger.Delta{{Project: "shop", People: 1}})
	}
	for name, end := range map[string]func(records []stream.Record) error{
		"done":    func([]stream.Record) error { return nil },
		"fails":   func([]stream.Record) error { return errAway },
		"in part": func(r []stream.Record) error { return failing(r, "a", errAway) },
		"panics":  func([]stream.Record) error { panic("poison") },
		"is left": nil,
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			u := newSettler(func(ctx context.Context, records []stream.Record) error {
				if err := errors.Join(people(ctx), book(ctx, records...)); err != nil {
					return err
				}
				if end == nil { // whoever called is gone
					cancel()
					<-ctx.Done()
					return ctx.Err()
				}
				return end(records)
			})
			err := u.Deliver(ctx, packed(t, "a"))
			if (err == nil) != (name == "done") {
				t.Error(err)
			}
			if u.books.people != 1 {
				t.Errorf("%d people, want 1", u.books.people)
			}
		})
	}
	u := newSettler(func(ctx context.Context, records []stream.Record) error {
		return errors.Join(people(ctx), book(ctx, records...))
	})
	u.books.failRecord = func() error { return errAway }
	if err := u.Deliver(t.Context(), packed(t, "a")); !errors.Is(err, errAway) || u.books.commits != 0 {
		t.Errorf("%v, and %d commits of what is not whole", err, u.books.commits)
	}
}

// TestDoneIsBookedThoughNobodyWaits: a handler that has done its work, while
// whoever called went away, does not do it for nothing.
func TestDoneIsBookedThoughNobodyWaits(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		kept int
	}{"done": {nil, 0}, "for good": {errUnfit, 1}} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			u := newSettler(func(ctx context.Context, records []stream.Record) error {
				cancel()
				return errors.Join(book(ctx, records...), c.err)
			})
			if err := u.Deliver(ctx, packed(t, "a")); err != nil {
				t.Error(err)
			}
			if u.books.total.Accepted != 2 || len(u.shelf.all()) != c.kept {
				t.Errorf("booked %+v, %d entries", u.books.total, len(u.shelf.all()))
			}
		})
	}
}

// TestRedelivery: a message that comes again, by its own id or another one, is booked
// once; another message with the same id by Pub/Sub is another one.
func TestRedelivery(t *testing.T) {
	seen := map[string]bool{}
	attempts := []int{}
	u := newSettler(func(ctx context.Context, records []stream.Record) error {
		var deltas []ledger.Delta
		for i := range records {
			r := &records[i]
			d := ledger.Delta{Project: r.Project, Source: r.ID, Minute: r.Time / 60_000, Counts: ledger.Counts{Scored: 2}}
			if seen[r.ID] {
				d.Counts, d.Again = d.Again, d.Counts
			}
			seen[r.ID] = true
			deltas = append(deltas, d)
			attempts = append(attempts, r.Attempt)
		}
		return ledger.Book{}.Record(ctx, deltas)
	})
	first := packed(t, "a", "b")
	again := *first
	again.Attempt = 2
	published := *first // once more, by a publisher that got no answer
	published.ID = "2070443601311541"
	other := packed(t, "c")
	for _, m := range []*Message{first, &again, &published, dead(first, 1), other} {
		if err := u.Deliver(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	id := message.Identity(first.Data, first.Attributes, first.ID)
	want := map[string]ledger.Counts{id + ".0": {Scored: 2}, id + ".1": {Scored: 2}, message.Identity(other.Data, other.Attributes, "") + ".0": {Scored: 2}}
	if !maps.Equal(u.books.counts, want) {
		t.Errorf("booked %v, want %v", u.books.counts, want)
	}
	if !slices.Equal(attempts, []int{1, 1, 2, 2, 1, 1, 1, 1, 1}) {
		t.Errorf("attempts %v", attempts)
	}
	// Two groups that take the same message book it each.
	v := newSettler(u.Handler)
	v.Group, v.Ledger, v.Telemetry = "relay", u.books, nil
	if err := v.Deliver(t.Context(), first); err != nil || u.books.total.Scored != 3*2+2*2 {
		t.Errorf("%v, booked %+v", err, u.books.total)
	}
	// Without the attribute a message is the publication.
	bare := *first
	bare.Attributes = nil
	for range 2 {
		if err := u.Deliver(t.Context(), &bare); err != nil {
			t.Fatal(err)
		}
	}
	if u.books.counts[first.ID+".0"].Scored != 2 {
		t.Errorf("booked %v", u.books.counts)
	}
}

// TestQuarantineClaims: what went to quarantine has its outcome: that the message
// comes again, and the record succeeds this time, books nothing.
func TestQuarantineClaims(t *testing.T) {
	for name, accepts := range map[string]bool{"and books its acceptance": true, "and books nothing": false} {
		t.Run(name, func(t *testing.T) {
			fit := false
			u := newSettler(func(ctx context.Context, records []stream.Record) error {
				if fit || accepts {
					if err := book(ctx, records...); err != nil {
						return err
					}
				}
				if !fit {
					return errUnfit
				}
				return nil
			})
			m := packed(t, "a")
			for range 2 {
				if err := u.Deliver(t.Context(), m); err != nil {
					t.Fatal(err)
				}
				fit = true
			}
			want := ledger.Counts{Quarantined: 2}
			if accepts {
				want.Accepted = 2
			}
			if u.books.total != want {
				t.Errorf("booked %+v, want %+v", u.books.total, want)
			}
		})
	}
}

// TestNothingIsInQuarantineThatComesAgain: beside a record that must come again,
// one that failed for good may succeed the next time, with another build.
func TestNothingIsInQuarantineThatComesAgain(t *testing.T) {
	failures := stream.Failures{{Index: 0, Err: errUnfit}, {Index: 1, Err: errAway}}
	u := newSettler(func(ctx context.Context, records []stream.Record) error {
		if err := book(ctx, records...); err != nil {
			return err
		}
		return failures.OrNil()
	})
	m := packed(t, "a", "b")
	if err := u.Deliver(t.Context(), m); err == nil {
		t.Fatal("acknowledged")
	}
	failures = nil
	if err := u.Deliver(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if want := (ledger.Counts{Accepted: 4, Scored: 4}); u.books.total != want {
		t.Errorf("booked %+v, want %+v", u.books.total, want)
	}
}

// TestPanicsAreHalved: until the record is found; the others are done, and booked
// once it is settled. Each panic is told once.
func TestPanicsAreHalved(t *testing.T) {
	calls := map[string]int{}
	u := newSettler(func(ctx context.Context, records []stream.Record) error {
		for i := range records {
			name := string(records[i].Data)
			calls[name]++
			if err := book(ctx, records[i]); err != nil {
				return err
			}
			if name == "c" || name == "h" {
				panic("poison " + name)
			}
		}
		return nil
	})
	m := packed(t, "a", "b", "c", "d", "e", "f", "g", "h")
	err := u.Deliver(t.Context(), m)
	if _, ok := errors.AsType[*stream.PanicError](err); !ok || len(u.books.counts) != 0 || len(u.shelf.all()) != 0 {
		t.Errorf("%v, booked %v", err, u.books.counts)
	}
	for _, name := range []string{"a", "b", "d", "e", "f", "g"} {
		if calls[name] == 0 {
			t.Errorf("%s was not tried", name)
		}
	}
	if n := strings.Count(u.log.String(), "a handler panicked"); n != 2 || !strings.Contains(u.log.String(), `"group":"score"`) || !strings.Contains(u.log.String(), "poison h") {
		t.Errorf("told %d times: %s", n, u.log.String())
	}
	if err := u.Deliver(t.Context(), dead(m, 3)); err != nil {
		t.Fatal(err)
	}
	if want := map[string]quarantine.Reason{"c": quarantine.Panic, "h": quarantine.Panic}; !maps.Equal(u.shelf.kept(), want) {
		t.Errorf("quarantine has %v", u.shelf.kept())
	}
	if want := (ledger.Counts{Accepted: 16, Scored: 12, Quarantined: 4}); u.books.total != want {
		t.Errorf("booked %+v, want %+v", u.books.total, want)
	}
	// One that does not come again when it is called with less.
	u = newSettler(func(_ context.Context, records []stream.Record) error {
		if len(records) == 4 {
			panic("now and then")
		}
		return nil
	})
	if err := u.Deliver(t.Context(), packed(t, "a", "b", "c", "d")); err != nil || strings.Count(u.log.String(), "a handler panicked") != 1 {
		t.Errorf("%v, log: %s", err, u.log.String())
	}
}

// TestUnopened: what cannot be opened is kept whole, and booked to no project.
func TestUnopened(t *testing.T) {
	u := newSettler(func(context.Context, []stream.Record) error { t.Error("called"); return nil })
	published := time.UnixMilli(accepted)
	m := &Message{ID: "7", Data: []byte("hello"), Attempt: 1, Published: published}
	if err := u.Deliver(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	// It is not known when it was published.
	if err := u.Deliver(t.Context(), &Message{ID: "8", Data: []byte("world"), Attempt: 1}); err != nil {
		t.Fatal(err)
	}
	// In the end even what a later build could have read.
	later := packed(t, "a")
	later.Attributes[message.Schema] = "2"
	if err := u.Deliver(t.Context(), dead(later, 3)); err != nil {
		t.Fatal(err)
	}
	kept := u.shelf.all()
	if len(kept) != 3 || kept[0].Time != published.UnixMilli() || kept[1].Time != 0 || kept[2].Reason != string(quarantine.AttemptsExhausted) {
		t.Fatalf("quarantine has %+v", kept)
	}
	for i, body := range []string{"hello", "world", string(later.Data)} {
		if e := kept[i]; string(e.Body) != body || e.Project != "" || e.Events != 0 || e.Stage != quarantine.Score {
			t.Errorf("entry %d is %+v", i, e)
		}
	}
	if err := u.Deliver(t.Context(), m); err != nil || len(u.shelf.all()) != 3 || u.books.total != (ledger.Counts{}) {
		t.Errorf("%v, %d entries, booked %+v", err, len(u.shelf.all()), u.books.total)
	}
}

// TestDeliverEndsInTime: the handler's context ends Margin before the delivery's,
// and what fails for that comes again, even in the end.
func TestDeliverEndsInTime(t *testing.T) {
	for name, c := range map[string]struct {
		timeout, margin, want time.Duration
	}{
		"margin":         {60 * time.Second, 0, 58 * time.Second},
		"another margin": {60 * time.Second, 10 * time.Second, 50 * time.Second},
		"a short time":   {4 * time.Second, 0, 3 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				u := newSettler(func(ctx context.Context, records []stream.Record) error {
					if string(records[0].Data) == "a" {
						<-ctx.Done()
						if got := time.Since(began); got != c.want {
							t.Errorf("the handler had %v, want %v", got, c.want)
						}
					}
					return errors.Join(ctx.Err(), ledger.Book{}.Record(ctx, []ledger.Delta{{People: 1}}))
				})
				u.Margin = c.margin
				ctx, cancel := context.WithTimeout(t.Context(), c.timeout)
				defer cancel()
				if err := u.Deliver(ctx, dead(packed(t, "a", "b", "c"), 5)); !errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil {
					t.Errorf("%v, %v", err, ctx.Err())
				}
				if len(u.shelf.all()) != 0 || u.books.people != 1 || u.books.commits != 0 {
					t.Errorf("%d entries, %d people, %d commits", len(u.shelf.all()), u.books.people, u.books.commits)
				}
			})
		})
	}
}

// TestSettlingEndsInTime: a store that hangs does not hold up the answer, and nor
// does one that hangs after the caller has gone.
func TestSettlingEndsInTime(t *testing.T) {
	for name, c := range map[string]struct {
		timeout time.Duration // 0 is none
		cancel  bool
		want    time.Duration
	}{
		"with an end":     {10 * time.Second, false, 10*time.Second - answerMargin},
		"after it left":   {10 * time.Second, true, 10*time.Second - answerMargin},
		"without an end":  {0, false, 2*time.Second - answerMargin},
		"and then it did": {0, true, 2*time.Second - answerMargin},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				if c.timeout > 0 {
					ctx, cancel = context.WithTimeout(t.Context(), c.timeout)
				}
				defer cancel()
				u := newSettler(func(ctx context.Context, records []stream.Record) error { return book(ctx, records...) })
				u.Ledger = hangs{}
				if c.cancel {
					cancel()
				}
				began := time.Now()
				err := u.Deliver(ctx, packed(t, "a"))
				if got := time.Since(began); got != c.want || !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("took %v, want %v: %v", got, c.want, err)
				}
			})
		})
	}
}

// hangs is a ledger that does.
type hangs struct{}

func (hangs) Record(ctx context.Context, _ []ledger.Delta) error {
	<-ctx.Done()
	return ctx.Err()
}

func (h hangs) CommitOnce(ctx context.Context, _ string, deltas []ledger.Delta) error {
	return h.Record(ctx, deltas)
}
