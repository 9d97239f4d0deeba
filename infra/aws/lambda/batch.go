package lambda

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/hitolayer/hito/shared/ledger"
	"github.com/hitolayer/hito/shared/quarantine"
	"github.com/hitolayer/hito/shared/stream"
	"github.com/hitolayer/hito/shared/stream/pack"
)

// item is a Kinesis record on its way through the handler.
type item struct {
	sequence []byte
	data     []byte
	arrived  time.Time
	seconds  []byte // or else, in Unix seconds
	bad      error  // its data could not be decoded
	err      error  // why it must come again
	deltas   []ledger.Delta
}

// millis returns when Kinesis took it, in Unix milliseconds; 0 when that is not known.
func (it *item) millis() int64 {
	if !it.arrived.IsZero() {
		return it.arrived.UnixMilli()
	}
	seconds, err := strconv.ParseFloat(string(it.seconds), 64)
	if err != nil {
		return 0
	}
	return int64(math.Round(seconds * 1000))
}

func sortItems(items []item) {
	order := func(a, b item) int { return compare(a.sequence, b.sequence) }
	if !slices.IsSortedFunc(items, order) { // Lambda delivers them in order
		slices.SortFunc(items, order)
	}
}

// batch takes the Kinesis records of one shard through the handler, in calls of
// bounded size.
type batch struct {
	s             *Stream
	stream, shard string
	items         []item
	// attempt is which delivery this is of the first repeated items; of the others the first.
	attempt, repeated int
	// final is set when nothing comes again: what fails is halved until the
	// record is found, and goes to quarantine.
	final bool
	// last is set when what fails for a while is not to wait any longer either.
	last bool

	page        ledger.Page
	loose       []ledger.Delta // of no record
	quarantined int

	// The call's: records, and of each its place and what became of it.
	records []stream.Record
	places  []place
	failed  []error
	unread  []unread
}

// place is where a record comes from.
type place struct{ item, index int }

// unread is what could not be opened.
type unread struct {
	place place // index -1: the whole of the item
	data  []byte
	err   error
}

// run takes the items through the handler as far as they go and time allows. It
// returns how many are done, and why those that follow must come again.
func (b *batch) run(ctx context.Context) (done int, why error) {
	work, cancel := early(ctx, b.s.margin())
	defer cancel()
	ctx, end := early(ctx, answerMargin)
	defer end()
	calls := b.page.With(work)
	var took time.Duration
	for done < len(b.items) {
		if err := inTime(work, took); err != nil {
			return done, err
		}
		began := time.Now()
		end := b.open(done)
		if len(b.records) > 0 {
			_, _ = b.call(calls, 0, len(b.records)) // b.failed has it all
		}
		if done = b.settle(ctx, work, done, end); done < end {
			return done, b.items[done].err
		}
		took = time.Since(began)
	}
	return done, nil
}

var errLate = errors.New("the time left is less than the last records took")

// inTime returns an error when what takes so long would not end with ctx.
func inTime(ctx context.Context, took time.Duration) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if deadline, ok := ctx.Deadline(); ok && took > 0 && time.Until(deadline) < took {
		return errLate
	}
	return nil
}

// open opens items from the one given until they are enough for a call, and
// returns where it stopped.
func (b *batch) open(from int) (end int) {
	b.records, b.places, b.unread = b.records[:0], b.places[:0], b.unread[:0]
	maxRecords, maxBytes := b.s.bounds()
	size, opened := 0, 0
	for end = from; end < len(b.items) && opened < maxRecords && size < maxBytes; end++ {
		it := &b.items[end]
		switch {
		case it.bad != nil:
			b.unread = append(b.unread, unread{place{end, -1}, it.data, stream.Permanent(it.bad)})
		case isAggregate(it.data):
			b.openAggregate(end)
		default:
			b.openPack(place{end, 0}, it.data, true)
		}
		for ; opened < len(b.records); opened++ {
			size += len(b.records[opened].Data)
		}
	}
	b.failed = slices.Grow(b.failed[:0], len(b.records))[:len(b.records)]
	clear(b.failed)
	b.name()
	return end
}

func (b *batch) openAggregate(at int) {
	users, err := deaggregate(b.items[at].data)
	if err == nil && len(users) == 0 {
		err = errKPLEmpty
	}
	if err != nil {
		b.unread = append(b.unread, unread{place{at, -1}, b.items[at].data, stream.Permanent(err)})
		return
	}
	next, inflated := place{at, 0}, 0
	for _, user := range users {
		opened := len(b.records)
		next.index = b.openPack(next, user, false)
		for i := range b.records[opened:] {
			inflated += len(b.records[opened+i].Data)
		}
		if inflated > pack.MaxRaw { // a small aggregate can hold a lot
			b.records, b.places = b.records[:len(b.records)-countOf(b.places, at)], b.places[:len(b.places)-countOf(b.places, at)]
			b.unread = append(slices.DeleteFunc(b.unread, func(u unread) bool { return u.place.item == at }),
				unread{place{at, -1}, b.items[at].data, stream.Permanent(errKPLLarge)})
			return
		}
	}
}

// countOf returns how many of the places, which are in order, are of the last item.
func countOf(places []place, item int) (n int) {
	for n < len(places) && places[len(places)-1-n].item == item {
		n++
	}
	return n
}

// openPack opens a pack whose first record has the place given, and returns the
// index after its last one. whole says that it is all of the item.
func (b *batch) openPack(at place, data []byte, whole bool) (next int) {
	records, err := pack.Open(data)
	if err != nil {
		if !errors.Is(err, pack.ErrForm) { // which a later build mends: one is being deployed
			err = stream.Permanent(err)
		}
		next = at.index + 1
		if whole {
			at.index = -1
		}
		b.unread = append(b.unread, unread{at, data, err})
		return next
	}
	if b.records == nil {
		b.records = make([]stream.Record, 0, max(len(records), len(b.items)-at.item))
		b.places = make([]place, 0, cap(b.records))
	}
	b.records = append(b.records, records...)
	for i := range records {
		b.places = append(b.places, place{at.item, at.index + i})
	}
	return at.index + len(records)
}

// name gives the records their ID and Attempt.
func (b *batch) name() {
	size := 0
	for i := range b.places {
		size += len(b.shard) + len(b.items[b.places[i].item].sequence) + 8
	}
	ids := make([]byte, 0, size) // one string for all of them
	for i := range b.places {
		ids = b.appendID(ids, b.places[i])
		b.records[i].Attempt = len(ids) // until it is known where the string is
	}
	all, from := string(ids), 0
	for i := range b.records {
		r := &b.records[i]
		r.ID, from = all[from:r.Attempt], r.Attempt
		r.Attempt = 1
		if b.places[i].item < b.repeated {
			r.Attempt = b.attempt
		}
	}
}

// appendID appends "<shard>:<sequence number>" and, of one of its records, ".<index>".
func (b *batch) appendID(ids []byte, at place) []byte {
	ids = append(ids, b.shard...)
	ids = append(ids, ':')
	ids = append(ids, b.items[at.item].sequence...)
	if at.index >= 0 {
		ids = append(ids, '.')
		ids = strconv.AppendInt(ids, int64(at.index), 10)
	}
	return ids
}

// call calls the handler with records, and enters in b.failed what became of
// them. told says that a panic was logged; stop, that it is no use to go on.
func (b *batch) call(ctx context.Context, from, to int) (told bool, stop error) {
	mark := b.page.Mark()
	err := stream.Call(ctx, b.s.Handler, b.records[from:to])
	if err == nil {
		return false, nil
	}
	if failures, ok := err.(stream.Failures); ok { // a wrapped one speaks of another batch
		if err = b.blame(failures, from, to); err == nil {
			return false, nil
		}
	}
	b.page.Forget(mark)
	panicked, ok := errors.AsType[*stream.PanicError](err)
	if to-from == 1 || ctx.Err() != nil || !ok && !b.final {
		for i := from; i < to; i++ {
			b.failed[i] = err
		}
		if ok {
			b.tell(ctx, panicked, from, to)
		}
		if ctx.Err() != nil || !ok && !b.final {
			stop = err
		}
		return ok, stop
	}
	half := from + (to-from)/2
	if told, stop = b.call(ctx, from, half); stop == nil {
		var also bool
		also, stop = b.call(ctx, half, to)
		told = told || also
	} else {
		for i := half; i < to; i++ {
			b.failed[i] = stop
		}
	}
	if ok && !told { // it does not come again
		b.tell(ctx, panicked, from, to)
		told = true
	}
	return told, stop
}

var errFailed = errors.New("the handler failed on it and does not say why")

// blame enters failures by position in b.failed.
func (b *batch) blame(failures stream.Failures, from, to int) error {
	if !named(failures, to-from) {
		return fmt.Errorf("the handler names records that %d do not have: %v", to-from, failures)
	}
	for _, f := range failures {
		b.failed[from+f.Index] = cmp.Or(f.Err, errFailed)
	}
	return nil
}

func (b *batch) tell(ctx context.Context, p *stream.PanicError, from, to int) {
	logger(b.s.Log).ErrorContext(ctx, "a handler panicked", "group", b.s.Group, "records", to-from,
		"first", b.records[from].ID, "panic", p.Value, "stack", string(p.Stack))
}

// settle puts what failed for good in quarantine and takes what was recorded of
// the items from and end are between. It returns the first that must come again,
// end when there is none. work is the context that the handler had.
func (b *batch) settle(ctx, work context.Context, from, end int) int {
	var entries []quarantine.Entry
	var of []int     // the items they come from
	var ids []string // the records
	fail := func(r *stream.Record, item int, err error) {
		_, panicked := errors.AsType[*stream.PanicError](err)
		if stream.IsPermanent(err) || b.final && (b.last || panicked) && work.Err() == nil {
			entries, of, ids = append(entries, quarantine.Of(b.s.Stage, r, err)), append(of, item), append(ids, r.ID)
		} else if b.items[item].err == nil {
			b.items[item].err = err
		}
	}
	for _, u := range b.unread {
		fail(&stream.Record{Time: b.items[u.place.item].millis(), Data: u.data, ID: string(b.appendID(nil, u.place))}, u.place.item, u.err)
	}
	for i, err := range b.failed {
		if err != nil {
			fail(&b.records[i], b.places[i].item, err)
		}
	}
	b.take()
	if len(entries) > 0 {
		err := b.s.Quarantine.Put(ctx, entries)
		if err != nil {
			err = fmt.Errorf("put %d records in quarantine: %w", len(entries), err)
		} else {
			b.quarantined += len(entries)
		}
		for i, item := range of {
			if err == nil && b.final {
				err = b.claim(ctx, &b.items[item], ids[i])
			}
			b.items[item].err = cmp.Or(b.items[item].err, err)
		}
	}
	for from < end && b.items[from].err == nil {
		from++
	}
	return from
}
