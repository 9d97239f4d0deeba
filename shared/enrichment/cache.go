package enrichment

import (
	"hash/maphash"
	"strings"
	"sync"
	"sync/atomic"
)

// shards is how many independently locked parts a cache has.
const shards = 16

var shardSeed = maphash.MakeSeed()

// cache keeps the results of a pure function of a string, up to a number of
// them, and forgets those least recently used (the clock algorithm: a hit sets
// one bit and takes no exclusive lock). The zero value is empty and ready.
type cache[V any] struct {
	shards [shards]shard[V]
}

type shard[V any] struct {
	mu    sync.RWMutex
	index map[string]int
	slots []slot[V]
	hand  int
	_     [64]byte // keeps neighbours' locks off one cache line
}

type slot[V any] struct {
	key   string
	value V
	used  uint32
}

// get returns the value kept for key, else calls make with a key of its own
// (the caller's may be part of a buffer) and keeps the result. size is the
// most values kept.
func (c *cache[V]) get(key string, size int, make func(key string) V) V {
	s := &c.shards[maphash.String(shardSeed, key)%shards]
	s.mu.RLock()
	if i, ok := s.index[key]; ok {
		slot := &s.slots[i]
		if atomic.LoadUint32(&slot.used) == 0 {
			atomic.StoreUint32(&slot.used, 1)
		}
		v := slot.value
		s.mu.RUnlock()
		return v
	}
	s.mu.RUnlock()
	key = strings.Clone(key)
	v := make(key)
	s.put(key, v, max(1, size/shards))
	return v
}

func (s *shard[V]) put(key string, v V, size int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.index[key]; ok {
		return // another caller was faster
	}
	if s.index == nil {
		s.index = map[string]int{}
	}
	if len(s.slots) < size {
		s.index[key] = len(s.slots)
		s.slots = append(s.slots, slot[V]{key: key, value: v})
		return
	}
	for s.slots[s.hand].used != 0 {
		s.slots[s.hand].used = 0
		s.hand = (s.hand + 1) % len(s.slots)
	}
	delete(s.index, s.slots[s.hand].key)
	s.index[key] = s.hand
	s.slots[s.hand] = slot[V]{key: key, value: v}
	s.hand = (s.hand + 1) % len(s.slots)
}

// len returns how many values are kept.
func (c *cache[V]) len() int {
	n := 0
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.RLock()
		n += len(s.slots)
		s.mu.RUnlock()
	}
	return n
}
