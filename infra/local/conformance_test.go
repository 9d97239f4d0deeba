package local

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/hitolayer/hito/shared/profile"
	"github.com/hitolayer/hito/shared/profile/storetest"
	"github.com/hitolayer/hito/shared/quarantine"
	"github.com/hitolayer/hito/shared/stream"
	"github.com/hitolayer/hito/shared/stream/failover"
	"github.com/hitolayer/hito/shared/stream/streamtest"
)

// open opens a database for the test, closed at its end.
func open(t testing.TB, o Options) *DB {
	t.Helper()
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	if o.Log == nil {
		o.Log = quiet
	}
	db, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { shut(t, db) })
	return db
}

// shut closes the database unless it is closed.
func shut(t testing.TB, db *DB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := db.Close(ctx); err != nil && err != ErrClosed {
		t.Errorf("Close: %v", err)
	}
}

func openStream(t testing.TB, db *DB, name string, o StreamOptions) *Stream {
	t.Helper()
	s, err := db.Stream(name, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

type streamUnderTest struct {
	*Stream
	options SubscribeOptions
}

func (s streamUnderTest) Consume(t *testing.T, h stream.Handler) {
	if err := s.Subscribe("group", h, s.options); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { shut(t, s.db) }) // before whatever the handler uses goes away
}

func (s streamUnderTest) Quarantined(t *testing.T) []quarantine.Entry {
	s.db.requestCheckpoint()
	var all []quarantine.Entry
	for _, project := range quarantinedProjects(t, s.db) {
		entries, _, err := s.db.Quarantine().List(t.Context(), project, "", 100)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, entries...)
	}
	return all
}

// quarantinedProjects returns every project with something in quarantine.
func quarantinedProjects(t *testing.T, db *DB) []string {
	it, err := db.pebble.NewIter(&pebble.IterOptions{LowerBound: []byte{entryKind}, UpperBound: []byte{entryKind + 1}})
	if err != nil {
		t.Fatal(err)
	}
	var projects []string
	for it.First(); it.Valid(); it.Next() {
		project, _, err := cutName(it.Key()[1:])
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Contains(projects, project) {
			projects = append(projects, project)
		}
	}
	if err := it.Close(); err != nil {
		t.Fatal(err)
	}
	return projects
}

func TestStreamConformance(t *testing.T) {
	features := streamtest.Features{KeyAffinity: true, CountsAttempts: true, Bisects: true, MaxAttempts: 5}
	for name, o := range map[string]SubscribeOptions{
		"Plain":        {},
		"Checkpointed": {Checkpointed: true},
		"Resting":      {Window: 20 * time.Millisecond},
		"TinyBatches":  {MaxRecords: 3, maxBytes: 64},
	} {
		o.Stage, o.backoff = quarantine.Score, 5*time.Millisecond
		t.Run(name, func(t *testing.T) {
			streamtest.Run(t, func(t *testing.T) streamtest.Stream {
				return streamUnderTest{openStream(t, open(t, Options{}), "raw", StreamOptions{}), o}
			}, features)
		})
	}
}

// twoClouds is a failover.Publisher on a stream of each of two databases, of
// which the own one refuses now all, now every other record.
type twoClouds struct {
	*failover.Publisher
	own, other streamUnderTest
}

func (c twoClouds) Consume(t *testing.T, h stream.Handler) {
	c.own.Consume(t, h)
	c.other.Consume(t, h)
}

func (c twoClouds) Quarantined(t *testing.T) []quarantine.Entry {
	return append(c.own.Quarantined(t), c.other.Quarantined(t)...)
}

type refusing struct {
	stream.Publisher
	calls atomic.Int64
}

func (r *refusing) Publish(ctx context.Context, records []stream.Record) error {
	switch r.calls.Add(1) % 3 {
	case 1:
		return errors.New("refused")
	case 2:
		return r.Publisher.Publish(ctx, records)
	}
	var taken []stream.Record
	var failures stream.Failures
	for i := range records {
		if i%2 == 0 {
			failures = append(failures, stream.Failure{Index: i, Err: errors.New("refused")})
			continue
		}
		taken = append(taken, records[i])
	}
	if err := r.Publisher.Publish(ctx, taken); err != nil {
		return err // of all
	}
	return failures.OrNil()
}

func TestFailoverConformance(t *testing.T) {
	o := SubscribeOptions{Stage: quarantine.Score, backoff: 5 * time.Millisecond}
	streamtest.Run(t, func(t *testing.T) streamtest.Stream {
		c := twoClouds{
			own:   streamUnderTest{openStream(t, open(t, Options{}), "raw", StreamOptions{}), o},
			other: streamUnderTest{openStream(t, open(t, Options{}), "raw", StreamOptions{}), o},
		}
		c.Publisher = &failover.Publisher{Own: &refusing{Publisher: c.own.Stream}, Other: c.other.Stream, Log: quiet}
		return c
	}, streamtest.Features{CountsAttempts: true, Bisects: true, MaxAttempts: 5})
}

func TestStoreConformance(t *testing.T) {
	for name, o := range map[string]Options{
		"Roomy":     {},
		"TinyCache": {CacheBytes: 1, checkpoint: time.Millisecond}, // everything is evicted all the time
	} {
		t.Run(name, func(t *testing.T) {
			storetest.Run(t, func(t *testing.T) profile.Store {
				o.Dir = t.TempDir()
				return open(t, o).Store()
			}, storetest.Features{MaxStateBytes: 8 << 20, MaxKeyBytes: 8 << 10})
		})
	}
}
