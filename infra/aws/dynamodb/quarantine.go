package dynamodb

import (
	"context"
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/hitolayer/hito/infra/aws/retry"
	"github.com/hitolayer/hito/shared/ledger"
	"github.com/hitolayer/hito/shared/quarantine"
)

// Quarantine keeps entries for a while. An entry books its events as quarantined
// in the ledger once, in the transaction that keeps it, and those that the
// beacon refused as accepted too, since they never reach the raw stream.
type Quarantine struct {
	Client API
	Table  string
	// Keep is how long an entry stays, 30 days when 0. DynamoDB removes it some
	// time within the days after.
	Keep time.Duration
	// Retry is as in Store.
	Retry retry.Call
	// Now is the clock, time.Now when nil.
	Now func() time.Time
}

var (
	_ quarantine.Sink   = (*Quarantine)(nil)
	_ quarantine.Reader = (*Quarantine)(nil)
)

const (
	keepEntries = 30 * 24 * time.Hour
	// maxEntry is how large an entry may be in one item.
	maxEntry = 300 << 10
	// maxGroup and maxGroupBytes are how many entries are kept by one transaction,
	// which leaves room for what they book: it has at most 100 items and 4 MB. So
	// few, because the transaction fails when one of them is there already.
	maxGroup      = 24
	maxGroupBytes = 3 << 20
)

func (q *Quarantine) table() *table { return newTable(q.Client, q.Table, 0, q.Retry, q.Now) }

// Put implements quarantine.Sink.
func (q *Quarantine) Put(ctx context.Context, entries []quarantine.Entry) error {
	t := q.table()
	type id struct{ project, id string }
	seen := make(map[id]bool, len(entries))
	var group []admission
	size := 0
	for i := range entries {
		e := &entries[i]
		if seen[id{e.Project, e.ID}] {
			continue
		}
		seen[id{e.Project, e.ID}] = true
		a, err := q.admission(ctx, t, e)
		if err != nil {
			return fmt.Errorf("put entry %s in quarantine: %w", e.ID, err)
		}
		if len(group) == maxGroup || size+a.size > maxGroupBytes {
			if err := t.admit(ctx, group); err != nil {
				return fmt.Errorf("put %d entries in quarantine: %w", len(entries), err)
			}
			group, size = group[:0], 0
		}
		group, size = append(group, a), size+a.size
	}
	if err := t.admit(ctx, group); err != nil {
		return fmt.Errorf("put %d entries in quarantine: %w", len(entries), err)
	}
	return nil
}

// admission is an entry to be kept: its item, and what it books.
type admission struct {
	item  item
	size  int
	delta ledger.Delta
}

// admission returns the entry's item; what of it is too large for one is written.
func (q *Quarantine) admission(ctx context.Context, t *table, e *quarantine.Entry) (admission, error) {
	pk, _ := key("q", e.Project, e.ID)
	ttl := t.now().Add(q.keep())
	it := item{
		pkAttr: text(pk), ttlAttr: number(ttl.Unix()),
		queueAttr: text(queueKey(e.Project, slotOf(e.ID))), orderAttr: text(orderKey(e.Time, e.ID)),
	}
	packed, err := encodeValue(encodeEntry(e), 2*len(pk))
	if err != nil {
		return admission{}, err
	}
	if len(packed) <= maxEntry {
		it[valueAttr] = binaryValue(packed)
	} else {
		// Of a generation that what is in them names: putting the entry again
		// writes the same parts.
		p := parts{count: (len(packed) + partSize - 1) / partSize}
		sum := sha256.Sum256(packed)
		copy(p.generation[:], sum[:])
		if err := t.putParts(ctx, pk, p, packed, ttl.Add(partsOutlive)); err != nil {
			return admission{}, err
		}
		it[partsAttr] = binaryValue(p.encode())
	}
	counts := ledger.Counts{Quarantined: int64(e.Events)}
	if e.Stage == quarantine.Beacon {
		counts.Accepted = int64(e.Events)
	}
	return admission{
		item: it, size: len(packed) + 4*len(pk),
		delta: ledger.Delta{Project: e.Project, Minute: minuteOf(e.Time), Counts: counts},
	}, nil
}

func (q *Quarantine) keep() time.Duration {
	if q.Keep > 0 {
		return q.Keep
	}
	return keepEntries
}

func minuteOf(unixMilli int64) int64 {
	m := unixMilli / 60_000
	if unixMilli%60_000 < 0 {
		m--
	}
	return m
}

// admit keeps the entries that are not there yet, and books them, in one transaction.
func (t *table) admit(ctx context.Context, group []admission) error {
	for len(group) > 0 {
		booked := make(sums)
		items := make([]types.TransactWriteItem, len(group))
		for i, a := range group {
			booked.book(a.delta)
			items[i].Put = &types.Put{TableName: &t.name, Item: a.item, ConditionExpression: new("attribute_not_exists(pk)")}
		}
		// Any slot will do: entries that are put together share theirs.
		err := t.transact(ctx, append(items, booked.updates(t, slotOf(textOf(group[0].item, pkAttr)))...))
		there := failedConditions(err)
		if err == nil || there == nil {
			return err
		}
		left := group[:0:0]
		for i, a := range group {
			if len(there) > 0 && there[0] == i {
				there = there[1:]
			} else {
				left = append(left, a)
			}
		}
		group = left
	}
	return nil
}
