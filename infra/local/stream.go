package local

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/cockroachdb/pebble/v2"

	"github.com/hitolayer/hito/shared/stream"
)

// StreamOptions say how a stream keeps its records. The zero value works.
type StreamOptions struct {
	// Partitions is how many consumers of one group can work at once, 1 to 256,
	// 4 when 0. It is fixed when the stream is first opened.
	Partitions int
	// BooksAccepted books every record's events as accepted in the ledger, in
	// the write that makes the record durable. It is for the raw stream.
	BooksAccepted bool
	// KeepFor and KeepBytes say how long and how much of what every group has
	// handled stays, for groups that come later: whichever is reached first.
	// KeepFor 0 drops records soon after they are handled; KeepBytes is 1 GiB
	// when 0. What some group has not handled always stays.
	KeepFor   time.Duration
	KeepBytes int64

	// tailBytes bounds the newest records that are kept in memory, so that
	// consumers that keep up do not read from disk: 16 MiB when 0.
	tailBytes int
}

// Stream is a durable stream. Outside a handler Publish returns once the records
// are on disk; within one (under the context the handler got) they become
// durable with everything else the batch does.
type Stream struct {
	db         *DB
	name       string
	options    StreamOptions
	partitions []*partition

	// mu is held from giving a chunk its sequence until readers may see it.
	mu sync.Mutex

	groupsMu sync.Mutex
	groups   []string // every group that ever subscribed
}

var _ stream.Publisher = (*Stream)(nil)

// Stream opens the stream of that name. Opening it again returns the same one.
func (db *DB) Stream(name string, o StreamOptions) (*Stream, error) {
	db.streamsMu.Lock()
	defer db.streamsMu.Unlock()
	if s, ok := db.streams[name]; ok {
		return s, nil
	}
	if o.Partitions == 0 {
		o.Partitions = 4
	}
	if o.Partitions < 1 || o.Partitions > 256 {
		return nil, fmt.Errorf("open stream %s: %d partitions, must be 1 to 256", name, o.Partitions)
	}
	o.KeepBytes = cmp.Or(o.KeepBytes, 1<<30)
	o.tailBytes = cmp.Or(o.tailBytes, 16<<20)
	key := prefix(streamKind, name)
	known := false
	if err := db.get(key, func(v []byte) error {
		n, size := binary.Uvarint(v)
		if size <= 0 || n < 1 || n > 256 {
			return fmt.Errorf("%x is not a number of partitions", v)
		}
		o.Partitions, known = int(n), true
		return nil
	}); err != nil {
		return nil, fmt.Errorf("open stream %s: %w", name, err)
	}
	if !known {
		if err := db.pebble.Set(key, binary.AppendUvarint(nil, uint64(o.Partitions)), pebble.Sync); err != nil {
			return nil, fmt.Errorf("open stream %s: %w", name, err)
		}
	}
	s := &Stream{db: db, name: name, options: o}
	for i := range o.Partitions {
		p := &partition{stream: s, index: i, prefix: partitionPrefix(name, i), wake: make(chan struct{})}
		if err := p.load(); err != nil {
			return nil, fmt.Errorf("open stream %s: %w", name, err)
		}
		s.partitions = append(s.partitions, p)
	}
	if err := s.loadGroups(); err != nil {
		return nil, fmt.Errorf("open stream %s: %w", name, err)
	}
	for _, p := range s.partitions {
		if len(p.kept.spans) == 0 {
			p.kept.first = p.next // everything was dropped
		}
	}
	db.streams[name] = s
	return s, nil
}

func (s *Stream) loadGroups() error {
	lower := prefix(cursorKind, s.name)
	it, err := s.db.pebble.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: keyAfter(lower)})
	if err != nil {
		return err
	}
	for it.First(); it.Valid(); it.Next() {
		group, rest, err := cutName(it.Key()[len(lower):])
		var cur cursor
		if err == nil {
			err = cur.read(it.Value())
		}
		if err != nil {
			return errors.Join(err, it.Close())
		}
		if !slices.Contains(s.groups, group) {
			s.groups = append(s.groups, group)
		}
		if len(rest) == 1 && int(rest[0]) < len(s.partitions) {
			s.partitions[rest[0]].hold(group, cur)
		}
	}
	return it.Close()
}

// Publish implements stream.Publisher.
func (s *Stream) Publish(ctx context.Context, records []stream.Record) error {
	if len(records) == 0 {
		return nil
	}
	if t := s.db.txOf(ctx); t != nil {
		t.publish(s, records)
		return nil
	}
	if err := s.db.committer.do(ctx, &request{stream: s, records: records}); err != nil {
		return fmt.Errorf("publish %d records on %s: %w", len(records), s.name, err)
	}
	return nil
}

func (s *Stream) partition(r *stream.Record) *partition {
	if len(s.partitions) == 1 {
		return s.partitions[0]
	}
	h := xxhash.Sum64String(r.Key) ^ xxhash.Sum64String(r.Project)*31
	return s.partitions[(h>>32)%uint64(len(s.partitions))]
}

// partition is one consumer's share of a stream: chunks by sequence.
type partition struct {
	stream *Stream
	index  int
	prefix []byte

	// Where the next chunk goes: its sequence, and how many records and events
	// are before it. Guarded by stream.mu for writers.
	next, records, events uint64

	mu        sync.Mutex
	tail      []chunk // the newest chunks, at most tailBytes of this partition's share
	tailBytes int
	bodyBytes int               // of their bodies
	bodies    int               // the tail's chunks from here on have their bodies
	wake      chan struct{}     // closed when a chunk is appended
	handled   map[string]cursor // by group, as committed
	kept      retention
	size      atomic.Int64 // bytes kept, about
}

// position is a place in a partition.
type position struct {
	seq   uint64 // of a chunk
	index int    // of a record in it
	// Records and events before the position.
	records, events uint64
}

// load finds the partition's begin and end.
func (p *partition) load() error {
	it, err := p.stream.db.pebble.NewIter(&pebble.IterOptions{LowerBound: p.prefix, UpperBound: keyAfter(p.prefix)})
	if err != nil {
		return err
	}
	p.handled = make(map[string]cursor)
	if it.First() {
		p.kept.first = binary.BigEndian.Uint64(it.Key()[len(p.prefix):])
	}
	if it.Last() {
		last := chunk{seq: binary.BigEndian.Uint64(it.Key()[len(p.prefix):]), data: it.Value()}
		if err := last.check(); err != nil {
			return errors.Join(err, it.Close())
		}
		p.next = last.seq + 1
		p.records = last.firstRecord() + uint64(last.records())
		p.events = last.firstEvent() + uint64(last.events())
		bytes, err := p.stream.db.pebble.EstimateDiskUsage(p.prefix, keyAfter(p.prefix))
		if err != nil {
			return errors.Join(err, it.Close())
		}
		p.kept.add(last.seq, last.appended(), int64(bytes))
		p.size.Store(int64(bytes))
	}
	return it.Close()
}

// hold notes where a group stands. When all that was published was dropped, only
// the cursors know how far it went.
func (p *partition) hold(group string, c cursor) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.handled[group] = c
	if c.seq > p.next {
		p.next, p.records, p.events = c.seq, c.records, c.events
	}
	if p.next == c.seq && p.records < c.records {
		p.records, p.events = c.records, c.events
	}
}

// append shows readers a chunk. The stream is locked.
func (p *partition) append(c chunk, records, events int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.next = c.seq + 1
	p.records += uint64(records)
	p.events += uint64(events)
	p.tail = append(p.tail, c)
	p.tailBytes += len(c.data)
	p.bodyBytes += len(c.body)
	// Half for what consumers that keep up need, half to reach further back.
	limit := p.stream.options.tailBytes / len(p.stream.partitions) / 2
	drop := 0
	for ; drop < len(p.tail)-1 && p.tailBytes > limit; drop++ {
		p.tailBytes -= len(p.tail[drop].data)
		p.bodyBytes -= len(p.tail[drop].body)
		p.tail[drop] = chunk{}
	}
	p.tail, p.bodies = p.tail[drop:], max(p.bodies-drop, 0)
	for ; p.bodies < len(p.tail)-1 && p.bodyBytes > limit; p.bodies++ {
		p.bodyBytes -= len(p.tail[p.bodies].body)
		p.tail[p.bodies].body = nil
	}
	p.kept.add(c.seq, c.appended(), int64(len(c.data)))
	p.size.Add(int64(len(c.data)))
	close(p.wake)
	p.wake = make(chan struct{})
}

// end returns the partition's end, as readers see it.
func (p *partition) end() position {
	p.mu.Lock()
	defer p.mu.Unlock()
	return position{seq: p.next, records: p.records, events: p.events}
}

// waker returns a channel that is closed when a chunk is appended after seq.
func (p *partition) waker(seq uint64) <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.next > seq {
		return closedChannel
	}
	return p.wake
}

var closedChannel = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

// read returns the chunk at seq, ok false at the end.
func (p *partition) read(seq uint64) (c chunk, ok bool, err error) {
	c, ok, inTail := p.fromTail(seq)
	if inTail || !ok {
		return c, ok, nil
	}
	c = chunk{seq: seq}
	if err := p.stream.db.get(chunkKey(nil, p.prefix, seq), func(v []byte) error {
		c.data = slices.Clone(v)
		return nil
	}); err != nil {
		return c, false, fmt.Errorf("local: read %s/%d/%d: %w", p.stream.name, p.index, seq, err)
	}
	if c.data == nil {
		return c, false, fmt.Errorf("local: read %s/%d/%d: the chunk is missing", p.stream.name, p.index, seq)
	}
	return c, true, nil
}

// fromTail returns the chunk at seq when memory has it; ok says whether it exists.
func (p *partition) fromTail(seq uint64) (c chunk, ok, inTail bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if seq >= p.next {
		return chunk{}, false, false
	}
	if len(p.tail) > 0 && seq >= p.tail[0].seq {
		return p.tail[seq-p.tail[0].seq], true, true
	}
	return chunk{}, true, false
}
