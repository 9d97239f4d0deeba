package failover

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/sony/gobreaker/v2"

	"github.com/hitolayer/hito/shared/stream"
)

// The two sides, by their place in Publisher.sides.
const (
	own = iota
	other
)

// side is one of the streams.
type side struct {
	stream.Publisher
	name    string
	breaker *gobreaker.TwoStepCircuitBreaker[struct{}]
}

func (p *Publisher) start() {
	settings := p.Breaker.settings()
	p.sides[own] = side{p.Own, "own stream", gobreaker.NewTwoStepCircuitBreaker[struct{}](settings)}
	p.sides[other] = side{p.Other, "other cloud's stream", gobreaker.NewTwoStepCircuitBreaker[struct{}](settings)}
}

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

	others, hedged, givenUp int // for telemetry
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
	if !c.ask(first, false) {
		first, second = second, first
		if !c.ask(first, false) { // both are given up: whichever may have come back
			c.ask(first, true)
			c.ask(second, true)
		}
	}
	slow := time.NewTimer(c.p.hedge())
	defer slow.Stop()
	for c.pending > 0 && c.left > 0 {
		select {
		case a := <-c.answers:
			c.settle(a)
			c.ask(second, true)
		case <-slow.C:
			// Whoever waits for the other cloud has nothing to lose by asking this one.
			if !c.asked[second] && c.ask(second, second == own) {
				c.hedged++
			}
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

// ask asks a side, once, for what is not durable yet and not bad, and reports
// whether it did. One that is given up is asked only as the last resort.
func (c *call) ask(s int, last bool) bool {
	if c.asked[s] || c.ctx.Err() != nil {
		return false
	}
	records, positions := c.open()
	if len(records) == 0 {
		return false
	}
	side := &c.p.sides[s]
	done, err := side.breaker.Allow()
	if err != nil {
		if !last {
			c.givenUp++
			return false
		}
		done = func(error) {}
	}
	c.asked[s] = true
	c.pending++
	go func() {
		begin := time.Now()
		err := side.publish(c.ctx, records)
		done(verdict(err, time.Since(begin), c.p.hedge(), c.ctx.Err() != nil))
		c.answers <- answer{s, positions, err}
	}()
	return true
}

// publish publishes; a panic, which would end the process here, is a refusal.
func (s *side) publish(ctx context.Context, records []stream.Record) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &stream.PanicError{Value: v, Stack: debug.Stack()}
		}
	}()
	return s.Publish(ctx, records)
}

// open returns the records to ask the next side for, and their positions.
func (c *call) open() (records []stream.Record, positions []int) {
	for i := range c.known {
		k := &c.known[i]
		if !k.durable && !stream.IsPermanent(k.said[own]) && !stream.IsPermanent(k.said[other]) {
			positions = append(positions, i)
		}
	}
	if len(positions) == len(c.records) {
		return c.records, positions
	}
	for _, i := range positions {
		records = append(records, c.records[i])
	}
	return records, positions
}

var errUntold = errors.New("refused without a reason")

// settle takes an answer in.
func (c *call) settle(a answer) {
	c.pending--
	refused := make([]error, len(a.positions))
	if failures, ok := named(a.err, len(a.positions)); ok {
		for _, f := range failures {
			if refused[f.Index] = f.Err; f.Err == nil {
				refused[f.Index] = errUntold
			}
		}
	} else {
		for i := range refused {
			refused[i] = a.err
		}
	}
	for i, at := range a.positions {
		k := &c.known[at]
		switch {
		case refused[i] != nil:
			k.said[a.side] = refused[i]
		case !k.durable:
			k.durable = true
			c.left--
			if a.side == other {
				c.others += c.records[at].Events
			}
		}
	}
}

// named returns which of n records an error says have failed; not ok when it
// does not say, and none may be taken as durable.
func named(err error, n int) (failures stream.Failures, ok bool) {
	failures, ok = err.(stream.Failures)
	for _, f := range failures {
		ok = ok && f.Index >= 0 && f.Index < n
	}
	return failures, ok && len(failures) > 0
}

// failures returns what both sides refused.
func (c *call) failures() error {
	if c.left == 0 {
		return nil
	}
	failures := make(stream.Failures, 0, c.left)
	for i := range c.known {
		if k := &c.known[i]; !k.durable {
			failures = append(failures, stream.Failure{Index: i, Err: c.refusal(k)})
		}
	}
	return failures
}

// refusal is what the sides said of a record. It is permanent only when all who
// were asked say so: the record may do later with the one that does not.
func (c *call) refusal(k *outcome) error {
	mine, theirs := k.said[own], k.said[other]
	if mine == nil && theirs == nil {
		return fmt.Errorf("nobody was asked: %w", c.ctx.Err())
	}
	if mine != nil && theirs != nil && stream.IsPermanent(mine) != stream.IsPermanent(theirs) {
		mine, theirs = impermanent(mine), impermanent(theirs)
	}
	switch {
	case theirs == nil:
		return fmt.Errorf("%s: %w", c.p.sides[own].name, mine)
	case mine == nil:
		return fmt.Errorf("%s: %w", c.p.sides[other].name, theirs)
	}
	return fmt.Errorf("%s: %w; %s: %w", c.p.sides[own].name, mine, c.p.sides[other].name, theirs)
}

// impermanent returns err without the mark of stream.Permanent.
func impermanent(err error) error {
	if stream.IsPermanent(err) {
		return errors.New(err.Error())
	}
	return err
}

// reason is why the own stream was not enough.
func (c *call) reason() error {
	for i := range c.known {
		if err := c.known[i].said[own]; err != nil {
			return err
		}
	}
	if !c.asked[own] {
		return errors.New("the own stream is given up for a while")
	}
	return fmt.Errorf("the own stream did not answer in %v", c.p.hedge())
}
