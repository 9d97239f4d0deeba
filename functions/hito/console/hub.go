package console

import (
	"bytes"
	"sync"
	"time"

	"github.com/hitolayer/hito/shared/stream"
)

// The bounds of what is kept in memory.
const (
	keepRecords = 200      // per project, for those who begin to read
	keepBytes   = 16 << 10 // of one of them
	queueBytes  = 4 << 20  // per reader, not yet sent
	maxReaders  = 64       // of all projects
	// maxProjectReaders keeps one project's readers from shutting out another's.
	maxProjectReaders = 16
)

// Hub hands the enriched records that were scored to whoever reads the tail,
// and keeps each project's latest for those who begin to. Its zero value works.
type Hub struct {
	mu      sync.Mutex
	latest  map[string]*latest
	readers map[*reader]struct{}
}

// latest is a project's latest records: a ring whose oldest is at next.
type latest struct {
	ring [keepRecords][]byte
	next int
}

// Observe takes records of the enriched stream, once they are scored. It keeps
// nothing of what it is given and never waits for a reader.
func (h *Hub) Observe(records []stream.Record) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i := range records {
		r := &records[i]
		if r.Events == 0 {
			continue // an erasure
		}
		for reader := range h.readers {
			if reader.project == r.Project {
				reader.offer(r)
			}
		}
		// A larger one is shown to those who read now, and not kept.
		if len(r.Data) > keepBytes {
			continue
		}
		l := h.latest[r.Project]
		if l == nil {
			if h.latest == nil {
				h.latest = map[string]*latest{}
			}
			l = new(latest)
			h.latest[r.Project] = l
		}
		l.ring[l.next] = append(l.ring[l.next][:0], r.Data...)
		l.next = (l.next + 1) % keepRecords
	}
}

// subscribe returns a reader of a project's records: first the latest that are
// kept, up to last of them, then all that are observed, until unsubscribe. It
// returns nil when there are too many readers, of the project or in all.
func (h *Hub) subscribe(project string, last int, allow *allowance) *reader {
	h.mu.Lock()
	defer h.mu.Unlock()
	of := 0
	for r := range h.readers {
		if r.project == project {
			of++
		}
	}
	if of >= maxProjectReaders || len(h.readers) >= maxReaders {
		return nil
	}
	r := &reader{project: project, allow: allow, ready: make(chan struct{}, 1)}
	if l := h.latest[project]; l != nil {
		for i := range keepRecords {
			data := l.ring[(l.next+i)%keepRecords]
			if i >= keepRecords-last && len(data) > 0 {
				r.push(data)
			}
		}
	}
	if h.readers == nil {
		h.readers = map[*reader]struct{}{}
	}
	h.readers[r] = struct{}{}
	return r
}

func (h *Hub) unsubscribe(r *reader) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.readers, r)
}

// reader is one request's queue. What does not fit, because the client is slow
// or asked for few events, is counted as dropped.
type reader struct {
	project string
	// allow spares copying what would not be sent anyway; nil for all.
	allow *allowance
	ready chan struct{}

	mu      sync.Mutex
	queue   [][]byte
	bytes   int
	dropped int
}

func (r *reader) offer(record *stream.Record) {
	if r.allow != nil && !r.allow.take(record.Events) {
		r.drop(record.Events)
		return
	}
	if !r.push(record.Data) {
		r.drop(record.Events)
	}
}

func (r *reader) push(data []byte) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.bytes+len(data) > queueBytes {
		return false
	}
	r.queue = append(r.queue, bytes.Clone(data))
	r.bytes += len(data)
	select {
	case r.ready <- struct{}{}:
	default:
	}
	return true
}

func (r *reader) drop(events int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.dropped += events
}

// drain returns what is queued, and how many events were dropped since the last call.
func (r *reader) drain() (records [][]byte, dropped int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	records, dropped = r.queue, r.dropped
	r.queue, r.bytes, r.dropped = nil, 0, 0
	return records, dropped
}

// allowance is how many events a reader still gets: rate per second, a second's
// worth at once. A run of events may overdraw it.
type allowance struct {
	rate float64
	now  func() time.Time

	mu   sync.Mutex
	left float64
	at   time.Time
}

func (a *allowance) take(events int) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.now()
	if a.at.IsZero() {
		a.left = a.rate
	} else {
		a.left = min(a.rate, a.left+a.rate*now.Sub(a.at).Seconds())
	}
	a.at = now
	if a.left <= 0 {
		return false
	}
	a.left -= float64(events)
	return true
}
