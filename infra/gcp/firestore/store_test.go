package firestore

import (
	"context"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/hitolayer/hito/infra/emulators"
	"github.com/hitolayer/hito/shared/profile"
	"github.com/hitolayer/hito/shared/profile/storetest"
)

var databases atomic.Int64

// database returns an empty database of the server at host.
func database(t testing.TB, host string, more ...grpc.DialOption) *Database {
	t.Helper()
	conn, err := dial(host, more...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	d, err := Open(t.Context(), fmt.Sprintf("projects/project/databases/d%d", databases.Add(1)), option.WithGRPCConn(conn))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

var bounds = storetest.Features{MaxStateBytes: 1_000_000, MaxKeyBytes: 1024}

func TestStore(t *testing.T) {
	host := emulators.Firestore(t)
	storetest.Run(t, func(t *testing.T) profile.Store { return &Store{Database: database(t, host)} }, bounds)
}

// faults fails calls, before they are made or after.
type faults struct {
	mu             sync.Mutex
	rng            *rand.Rand
	before, after  float64
	failed, undone int
}

func (f *faults) draw() (before, after bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if before = f.rng.Float64() < f.before; before {
		f.undone++
		return before, false
	}
	if after = f.rng.Float64() < f.after; after {
		f.failed++
	}
	return before, after
}

func (f *faults) unary(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, call grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	before, after := f.draw()
	if before {
		return status.Error(codes.Unavailable, "planted, before")
	}
	err := call(ctx, method, req, reply, cc, opts...)
	if err == nil && after {
		return status.Error(codes.DeadlineExceeded, "planted, after")
	}
	return err
}

// stream breaks what is read, before its first answer or after it.
func (f *faults) stream(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, call grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	before, after := f.draw()
	if before {
		return nil, status.Error(codes.Unavailable, "planted, before")
	}
	s, err := call(ctx, desc, cc, method, opts...)
	if err == nil && after {
		return &broken{ClientStream: s, with: status.Error(codes.Unavailable, "planted, in the middle")}, nil
	}
	return s, err
}

type broken struct {
	grpc.ClientStream
	with     error
	received int
}

func (b *broken) RecvMsg(m any) error {
	if b.received++; b.received > 2 {
		return b.with
	}
	return b.ClientStream.RecvMsg(m)
}

func (f *faults) dial() []grpc.DialOption {
	return []grpc.DialOption{grpc.WithUnaryInterceptor(f.unary), grpc.WithStreamInterceptor(f.stream)}
}

// TestFaults: the suite holds when calls fail, before their effect and after.
func TestFaults(t *testing.T) {
	host := emulators.Firestore(t)
	f := &faults{rng: rand.New(rand.NewPCG(1, 2)), before: 0.05, after: 0.1}
	storetest.Run(t, func(t *testing.T) profile.Store { return &Store{Database: database(t, host, f.dial()...)} }, bounds)
	if f.failed < 20 || f.undone < 10 {
		t.Errorf("only %d answers were lost and %d calls failed: this shows too little", f.failed, f.undone)
	}
}

// TestLostAnswerIsNoConflict: who wrote and got no answer is not told that somebody else did.
func TestLostAnswerIsNoConflict(t *testing.T) {
	lost := 0
	d := database(t, emulators.Firestore(t), grpc.WithUnaryInterceptor(func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, call grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		err := call(ctx, method, req, reply, cc, opts...)
		if err == nil && lost == 0 && strings.HasSuffix(method, "BatchWrite") {
			lost++
			return status.Error(codes.Unavailable, "planted")
		}
		return err
	}))
	s, f := &Store{Database: d}, profile.NewFragment(profile.Key{Project: "shop", Visitor: "u:1"})
	for want := range uint64(3) {
		lost = 0
		if err := s.Save(t.Context(), []*profile.Fragment{f}); err != nil || f.Version != want+1 || lost != 1 {
			t.Fatalf("saved to version %d, %v, after %d lost answers", f.Version, err, lost)
		}
	}
}

// TestLateIsNoConflict: an attempt that was given up takes effect just before the next.
func TestLateIsNoConflict(t *testing.T) {
	var late func() error
	n := 0
	d := database(t, emulators.Firestore(t), grpc.WithUnaryInterceptor(func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, call grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		if n++; n == 1 {
			ctx := context.WithoutCancel(ctx)
			late = func() error { return call(ctx, method, req, &firestorepb.BatchWriteResponse{}, cc, opts...) }
			return status.Error(codes.DeadlineExceeded, "planted")
		}
		if n == 2 {
			if err := late(); err != nil {
				return err
			}
		}
		return call(ctx, method, req, reply, cc, opts...)
	}))
	s, f := &Store{Database: d}, profile.NewFragment(profile.Key{Project: "shop", Visitor: "u:1"})
	for want := range uint64(3) {
		n = 0
		if err := s.Save(t.Context(), []*profile.Fragment{f}); err != nil || f.Version != want+1 || n != 2 {
			t.Fatalf("saved to version %d, %v, by %d calls", f.Version, err, n)
		}
	}
}

// TestReadToTheEnd: what was not answered is not taken for missing.
func TestReadToTheEnd(t *testing.T) {
	s := &Store{Database: database(t, emulators.Firestore(t), grpc.WithStreamInterceptor(func(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, call grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
		s, err := call(ctx, desc, cc, method, opts...)
		return &broken{ClientStream: s, with: io.EOF}, err
	}))}
	var keys []profile.Key
	for i := range 3 {
		keys = append(keys, profile.Key{Project: "shop", Visitor: fmt.Sprint("u:", i)})
	}
	if _, err := s.Load(t.Context(), keys[:2]); err != nil {
		t.Error(err)
	}
	if _, err := s.Load(t.Context(), keys); err == nil {
		t.Error("2 of 3 were read, and that is no error")
	}
}

// TestTooLargeIsAnError: of it alone, and it says so.
func TestTooLargeIsAnError(t *testing.T) {
	s := &Store{Database: database(t, emulators.Firestore(t))}
	of := func(visitor string, size int) *profile.Fragment {
		f := profile.NewFragment(profile.Key{Project: "shop", Visitor: visitor})
		f.State.Traits = []*profile.Trait{{Key: "big", Value: make([]byte, size)}}
		return f
	}
	small, big, most := of("u:1", 10), of("u:2", maxValue), of("u:3", maxValue-100)
	err := s.Save(t.Context(), []*profile.Fragment{small, big, most})
	if err == nil || !strings.Contains(err.Error(), "u:2") || strings.Contains(err.Error(), "u:1") || strings.Contains(err.Error(), "u:3") {
		t.Errorf("saved with %v", err)
	}
	if small.Version != 1 || big.Version != 0 || most.Version != 1 {
		t.Errorf("they have versions %d, %d and %d", small.Version, big.Version, most.Version)
	}
}

func TestPages(t *testing.T) {
	s := &Store{Database: database(t, emulators.Firestore(t))}
	want := map[profile.Key]bool{}
	var all []*profile.Fragment
	for i := range 300 {
		k := profile.Key{Project: []string{"news", "shop"}[i%2], Visitor: fmt.Sprintf("a:%d/日本", i)}
		want[k] = true
		all = append(all, profile.NewFragment(k))
	}
	if err := s.Save(t.Context(), all); err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{0, 7, 1000} {
		got := map[profile.Key]bool{}
		most := 0
		for part := range 60 {
			swept := 0
			for page, err := range s.Pages(t.Context(), part, 60, n) {
				if err != nil {
					t.Fatal(err)
				}
				if len(page) > max(n, 1) {
					t.Errorf("a page of %d, want at most %d", len(page), n)
				}
				for _, f := range page {
					if got[f.Key] || f.Version != 1 {
						t.Errorf("%s comes twice, or has version %d", f.Key, f.Version)
					}
					got[f.Key] = true
					swept++
				}
			}
			most = max(most, swept)
		}
		if !maps.Equal(got, want) {
			t.Errorf("pages of %d: %d fragments of %d", n, len(got), len(want))
		}
		if most > 30 {
			t.Errorf("a part of 60 has %d of 300", most)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for page, err := range s.Pages(ctx, 0, 1, 10) {
		if err == nil {
			t.Errorf("ended, it yields %d", len(page))
		}
	}
}

func TestKeys(t *testing.T) {
	for _, k := range []profile.Key{{Project: "shop", Visitor: "u:1"}, {Project: "", Visitor: ""}, {Project: "s|f", Visitor: "a:\x00\xff日/%"}, {Project: "a\x00b", Visitor: ".."}} {
		key, err := fragmentID(k)
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := cutFragmentID(key); !ok || got != k || strings.Contains(key, "/") {
			t.Errorf("%+v is %q and came back as %+v, %v", k, key, got, ok)
		}
	}
	if _, err := fragmentID(profile.Key{Project: "shop", Visitor: strings.Repeat("x", maxID)}); err == nil {
		t.Error("an id of more than 1,500 bytes is taken")
	}
	for _, key := range []string{"", "abc", "abc|shop|u", "0000|shop", "0000|shop|u|1", "0000|%g|u", "0000|shop|%"} {
		if k, ok := cutFragmentID(key); ok {
			t.Errorf("%q is the id of %+v", key, k)
		}
	}
	// Parts meet, and leave nothing out.
	var bounds []string
	for part := range 60 {
		from, to := partRange(part, 60)
		bounds = append(bounds, from, to)
	}
	if bounds[0] != "" || bounds[len(bounds)-1] != "" || !slices.IsSorted(bounds[:len(bounds)-1]) {
		t.Errorf("parts are %q", bounds)
	}
	for i := 1; i+1 < len(bounds); i += 2 {
		if bounds[i] != bounds[i+1] {
			t.Errorf("between parts lie the ids from %q to %q", bounds[i], bounds[i+1])
		}
	}
}

// TestOpen: only names of databases.
func TestOpen(t *testing.T) {
	for _, name := range []string{"", "d", "projects/p/databases/", "projects//databases/d", "projects/p/databases/d/documents", "projects/p/instances/d"} {
		if _, err := Open(t.Context(), name); err == nil {
			t.Errorf("%q is opened", name)
		}
	}
}
