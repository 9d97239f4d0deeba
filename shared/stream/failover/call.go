package failover

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"github.com/hitolayer/hito/shared/stream"
)

// The two sides.
const (
	own = iota
	other
)

// call is one Publish.
type call struct {
	p       *Publisher
	ctx     context.Context
	cancel  context.CancelFunc
	records []stream.Record
	known   []outcome // by position
	left    int       // records that are not known to be durable
	asked   [2]bool
	pending int // sides that are asked and have not answered
	answers chan answer

	failedOver, hedged, givenUp int // for telemetry
}

// outcome is what is known of one record.
type outcome struct {
	durable bool
	said    [2]error // by those who refused it
}

// answer is what one side said of the records at some positions.
type answer struct {
	side      int
	positions []int
	err       error
}

func newCall(ctx context.Context, p *Publisher, records []stream.Record) *call {
	c := &call{p: p, records: records, known: make([]outcome, len(records)), left: len(records), answers: make(chan answer, 2)}
	c.ctx, c.cancel = context.WithCancel(ctx)
	return c
}

// run asks until all is durable, or nobody is left to ask.
func (c *call) run() {
	first, second := own, other
	done, err := c.p.breaker.Allow()
	if err != nil {
		first, second = other, own
		c.givenUp++
	}
	c.ask(first, done)
	slow := time.NewTimer(c.p.hedge())
	defer slow.Stop()
	for c.pending > 0 && c.left > 0 {
		select {
		case a := <-c.answers:
			c.settle(a)
		case <-slow.C:
			if !c.asked[second] {
				c.hedged++
			}
		}
		if !c.asked[second] && c.left > 0 && c.ctx.Err() == nil {
			c.ask(second, nil)
		}
	}
}

// end ends those who were not waited for, and waits for them.
func (c *call) end() {
	c.cancel()
	for c.pending > 0 {
		c.settle(<-c.answers)
	}
}

// ask asks a side for what is not durable yet. done is told what its answer says
// of the stream; nil when nobody judges.
func (c *call) ask(side int, done func(error)) {
	c.asked[side] = true
	c.pending++
	records, positions := c.open()
	begin := time.Now()
	go func() {
		err := publish(c.ctx, [...]stream.Publisher{c.p.Own, c.p.Other}[side], records)
		if done != nil {
			done(verdict(err, time.Since(begin) >= c.p.hedge(), c.ctx.Err() != nil))
		}
		c.answers <- answer{side, positions, err}
	}()
}

// publish publishes; a panic, which would end the process here, is a refusal.
func publish(ctx context.Context, p stream.Publisher, records []stream.Record) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &stream.PanicError{Value: v, Stack: debug.Stack()}
		}
	}()
	return p.Publish(ctx, records)
}

var (
	errSlow = errors.New("no answer in time")
	// errUnknown is the verdict on a stream whose caller went away before its time.
	errUnknown = errors.New("ended before it could answer")
)

// verdict is what an answer says of the stream: nil for a good one. A stream did
// what it should with records of which it will never take some.
func verdict(err error, slow, ended bool) error {
	switch {
	case slow:
		return errSlow
	case err == nil || onlyPermanent(err):
		return nil
	case ended:
		return errUnknown
	}
	return err
}

func onlyPermanent(err error) bool {
	failures, ok := err.(stream.Failures)
	for _, f := range failures {
		ok = ok && stream.IsPermanent(f.Err)
	}
	return ok && len(failures) > 0
}

// open returns the records that are not durable yet, and their positions.
func (c *call) open() (records []stream.Record, positions []int) {
	records, positions = make([]stream.Record, 0, c.left), make([]int, 0, c.left)
	for i := range c.known {
		if !c.known[i].durable {
			records, positions = append(records, c.records[i]), append(positions, i)
		}
	}
	return records, positions
}

// settle takes an answer in.
func (c *call) settle(a answer) {
	c.pending--
	refused := refusals(a.err, len(a.positions))
	for i, at := range a.positions {
		k := &c.known[at]
		switch {
		case refused[i] != nil:
			k.said[a.side] = refused[i]
		case !k.durable:
			k.durable = true
			c.left--
			if a.side == other {
				c.failedOver += c.records[at].Events
			}
		}
	}
}

var errUntold = errors.New("refused without a reason")

// refusals returns what a Publish of n records said of each, nil of those that
// are durable. An error that does not name them rightly refuses them all.
func refusals(err error, n int) []error {
	refused := make([]error, n)
	if err == nil {
		return refused
	}
	failures, named := err.(stream.Failures)
	switch {
	case named && len(failures) == 0:
		err, named = errUntold, false
	case slices.ContainsFunc(failures, func(f stream.Failure) bool { return f.Index < 0 || f.Index >= n }):
		// Not wrapped: what it says of one is not said of all.
		err, named = fmt.Errorf("refused by positions that are none: %v", err), false
	}
	if !named {
		for i := range refused {
			refused[i] = err
		}
		return refused
	}
	for _, f := range failures {
		if refused[f.Index] = f.Err; f.Err == nil {
			refused[f.Index] = errUntold
		}
	}
	return refused
}

// failures returns what is not durable, and why.
func (c *call) failures() error {
	failures := make(stream.Failures, 0, c.left)
	for i := range c.known {
		if k := &c.known[i]; !k.durable {
			failures = append(failures, stream.Failure{Index: i, Err: k.refusal()})
		}
	}
	return failures.OrNil()
}

// refusal is what those who were asked for the record said of it, one at least.
func (k *outcome) refusal() error {
	mine, theirs := k.said[own], k.said[other]
	if !stream.IsPermanent(mine) || !stream.IsPermanent(theirs) {
		mine, theirs = passing(mine), passing(theirs)
	}
	switch {
	case theirs == nil:
		return fmt.Errorf("own stream: %w", mine)
	case mine == nil:
		return fmt.Errorf("other cloud's stream: %w", theirs)
	}
	return fmt.Errorf("own stream: %w; other cloud's stream: %w", mine, theirs)
}

// passing returns err without the mark of stream.Permanent.
func passing(err error) error {
	if stream.IsPermanent(err) {
		return errors.New(err.Error())
	}
	return err
}

// reason is why the own stream was not enough.
func (c *call) reason() error {
	switch {
	case c.givenUp > 0:
		return errors.New("the own stream is given up for a while")
	case c.hedged > 0:
		return fmt.Errorf("the own stream did not answer in %v", c.p.hedge())
	}
	for i := range c.known {
		if err := c.known[i].said[own]; err != nil {
			return err
		}
	}
	return nil // not so: what the other took was refused
}
