package local

import (
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// retention is what a partition keeps: its chunks, summed up in spans of about
// a megabyte.
type retention struct {
	first uint64 // the oldest chunk kept
	spans []span
}

// span is a run of chunks.
type span struct {
	last     uint64 // its last chunk
	appended int64  // when that was written, Unix milliseconds
	bytes    int64
}

const spanBytes = 1 << 20

func (r *retention) add(seq uint64, appended, bytes int64) {
	if n := len(r.spans); n > 0 {
		if s := &r.spans[n-1]; s.bytes+bytes <= spanBytes && appended-s.appended < 10_000 {
			s.last, s.appended, s.bytes = seq, appended, s.bytes+bytes
			return
		}
	}
	r.spans = append(r.spans, span{seq, appended, bytes})
}

// retentionPeriod is how often handled records are dropped; noGroupKeep is for
// how long those of a stream nobody ever subscribed to stay at least.
const (
	retentionPeriod = 200 * time.Millisecond
	noGroupKeep     = time.Hour
)

func (db *DB) runRetention() {
	tick := time.NewTicker(retentionPeriod)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-db.stop:
			return
		}
		if db.disk.Err() != nil {
			continue
		}
		db.streamsMu.Lock()
		streams := make([]*Stream, 0, len(db.streams))
		for _, s := range db.streams {
			streams = append(streams, s)
		}
		db.streamsMu.Unlock()
		for _, s := range streams {
			if err := s.drop(db.options.Now()); err != nil {
				db.options.Log.Error("dropping handled records failed, trying again", "stream", s.name, "error", err)
			}
		}
		if err := db.quarantine.drop(db.options.Now()); err != nil {
			db.options.Log.Error("dropping old quarantine entries failed, trying again", "error", err)
		}
	}
}

// drop removes what every group has handled and the options do not keep.
func (s *Stream) drop(now time.Time) error {
	s.groupsMu.Lock()
	defer s.groupsMu.Unlock()
	for _, p := range s.partitions {
		first, to, ok := p.droppable(now, len(s.groups))
		if !ok {
			continue
		}
		if err := s.db.pebble.DeleteRange(chunkKey(nil, p.prefix, first), chunkKey(nil, p.prefix, to), pebble.NoSync); err != nil {
			return fmt.Errorf("local: drop chunks %d to %d of %s/%d: %w", first, to, s.name, p.index, err)
		}
	}
	return nil
}

// droppable returns the chunks to drop, from first up to but not including to,
// and counts them as dropped.
func (p *partition) droppable(now time.Time, groups int) (first, to uint64, ok bool) {
	o := p.stream.options
	keepFor := o.KeepFor
	if groups == 0 {
		keepFor = max(keepFor, noGroupKeep)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	low := p.next
	for _, c := range p.handled {
		low = min(low, c.low())
	}
	first = p.kept.first
	to = first
	keep := p.size.Load()
	limit := o.KeepBytes / int64(len(p.stream.partitions))
	n := 0
	for _, s := range p.kept.spans {
		old := now.UnixMilli()-s.appended >= keepFor.Milliseconds()
		if s.last >= low || !old && keep <= limit {
			break
		}
		to = s.last + 1
		keep -= s.bytes
		n++
	}
	if n == 0 {
		return 0, 0, false
	}
	p.kept.spans = append([]span(nil), p.kept.spans[n:]...)
	p.kept.first = to
	p.size.Store(keep)
	return first, to, true
}
