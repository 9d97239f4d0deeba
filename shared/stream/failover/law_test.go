package failover

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/hitolayer/hito/shared/stream"
)

// fate is what a faulty stream does with one record.
type fate int

const (
	takes fate = iota
	refuses
	bad  // never to be taken
	lost // takes it, and says that it did not
)

// fault is how a faulty stream answers one Publish.
type fault struct {
	after time.Duration // longer than ctx: it never does
	// whole is how it answers for all: "" by record, "error", "bad", "panic",
	// "nothing named" or "misnamed"; what it took before stays.
	whole string
	fates []fate // by position in the caller's batch
}

// faulty is a stream that knows what it did.
type faulty struct {
	faults []fault // by batch

	mu      sync.Mutex
	durable map[string]bool
	// said is what it answered for each record: takes, refuses or bad.
	said  map[string]fate
	calls map[int]int // by batch
	busy  int
}

func (s *faulty) Publish(ctx context.Context, records []stream.Record) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.busy++
	defer func() { s.busy-- }()
	var batch int
	fates := make([]fate, len(records))
	for i, r := range records {
		var at int
		if _, err := fmt.Sscanf(string(r.Data), "%d-%d", &batch, &at); err != nil {
			return err
		}
		fates[i] = s.faults[batch].fates[at]
	}
	f := s.faults[batch]
	s.calls[batch]++
	s.mu.Unlock()
	timer := time.NewTimer(f.after)
	defer timer.Stop()
	var ended error
	select {
	case <-timer.C:
	case <-ctx.Done():
		ended = ctx.Err()
	}
	s.mu.Lock()
	var failures stream.Failures
	for i, r := range records {
		name, fate := string(r.Data), fates[i]
		s.durable[name] = s.durable[name] || fate == lost || fate == takes && ended == nil
		switch {
		case ended != nil || fate == lost || fate == refuses:
			s.said[name] = refuses
			failures = append(failures, stream.Failure{Index: i, Err: errors.New("not now")})
		case fate == bad:
			s.said[name] = bad
			failures = append(failures, stream.Failure{Index: i, Err: stream.Permanent(errors.New("never"))})
		default:
			s.said[name] = takes
		}
	}
	if ended == nil && f.whole == "" {
		return failures.OrNil()
	}
	all := refuses
	if ended == nil && f.whole == "bad" {
		all = bad
	}
	for _, r := range records {
		s.said[string(r.Data)] = all
	}
	switch {
	case ended != nil:
		return ended
	case f.whole == "bad":
		return stream.Permanent(errors.New("never"))
	case f.whole == "panic":
		panic("poison")
	case f.whole == "nothing named":
		return stream.Failures{}
	case f.whole == "misnamed":
		return append(failures, stream.Failure{Index: len(records), Err: errors.New("not now")})
	}
	return errors.New("all of it failed")
}

// publishing is one Publish of the property.
type publishing struct {
	n      int
	begins time.Duration // after the one before
	within time.Duration // of ctx
}

// TestLaw: whatever the two streams do, what is not refused is durable on one of
// them, what one of them said it has is not refused, and what is refused was
// refused by both, unless the time was up; permanently only by both.
func TestLaw(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var streams [2]*faulty
		batches := rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) publishing {
			return publishing{
				n:      rapid.IntRange(1, 5).Draw(rt, "records"),
				begins: rapid.SampledFrom([]time.Duration{0, ms, 400 * ms, 6 * time.Second}).Draw(rt, "begins"),
				within: rapid.SampledFrom([]time.Duration{3 * time.Second, 100 * ms, 305 * ms}).Draw(rt, "within"),
			}
		}), 1, 20).Draw(rt, "batches")
		for i := range streams {
			s := &faulty{durable: map[string]bool{}, said: map[string]fate{}, calls: map[int]int{}}
			for _, b := range batches {
				s.faults = append(s.faults, fault{
					after: rapid.SampledFrom([]time.Duration{0, 10 * ms, 250 * ms, 350 * ms, time.Second, ever}).Draw(rt, "after"),
					whole: rapid.SampledFrom([]string{"", "", "", "error", "bad", "panic", "nothing named", "misnamed"}).Draw(rt, "whole"),
					fates: rapid.SliceOfN(rapid.SampledFrom([]fate{takes, takes, refuses, bad, lost}), b.n, b.n).Draw(rt, "fates"),
				})
			}
			streams[i] = s
		}
		var err error
		synctest.Test(t, func(t *testing.T) {
			p := &Publisher{Own: streams[own], Other: streams[other], Hedge: 300 * ms, Log: slog.New(slog.DiscardHandler)}
			results := make([]error, len(batches))
			var wg sync.WaitGroup
			for i, b := range batches {
				time.Sleep(b.begins)
				wg.Go(func() { results[i] = lawful(t.Context(), p, streams, i, b) })
			}
			wg.Wait()
			err = errors.Join(results...)
			if n := streams[own].busy + streams[other].busy; n > 0 {
				err = errors.Join(err, fmt.Errorf("%d still publish", n))
			}
		})
		if err != nil {
			rt.Fatal(err)
		}
	})
}

// lawful publishes a batch and returns which law is broken.
func lawful(ctx context.Context, p *Publisher, streams [2]*faulty, batch int, b publishing) error {
	ctx, cancel := context.WithTimeout(ctx, b.within)
	defer cancel()
	begin := time.Now()
	err := p.Publish(ctx, records(fmt.Sprintf("%d-", batch), b.n))
	late := ctx.Err() != nil
	if took := time.Since(begin); took > b.within {
		return fmt.Errorf("batch %d took %v of %v", batch, took, b.within)
	}
	failures, ok := err.(stream.Failures)
	if err != nil && (!ok || len(failures) == 0 || len(failures) > b.n) {
		return fmt.Errorf("batch %d: %w", batch, err)
	}
	if !slices.IsSortedFunc(failures, func(a, b stream.Failure) int { return a.Index - b.Index }) {
		return fmt.Errorf("batch %d: failures out of order: %v", batch, failures)
	}
	for _, s := range streams {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.calls[batch] > 1 {
			return fmt.Errorf("batch %d was asked for %d times", batch, s.calls[batch])
		}
	}
	for i := range b.n {
		name := fmt.Sprintf("%d-%d", batch, i)
		said := func(f fate) (n int) {
			for _, s := range streams {
				if was, asked := s.said[name]; asked && was == f {
					n++
				}
			}
			return n
		}
		at := slices.IndexFunc(failures, func(f stream.Failure) bool { return f.Index == i })
		switch asked := said(takes) + said(refuses) + said(bad); {
		case at < 0 && !streams[own].durable[name] && !streams[other].durable[name]:
			return fmt.Errorf("%s is nowhere, and was not refused", name)
		case at < 0:
		case said(takes) > 0:
			return fmt.Errorf("%s was refused, and somebody has it: %w", name, failures[at].Err)
		case asked < 2 && !late:
			return fmt.Errorf("%s was refused by %d: %w", name, asked, failures[at].Err)
		case stream.IsPermanent(failures[at].Err) != (said(bad) == 2):
			return fmt.Errorf("%s was refused for good by %d: %w", name, said(bad), failures[at].Err)
		}
	}
	return nil
}
