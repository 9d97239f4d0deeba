package local

import (
	"context"
	"fmt"
	"sync"

	"github.com/hitolayer/hito/shared/ledger"
	"github.com/hitolayer/hito/shared/quarantine"
	"github.com/hitolayer/hito/shared/stream"
)

// committer makes durable what is written outside a consumer's batch. While it
// waits for one fsync, callers gather for the next, so that many share one.
type committer struct {
	db   *DB
	kick chan struct{}

	mu     sync.Mutex
	open   *commitGroup
	closed bool
}

// groupBytes bounds what waits for one commit; a second such group may be on
// its way to the disk.
const groupBytes = 8 << 20

// commitGroup is what is committed together.
type commitGroup struct {
	requests []*request
	bytes    int
	taken    bool          // guarded by committer.mu
	encoded  chan struct{} // closed when the requests' memory is not needed any more
	done     chan struct{} // closed when err is final
	err      error
}

// request is one caller's write.
type request struct {
	stream  *Stream
	records []stream.Record
	entries []quarantine.Entry
	deltas  []ledger.Delta
	left    bool // the caller is gone
}

func (r *request) size() int {
	n := 64
	for i := range r.records {
		n += len(r.records[i].Data) + len(r.records[i].Key) + 32
	}
	for i := range r.entries {
		n += len(r.entries[i].Body) + 128
	}
	return n + 64*len(r.deltas)
}

func newGroup() *commitGroup {
	return &commitGroup{encoded: make(chan struct{}), done: make(chan struct{})}
}

// do returns once the request is durable, the context ends or the disk refuses
// writes. In the latter two cases it may still become durable.
func (c *committer) do(ctx context.Context, r *request) error {
	if err := c.db.disk.Err(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	size := r.size()
	stalled := c.db.disk.Stalled()
	g, err := c.enqueue(ctx, r, size, stalled)
	if err != nil {
		return err
	}
	select {
	case <-g.done:
		return g.err
	case <-ctx.Done():
		err = context.Cause(ctx)
	case <-stalled:
		if err = c.db.disk.Err(); err == nil {
			err = fmt.Errorf("local: the disk refused writes for a moment")
		}
	}
	c.mu.Lock()
	r.left = true
	taken := g.taken
	if !taken {
		g.bytes -= size
	}
	c.mu.Unlock()
	if taken {
		<-g.encoded // the caller's memory is in use until then
	}
	return err
}

func (c *committer) enqueue(ctx context.Context, r *request, size int, stalled <-chan struct{}) (*commitGroup, error) {
	for {
		c.mu.Lock()
		if c.closed {
			c.mu.Unlock()
			return nil, ErrClosed
		}
		g := c.open
		if g.bytes == 0 || g.bytes+size <= groupBytes {
			g.requests = append(g.requests, r)
			g.bytes += size
			c.mu.Unlock()
			select {
			case c.kick <- struct{}{}:
			default:
			}
			return g, nil
		}
		c.mu.Unlock()
		select {
		case <-g.encoded:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-stalled:
			return nil, c.db.disk.Err()
		}
	}
}

// run commits until the committer is closed and drained.
func (c *committer) run() {
	for range c.kick {
		for {
			c.mu.Lock()
			g := c.open
			if len(g.requests) == 0 {
				closed := c.closed
				c.mu.Unlock()
				if closed {
					return
				}
				break
			}
			g.taken = true
			c.open = newGroup()
			live := g.requests[:0]
			for _, r := range g.requests {
				if !r.left {
					live = append(live, r)
				}
			}
			c.mu.Unlock()
			g.err = c.commit(g, live)
			close(g.done)
		}
	}
}

func (c *committer) commit(g *commitGroup, live []*request) error {
	t := &tx{db: c.db}
	for _, r := range live {
		if len(r.records) > 0 {
			t.publish(r.stream, r.records)
		}
		t.put(r.entries)
		t.record(r.deltas)
	}
	close(g.encoded)
	if t.empty() {
		return nil
	}
	return c.db.commit(true, nil, t)
}

// close refuses new requests and lets run end after those it has.
func (c *committer) close() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	select {
	case c.kick <- struct{}{}:
	default:
	}
}
