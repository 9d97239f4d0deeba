package awslambda

import (
	"sync"

	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

// A position is a record's place in a shard.
type position struct {
	sequence string
	done     bool
}

// positions follow how far a shard is done. With several lanes a later record
// may be done before an earlier one: the checkpoint is before the first that is
// not.
type positions struct {
	start types.ShardIteratorType // where the shard is read from without a checkpoint; set before anything else

	mu         sync.Mutex
	open       []*position
	checkpoint string // "": nothing is done
	finished   bool   // closed by a reshard, and done to its end
}

// add takes note of a record that was read.
func (p *positions) add(sequence string) *position {
	p.mu.Lock()
	defer p.mu.Unlock()
	at := &position{sequence: sequence}
	p.open = append(p.open, at)
	return at
}

// done moves the checkpoint over records that need not be delivered again. It
// returns how many were not done before.
func (p *positions) done(records []*record) (fresh int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range records {
		if !r.position.done {
			r.position.done = true
			fresh++
		}
	}
	n := 0
	for n < len(p.open) && p.open[n].done {
		p.checkpoint = p.open[n].sequence
		n++
	}
	p.open = p.open[n:]
	return fresh
}

// restart forgets what was read and not done, and returns the checkpoint.
func (p *positions) restart() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open = nil
	return p.checkpoint
}

// pending returns how many records were read and are not done.
func (p *positions) pending() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for _, at := range p.open {
		if !at.done {
			n++
		}
	}
	return n
}

func (p *positions) finish() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.finished = true
}

func (p *positions) isFinished() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.finished
}
