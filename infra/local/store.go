package local

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/maphash"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"

	"github.com/hitolayer/hito/shared/profile"
)

// Store keeps fragments: those in use in memory, encoded, all of them on disk.
// A Save is seen by every later Load at once and written by the next checkpoint,
// together with the cursors of the batches that led to it: after a crash both
// are as they were at one moment. See DB.Flush for a Save outside a batch that
// must not wait.
type Store struct {
	db     *DB
	seed   maphash.Seed
	limit  int64 // bytes per shard
	shards [shardCount]shard

	dirty        atomic.Int64 // bytes not yet on disk
	hits, misses atomic.Int64
	// settled counts checkpoints. What was not in memory and is read from disk
	// is the latest as long as none ended meanwhile: what is newer is in memory.
	settled atomic.Uint64
}

const shardCount = 64

var _ profile.Store = (*Store)(nil)

// shard is a part of the cache, with its own lock.
type shard struct {
	mu    sync.Mutex
	slots map[profile.Key]*slot
	ring  []*slot // the same slots, for the clock
	hand  int
	bytes int64
	dirty []*slot
}

// slot is one fragment in memory. Its data is replaced, never changed.
type slot struct {
	key     profile.Key
	version uint64
	data    []byte
	used    bool // since the clock's hand came by
	dirty   bool // newer than what a checkpoint took
	// writing is what a checkpoint took and has not written yet.
	writing *image
}

type image struct {
	version uint64
	data    []byte
}

// slotBytes is what a slot costs beside its key and data: itself and its places
// in the map and the ring.
const slotBytes = 240

func (s *slot) bytes() int64 { return int64(slotBytes + len(s.key.Visitor) + cap(s.data)) }

func (s *Store) shard(k profile.Key) *shard {
	return &s.shards[(maphash.String(s.seed, k.Visitor)+uint64(len(k.Project)))%shardCount]
}

// Load implements profile.Store.
func (s *Store) Load(ctx context.Context, keys []profile.Key) ([]*profile.Fragment, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("load %d fragments: %w", len(keys), context.Cause(ctx))
	}
	images := make([]image, len(keys))
	if err := s.images(keys, images); err != nil {
		return nil, err
	}
	out := make([]*profile.Fragment, len(keys))
	for i, k := range keys {
		var err error
		if out[i], err = fragment(k, images[i].version, images[i].data); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func fragment(k profile.Key, version uint64, data []byte) (*profile.Fragment, error) {
	if version == 0 {
		return profile.NewFragment(k), nil
	}
	return profile.Decode(k, version, data) // data is never written to
}

// images sets out to the fragments' stored forms. What is not in memory is read
// through one iterator: unlike pebble's Get it asks the last level's filters
// too, so that a visitor never seen before costs no read.
func (s *Store) images(keys []profile.Key, out []image) error {
	var misses []int
	for i, k := range keys {
		sh := s.shard(k)
		sh.mu.Lock()
		if sl, ok := sh.slots[k]; ok {
			sl.used = true
			out[i] = image{sl.version, sl.data}
		} else {
			misses = append(misses, i)
		}
		sh.mu.Unlock()
	}
	s.hits.Add(int64(len(keys) - len(misses)))
	s.misses.Add(int64(len(misses)))
	if len(misses) == 0 {
		return nil
	}
	if s.db.gone.Load() {
		return ErrClosed
	}
	slices.SortFunc(misses, func(a, b int) int { return compareKeys(keys[a], keys[b]) }) // seeks go forward
	settled := s.settled.Load()
	it, err := s.db.pebble.NewIter(&pebble.IterOptions{UseL6Filters: true})
	if err != nil {
		return fmt.Errorf("load fragments: %w", err)
	}
	var key []byte
	for _, i := range misses {
		k := keys[i]
		key = fragmentKey(key[:0], k)
		read := s.blank(k)
		if it.SeekPrefixGE(key) {
			err = read.decode(it.Value())
		} else {
			err = it.Error()
		}
		if err == nil {
			err = s.offer(read, settled, func(sl *slot) { out[i] = image{sl.version, sl.data} })
		}
		if err != nil {
			return errors.Join(fmt.Errorf("load fragment %s: %w", k, err), it.Close())
		}
	}
	if err := it.Close(); err != nil {
		return fmt.Errorf("load fragments: %w", err)
	}
	return nil
}

// offer calls f with the key's slot under the shard's lock: the one in memory,
// else what was read from disk after settled was what it is.
func (s *Store) offer(read *slot, settled uint64, f func(*slot)) error {
	sh := s.shard(read.key)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sl, ok := sh.slots[read.key]
	for !ok {
		if s.settled.Load() == settled {
			sl = read
			sh.insert(sl)
			break
		}
		// The key may have come, been written and gone since it was read.
		settled = s.settled.Load()
		sh.mu.Unlock()
		again, err := s.read(read.key)
		sh.mu.Lock()
		if err != nil {
			return err
		}
		read = again
		sl, ok = sh.slots[read.key]
	}
	before := sl.bytes()
	f(sl)
	sl.used = true
	sh.bytes += sl.bytes() - before
	sh.evict(s.limit, sl, 16)
	return nil
}

// with calls f with the key's slot under the shard's lock, read from disk if need be.
func (s *Store) with(k profile.Key, f func(*slot)) error {
	sh := s.shard(k)
	sh.mu.Lock()
	if sl, ok := sh.slots[k]; ok {
		before := sl.bytes()
		f(sl)
		sl.used = true
		sh.bytes += sl.bytes() - before
		sh.mu.Unlock()
		return nil
	}
	sh.mu.Unlock()
	settled := s.settled.Load()
	read, err := s.read(k)
	if err != nil {
		return err
	}
	return s.offer(read, settled, f)
}

func (sh *shard) insert(sl *slot) {
	if sh.slots == nil {
		sh.slots = make(map[profile.Key]*slot)
	}
	sh.slots[sl.key] = sl
	sh.ring = append(sh.ring, sl)
	sh.bytes += sl.bytes()
}

// evict drops slots not lately used while the shard is too big, looking at most
// at that many. What is not on disk stays, and so does keep.
func (sh *shard) evict(limit int64, keep *slot, looks int) {
	for ; sh.bytes > limit && looks > 0 && len(sh.ring) > 0; looks-- {
		if sh.hand >= len(sh.ring) {
			sh.hand = 0
		}
		sl := sh.ring[sh.hand]
		if sl.used || sl.dirty || sl.writing != nil || sl == keep {
			sl.used = false
			sh.hand++
			continue
		}
		last := len(sh.ring) - 1
		sh.ring[sh.hand] = sh.ring[last]
		sh.ring[last] = nil
		sh.ring = sh.ring[:last]
		delete(sh.slots, sl.key)
		sh.bytes -= sl.bytes()
	}
}

// read reads a fragment from disk; one that is not there is empty with version 0.
func (s *Store) read(k profile.Key) (*slot, error) {
	sl := s.blank(k)
	return sl, s.db.get(fragmentKey(nil, k), sl.decode)
}

func (s *Store) blank(k profile.Key) *slot {
	return &slot{key: profile.Key{Project: s.db.intern(k.Project), Visitor: strings.Clone(k.Visitor)}}
}

func (sl *slot) decode(v []byte) error {
	version, n := binary.Uvarint(v)
	if n <= 0 {
		return errors.New("no version")
	}
	sl.version, sl.data = version, slices.Clone(v[n:])
	return nil
}

// Save implements profile.Store.
func (s *Store) Save(ctx context.Context, fragments []*profile.Fragment) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("save %d fragments: %w", len(fragments), context.Cause(ctx))
	}
	var conflict []int
	for i, f := range fragments {
		data, err := f.Encode()
		if err != nil {
			return fmt.Errorf("save: %w", err)
		}
		saved := false
		sh := s.shard(f.Key)
		if err := s.with(f.Key, func(sl *slot) {
			if saved = sl.version == f.Version; !saved {
				return
			}
			if sl.dirty {
				s.dirty.Add(-sl.bytes())
			} else {
				sl.dirty = true
				sh.dirty = append(sh.dirty, sl)
			}
			sl.version, sl.data = f.Version+1, data
			s.dirty.Add(sl.bytes())
		}); err != nil {
			return fmt.Errorf("save fragment %s: %w", f.Key, err)
		}
		if !saved {
			conflict = append(conflict, i)
			continue
		}
		f.Version++
	}
	if s.dirty.Load() > s.softLimit() {
		s.db.requestCheckpoint()
	}
	if conflict != nil {
		return &profile.ConflictError{Index: conflict}
	}
	return nil
}

// softLimit is how many unwritten bytes ask for a checkpoint; at twice as many
// batches wait for it.
func (s *Store) softLimit() int64 { return s.limit * shardCount / 8 }

// waitRoom waits until there is room for another batch's fragments, false when
// the database closes.
func (s *Store) waitRoom() bool {
	for s.dirty.Load() > 2*s.softLimit() {
		done := s.db.checkpointDone()
		if s.dirty.Load() <= 2*s.softLimit() {
			break
		}
		s.db.requestCheckpoint()
		select {
		case <-done:
		case <-s.db.stop:
			return false
		}
	}
	return true
}

// take returns the fragments to write.
func (s *Store) take() []*slot {
	var out []*slot
	for i := range s.shards {
		sh := &s.shards[i]
		sh.mu.Lock()
		for _, sl := range sh.dirty {
			sl.dirty = false
			sl.writing = &image{sl.version, sl.data}
			s.dirty.Add(-sl.bytes())
		}
		out = append(out, sh.dirty...)
		sh.dirty = nil
		sh.mu.Unlock()
	}
	return out
}

// settle ends what take began: the fragments are on disk, or to be taken again.
func (s *Store) settle(slots []*slot, written bool) {
	s.settled.Add(1) // before the first of them can be dropped
	for _, sl := range slots {
		sh := s.shard(sl.key)
		sh.mu.Lock()
		sl.writing = nil
		if !written && !sl.dirty {
			sl.dirty = true
			sh.dirty = append(sh.dirty, sl)
			s.dirty.Add(sl.bytes())
		}
		sh.mu.Unlock()
	}
	for i := range s.shards {
		sh := &s.shards[i]
		sh.mu.Lock()
		sh.evict(s.limit, nil, 2*len(sh.ring))
		sh.mu.Unlock()
	}
}

func compareKeys(a, b profile.Key) int {
	return cmp.Or(strings.Compare(a.Project, b.Project), strings.Compare(a.Visitor, b.Visitor))
}

func addFragments(b *pebble.Batch, slots []*slot) error {
	// In order, each finds its place in pebble's skip list next to the last.
	slices.SortFunc(slots, func(a, b *slot) int { return compareKeys(a.key, b.key) })
	var key, version []byte
	for _, sl := range slots {
		key = fragmentKey(key[:0], sl.key)
		version = binary.AppendUvarint(version[:0], sl.writing.version)
		op := b.SetDeferred(len(key), len(version)+len(sl.writing.data))
		copy(op.Key, key)
		copy(op.Value[copy(op.Value, version):], sl.writing.data)
		if err := op.Finish(); err != nil {
			return err
		}
	}
	return nil
}
