package bigtable

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"

	"cloud.google.com/go/bigtable"

	"github.com/hitolayer/hito/shared/profile"
)

// Store keeps fragments, each in one row.
type Store struct {
	Table *bigtable.Table
	// Workers is how many writes of one call are under way at a time, 32 when 0.
	Workers int
}

var _ profile.Store = (*Store)(nil)

// The columns of a fragment.
const (
	versionColumn = "v" // eight bytes, the highest first
	stateColumn   = "s" // as profile.Fragment encodes it
	// writerColumns is where a version's writer leaves its token, each version in
	// the next: a write whose answer was lost is found by it, though others wrote since.
	writerColumns = "w"
	writers       = 8
)

func writerColumn(version uint64) string {
	return writerColumns + strconv.FormatUint(version%writers, 10)
}

// errLost says that too many wrote since to tell.
var errLost = errors.New("bigtable: it cannot be told whether it was written: load it again")

// maxState bounds an encoded state: a cell may have 100 MB, and should not have
// more than 10. https://cloud.google.com/bigtable/quotas#limits-data-size
const maxState = 10 << 20

// maxRows is how many rows are asked for at a time.
const maxRows = 1000

// latest is a fragment's row as it is now. Versions are timestamps, so that no
// writer's clock decides which cell is the last.
func latest() bigtable.Filter {
	return bigtable.ChainFilters(bigtable.FamilyFilter(fragments), bigtable.LatestNFilter(1))
}

// stamp is the timestamp of a version's cells, which Bigtable keeps to the millisecond.
func stamp(version uint64) bigtable.Timestamp { return bigtable.Timestamp(version * 1000) }

// Load implements profile.Store. A key may be asked for more than once.
func (s *Store) Load(ctx context.Context, keys []profile.Key) ([]*profile.Fragment, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("load %d fragments: %w", len(keys), context.Cause(ctx))
	}
	names := make([]string, len(keys))
	for i, k := range keys {
		var err error
		if names[i], err = fragmentKey(k); err != nil {
			return nil, err
		}
	}
	rows := make(map[string]bigtable.Row, len(keys))
	for some := range slices.Chunk(slices.Compact(slices.Sorted(slices.Values(names))), maxRows) {
		if err := s.Table.ReadRows(ctx, bigtable.RowList(some), func(r bigtable.Row) bool {
			rows[r.Key()] = r
			return true
		}, bigtable.RowFilter(latest())); err != nil {
			return nil, fmt.Errorf("load %d fragments: %w", len(keys), err)
		}
	}
	// What ctx ends in the middle is no error of ReadRows.
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("load %d fragments: %w", len(keys), context.Cause(ctx))
	}
	out := make([]*profile.Fragment, len(keys))
	for i, k := range keys {
		var err error
		if out[i], err = fragment(k, rows[names[i]]); err != nil {
			return nil, fmt.Errorf("load fragment %s: %w", k, err)
		}
	}
	return out, nil
}

// fragment returns the fragment that a row holds; nil is an empty one's.
func fragment(k profile.Key, r bigtable.Row) (*profile.Fragment, error) {
	if len(r) == 0 {
		return profile.NewFragment(k), nil
	}
	version, err := versionOf(r)
	if err != nil {
		return nil, err
	}
	return profile.Decode(k, version, bytes.Clone(cell(r, stateColumn)))
}

func versionOf(r bigtable.Row) (uint64, error) {
	v := cell(r, versionColumn)
	if len(v) != 8 {
		return 0, fmt.Errorf("bigtable: row %q has the version %x", r.Key(), v)
	}
	return binary.BigEndian.Uint64(v), nil
}

// cell returns the value of a fragment's column, nil if there is none.
func cell(r bigtable.Row, column string) []byte {
	for _, c := range r[fragments] {
		if c.Column == fragments+":"+column {
			return c.Value
		}
	}
	return nil
}

// Save implements profile.Store.
func (s *Store) Save(ctx context.Context, fragments []*profile.Fragment) error {
	workers := s.Workers
	if workers <= 0 {
		workers = 32
	}
	saved := make([]bool, len(fragments))
	errs := make([]error, len(fragments))
	next := make(chan int)
	var wg sync.WaitGroup
	for range min(workers, len(fragments)) {
		wg.Go(func() {
			for i := range next {
				if saved[i], errs[i] = s.save(ctx, fragments[i]); errs[i] != nil {
					errs[i] = fmt.Errorf("save fragment %s: %w", fragments[i].Key, errs[i])
				}
			}
		})
	}
	for i := range fragments {
		next <- i
	}
	close(next)
	wg.Wait()
	var conflicts []int
	for i, f := range fragments {
		switch {
		case saved[i]:
			f.Version++
		case errs[i] == nil:
			conflicts = append(conflicts, i)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if conflicts != nil {
		return &profile.ConflictError{Index: conflicts}
	}
	return nil
}

// save writes one fragment. It returns false when another version is stored.
func (s *Store) save(ctx context.Context, f *profile.Fragment) (bool, error) {
	key, err := fragmentKey(f.Key)
	if err != nil {
		return false, err
	}
	state, err := f.Encode()
	if err != nil {
		return false, err
	}
	if len(state) > maxState {
		return false, fmt.Errorf("bigtable: its state has %d bytes, and may have %d", len(state), maxState)
	}
	token := binary.BigEndian.AppendUint64(nil, rand.Uint64())
	at := stamp(f.Version + 1)
	m := bigtable.NewMutation()
	m.Set(fragments, versionColumn, at, binary.BigEndian.AppendUint64(nil, f.Version+1))
	m.Set(fragments, stateColumn, at, state)
	m.Set(fragments, writerColumn(f.Version+1), at, token)
	is := bigtable.ChainFilters(bigtable.FamilyFilter(fragments), bigtable.ColumnFilter(versionColumn), bigtable.LatestNFilter(1))
	cond := bigtable.NewCondMutation(is, nil, m)
	if f.Version > 0 {
		was := binary.BigEndian.AppendUint64(nil, f.Version)
		cond = bigtable.NewCondMutation(bigtable.ChainFilters(is, bigtable.ValueRangeFilter(was, append(bytes.Clone(was), 0))), m, nil)
	}
	for failed := 1; ; failed++ {
		if err := ctx.Err(); err != nil {
			return false, context.Cause(ctx)
		}
		var matched bool
		attempt, cancel := context.WithTimeout(ctx, attemptTime)
		err := s.Table.Apply(attempt, key, cond, bigtable.GetCondMutationResult(&matched))
		cancel()
		if err == nil && matched == (f.Version > 0) {
			return true, nil
		}
		if err == nil && failed == 1 {
			return false, nil
		}
		if err != nil && (!again(err) || ctx.Err() != nil) {
			return false, err
		}
		// At once, before too many others write.
		done, now, unread := s.wrote(ctx, key, f.Version+1, token)
		switch {
		case unread == nil && (done || now != f.Version):
			return done, nil
		case unread != nil && (errors.Is(unread, errLost) || err == nil):
			return false, unread
		}
		if failed == 1 {
			continue // what broke was most likely a connection, and others write meanwhile
		}
		if end := between.Wait(ctx, failed-1); end != nil {
			return false, fmt.Errorf("after %d attempts, %w: %w", failed, end, err)
		}
	}
}

// wrote tells whether the version is the token's: an attempt whose answer got
// lost may have succeeded. And which version there is now.
func (s *Store) wrote(ctx context.Context, key string, version uint64, token []byte) (done bool, now uint64, err error) {
	r, err := s.Table.ReadRow(ctx, key, bigtable.RowFilter(latest()))
	if err != nil || len(r) == 0 {
		return false, 0, err
	}
	switch now, err = versionOf(r); {
	case err != nil:
		return false, 0, err
	case now >= version+writers:
		return false, now, errLost
	}
	return bytes.Equal(cell(r, writerColumn(version)), token), now, nil
}
