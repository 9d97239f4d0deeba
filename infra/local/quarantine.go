package local

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"github.com/hitolayer/hito/shared/ledger"
	"github.com/hitolayer/hito/shared/quarantine"
)

// Quarantine keeps entries, each project's newest first. An entry books its
// events as quarantined in the ledger once, when it is new, and those that the
// beacon refused as accepted too, since they never reach the raw stream.
type Quarantine struct {
	db   *DB
	mu   sync.Mutex // held from looking an id up until it is written
	kept kept
}

var (
	_ quarantine.Sink   = (*Quarantine)(nil)
	_ quarantine.Reader = (*Quarantine)(nil)
)

// Put keeps entries: within a handler's batch with that batch, else durably.
func (q *Quarantine) Put(ctx context.Context, entries []quarantine.Entry) error {
	if len(entries) == 0 {
		return nil
	}
	if t := q.db.txOf(ctx); t != nil {
		t.put(entries)
		return nil
	}
	if err := q.db.committer.do(ctx, &request{entries: entries}); err != nil {
		return fmt.Errorf("put %d entries in quarantine: %w", len(entries), err)
	}
	return nil
}

// List returns up to limit entries, newest first.
func (q *Quarantine) List(_ context.Context, project, cursor string, limit int) ([]quarantine.Entry, string, error) {
	lower := prefix(entryKind, project)
	upper := keyAfter(lower)
	base := len(lower)
	if cursor != "" {
		at, err := base64.RawURLEncoding.DecodeString(cursor)
		if err != nil || len(at) < 8 {
			return nil, "", quarantine.ErrCursor
		}
		lower = append(append(lower, at...), 0)
	}
	it, err := q.db.pebble.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return nil, "", fmt.Errorf("list quarantine of %s: %w", project, err)
	}
	var entries []quarantine.Entry
	var next string
	for it.First(); it.Valid() && len(entries) < limit; it.Next() {
		var e quarantine.Entry
		if err := json.Unmarshal(it.Value(), &e); err != nil {
			return nil, "", errors.Join(fmt.Errorf("list quarantine of %s: %w", project, err), it.Close())
		}
		entries = append(entries, e)
		next = base64.RawURLEncoding.EncodeToString(it.Key()[base:])
	}
	if !it.Valid() {
		next = ""
	}
	if err := it.Close(); err != nil {
		return nil, "", fmt.Errorf("list quarantine of %s: %w", project, err)
	}
	return entries, next, nil
}

// addEntries writes the entries that are new, gathers what they book and adds
// what they take. The quarantine is locked.
func (db *DB) addEntries(b *pebble.Batch, entries []quarantine.Entry, booked *tx, added *kept) error {
	type id struct{ project, id string }
	now := db.options.Now().UnixMilli()
	seen := make(map[id]bool, len(entries))
	for i := range entries {
		e := &entries[i]
		idKey := append(prefix(entryIDKind, e.Project), e.ID...)
		known := seen[id{e.Project, e.ID}]
		if err := db.get(idKey, func([]byte) error { known = true; return nil }); err != nil {
			return fmt.Errorf("local: look up quarantine entry %s: %w", e.ID, err)
		}
		if known {
			continue
		}
		seen[id{e.Project, e.ID}] = true
		key := prefix(entryKind, e.Project)
		key = binary.BigEndian.AppendUint64(key, ^(uint64(e.Time) ^ 1<<63))
		key = append(key, e.ID...)
		value, err := json.Marshal(e)
		if err != nil {
			return fmt.Errorf("local: encode quarantine entry %s: %w", e.ID, err)
		}
		size := int64(4*len(key) + len(idKey) + len(value)) // the key is in the indexes too
		if err := errors.Join(b.Set(key, value, nil), b.Set(idKey, key, nil), b.Set(arrivalKey(now, key), sums(&size), nil)); err != nil {
			return err
		}
		added.add(size, now)
		counts := ledger.Counts{Quarantined: int64(e.Events)}
		if e.Stage == quarantine.Beacon {
			counts.Accepted = int64(e.Events)
		}
		booked.book(ledger.Delta{Project: e.Project, Minute: minuteOf(e.Time), Counts: counts})
	}
	if added.bytes > 0 {
		return b.Merge(keptKey(), sums(&added.bytes), nil)
	}
	return nil
}
