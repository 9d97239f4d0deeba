// Package storetest is the conformance suite of profile.Store: what every
// adapter must do, whatever keeps the fragments.
package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/hitolayer/hito/shared/profile"
)

// Harness makes a new, empty store for a test and sees to its end.
type Harness func(t *testing.T) profile.Store

// Features are an adapter's bounds.
type Features struct {
	// MaxStateBytes is the largest encoded state it keeps, 256 KiB when 0.
	MaxStateBytes int
	// MaxKeyBytes is the longest project and visitor key together, 512 when 0.
	MaxKeyBytes int
}

// Run runs the suite.
func Run(t *testing.T, h Harness, f Features) {
	if f.MaxStateBytes == 0 {
		f.MaxStateBytes = 256 << 10
	}
	if f.MaxKeyBytes == 0 {
		f.MaxKeyBytes = 512
	}
	s := suite{harness: h, Features: f}
	for _, c := range []struct {
		name string
		test func(suite, *testing.T)
	}{
		{"NeverSaved", suite.neverSaved},
		{"SaveAndLoad", suite.saveAndLoad},
		{"CallerOwnsWhatItGets", suite.callerOwnsWhatItGets},
		{"FoldingHarmsNothingStored", suite.foldingHarmsNothingStored},
		{"VersionsCount", suite.versionsCount},
		{"ConflictNamesTheLosers", suite.conflictNamesTheLosers},
		{"SecondCreatorLoses", suite.secondCreatorLoses},
		{"ConcurrentWritersLoseNothing", suite.concurrentWritersLoseNothing},
		{"OddKeys", suite.oddKeys},
		{"ProjectsAreApart", suite.projectsAreApart},
		{"ManyKeys", suite.manyKeys},
		{"BigFragments", suite.bigFragments},
		{"EmptyState", suite.emptyState},
		{"UnknownFieldsStay", suite.unknownFieldsStay},
		{"NoKeys", suite.noKeys},
		{"CancelledContext", suite.cancelledContext},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(s, t) })
	}
}

type suite struct {
	Features
	harness Harness
}

func key(visitor string) profile.Key { return profile.Key{Project: "shop", Visitor: visitor} }

func load(t *testing.T, s profile.Store, keys ...profile.Key) []*profile.Fragment {
	t.Helper()
	fs, err := s.Load(t.Context(), keys)
	if err != nil {
		t.Fatalf("Load: %v", err)
	}
	if len(fs) != len(keys) {
		t.Fatalf("Load of %d keys returned %d fragments", len(keys), len(fs))
	}
	for i, f := range fs {
		if f == nil || f.State == nil {
			t.Fatalf("Load(%v): nil fragment or state", keys[i])
		}
		if f.Key != keys[i] {
			t.Fatalf("fragment %d has key %v, want %v", i, f.Key, keys[i])
		}
	}
	return fs
}

func save(t *testing.T, s profile.Store, fs ...*profile.Fragment) {
	t.Helper()
	if err := s.Save(t.Context(), fs); err != nil {
		t.Fatalf("Save: %v", err)
	}
}

// conflict asserts that err is a ConflictError with these positions.
func conflict(t *testing.T, err error, want ...int) {
	t.Helper()
	c, ok := errors.AsType[*profile.ConflictError](err)
	if !ok {
		t.Fatalf("got %v, want a ConflictError", err)
	}
	if !slices.Equal(c.Index, want) {
		t.Fatalf("conflict at %v, want %v", c.Index, want)
	}
}

func (s suite) neverSaved(t *testing.T) {
	st := s.harness(t)
	for _, f := range load(t, st, key("a:1"), key("u:1")) {
		if f.Version != 0 || f.State.SizeVT() != 0 {
			t.Errorf("%v: version %d, state %v", f.Key, f.Version, f.State)
		}
	}
}

func (s suite) saveAndLoad(t *testing.T) {
	st := s.harness(t)
	fs := load(t, st, key("a:1"), key("a:2"), key("a:3"))
	fs[0].State.Events, fs[2].State.Events = 1, 3
	fs[2].State.Names = []*profile.NameCount{{Name: "page", Count: 3}}
	fs[2].State.FirstSeen, fs[2].State.LastSeen = -1, 1<<62
	save(t, st, fs[0], fs[2])
	got := load(t, st, key("a:3"), key("a:2"), key("a:1"))
	if !proto.Equal(got[0].State, fs[2].State) || !proto.Equal(got[2].State, fs[0].State) {
		t.Errorf("loaded %v and %v, saved %v and %v", got[0].State, got[2].State, fs[2].State, fs[0].State)
	}
	if got[1].Version != 0 || got[1].State.SizeVT() != 0 {
		t.Errorf("a fragment that was not saved is there: %v", got[1].State)
	}
}

func (s suite) callerOwnsWhatItGets(t *testing.T) {
	st := s.harness(t)
	f := load(t, st, key("a:1"))[0]
	f.State.Names = []*profile.NameCount{{Name: "page", Count: 1}}
	save(t, st, f)
	f.State.Names[0].Count = 99 // Save took what it needed
	a, b := load(t, st, key("a:1"))[0], load(t, st, key("a:1"))[0]
	a.State.Names[0].Name = "changed"
	a.State.Events = 7
	for _, g := range []*profile.Fragment{b, load(t, st, key("a:1"))[0]} {
		if n := g.State.Names; len(n) != 1 || n[0].Name != "page" || n[0].Count != 1 || g.State.Events != 0 {
			t.Errorf("the stored state follows a caller's: %v", g.State)
		}
	}
}

func (s suite) versionsCount(t *testing.T) {
	st := s.harness(t)
	f := load(t, st, key("a:1"))[0]
	for i := range 5 {
		f.State.Events++
		save(t, st, f)
		if want := uint64(i + 1); f.Version != want {
			t.Fatalf("after save %d the fragment has version %d", want, f.Version)
		}
		if got := load(t, st, key("a:1"))[0]; got.Version != f.Version {
			t.Fatalf("after save %d the store has version %d", i+1, got.Version)
		}
	}
}

// conflictNamesTheLosers: each fragment is written or not by itself.
func (s suite) conflictNamesTheLosers(t *testing.T) {
	st := s.harness(t)
	keys := []profile.Key{key("a:0"), key("a:1"), key("a:2"), key("a:3"), key("a:4")}
	mine := load(t, st, keys...)
	theirs := load(t, st, keys[1], keys[4])
	for _, f := range theirs {
		f.State.Events = 100
	}
	save(t, st, theirs...)
	for _, f := range mine {
		f.State.Events = 1
	}
	conflict(t, st.Save(t.Context(), mine), 1, 4)
	for i, f := range load(t, st, keys...) {
		want, version := int64(1), uint64(1)
		if i == 1 || i == 4 {
			want = 100
		}
		if f.State.Events != want || f.Version != version {
			t.Errorf("%v: %d events in version %d, want %d in %d", f.Key, f.State.Events, f.Version, want, version)
		}
	}
	if mine[0].Version != 1 || mine[1].Version != 0 {
		t.Errorf("versions after a conflict: written %d, not written %d", mine[0].Version, mine[1].Version)
	}
}

func (s suite) secondCreatorLoses(t *testing.T) {
	st := s.harness(t)
	a, b := load(t, st, key("a:1"))[0], load(t, st, key("a:1"))[0]
	a.State.Events, b.State.Events = 1, 2
	save(t, st, a)
	conflict(t, st.Save(t.Context(), []*profile.Fragment{b}), 0)
	c := load(t, st, key("a:1"))[0]
	c.Version = 7 // never stored
	conflict(t, st.Save(t.Context(), []*profile.Fragment{c}), 0)
	if got := load(t, st, key("a:1"))[0]; got.State.Events != 1 {
		t.Errorf("the loser's state is stored: %v", got.State)
	}
}

func (s suite) concurrentWritersLoseNothing(t *testing.T) {
	st := s.harness(t)
	const writers, rounds, n = 8, 25, 5
	keys := make([]profile.Key, n)
	for i := range keys {
		keys[i] = key(fmt.Sprintf("a:%d", i))
	}
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(uint64(w), 1))
			for range rounds {
				// Each round adds one to two fragments, by as many attempts as it takes.
				left := []profile.Key{keys[random.IntN(n)]}
				left = append(left, keys[(slices.Index(keys, left[0])+1)%n])
				for len(left) > 0 {
					fs, err := st.Load(t.Context(), left)
					if err != nil {
						t.Errorf("Load: %v", err)
						return
					}
					for _, f := range fs {
						f.State.Events++
					}
					err = st.Save(t.Context(), fs)
					lost, ok := errors.AsType[*profile.ConflictError](err)
					if err != nil && !ok {
						t.Errorf("Save: %v", err)
						return
					}
					var again []profile.Key
					if ok {
						for _, i := range lost.Index {
							again = append(again, left[i])
						}
					}
					left = again
				}
			}
		})
	}
	wg.Wait()
	var events, versions uint64
	for _, f := range load(t, st, keys...) {
		events += uint64(f.State.Events)
		versions += f.Version
	}
	if want := uint64(writers * rounds * 2); events != want || versions != want {
		t.Errorf("%d additions in %d versions, want %d", events, versions, want)
	}
}

func (s suite) oddKeys(t *testing.T) {
	st := s.harness(t)
	long := strings.Repeat("x", s.MaxKeyBytes-len("shop"))
	var keys []profile.Key
	for _, v := range []string{
		"u:a/b", "u:a", "u:a\x00", "u:a\x00\x01", "u:a\x00\xff", "u:\x00", "u:\xff\xff", "u:日本語", "u:e\u0301", "u:é",
		"u: ", "u:a b\tc\n", "u:%2F", "u:..", "u:#?&", "a:a", "u:A", `u:"`, "u:\u202e", "u:😀", long, long[:len(long)-1] + "y",
	} {
		keys = append(keys, key(v))
	}
	for i, f := range load(t, st, keys...) {
		f.State.Events = int64(i + 1)
		save(t, st, f)
	}
	for i, f := range load(t, st, keys...) {
		if f.State.Events != int64(i+1) || f.Version != 1 {
			t.Errorf("key %q: state %d of version %d, want %d of 1", f.Key.Visitor, f.State.Events, f.Version, i+1)
		}
	}
}

func (s suite) projectsAreApart(t *testing.T) {
	st := s.harness(t)
	var keys []profile.Key
	for _, p := range []string{"shop", "shop2", "sho", "shop/u", "shop\x00", "shop\x00\x01u", "店"} {
		keys = append(keys, profile.Key{Project: p, Visitor: "u:1"}, profile.Key{Project: p, Visitor: "u:1/u:1"})
	}
	for i, f := range load(t, st, keys...) {
		if f.Version != 0 {
			t.Fatalf("%v is there before it was saved", f.Key)
		}
		f.State.Events = int64(i + 1)
		save(t, st, f)
	}
	for i, f := range load(t, st, keys...) {
		if f.State.Events != int64(i+1) {
			t.Errorf("%q: state %d, want %d", f.Key, f.State.Events, i+1)
		}
	}
}

func (s suite) manyKeys(t *testing.T) {
	st := s.harness(t)
	keys := make([]profile.Key, 1000)
	for i := range keys {
		keys[i] = key(fmt.Sprintf("a:%d", i))
	}
	fs := load(t, st, keys...)
	for i, f := range fs {
		f.State.Events = int64(i + 1)
	}
	save(t, st, fs...)
	rand.Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
	for _, f := range load(t, st, keys...) {
		if want := fmt.Sprintf("a:%d", f.State.Events-1); f.Key.Visitor != want {
			t.Fatalf("%v has the state of %s", f.Key, want)
		}
	}
}

func (s suite) bigFragments(t *testing.T) {
	st := s.harness(t)
	f := load(t, st, key("u:big"))[0]
	value := bytes.Repeat([]byte("0123456789abcdef"), s.MaxStateBytes/16-8)
	f.State.Traits = []*profile.Trait{{Key: "big", Value: value}}
	save(t, st, f)
	f.State.Events = 1
	save(t, st, f)
	got := load(t, st, key("u:big"))[0]
	if got.Version != 2 || !proto.Equal(got.State, f.State) {
		t.Errorf("version %d with %d bytes, want 2 with %d", got.Version, got.State.SizeVT(), f.State.SizeVT())
	}
}

// emptyState: a fragment that was emptied (its person erased) still has a version.
func (s suite) emptyState(t *testing.T) {
	st := s.harness(t)
	f := load(t, st, key("u:1"))[0]
	f.State.Events = 1
	save(t, st, f)
	f.State = &profile.State{}
	save(t, st, f)
	got := load(t, st, key("u:1"))[0]
	if got.Version != 2 || !proto.Equal(got.State, &profile.State{Form: profile.Form}) {
		t.Errorf("version %d with state %v, want 2 and nothing but the form", got.Version, got.State)
	}
}

// unknownFieldsStay: what a newer build wrote survives an older one's save.
func (s suite) unknownFieldsStay(t *testing.T) {
	st := s.harness(t)
	newer := []byte{0x30, 5, 0xfa, 0x7f, 3, 'n', 'e', 'w'} // events = 5 (field 6), and field 2047
	f := load(t, st, key("u:1"))[0]
	if err := f.State.UnmarshalVT(newer); err != nil {
		t.Fatal(err)
	}
	save(t, st, f)
	f = load(t, st, key("u:1"))[0]
	f.State.Events++
	save(t, st, f)
	got, err := load(t, st, key("u:1"))[0].State.MarshalVT()
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(got, newer[2:]) || !bytes.Contains(got, []byte{0x30, 6}) {
		t.Errorf("the unknown field is gone: %x", got)
	}
}

func (s suite) noKeys(t *testing.T) {
	st := s.harness(t)
	if fs, err := st.Load(t.Context(), nil); err != nil || len(fs) != 0 {
		t.Errorf("Load of nothing: %d fragments, %v", len(fs), err)
	}
	if err := st.Save(t.Context(), nil); err != nil {
		t.Errorf("Save of nothing: %v", err)
	}
}

func (s suite) cancelledContext(t *testing.T) {
	st := s.harness(t)
	f := load(t, st, key("u:1"))[0]
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := st.Load(ctx, []profile.Key{key("u:1")}); err == nil {
		t.Error("Load under a cancelled context succeeded")
	}
	if err := st.Save(ctx, []*profile.Fragment{f}); err == nil {
		t.Error("Save under a cancelled context succeeded")
	}
	save(t, st, load(t, st, key("u:1"))[0])
}
