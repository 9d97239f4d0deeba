package bigtable

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"cloud.google.com/go/bigtable"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/hitolayer/hito/infra/emulators"
	"github.com/hitolayer/hito/shared/profile"
	"github.com/hitolayer/hito/shared/profile/storetest"
)

var tables atomic.Int64

// table makes an empty table on the server at host.
func table(t testing.TB, host string, more ...grpc.DialOption) *bigtable.Table {
	t.Helper()
	ctx := t.Context()
	dial := func(more ...grpc.DialOption) option.ClientOption {
		conn, err := grpc.NewClient(host, append(more, grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(256<<20)))...) // as the client has it
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		return option.WithGRPCConn(conn)
	}
	admin, err := bigtable.NewAdminClient(ctx, "project", "instance", dial())
	if err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprintf("t%d", tables.Add(1))
	if err := admin.CreateTableFromConf(ctx, &bigtable.TableConf{TableID: name, ColumnFamilies: Schema()}); err != nil {
		t.Fatal(err)
	}
	client, err := bigtable.NewClientWithConfig(context.WithoutCancel(ctx), "project", "instance", bigtable.ClientConfig{MetricsProvider: bigtable.NoopMetricsProvider{}}, dial(more...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client.Open(name)
}

func TestStore(t *testing.T) {
	host := emulators.Bigtable(t)
	storetest.Run(t, func(t *testing.T) profile.Store { return &Store{Table: table(t, host)} },
		storetest.Features{MaxStateBytes: 8 << 20, MaxKeyBytes: 2048})
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
	if err == nil && after && strings.HasSuffix(method, "CheckAndMutateRow") {
		return status.Error(codes.DeadlineExceeded, "planted, after")
	}
	return err
}

// TestFaults: the suite holds when writes fail, before their effect and after.
func TestFaults(t *testing.T) {
	host := emulators.Bigtable(t)
	f := &faults{rng: rand.New(rand.NewPCG(1, 2)), before: 0.05, after: 0.1}
	storetest.Run(t, func(t *testing.T) profile.Store {
		return &Store{Table: table(t, host, grpc.WithUnaryInterceptor(f.unary))}
	}, storetest.Features{MaxStateBytes: 8 << 20, MaxKeyBytes: 2048})
	if f.failed < 20 || f.undone < 10 {
		t.Errorf("only %d answers were lost and %d calls failed: this shows too little", f.failed, f.undone)
	}
}

// TestLostAnswerIsNoConflict: who wrote and got no answer is not told that somebody else did.
func TestLostAnswerIsNoConflict(t *testing.T) {
	lost := 0
	tbl := table(t, emulators.Bigtable(t), grpc.WithUnaryInterceptor(func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, call grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		err := call(ctx, method, req, reply, cc, opts...)
		if err == nil && lost == 0 && strings.HasSuffix(method, "CheckAndMutateRow") {
			lost++
			return status.Error(codes.Unavailable, "planted")
		}
		return err
	}))
	s, f := &Store{Table: tbl}, profile.NewFragment(profile.Key{Project: "shop", Visitor: "u:1"})
	for want := range uint64(2) {
		lost = 0
		if err := s.Save(t.Context(), []*profile.Fragment{f}); err != nil || f.Version != want+1 || lost != 1 {
			t.Fatalf("saved to version %d, %v, after %d lost answers", f.Version, err, lost)
		}
	}
}

func TestPages(t *testing.T) {
	s := &Store{Table: table(t, emulators.Bigtable(t))}
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
	for _, k := range []profile.Key{{Project: "shop", Visitor: "u:1"}, {Project: "", Visitor: ""}, {Project: "s/f", Visitor: "a:\x00\xff日"}, {Project: "a\x00b", Visitor: "/"}} {
		key, err := fragmentKey(k)
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := cutFragmentKey(key); !ok || got != k {
			t.Errorf("%+v came back as %+v, %v", k, got, ok)
		}
	}
	if _, err := fragmentKey(profile.Key{Project: "shop", Visitor: strings.Repeat("x", maxKey)}); err == nil {
		t.Error("a key of more than 4 KB is taken")
	}
	for _, key := range []string{"", "abc", "0000x/4/shop/u", "0000f/shop", "0000f/4/shop", "0000f/5/shop/u", "0000f/-1/shop/u", "0000f//shop/u"} {
		if k, ok := cutFragmentKey(key); ok {
			t.Errorf("%q is the key of %+v", key, k)
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
			t.Errorf("between parts lie the keys from %q to %q", bounds[i], bounds[i+1])
		}
	}
}
