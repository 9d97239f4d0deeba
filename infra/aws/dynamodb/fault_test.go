package dynamodb

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdkretry "github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/hitolayer/hito/infra/aws/dynamodb/dynamodbtest"
	"github.com/hitolayer/hito/infra/aws/retry"
	"github.com/hitolayer/hito/infra/emulators"
	"github.com/hitolayer/hito/infra/emulators/fault"
	"github.com/hitolayer/hito/shared/profile"
	"github.com/hitolayer/hito/shared/profile/storetest"
)

func empty(t testing.TB) string { return dynamodbtest.Table(t, emulators.SharedDynamoDB(t)) }

// TestStoreOnBadWire: whatever the wire does, a store is a store, with retries
// of our own and with the SDK's below them.
func TestStoreOnBadWire(t *testing.T) {
	for _, c := range []struct {
		name    string
		retryer aws.Retryer
	}{
		{"our retries", aws.NopRetryer{}},
		{"the SDK's too", sdkretry.NewStandard(func(o *sdkretry.StandardOptions) {
			o.Backoff = sdkretry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return time.Millisecond, nil })
		})},
	} {
		t.Run(c.name, func(t *testing.T) {
			storetest.Run(t, func(t *testing.T) profile.Store {
				return &Store{Client: faulty(t, everyFault, func(o *dynamodb.Options) { o.Retryer = c.retryer }), Table: empty(t), Retry: quick}
			}, storetest.Features{MaxStateBytes: 2 << 20})
		})
	}
}

var shopU1 = profile.Key{Project: "shop", Visitor: "u:1"}

// one loads a fragment.
func one(t *testing.T, s *Store, k profile.Key) *profile.Fragment {
	t.Helper()
	fs, err := s.Load(t.Context(), []profile.Key{k})
	if err != nil {
		t.Fatal(err)
	}
	return fs[0]
}

func saveOne(t *testing.T, s *Store, f *profile.Fragment) {
	t.Helper()
	if err := s.Save(t.Context(), []*profile.Fragment{f}); err != nil {
		t.Fatal(err)
	}
}

// TestLostAnswer: a save that took effect is known as such, even after others
// have saved; one that another writer forestalled is a conflict.
func TestLostAnswer(t *testing.T) {
	for others := range len(writerAttrs) {
		for _, version := range []uint64{0, 3} {
			w := &wire{}
			s := &Store{Client: w.client(t), Table: empty(t), Retry: quick}
			other := &Store{Client: (&wire{}).client(t), Table: s.Table}
			f := one(t, s, shopU1)
			for range version {
				f.State.Events++
				saveOne(t, s, f)
			}
			lose := true
			w.after = func(operation string, _ []byte) error {
				if operation != "UpdateItem" || !lose {
					return nil
				}
				lose = false
				for range others {
					g := one(t, other, shopU1)
					g.State.Events += 100
					saveOne(t, other, g)
				}
				return errors.New("lost")
			}
			f.State.Events++
			if err := s.Save(t.Context(), []*profile.Fragment{f}); err != nil {
				t.Errorf("%d others wrote before the lost answer was repeated: %v", others, err)
			}
			if f.Version != version+1 {
				t.Errorf("version %d", f.Version)
			}
			if got := one(t, other, shopU1); got.Version != version+1+uint64(others) || got.State.Events != int64(version)+1+100*int64(others) {
				t.Errorf("version %d, %d events", got.Version, got.State.Events)
			}
			w.after = nil
			w.before = func(operation string, _ []byte) error {
				if operation == "UpdateItem" && !lose {
					lose = true
					saveOne(t, other, one(t, other, shopU1))
					return errors.New("the request is lost, and another writer comes first")
				}
				return nil
			}
			g := one(t, s, shopU1)
			err := s.Save(t.Context(), []*profile.Fragment{g})
			if c, ok := errors.AsType[*profile.ConflictError](err); !ok || len(c.Index) != 1 {
				t.Errorf("forestalled: %v", err)
			}
		}
	}
}

// TestSlowAnswer: an answer that does not come is asked for again.
func TestSlowAnswer(t *testing.T) {
	api := faulty(t, []fault.Rule{{Kind: fault.Slow, Probability: .4, Delay: time.Second}})
	s := &Store{Client: api, Table: empty(t), Retry: retry.Call{Timeout: 200 * time.Millisecond, Backoff: quick.Backoff}}
	for i := range 10 {
		f := one(t, s, shopU1)
		if f.State.Events != int64(i) || f.Version != uint64(i) {
			t.Fatalf("%d events in version %d, want %d", f.State.Events, f.Version, i)
		}
		f.State.Events++
		saveOne(t, s, f)
	}
}

// TestNoTimeLeft: what is throttled for good ends when ctx leaves no time, and
// says why.
func TestNoTimeLeft(t *testing.T) {
	api, name := faulty(t, []fault.Rule{{Kind: fault.Throttle, Probability: 1}}), empty(t)
	s, l := &Store{Client: api, Table: name}, &Ledger{Client: api, Table: name}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, loadErr := s.Load(ctx, []profile.Key{shopU1})
	saveErr := s.Save(ctx, []*profile.Fragment{profile.NewFragment(shopU1)})
	for what, err := range map[string]error{"load": loadErr, "save": saveErr, "commit": l.Commit(ctx, "log", nil), "record": l.Record(ctx, scored(1))} {
		if what != "commit" && !errors.Is(err, retry.ErrThrottled) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// TestNotRepeated: what can never succeed fails at once.
func TestNotRepeated(t *testing.T) {
	w := &wire{}
	s := &Store{Client: w.client(t), Table: "no such table"}
	if _, err := s.Load(t.Context(), []profile.Key{shopU1}); err == nil || w.count("BatchGetItem") != 1 {
		t.Errorf("%d attempts: %v", w.count("BatchGetItem"), err)
	}
	if err := s.Save(t.Context(), []*profile.Fragment{profile.NewFragment(shopU1)}); err == nil || w.count("UpdateItem") != 1 {
		t.Errorf("%d attempts: %v", w.count("UpdateItem"), err)
	}
}

// TestSaveErrorNamesFragment: and the others are written, or not begun.
func TestSaveErrorNamesFragment(t *testing.T) {
	w := &wire{}
	s := &Store{Client: w.client(t), Table: empty(t), Retry: quick}
	var fs []*profile.Fragment
	for i := range 20 {
		fs = append(fs, profile.NewFragment(profile.Key{Project: "shop", Visitor: fmt.Sprintf("a:%d", i)}))
	}
	w.before = func(operation string, body []byte) error {
		if operation == "UpdateItem" {
			return context.Canceled // never repeated
		}
		return nil
	}
	if err := s.Save(t.Context(), fs); err == nil {
		t.Error("no error")
	}
	w.before = nil
	if err := s.Save(t.Context(), fs); err != nil {
		t.Error(err)
	}
}
