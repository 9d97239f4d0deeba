package local

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// kept is what quarantine holds, indexes included.
type kept struct {
	bytes  int64
	oldest int64 // when the oldest entry came, Unix milliseconds; 0 without one
}

func (k *kept) add(bytes, arrived int64) {
	k.bytes += bytes
	if k.oldest == 0 {
		k.oldest = arrived
	}
}

func keptKey() []byte { return prefix(metaKind, "quarantine") }

func arrivalKey(unixMilli int64, entry []byte) []byte {
	return append(binary.BigEndian.AppendUint64([]byte{arrivalKind}, uint64(unixMilli)), entry...)
}

// cutArrival is arrivalKey's inverse.
func cutArrival(key []byte) (unixMilli int64, entry []byte, err error) {
	if len(key) < 9 {
		return 0, nil, fmt.Errorf("local: key %q has no time of arrival", key)
	}
	return int64(binary.BigEndian.Uint64(key[1:])), key[9:], nil
}

// idKeyOf returns the index key of the entry at key.
func idKeyOf(entry []byte) ([]byte, error) {
	if len(entry) > 0 {
		if project, rest, err := cutName(entry[1:]); err == nil && len(rest) >= 8 {
			return append(prefix(entryIDKind, project), rest[8:]...), nil
		}
	}
	return nil, fmt.Errorf("local: %q is not the key of a quarantine entry", entry)
}

// load finds what is kept.
func (q *Quarantine) load() error {
	err := q.db.get(keptKey(), func(v []byte) error { return readSums(v, &q.kept.bytes) })
	if err != nil {
		return fmt.Errorf("size of quarantine: %w", err)
	}
	it, err := q.db.pebble.NewIter(&pebble.IterOptions{LowerBound: []byte{arrivalKind}, UpperBound: []byte{arrivalKind + 1}})
	if err != nil {
		return fmt.Errorf("oldest entry of quarantine: %w", err)
	}
	if it.First() {
		q.kept.oldest, _, err = cutArrival(it.Key())
	}
	return errors.Join(err, it.Close())
}

// dropAtOnce bounds how many entries are dropped while others wait to come in.
const dropAtOnce = 1000

// drop removes the entries that came first, as long as they are too old or too
// much is kept. What they booked in the ledger stays.
func (q *Quarantine) drop(now time.Time) error {
	for more := true; more && !q.db.stopped(); {
		var err error
		if more, err = q.dropSome(now.UnixMilli()); err != nil {
			return fmt.Errorf("local: drop quarantine entries: %w", err)
		}
	}
	return nil
}

func (q *Quarantine) dropSome(now int64) (more bool, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	before := int64(-1) << 63 // what came until then is too old
	if q.db.options.QuarantineFor > 0 {
		before = now - q.db.options.QuarantineFor.Milliseconds()
	}
	left := q.kept
	surplus := func() bool { return left.bytes > q.db.options.QuarantineBytes || left.oldest <= before }
	if left.oldest == 0 || !surplus() {
		return false, nil
	}
	// What was dropped before is behind this: no need to walk over it.
	from := arrivalKey(left.oldest, nil)
	it, err := q.db.pebble.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: []byte{arrivalKind + 1}})
	if err != nil {
		return false, err
	}
	b := q.db.pebble.NewBatch()
	left.oldest = 0
	for valid, n := it.First(), 0; valid; valid, n = it.Next(), n+1 {
		at, entry, err := cutArrival(it.Key())
		var id []byte
		if err == nil {
			id, err = idKeyOf(entry)
		}
		var size int64
		if err == nil {
			err = readSums(it.Value(), &size)
		}
		if err != nil {
			return false, errors.Join(err, it.Close(), b.Close())
		}
		if left.oldest = at; n == dropAtOnce || !surplus() {
			break
		}
		if err := errors.Join(b.Delete(it.Key(), nil), b.Delete(entry, nil), b.Delete(id, nil)); err != nil {
			return false, errors.Join(err, it.Close(), b.Close())
		}
		left.bytes -= size
		left.oldest = 0
	}
	if err := it.Close(); err != nil {
		return false, errors.Join(err, b.Close())
	}
	dropped := left.bytes - q.kept.bytes
	if err := b.Merge(keptKey(), sums(&dropped), nil); err != nil {
		return false, errors.Join(err, b.Close())
	}
	if err := q.db.pebble.Apply(b, pebble.NoSync); err != nil {
		return false, err
	}
	q.kept = left
	return left.oldest != 0 && surplus(), b.Close()
}
