// Package sim runs the pipeline's real handlers in a simulated world that
// fails in every way the platforms are known to: errors before and after the
// effect, lost replies, partial failures, redelivery, reordering, interleaved
// writers. A seed decides everything, so a failure repeats.
package sim

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/hitolayer/hito/shared/ledger"
	"github.com/hitolayer/hito/shared/profile"
	"github.com/hitolayer/hito/shared/quarantine"
	"github.com/hitolayer/hito/shared/stream"
)

var errFault = errors.New("simulated fault")

// chaos draws faults; off, everything works.
type chaos struct {
	*rand.Rand
	off bool
}

func (c *chaos) hits(p float64) bool { return !c.off && c.Float64() < p }

// simStream is a stream that keeps its records until a handler is done with them.
type simStream struct {
	*chaos
	pending []stream.Record
	nextID  int
	// mirror gets every record too: another consumer's view of the same stream.
	mirror *simStream
}

func (s *simStream) Publish(_ context.Context, records []stream.Record) error {
	if s.hits(0.05) {
		return errFault // before the effect
	}
	if s.hits(0.05) {
		var failures stream.Failures
		for i := range records {
			if s.IntN(2) == 0 {
				s.add(records[i])
				if s.IntN(3) > 0 {
					continue
				} // else its reply is lost
			}
			failures = append(failures, stream.Failure{Index: i, Err: errFault})
		}
		return failures.OrNil()
	}
	for i := range records {
		s.add(records[i])
	}
	if s.hits(0.05) {
		return errFault // after the effect
	}
	return nil
}

func (s *simStream) add(r stream.Record) {
	s.nextID++
	r.ID, r.Attempt = fmt.Sprint(s.nextID), 1
	r.Data = slices.Clone(r.Data)
	s.pending = append(s.pending, r)
	if s.mirror != nil {
		s.mirror.add(r)
	}
}

// take takes a random batch, out of order.
func (s *simStream) take(limit int) []stream.Record {
	s.Shuffle(len(s.pending), func(i, j int) { s.pending[i], s.pending[j] = s.pending[j], s.pending[i] })
	n := min(1+s.IntN(limit), len(s.pending))
	batch := slices.Clone(s.pending[:n])
	s.pending = slices.Delete(s.pending, 0, n)
	return batch
}

// deliver hands one batch to the handler and does as the Handler contract says.
func (w *world) deliver(s *simStream, h stream.Handler, stage quarantine.Stage) {
	batch := s.take(w.batchLimit)
	if len(batch) == 0 {
		return
	}
	given := slices.Clone(batch)
	for i := range given { // a handler may not keep or change what it is given
		given[i].Data = slices.Clone(given[i].Data)
	}
	err := h(context.Background(), given)
	for i := range given {
		clear(given[i].Data)
	}
	failures, partial := err.(stream.Failures)
	if partial && w.mutant == wrongPosition {
		for i := range failures {
			failures[i].Index = (failures[i].Index + 1) % len(batch)
		}
	}
	for i, r := range batch {
		at := slices.IndexFunc(failures, func(f stream.Failure) bool { return f.Index == i })
		again := err != nil && !partial || w.hits(0.1) // a lost acknowledgement
		if at >= 0 {
			if stream.IsPermanent(failures[at].Err) {
				w.quarantined = append(w.quarantined, quarantine.Entry{Stage: stage, Events: r.Events, Body: r.Data})
				continue
			}
			again = true
		}
		if again {
			r.Attempt++
			s.pending = append(s.pending, r)
		}
	}
}

// simStore is a store whose every call may fail, and in which another writer
// may come between a load and its save.
type simStore struct {
	*world
	cloud     *cloud
	fragments map[profile.Key]stored
	busy      bool
}

type stored struct {
	version uint64
	data    []byte
}

func (s *simStore) Load(_ context.Context, keys []profile.Key) ([]*profile.Fragment, error) {
	if s.hits(0.02) {
		return nil, errFault
	}
	out := make([]*profile.Fragment, len(keys))
	for i, k := range keys {
		out[i] = s.fragment(k)
	}
	return out, nil
}

func (s *simStore) fragment(k profile.Key) *profile.Fragment {
	v, ok := s.fragments[k]
	if !ok {
		return profile.NewFragment(k)
	}
	f, err := profile.Decode(k, v.version, v.data)
	if err != nil {
		panic(err)
	}
	return f
}

func (s *simStore) Save(_ context.Context, fragments []*profile.Fragment) error {
	if !s.busy && s.hits(0.2) { // another worker is faster
		s.busy = true
		s.scoreAt(s.cloud)
		s.busy = false
	}
	if s.hits(0.02) {
		return errFault // before the effect
	}
	var conflict profile.ConflictError
	failAfter := len(fragments)
	if s.hits(0.03) {
		failAfter = s.IntN(len(fragments) + 1) // some written, then an error
	}
	for i, f := range fragments {
		if i == failAfter {
			return errFault
		}
		if f.Version != s.fragments[f.Key].version {
			conflict.Index = append(conflict.Index, i)
			continue
		}
		f.Version++
		c := &profile.Fragment{Key: f.Key, State: f.State.CloneVT()}
		s.mutate(c.State, s.fragment(f.Key).State)
		data, err := c.Encode()
		if err != nil {
			return err
		}
		s.fragments[f.Key] = stored{f.Version, data}
	}
	if failAfter < len(fragments) {
		return errFault
	}
	if len(conflict.Index) > 0 {
		return &conflict
	}
	return nil
}

// mutant is a defect planted to see that the simulation finds it.
type mutant string

const (
	sound           mutant = ""
	noDedupe        mutant = "no dedupe"
	smallWindow     mutant = "dedupe window smaller than a batch"
	outboxNotStored mutant = "outbox not stored"
	wrongPosition   mutant = "wrong failure position"
	noOrigin        mutant = "relay without a look at the origin"
	claimByArrival  mutant = "the claim that comes first wins"
)

func (w *world) mutate(s, stored *profile.State) {
	switch w.mutant {
	case noDedupe:
		s.Seen = nil
	case smallWindow:
		if n := len(s.Seen); n > 0 { // the head of 8 bytes and two entries of 12
			last := s.Seen[n-1]
			s.Seen = [][]byte{slices.Concat(last[:8], last[max(8, len(last)-24):])}
		}
	case outboxNotStored:
		s.Outbox = nil
	case claimByArrival:
		if len(stored.Claims) > 0 && len(s.Claims) > 1 {
			i := slices.IndexFunc(s.Claims, func(c *profile.Claim) bool { return c.Id == stored.Claims[0].Id })
			s.Claims[0], s.Claims[i] = s.Claims[i], s.Claims[0]
		}
	}
}

// simLedger adds up what is recorded.
type simLedger struct{ ledger.Totals }

func (l *simLedger) Record(_ context.Context, deltas []ledger.Delta) error {
	for _, d := range deltas {
		l.Add(d)
	}
	return nil
}

// countRules is a project's rules in plain Go: enough metrics to see double
// counting, and segments that come and go with every few events.
type countRules struct{}

var (
	simRevenue = &profile.Metric{ID: 1, Kind: profile.Sum}
	simViews   = &profile.Metric{ID: 2, Kind: profile.Count, Window: time.Hour, Bucket: time.Minute}
)

func sortedKeys[K interface{ ~string }, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
