package local

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/hitolayer/hito/shared/quarantine"
	"github.com/hitolayer/hito/shared/stream"
)

// batch delivers items and, unless they fail whole, commits what came of it.
func (c *consumer) batch(items []item) error {
	db := c.part.stream.db
	if c.options.Checkpointed {
		if !db.fragments.waitRoom() {
			return ErrClosed
		}
		db.cut.RLock()
		defer db.cut.RUnlock()
	}
	for i := range items {
		items[i].attempts++
		items[i].Attempt = items[i].attempts
		items[i].failure = nil
	}
	t := &tx{db: db, consumer: c}
	if _, err := c.deliver(t.context(db.work), t, items); err != nil {
		if c.options.Checkpointed {
			// The fragments it saved stay saved, so what it published and booked with
			// them must stay too; only the cursor does not move.
			t.consumer = nil
			return errors.Join(err, db.hold(t))
		}
		return err
	}
	t.cursor = c.after(items, t)
	if c.options.Checkpointed {
		if err := db.hold(t); err != nil {
			return err
		}
	} else if err := db.commit(false, nil, t); err != nil {
		return err
	}
	c.at = t.cursor
	return nil
}

// deliver calls the handler. Its error means that none of the items is done;
// told, that a panic was logged.
func (c *consumer) deliver(ctx context.Context, t *tx, items []item) (told bool, err error) {
	before := t.mark()
	if err = c.call(ctx, items); err == nil {
		return false, nil
	}
	if failures, ok := err.(stream.Failures); ok { // a wrapped one speaks of another batch
		for _, f := range failures {
			if f.Index < 0 || f.Index >= len(items) {
				return false, fmt.Errorf("the handler names record %d of %d: %w", f.Index, len(items), err)
			}
			items[f.Index].failure = f.Err
		}
		return false, nil
	}
	panicked, ok := errors.AsType[*stream.PanicError](err)
	if !ok {
		return false, err
	}
	if !c.options.Checkpointed {
		t.rollback(before)
	}
	if len(items) == 1 {
		items[0].failure = err
		c.tell(panicked, items)
		return true, nil
	}
	half := len(items) / 2
	told, err = c.deliver(ctx, t, items[:half])
	if err == nil {
		var also bool
		also, err = c.deliver(ctx, t, items[half:])
		told = told || also
	}
	if !told { // it does not come again
		c.tell(panicked, items)
	}
	return true, err
}

func (c *consumer) tell(p *stream.PanicError, items []item) {
	c.part.stream.db.options.Log.Error("a handler panicked", "stream", c.part.stream.name, "group", c.group,
		"records", len(items), "first", items[0].ID, "panic", p.Value, "stack", string(p.Stack))
}

func (c *consumer) call(ctx context.Context, items []item) error {
	records := make([]stream.Record, len(items))
	// All IDs share one string; each is short-lived.
	var ids []byte
	ends := make([]int, len(items))
	for i := range items {
		ids = append(ids, c.part.stream.name...)
		ids = append(ids, '/')
		ids = strconv.AppendInt(ids, int64(c.part.index), 10)
		ids = append(ids, '/')
		ids = strconv.AppendUint(ids, items[i].seq, 10)
		ids = append(ids, '.')
		ids = strconv.AppendInt(ids, int64(items[i].index), 10)
		ends[i] = len(ids)
	}
	all, from := string(ids), 0
	for i := range items {
		records[i] = items[i].Record
		records[i].ID = all[from:ends[i]]
		items[i].ID = records[i].ID
		from = ends[i]
	}
	return stream.Call(ctx, c.handle, records)
}

// after returns where the consumer stands once the items are done, and sends
// those that failed to quarantine or parks them.
func (c *consumer) after(items []item, t *tx) cursor {
	cur := cursor{position: c.at.position}
	again := make(map[[2]uint64]bool) // the parked records that were delivered
	for i := range items {
		it := &items[i]
		if it.parked {
			again[[2]uint64{it.seq, uint64(it.index)}] = true
			continue
		}
		cur.seq, cur.index = it.seq, it.index+1
		if it.last {
			cur.seq, cur.index = it.seq+1, 0
		}
		cur.records++
		cur.events += uint64(it.Events)
	}
	for _, p := range c.at.parked {
		if !again[[2]uint64{p.seq, uint64(p.index)}] {
			cur.parked = append(cur.parked, p)
		}
	}
	for i := range items {
		it := &items[i]
		if it.failure == nil {
			continue
		}
		it.failed++
		if stream.IsPermanent(it.failure) || it.failed >= c.options.maxAttempts {
			t.put([]quarantine.Entry{quarantine.Of(c.options.Stage, &it.Record, it.failure)})
			continue
		}
		cur.parked = append(cur.parked, parked{
			seq: it.seq, index: it.index, failed: it.failed,
			due: time.Now().Add(backoff(c.options.backoff, it.failed)),
		})
	}
	return cur
}
