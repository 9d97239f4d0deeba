package local

import (
	"context"
	"errors"
)

// Atomically calls f like a checkpointed consumer's batch: what it saves,
// publishes and books with the context it is given is written in one step at
// the next checkpoint, also when it returns an error.
func (db *DB) Atomically(ctx context.Context, f func(context.Context) error) error {
	if !db.fragments.waitRoom() {
		return ErrClosed
	}
	db.cut.RLock()
	defer db.cut.RUnlock()
	t := &tx{db: db}
	err := f(t.context(ctx))
	return errors.Join(err, db.hold(t))
}
