package local

import (
	"maps"
	"slices"
	"time"
)

// Stats are measurements of an open database. Counts are since it was opened.
type Stats struct {
	// Syncs is how many times a file was synced, SyncTime how long that took in all.
	Syncs    int64
	SyncTime time.Duration
	// Checkpoints, their time in all, and the fragments they wrote.
	Checkpoints      int64
	CheckpointTime   time.Duration
	FragmentsWritten int64
	// The cache of fragments.
	CacheHits, CacheMisses int64
	CacheBytes, CacheDirty int64
	// DiskBytes is the size of the data directory.
	DiskBytes uint64
	// Stalled is why the disk refuses writes, nil when it takes them.
	Stalled error
	Streams []StreamStats
}

// StreamStats are measurements of one stream.
type StreamStats struct {
	Name string
	// Records and Events that were ever published, and about how many bytes are kept.
	Records, Events uint64
	Bytes           int64
	Groups          []GroupStats
}

// GroupStats say how far a group is behind the end of its stream, as committed:
// a checkpointed group's last batches count as lag until the checkpoint.
type GroupStats struct {
	Name            string
	Records, Events uint64
	// Parked is how many failed records wait to be delivered again.
	Parked int
}

// Stats measures.
func (db *DB) Stats() Stats {
	m := db.pebble.Metrics()
	f := &db.fragments
	s := Stats{
		Syncs: db.disk.syncs.Load(), SyncTime: time.Duration(db.disk.syncNanos.Load()),
		Checkpoints: db.stats.checkpoints.Load(), CheckpointTime: time.Duration(db.stats.checkpointNanos.Load()),
		FragmentsWritten: db.stats.fragmentsWritten.Load(),
		CacheHits:        f.hits.Load(), CacheMisses: f.misses.Load(), CacheDirty: f.dirty.Load(),
		DiskBytes: m.DiskSpaceUsage(), Stalled: db.disk.Err(),
	}
	for i := range f.shards {
		sh := &f.shards[i]
		sh.mu.Lock()
		s.CacheBytes += sh.bytes
		sh.mu.Unlock()
	}
	db.streamsMu.Lock()
	defer db.streamsMu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(db.streams)) {
		s.Streams = append(s.Streams, db.streams[name].stats())
	}
	return s
}

func (s *Stream) stats() StreamStats {
	out := StreamStats{Name: s.name}
	groups := make(map[string]*GroupStats)
	for _, p := range s.partitions {
		p.mu.Lock()
		out.Records += p.records
		out.Events += p.events
		out.Bytes += p.size.Load()
		for name, c := range p.handled {
			g := groups[name]
			if g == nil {
				g = &GroupStats{Name: name}
				groups[name] = g
			}
			g.Records += p.records - c.records
			g.Events += p.events - c.events
			g.Parked += len(c.parked)
		}
		p.mu.Unlock()
	}
	for _, name := range slices.Sorted(maps.Keys(groups)) {
		out.Groups = append(out.Groups, *groups[name])
	}
	return out
}
