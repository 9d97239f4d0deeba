package awslambda

import (
	"context"
	"hash/fnv"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

// lanes deliver one shard's records. All of a partition key go through the same
// lane, in order; each lane has one invocation at a time.
type lanes struct {
	mapping *StreamMapping
	shard   string
	at      *positions
	all     []*lane
	workers sync.WaitGroup
}

// A lane makes batches of what is given to it and delivers them.
type lane struct {
	mapping *StreamMapping
	shard   string
	at      *positions
	in      chan []*record
	buffer  []*record
}

// ahead is how many reads may wait for a lane: what bounds memory, and lets a
// lane that is held up hold up the others no sooner than it must.
const ahead = 64

func (m *StreamMapping) startLanes(ctx context.Context, shard string, at *positions) *lanes {
	ls := &lanes{mapping: m, shard: shard, at: at}
	for range m.lanes() {
		l := &lane{mapping: m, shard: shard, at: at, in: make(chan []*record, ahead)}
		ls.all = append(ls.all, l)
		ls.workers.Go(func() { l.run(ctx) })
	}
	return ls
}

// give distributes what was read. It returns false if ctx ended before.
func (ls *lanes) give(ctx context.Context, page []types.Record) bool {
	split := make([][]*record, len(ls.all))
	for _, r := range page {
		read, err := ls.mapping.read(ls.shard, r)
		if err != nil {
			ls.mapping.log().Error("skip a record", "stream", ls.mapping.SourceARN, "shard", ls.shard, "error", err)
			continue
		}
		read.position = ls.at.add(read.sequence)
		hash := fnv.New32a()
		_, _ = hash.Write([]byte(read.key)) // never fails
		i := int(hash.Sum32() % uint32(len(ls.all)))
		split[i] = append(split[i], read)
	}
	for i, records := range split {
		if len(records) == 0 {
			continue
		}
		select {
		case ls.all[i].in <- records:
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// close waits until all that was given is delivered, or ctx has ended.
func (ls *lanes) close() {
	for _, l := range ls.all {
		close(l.in)
	}
	ls.workers.Wait()
}

func (l *lane) run(ctx context.Context) {
	for {
		batch := l.collect(ctx)
		if len(batch) == 0 || ctx.Err() != nil {
			return
		}
		l.deliver(ctx, batch, attempts{})
	}
}

// collect gathers the next batch: until it is full, or the batching window has
// passed since its first record came. It returns none when there will be no
// more.
func (l *lane) collect(ctx context.Context) []*record {
	for len(l.buffer) == 0 {
		select {
		case records, more := <-l.in:
			if !more {
				return nil
			}
			l.buffer = append(l.buffer, records...)
		case <-ctx.Done():
			return nil
		}
	}
	window := time.NewTimer(scaled(l.mapping.Scale, l.mapping.MaximumBatchingWindow))
	defer window.Stop()
	for over := false; ; {
		n, full := fit(l.buffer, l.mapping.batchSize())
		if full || over {
			batch := l.buffer[:n:n]
			l.buffer = l.buffer[n:]
			return batch
		}
		select { // what is there already comes first
		case records, more := <-l.in:
			l.buffer = append(l.buffer, records...)
			over = !more
			continue
		default:
		}
		if l.mapping.MaximumBatchingWindow == 0 {
			over = true
			continue
		}
		select {
		case records, more := <-l.in:
			l.buffer = append(l.buffer, records...)
			over = !more
		case <-window.C:
			over = true
		case <-ctx.Done():
			return nil
		}
	}
}
