package pubsub

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"cloud.google.com/go/pubsub/v2"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// timeout is what tests give a request: more than an emulator needs on a busy machine.
const timeout = 2 * time.Second

// connect returns a client of what PUBSUB_EMULATOR_HOST names.
func connect(t testing.TB, opts ...option.ClientOption) *pubsub.Client {
	t.Helper()
	c, err := NewClient(t.Context(), project, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// badWire has requests that publish fail with that probability: before they have
// an effect, after it, and with their answer lost.
func badWire(probability float64) option.ClientOption {
	var mu sync.Mutex
	rnd := rand.New(rand.NewPCG(5, 6))
	return option.WithGRPCDialOption(grpc.WithUnaryInterceptor(func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		mu.Lock()
		strikes, kind := rnd.Float64() < probability, rnd.IntN(20)
		mu.Unlock()
		if method != "/google.pubsub.v1.Publisher/Publish" || !strikes {
			return invoke(ctx, method, req, reply, cc, opts...)
		}
		if kind%2 == 0 {
			return status.Error([]codes.Code{codes.Unavailable, codes.ResourceExhausted, codes.Internal}[kind%3], "before")
		}
		if err := invoke(ctx, method, req, reply, cc, opts...); err != nil {
			return err
		}
		if kind == 1 {
			<-ctx.Done()
			return status.FromContextError(ctx.Err()).Err()
		}
		return status.Error(codes.Unavailable, "after")
	}))
}
