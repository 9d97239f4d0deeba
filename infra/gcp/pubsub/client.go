package pubsub

import (
	"context"
	"os"
	"time"

	"cloud.google.com/go/pubsub/v2"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"
)

// NewClient returns a client for a Publisher, Rows or a Puller, of the emulator
// where PUBSUB_EMULATOR_HOST says so.
func NewClient(ctx context.Context, project string, opts ...option.ClientOption) (*pubsub.Client, error) {
	tuned := []option.ClientOption{
		option.WithTelemetryDisabled(),
		option.WithGRPCConnectionPool(1), // which carries a hundred requests at a time
	}
	if os.Getenv("PUBSUB_EMULATOR_HOST") == "" {
		// A process that had no processor for a while has a connection that may be
		// dead, and does not know it: the first request after that tries it, and
		// another attempt has time yet.
		tuned = append(tuned, option.WithGRPCDialOption(grpc.WithKeepaliveParams(keepalive.ClientParameters{
			Time: 30 * time.Second, Timeout: 2 * time.Second,
		})))
	}
	return pubsub.NewClient(ctx, project, append(tuned, opts...)...)
}
