package lambda

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/hitolayer/hito/shared/ledger"
)

// take gives the items what was recorded of their records in the call. An event
// has one outcome: of a record that is in quarantine, which books that, only the
// acceptance is kept.
func (b *batch) take() {
	deltas := b.page.Take()
	if len(deltas) == 0 || b.s.Ledger == nil {
		return
	}
	byID := make(map[string]int, len(b.records))
	for i := range b.records {
		byID[b.records[i].ID] = i
	}
	for _, d := range deltas {
		i, ok := byID[d.Source]
		if !ok { // of no record, or of none that it could come from
			b.loose = append(b.loose, d.Whole())
			continue
		}
		d = d.Whole()
		if b.failed[i] != nil {
			d.Counts = ledger.Counts{Accepted: d.Counts.Accepted}
		}
		it := &b.items[b.places[i].item]
		it.deltas = append(it.deltas, d)
	}
}

// claim commits a record that is in quarantine for good, though there be nothing
// to book: should the message come again, and the record succeed that time, its
// events have their outcome already.
func (b *batch) claim(ctx context.Context, it *item, id string) error {
	if b.s.Ledger == nil {
		return nil
	}
	var deltas []ledger.Delta
	it.deltas = slices.DeleteFunc(it.deltas, func(d ledger.Delta) bool {
		if d.Source == id {
			deltas = append(deltas, d)
		}
		return d.Source == id
	})
	if err := b.s.Ledger.CommitOnce(ctx, id, deltas); err != nil {
		return fmt.Errorf("commit record %s, which is in quarantine: %w", id, err)
	}
	return nil
}

// commit books what was recorded of no record, and of the items that are done,
// the first so many. Of a discarded batch it books these only when all are done:
// if not, the message comes again, and they may end in quarantine then.
func (b *batch) commit(ctx context.Context, done int) error {
	if b.s.Ledger == nil {
		return nil
	}
	ctx, end := early(ctx, answerMargin)
	defer end()
	var bookings []ledger.Booking
	var once []*item
	if len(b.loose) > 0 {
		bookings = append(bookings, ledger.Booking{Deltas: b.loose})
	}
	if b.final && done < len(b.items) {
		done = 0
	}
	for i := range b.items[:done] {
		switch it := &b.items[i]; {
		case len(it.deltas) == 0:
		case b.final:
			once = append(once, it)
		default:
			bookings = append(bookings, ledger.Booking{Sequence: string(it.sequence), Deltas: it.deltas})
		}
	}
	if len(bookings) > 0 {
		log := b.s.Group + "/" + b.stream + "/" + b.shard
		if err := b.s.Ledger.Commit(ctx, log, bookings); err != nil {
			return fmt.Errorf("commit %d bookings of %s: %w", len(bookings), log, err)
		}
	}
	for _, it := range once {
		if err := b.commitOnce(ctx, it); err != nil {
			return err
		}
	}
	return nil
}

// commitOnce books each of an item's records by its ID: for what has lost its turn.
func (b *batch) commitOnce(ctx context.Context, it *item) error {
	order := func(a, b ledger.Delta) int { return strings.Compare(a.Source, b.Source) }
	slices.SortStableFunc(it.deltas, order)
	for deltas := it.deltas; len(deltas) > 0; {
		id, n := deltas[0].Source, 1
		for n < len(deltas) && deltas[n].Source == id {
			n++
		}
		if err := b.s.Ledger.CommitOnce(ctx, id, deltas[:n]); err != nil {
			return fmt.Errorf("commit record %s: %w", id, err)
		}
		deltas = deltas[n:]
	}
	return nil
}
