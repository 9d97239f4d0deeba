package lambda

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"sync"

	"github.com/hitolayer/hito/shared/ledger"
	"github.com/hitolayer/hito/shared/quarantine"
)

// shelf is a quarantine in memory.
type shelf struct {
	mu      sync.Mutex
	entries []quarantine.Entry
	fail    func() error
}

func (s *shelf) Put(_ context.Context, entries []quarantine.Entry) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		if err := s.fail(); err != nil {
			return err
		}
	}
	for _, e := range entries {
		if !slices.ContainsFunc(s.entries, func(had quarantine.Entry) bool { return had.ID == e.ID }) {
			e.Body = bytes.Clone(e.Body)
			s.entries = append(s.entries, e)
		}
	}
	return nil
}

func (s *shelf) all() []quarantine.Entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.entries)
}

// books is a ledger in memory, as its contract says.
type books struct {
	mu     sync.Mutex
	at     map[string]string
	once   map[string]bool
	counts map[string]ledger.Counts // by source
	people int64
	// fail fails a call, failCommit only Commit, before any effect; nil never.
	fail, failCommit func() error
}

func newBooks() *books {
	return &books{at: map[string]string{}, once: map[string]bool{}, counts: map[string]ledger.Counts{}}
}

func (l *books) add(deltas []ledger.Delta) {
	for _, d := range deltas {
		if d.Again != (ledger.Counts{}) {
			panic("a delta that is not whole")
		}
		l.people += d.People
		if d.Source != "" {
			l.counts[d.Source] = l.counts[d.Source].Plus(d.Counts)
		}
	}
}

func (l *books) Commit(_ context.Context, log string, bookings []ledger.Booking) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, fail := range []func() error{l.fail, l.failCommit} {
		if fail != nil {
			if err := fail(); err != nil {
				return err
			}
		}
	}
	at := map[string]string{}
	for _, b := range bookings {
		if b.Sequence != "" && compare([]byte(b.Sequence), []byte(l.at[log])) <= 0 {
			continue
		}
		l.add(b.Deltas)
		if b.Sequence != "" && compare([]byte(b.Sequence), []byte(at[log])) > 0 {
			at[log] = b.Sequence
		}
	}
	maps.Copy(l.at, at)
	return nil
}

func (l *books) CommitOnce(_ context.Context, id string, deltas []ledger.Delta) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fail != nil {
		if err := l.fail(); err != nil {
			return err
		}
	}
	if !l.once[id] {
		l.once[id] = true
		l.add(deltas)
	}
	return nil
}
