package function

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"testing"

	"cloud.google.com/go/bigtable/apiv2/bigtablepb"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/hitolayer/hito/infra/gcp/bigtable"
	"github.com/hitolayer/hito/infra/gcp/firestore"
	"github.com/hitolayer/hito/shared/profile"
)

// TestOpenTable: the name says what it is of, and in which project.
func TestOpenTable(t *testing.T) {
	t.Setenv("BIGTABLE_EMULATOR_HOST", "127.0.0.1:1")
	t.Setenv("FIRESTORE_EMULATOR_HOST", "127.0.0.1:1")
	got, project, err := openTable(t.Context(), "projects/p/instances/i/tables/t", "")
	if _, ok := got.store.(*bigtable.Store); err != nil || !ok || project != "p" {
		t.Errorf("Bigtable's is %T in %q, %v", got.store, project, err)
	}
	got, project, err = openTable(t.Context(), "projects/q/databases/d", "")
	if _, ok := got.store.(*firestore.Store); err != nil || !ok || project != "q" {
		t.Errorf("Firestore's is %T in %q, %v", got.store, project, err)
	}
	for _, name := range []string{
		"", "t", "projects/p", "projects/p/instances/i", "projects/p/instances/i/tables/", "projects//instances/i/tables/t", "projects/p/instances/i/tables/t/more",
		"projects/p/databases/", "projects//databases/d", "projects/p/databases/d/documents", "project/p/databases/d",
	} {
		if _, _, err := openTable(t.Context(), name, ""); !errors.Is(err, errTable) {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// guarded is a Bigtable that lets nobody do what he was not granted.
type guarded struct {
	bigtablepb.UnimplementedBigtableServer
	granted []string // methods' names

	mu     sync.Mutex
	denied []string
}

func (g *guarded) ask(method string) error {
	method = method[len("/google.bigtable.v2.Bigtable/"):]
	if slices.Contains(g.granted, method) {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.denied = append(g.denied, method)
	return status.Error(codes.PermissionDenied, method+" was not granted")
}

func (g *guarded) PingAndWarm(context.Context, *bigtablepb.PingAndWarmRequest) (*bigtablepb.PingAndWarmResponse, error) {
	return &bigtablepb.PingAndWarmResponse{}, nil
}

func (g *guarded) ReadRows(*bigtablepb.ReadRowsRequest, bigtablepb.Bigtable_ReadRowsServer) error {
	return nil // no row
}

// serve starts it, and returns how a client finds it. The emulator's variable
// would take what a client does with a real one away.
func (g *guarded) serve(t *testing.T) []option.ClientOption {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer(
		grpc.UnaryInterceptor(func(ctx context.Context, request any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
			if err := g.ask(info.FullMethod); err != nil {
				return nil, err
			}
			return next(ctx, request)
		}),
		grpc.StreamInterceptor(func(server any, stream grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
			if err := g.ask(info.FullMethod); err != nil {
				return err
			}
			return next(server, stream)
		}),
	)
	bigtablepb.RegisterBigtableServer(s, g)
	go func() { _ = s.Serve(l) }()
	t.Cleanup(s.Stop)
	return []option.ClientOption{
		option.WithEndpoint(l.Addr().String()), option.WithoutAuthentication(),
		option.WithGRPCDialOption(grpc.WithTransportCredentials(insecure.NewCredentials())),
	}
}

// TestOpenTableByRight: the roles on the table and, to ping it, on its instance
// are all that a client needs; and it needs both. See the policy "who may use a
// table may open it", which holds installs to it.
func TestOpenTableByRight(t *testing.T) {
	t.Setenv("BIGTABLE_EMULATOR_HOST", "")
	const name = "projects/p/instances/i/tables/t"
	g := &guarded{granted: []string{"PingAndWarm", "ReadRows"}}
	got, _, err := openTable(t.Context(), name, "profile", g.serve(t)...)
	if err != nil {
		t.Fatal(err)
	}
	if found, err := got.store.Load(t.Context(), []profile.Key{{Project: "shop", Visitor: "u:u1"}}); err != nil || len(found) != 1 || found[0].Version != 0 {
		t.Errorf("loaded %v, %v", found, err)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.denied) > 0 {
		t.Errorf("the client tried %v, which nobody granted", g.denied)
	}

	alone := &guarded{granted: []string{"ReadRows"}}
	if _, _, err := openTable(t.Context(), name, "profile", alone.serve(t)...); status.Code(err) != codes.PermissionDenied {
		t.Errorf("without the instance: %v", err)
	}
}
