package local

import (
	"context"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// hold keeps what a checkpointed consumer's batch did until the next
// checkpoint. Readers of the ledger see it at once. The caller holds db.cut.
func (db *DB) hold(t *tx) error {
	if err := db.ledger.touch(t.deltas); err != nil {
		return err
	}
	t.seal()
	t.shown = true
	db.ledger.show(t.deltas)
	db.heldMu.Lock()
	defer db.heldMu.Unlock()
	db.held = append(db.held, t)
	return nil
}

// checkpoint writes, in one step, everything that checkpointed batches did.
func (db *DB) checkpoint() error {
	db.checkpointMu.Lock()
	defer db.checkpointMu.Unlock()
	start := time.Now()
	touched := db.options.Now()

	// No batch is half done while cut is held: what is taken is one moment.
	db.cut.Lock()
	db.heldMu.Lock()
	held := db.held
	db.held = nil
	db.heldMu.Unlock()
	slots := db.fragments.take()
	db.cut.Unlock()

	var err error
	if len(held) > 0 || len(slots) > 0 {
		err = db.commit(false, slots, held...)
		if err != nil {
			db.heldMu.Lock()
			db.held = append(held, db.held...)
			db.heldMu.Unlock()
		}
		db.fragments.settle(slots, err == nil)
		db.stats.checkpoints.Add(1)
		db.stats.checkpointNanos.Add(int64(time.Since(start)))
		db.stats.fragmentsWritten.Add(int64(len(slots)))
	}
	if err == nil {
		db.ledger.forget(touched)
	}
	db.signalMu.Lock()
	close(db.signal)
	db.signal = make(chan struct{})
	db.signalMu.Unlock()
	if err != nil {
		return fmt.Errorf("local: checkpoint: %w", err)
	}
	return nil
}

// checkpointDone returns a channel that is closed after the next checkpoint.
func (db *DB) checkpointDone() <-chan struct{} {
	db.signalMu.Lock()
	defer db.signalMu.Unlock()
	return db.signal
}

func (db *DB) requestCheckpoint() {
	select {
	case db.wanted <- struct{}{}:
	default:
	}
}

// runCheckpoints writes checkpoints until the database closes. A checkpoint
// that took long is followed by a longer pause, so that writing them never
// takes most of the time.
func (db *DB) runCheckpoints() {
	pause := db.options.checkpoint
	for {
		t := time.NewTimer(pause)
		select {
		case <-t.C:
		case <-db.wanted:
		case <-db.stop:
			t.Stop()
			return
		}
		t.Stop()
		start := time.Now()
		if err := db.checkpoint(); err != nil {
			db.options.Log.Error("a checkpoint failed, trying again", "error", err)
		}
		pause = max(db.options.checkpoint, 2*time.Since(start))
	}
}

// Flush makes everything done so far durable.
func (db *DB) Flush(ctx context.Context) error {
	if err := db.disk.Err(); err != nil {
		return err
	}
	db.lifeMu.Lock()
	if db.closing {
		db.lifeMu.Unlock()
		return ErrClosed
	}
	done := make(chan error, 1)
	db.running.Go(func() { done <- db.flush() })
	db.lifeMu.Unlock()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (db *DB) flush() error {
	if err := db.checkpoint(); err != nil {
		return err
	}
	if err := db.pebble.LogData(nil, pebble.Sync); err != nil {
		return fmt.Errorf("local: sync: %w", err)
	}
	return nil
}
