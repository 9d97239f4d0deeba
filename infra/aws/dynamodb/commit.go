package dynamodb

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/hitolayer/hito/shared/ledger"
)

// entry is what one record of a log came to: all bookings at one position.
type entry struct {
	partition uint64
	name      string // the partition's
	sequence  []byte
	decimal   string
	deltas    []ledger.Delta
}

// Commit implements ledger.Committer: one transaction moves the log's positions
// and adds the sums. Bookings that take more than one transaction (of some 50
// projects or hours) go in several, each partition's in order, and each with the
// positions it reaches: a call that fails between two has booked a part of them,
// which the next leaves out. What has no position goes with the last.
func (l *Ledger) Commit(ctx context.Context, log string, bookings []ledger.Booking) error {
	entries, loose, err := arrange(bookings)
	if err == nil {
		err = l.commit(ctx, log, entries, loose)
	}
	if err != nil {
		return fmt.Errorf("commit %d bookings of log %s: %w", len(bookings), log, err)
	}
	return nil
}

// arrange returns the bookings by position, in order, and the deltas without one.
func arrange(bookings []ledger.Booking) (entries []entry, loose []ledger.Delta, err error) {
	for _, b := range bookings {
		deltas := make([]ledger.Delta, len(b.Deltas))
		for i, d := range b.Deltas {
			deltas[i] = d.Whole()
		}
		if b.Partition == "" {
			loose = append(loose, deltas...)
			continue
		}
		seq, err := sequence(b.Sequence)
		if err != nil {
			return nil, nil, err
		}
		entries = append(entries, entry{partitionNumber(b.Partition), b.Partition, seq, b.Sequence, deltas})
	}
	slices.SortStableFunc(entries, func(a, b entry) int {
		return cmp.Or(cmp.Compare(a.partition, b.partition), compareSequences(a.sequence, b.sequence))
	})
	out := entries[:0]
	for _, e := range entries {
		if n := len(out); n > 0 && out[n-1].partition == e.partition && compareSequences(out[n-1].sequence, e.sequence) == 0 {
			out[n-1].deltas = append(out[n-1].deltas, e.deltas...)
		} else {
			out = append(out, e)
		}
	}
	return out, loose, nil
}

func (l *Ledger) commit(ctx context.Context, log string, entries []entry, loose []ledger.Delta) error {
	t := l.table()
	pk, _ := key("l/p", log)
	for conflicts := 0; ; {
		var at positions
		var version int64
		if len(entries) > 0 {
			items, err := t.get(ctx, []string{pk})
			if err != nil {
				return err
			}
			if version, err = numberOf(items[pk], versionAttr); err != nil {
				return err
			}
			if at, err = decodePositions(bytesOf(items[pk], valueAttr)); err != nil {
				return err
			}
			entries = slices.DeleteFunc(entries, func(e entry) bool { return at.booked(e.partition, e.sequence) })
		}
		if len(entries) > 0 && sums(nil).with(entries[0].deltas).size() >= maxTransaction {
			// A record that is too much for a transaction: under its own name first,
			// then its position.
			e := &entries[0]
			if err := l.CommitOnce(ctx, fmt.Sprintf("%s/%s/%s", log, e.name, e.decimal), e.deltas); err != nil {
				return err
			}
			e.deltas = nil
			if err := t.move(ctx, pk, version, at, entries[:1], nil); err != nil && failedConditions(err) == nil {
				return err
			}
			continue
		}
		n, looseTaken, total := fit(entries, loose)
		if len(total) == 0 && n == len(entries) {
			return nil // nothing, or nothing but zeros
		}
		err := t.move(ctx, pk, version, at, entries[:n], total.updates(t, slotOf(log)))
		switch {
		case err == nil:
			entries, loose = entries[n:], loose[looseTaken:]
			if len(entries) == 0 && len(loose) == 0 {
				return nil
			}
			conflicts = 0
		case failedConditions(err) != nil:
			// Somebody else booked of this log meanwhile.
			conflicts++
			if end := t.retry.Backoff.Wait(ctx, conflicts); end != nil {
				return fmt.Errorf("others book of this log at the same time: %w", end)
			}
		default:
			return err
		}
	}
}

// fit returns how many of the entries, and when that is all of them how many of
// the loose, fit in one transaction, and their sums.
func fit(entries []entry, loose []ledger.Delta) (n, looseTaken int, total sums) {
	total = make(sums)
	for _, e := range entries {
		total.bookAll(e.deltas)
	}
	total.bookAll(loose)
	if total.size() < maxTransaction {
		return len(entries), len(loose), total
	}
	total = make(sums)
	for n < len(entries) {
		more := total.with(entries[n].deltas)
		if more.size() >= maxTransaction {
			return n, 0, total
		}
		total, n = more, n+1
	}
	for looseTaken < len(loose) {
		more := total.with(loose[looseTaken : looseTaken+1])
		if more.size() >= maxTransaction {
			break
		}
		total, looseTaken = more, looseTaken+1
	}
	return n, looseTaken, total
}

// move moves a log's positions past entries, on the condition that they are as
// they were read, and makes updates.
func (t *table) move(ctx context.Context, pk string, version int64, at positions, entries []entry, updates []types.TransactWriteItem) error {
	if len(entries) == 0 {
		if len(updates) == 0 {
			return nil
		}
		return t.transact(ctx, updates)
	}
	for _, e := range entries {
		at.advance(e.partition, e.sequence)
	}
	put := &types.Put{
		TableName: &t.name,
		Item: item{
			pkAttr: text(pk), versionAttr: number(version + 1), valueAttr: binaryValue(at.encode()),
			ttlAttr: number(t.now().Add(positionsKept).Unix()),
		},
		ConditionExpression: new("attribute_not_exists(pk)"),
	}
	if version > 0 {
		put.ConditionExpression = new("#v = :v")
		put.ExpressionAttributeNames = map[string]string{"#v": versionAttr}
		put.ExpressionAttributeValues = item{":v": number(version)}
	}
	return t.transact(ctx, append([]types.TransactWriteItem{{Put: put}}, updates...))
}
