package local

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"github.com/hitolayer/hito/shared/ledger"
	"github.com/hitolayer/hito/shared/quarantine"
	"github.com/hitolayer/hito/shared/stream"
)

// tx gathers what a consumer's batch does to the database, so that it is
// written with the cursor that says the batch is done: all of it or nothing.
type tx struct {
	db *DB

	mu      sync.Mutex // a handler may publish from several goroutines
	chunks  []destination
	deltas  []ledger.Delta
	entries []quarantine.Entry
	// The consumer whose batch this is, and where it stands after the batch; nil outside one.
	consumer *consumer
	cursor   cursor
	// shown says that the ledger's readers see the deltas already.
	shown bool
}

// destination is what goes to one partition.
type destination struct {
	part *partition
	chunkBuilder
}

type txKey struct{}

func (t *tx) context(ctx context.Context) context.Context {
	return context.WithValue(ctx, txKey{}, t)
}

// txOf returns the transaction of the batch that is being handled, nil outside a handler.
func (db *DB) txOf(ctx context.Context) *tx {
	if t, ok := ctx.Value(txKey{}).(*tx); ok && t.db == db {
		return t
	}
	return nil
}

func (t *tx) publish(s *Stream, records []stream.Record) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range records {
		r := &records[i]
		t.to(s.partition(r)).add(r)
		if s.options.BooksAccepted {
			t.book(ledger.Delta{Project: r.Project, Minute: minuteOf(r.Time), Counts: ledger.Counts{Accepted: int64(r.Events)}})
		}
	}
}

// chunkBytes is the size, before it is packed, at which another chunk is begun.
const chunkBytes = 1 << 20

func (t *tx) to(p *partition) *chunkBuilder {
	for i := len(t.chunks) - 1; i >= 0; i-- {
		if d := &t.chunks[i]; d.part == p {
			if len(d.body) < chunkBytes {
				return &d.chunkBuilder
			}
			break
		}
	}
	t.chunks = append(t.chunks, destination{part: p})
	return &t.chunks[len(t.chunks)-1].chunkBuilder
}

// book adds a delta, joining it to the one before where they agree.
func (t *tx) book(d ledger.Delta) {
	d.Source, d.Again = "", ledger.Counts{} // what had happened before was booked with it
	if d.Counts == (ledger.Counts{}) && d.People == 0 && len(d.Segments) == 0 {
		return
	}
	if n := len(t.deltas); n > 0 && len(d.Segments) == 0 {
		if l := &t.deltas[n-1]; l.Minute == d.Minute && l.Project == d.Project {
			l.Counts = l.Counts.Plus(d.Counts)
			l.People += d.People
			return
		}
	}
	d.Segments = maps.Clone(d.Segments)
	t.deltas = append(t.deltas, d)
}

func (t *tx) record(deltas []ledger.Delta) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, d := range deltas {
		t.book(d)
	}
}

func (t *tx) put(entries []quarantine.Entry) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, e := range entries {
		e.Body = bytes.Clone(e.Body)
		t.entries = append(t.entries, e)
	}
}

// savepoint is a moment a transaction can be taken back to.
type savepoint struct {
	chunks  []destination
	deltas  []ledger.Delta
	entries int
}

func (t *tx) mark() savepoint {
	t.mu.Lock()
	defer t.mu.Unlock()
	return savepoint{slices.Clone(t.chunks), slices.Clone(t.deltas), len(t.entries)}
}

func (t *tx) rollback(to savepoint) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.chunks, t.deltas, t.entries = to.chunks, to.deltas, t.entries[:to.entries]
}

// seal encodes what can be encoded before the transaction has its place.
func (t *tx) seal() {
	for i := range t.chunks {
		t.chunks[i].seal()
	}
}

func (t *tx) empty() bool {
	return len(t.chunks) == 0 && len(t.deltas) == 0 && len(t.entries) == 0 && t.consumer == nil
}

// commit writes the transactions and the fragments in one step, durable on
// return when sync is set, else once anything written later is. It waits while
// the disk refuses writes.
func (db *DB) commit(sync bool, fragments []*slot, txs ...*tx) error {
	var chunks []destination
	var entries []quarantine.Entry
	size := 1024
	for _, t := range txs {
		t.seal()
		for i := range t.chunks {
			size += len(t.chunks[i].sealed) + 64
		}
		chunks = append(chunks, t.chunks...)
		entries = append(entries, t.entries...)
	}
	for _, s := range fragments {
		size += len(s.key.Project) + len(s.key.Visitor) + len(s.writing.data) + 32
	}
	b := db.pebble.NewBatchWithSize(size)
	if err := addFragments(b, fragments); err != nil {
		return err
	}

	// Locks in one order: quarantine, streams by name. They are held until
	// readers may see the batch, so that sequences become visible in order.
	var booked tx
	var kept kept
	if len(entries) > 0 {
		db.quarantine.mu.Lock()
		defer db.quarantine.mu.Unlock()
		if err := db.addEntries(b, entries, &booked, &kept); err != nil {
			return err
		}
	}
	var deltas, shown []ledger.Delta
	for _, t := range txs {
		if t.shown {
			shown = append(shown, t.deltas...)
		} else {
			deltas = append(deltas, t.deltas...)
		}
	}
	deltas = append(deltas, booked.deltas...)
	if err := db.addDeltas(b, shown, deltas); err != nil {
		return err
	}
	if err := db.addCursors(b, txs); err != nil {
		return err
	}
	streams := make([]*Stream, 0, 4)
	for _, d := range chunks {
		if !slices.Contains(streams, d.part.stream) {
			streams = append(streams, d.part.stream)
		}
	}
	slices.SortFunc(streams, func(a, b *Stream) int { return cmp.Compare(a.name, b.name) })
	for _, s := range streams {
		s.mu.Lock()
	}
	unlock := func() {
		for _, s := range streams {
			s.mu.Unlock()
		}
	}
	added, err := addChunks(b, chunks, db.options.Now().UnixMilli())
	if err == nil {
		if err = db.ledger.touch(deltas); err == nil {
			if sync {
				err = db.pebble.ApplyNoSyncWait(b, pebble.Sync)
			} else {
				err = db.pebble.Apply(b, pebble.NoSync)
			}
		}
	}
	if err != nil {
		unlock()
		return fmt.Errorf("local: commit: %w", err)
	}
	for i, d := range chunks {
		d.part.append(added[i], d.records, d.events)
	}
	unlock()
	for _, t := range txs {
		if t.consumer != nil {
			t.consumer.committed(t.cursor)
		}
	}
	db.ledger.show(deltas)
	if kept.bytes > 0 {
		db.quarantine.kept.add(kept.bytes, kept.oldest)
	}
	if sync {
		if err := b.SyncWait(); err != nil {
			return fmt.Errorf("local: commit: %w", err)
		}
	}
	return b.Close()
}

// addChunks gives every chunk its place. The streams are locked.
func addChunks(b *pebble.Batch, chunks []destination, now int64) ([]chunk, error) {
	added := make([]chunk, len(chunks))
	type end struct{ seq, records, events uint64 }
	ends := make(map[*partition]end, len(chunks))
	for i := range chunks {
		d := &chunks[i]
		e, ok := ends[d.part]
		if !ok {
			e = end{d.part.next, d.part.records, d.part.events}
		}
		c := chunk{seq: e.seq, data: d.place(now, e.records, e.events), body: d.unpacked}
		op := b.SetDeferred(len(d.part.prefix)+8, len(c.data))
		chunkKey(op.Key[:0], d.part.prefix, c.seq)
		copy(op.Value, c.data)
		if err := op.Finish(); err != nil {
			return nil, err
		}
		added[i] = c
		ends[d.part] = end{e.seq + 1, e.records + uint64(d.records), e.events + uint64(d.events)}
	}
	return added, nil
}

// addCursors writes each consumer's latest cursor. A consumer's transactions come in order.
func (db *DB) addCursors(b *pebble.Batch, txs []*tx) error {
	latest := make(map[*consumer]cursor)
	for _, t := range txs {
		if t.consumer != nil {
			latest[t.consumer] = t.cursor
		}
	}
	for c, cur := range latest {
		if err := b.Set(c.key, cur.append(nil), nil); err != nil {
			return err
		}
	}
	return nil
}
