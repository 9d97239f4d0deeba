package local

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/hitolayer/hito/shared/ledger"
	"github.com/hitolayer/hito/shared/profile"
	"github.com/hitolayer/hito/shared/stream"
)

// TestFailedCheckpointedBatchKeepsWhatItDid: a handler saves a fragment,
// publishes, books, and then fails or panics. The fragment stays saved; once,
// what went with it was dropped, and never came again.
func TestFailedCheckpointedBatchKeepsWhatItDid(t *testing.T) {
	for name, fail := range map[string]func() error{
		"error":          func() error { return errors.New("fails after its effects") },
		"wrapped":        func() error { return errors.Join(stream.Failures{{Index: 0, Err: errors.New("of another stream")}}) },
		"panic":          func() error { panic("after its effects") },
		"no such record": func() error { return stream.Failures{{Index: 7, Err: errors.New("nobody")}} },
	} {
		t.Run(name, func(t *testing.T) {
			db, err := Open(Options{Dir: t.TempDir()})
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close(context.Background())
			in, err := db.Stream("in", StreamOptions{})
			if err != nil {
				t.Fatal(err)
			}
			out, err := db.Stream("out", StreamOptions{})
			if err != nil {
				t.Fatal(err)
			}
			key := profile.Key{Project: "p", Visitor: "u:u"}
			var tries atomic.Int32
			handle := func(ctx context.Context, records []stream.Record) error {
				if tries.Add(1) > 1 {
					return nil
				}
				fragments, err := db.Store().Load(ctx, []profile.Key{key})
				if err != nil {
					return err
				}
				fragments[0].State.Events = 1
				if err := errors.Join(db.Store().Save(ctx, fragments), out.Publish(ctx, records),
					db.Ledger().Record(ctx, []ledger.Delta{{Project: "p", Counts: ledger.Counts{Scored: 1}}})); err != nil {
					t.Error(err)
				}
				return fail()
			}
			if err := in.Subscribe("g", handle, SubscribeOptions{Checkpointed: true}); err != nil {
				t.Fatal(err)
			}
			published := make(chan stream.Record, 10)
			if err := out.Subscribe("g", func(_ context.Context, records []stream.Record) error {
				for _, r := range records {
					published <- r
				}
				return nil
			}, SubscribeOptions{}); err != nil {
				t.Fatal(err)
			}
			if err := in.Publish(t.Context(), []stream.Record{{Project: "p", Key: "u:u", Events: 1, Data: []byte("x")}}); err != nil {
				t.Fatal(err)
			}
			select {
			case <-published:
			case <-t.Context().Done():
				t.Fatal("what was published is gone")
			}
			if totals, err := db.Ledger().Totals(t.Context(), "p"); err != nil || totals.Scored != 1 {
				t.Fatalf("ledger %+v, %v", totals, err)
			}
		})
	}
}
