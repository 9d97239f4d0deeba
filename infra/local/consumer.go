package local

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/hitolayer/hito/shared/quarantine"
	"github.com/hitolayer/hito/shared/stream"
)

// SubscribeOptions say how a group consumes. The zero value works.
type SubscribeOptions struct {
	// MaxRecords bounds a batch, 500 when 0.
	MaxRecords int
	// Window bounds the time from one batch's begin to the next one's: a consumer
	// rests restShare times as long as its batch took, unless that was full. Under
	// load that makes batches larger, which cost less per event; when there is
	// little to do, it is next to nothing.
	Window time.Duration
	// Stage names the function in quarantine.
	Stage quarantine.Stage
	// Checkpointed is for handlers that save fragments: everything their
	// batches do is written together now and then (Options.Checkpoint), so that
	// a fragment that changes often is not written each time. After a crash the
	// database is as it was at a checkpoint, and goes on from there.
	Checkpointed bool

	// maxEvents and maxBytes bound a batch too: 5,000 and 4 MiB when 0. It holds
	// at least one record.
	maxEvents, maxBytes int
	// maxAttempts is after how many failures a record goes to quarantine, 5 when 0.
	maxAttempts int
	// backoff is the pause before the first redelivery, 100 ms when 0. It
	// doubles each time up to 5 s, and is jittered.
	backoff time.Duration
}

func (o *SubscribeOptions) defaults() {
	o.MaxRecords = cmp.Or(o.MaxRecords, 500)
	o.maxEvents = cmp.Or(o.maxEvents, 5000)
	o.maxBytes = cmp.Or(o.maxBytes, 4<<20)
	o.maxAttempts = cmp.Or(o.maxAttempts, 5)
	o.backoff = cmp.Or(o.backoff, 100*time.Millisecond)
}

// maxParked bounds the failed records of one partition that wait for
// redelivery; beyond it nothing new is read.
const maxParked = 1000

// Subscribe begins to deliver the stream to the group's handler, each partition
// by one goroutine, from where the group stands (a new one from the oldest
// record kept) until the database is closed.
//
// What the handler publishes on this database's streams, books in its ledger
// and puts in its quarantine under the context it got is written together with
// the group's cursor: it happens exactly once, crashes included. A record that
// fails is delivered again later without holding up the others. A batch whose
// error names no record is delivered again whole, without limit. When a handler
// panics, its batch is halved until the record to blame is alone.
func (s *Stream) Subscribe(group string, h stream.Handler, o SubscribeOptions) error {
	o.defaults()
	s.groupsMu.Lock()
	defer s.groupsMu.Unlock()
	s.db.lifeMu.Lock()
	defer s.db.lifeMu.Unlock()
	if s.db.closing {
		return ErrClosed
	}
	for _, c := range s.db.consumers {
		if c.part.stream == s && c.group == group {
			return fmt.Errorf("local: group %s has subscribed to %s before", group, s.name)
		}
	}
	var starting []*consumer
	for _, p := range s.partitions {
		c := &consumer{part: p, group: group, handle: h, options: o, key: cursorKey(s.name, group, p.index)}
		p.mu.Lock()
		cur, ok := p.handled[group]
		if !ok {
			cur.seq = p.kept.first
		}
		p.mu.Unlock()
		if !ok && cur.seq > 0 {
			first, found, err := p.read(cur.seq)
			if err != nil {
				return fmt.Errorf("subscribe %s to %s: %w", group, s.name, err)
			}
			if found {
				cur.records, cur.events = first.firstRecord(), first.firstEvent()
			} else {
				cur.position = p.end()
			}
		}
		c.at = cur
		starting = append(starting, c)
		if !ok {
			if err := s.db.commit(false, nil, &tx{db: s.db, consumer: c, cursor: cur}); err != nil {
				return fmt.Errorf("subscribe %s to %s: %w", group, s.name, err)
			}
		}
	}
	s.groups = append(s.groups, group)
	s.db.consumers = append(s.db.consumers, starting...)
	for _, c := range starting {
		s.db.running.Go(c.run)
	}
	return nil
}

// consumer delivers one partition to one group's handler.
type consumer struct {
	part    *partition
	group   string
	handle  stream.Handler
	options SubscribeOptions
	key     []byte

	// Used by run only.
	at      cursor // after the last batch
	queue   []item // decoded; from head on not yet delivered
	head    int
	ahead   position
	scratch []stream.Record
	items   []item // the last batch's memory
}

// item is a record on its way to the handler.
type item struct {
	stream.Record
	seq      uint64
	index    int
	failed   int
	attempts int
	parked   bool // it comes from at.parked
	last     bool // of its chunk
	failure  error
}

// committed notes the cursor that the database now has.
func (c *consumer) committed(cur cursor) {
	c.part.mu.Lock()
	defer c.part.mu.Unlock()
	c.part.handled[c.group] = cur
}

func (c *consumer) run() {
	db := c.part.stream.db
	c.ahead = c.at.position
	for !db.stopped() {
		batch, err := c.next()
		if err != nil {
			db.options.Log.Error("reading a stream failed, trying again", "stream", c.part.stream.name, "group", c.group, "error", err)
			c.pause(c.options.backoff * 10)
			continue
		}
		if len(batch) == 0 {
			c.wait()
			continue
		}
		began := time.Now()
		for round := 1; ; round++ {
			err := c.batch(batch)
			if err == nil || db.stopped() {
				break
			}
			if round == 1 || round%20 == 0 {
				db.options.Log.Warn("a batch failed whole, delivering it again", "stream", c.part.stream.name, "group", c.group, "round", round, "error", err)
			}
			c.pause(backoff(c.options.backoff, round))
		}
		if took := time.Since(began); took < c.options.Window && len(batch) < c.options.MaxRecords {
			c.pause(min(c.options.Window-took, restShare*took))
		}
	}
}

// restShare leaves a consumer that keeps up at most one part in so many of a core.
const restShare = 20

func backoff(base time.Duration, round int) time.Duration {
	d := min(base<<min(round-1, 16), max(5*time.Second, base))
	return d/2 + rand.N(d/2+1)
}

// pause waits, but not for longer than the database is open.
func (c *consumer) pause(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-c.part.stream.db.stop:
	}
}

// wait returns when there may be something to deliver.
func (c *consumer) wait() {
	var due <-chan time.Time
	if len(c.at.parked) > 0 {
		first := c.at.parked[0].due
		for _, p := range c.at.parked {
			if p.due.Before(first) {
				first = p.due
			}
		}
		t := time.NewTimer(time.Until(first))
		defer t.Stop()
		due = t.C
	}
	wake := c.part.waker(c.ahead.seq)
	if len(c.at.parked) >= maxParked {
		wake = nil
	}
	select {
	case <-wake:
	case <-due:
	case <-c.part.stream.db.stop:
	}
}

// next gathers a batch: failed records that are due, then new ones.
func (c *consumer) next() ([]item, error) {
	batch := c.items[:0]
	defer func() { c.items = batch }()
	events, bytes := 0, 0
	full := func(r *stream.Record) bool {
		if len(batch) > 0 && (len(batch) >= c.options.MaxRecords || events+r.Events > c.options.maxEvents || bytes+len(r.Data) > c.options.maxBytes) {
			return true
		}
		events += r.Events
		bytes += len(r.Data)
		return false
	}
	now := time.Now()
	for _, p := range c.at.parked {
		if p.due.After(now) {
			continue
		}
		it, err := c.again(p)
		if err != nil {
			return nil, err
		}
		if full(&it.Record) {
			return batch, nil
		}
		batch = append(batch, it)
	}
	if len(c.at.parked) >= maxParked {
		return batch, nil
	}
	for {
		if c.head == len(c.queue) {
			clear(c.queue)
			c.queue, c.head = c.queue[:0], 0
			if ok, err := c.fill(); err != nil {
				if len(batch) > 0 {
					return batch, nil
				}
				return nil, err
			} else if !ok {
				return batch, nil
			}
			continue
		}
		if full(&c.queue[c.head].Record) {
			return batch, nil
		}
		batch = append(batch, c.queue[c.head])
		c.head++
	}
}

// fill decodes the next chunk, ok false at the end.
func (c *consumer) fill() (ok bool, err error) {
	ch, ok, err := c.part.read(c.ahead.seq)
	if err != nil || !ok {
		return false, err
	}
	c.scratch, err = ch.decode(c.scratch[:0])
	if err != nil {
		return false, fmt.Errorf("%s/%d: %w", c.part.stream.name, c.part.index, err)
	}
	for i := c.ahead.index; i < len(c.scratch); i++ {
		c.queue = append(c.queue, item{Record: c.scratch[i], seq: ch.seq, index: i, last: i == len(c.scratch)-1})
	}
	clear(c.scratch)
	c.ahead = position{seq: ch.seq + 1}
	return true, nil
}

// again reads a failed record.
func (c *consumer) again(p parked) (item, error) {
	ch, ok, err := c.part.read(p.seq)
	if err == nil && !ok {
		err = errors.New("it is behind the stream's end")
	}
	var records []stream.Record
	if err == nil {
		records, err = ch.decode(nil)
	}
	if err == nil && p.index >= len(records) {
		err = errors.New("it is behind its chunk's end")
	}
	if err != nil {
		return item{}, fmt.Errorf("read failed record %d.%d of %s/%d: %w", p.seq, p.index, c.part.stream.name, c.part.index, err)
	}
	return item{Record: records[p.index], seq: p.seq, index: p.index, failed: p.failed, attempts: p.failed, parked: true}, nil
}
