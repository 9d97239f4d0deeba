// Package lambda runs hito's handlers on AWS Lambda: an http.Handler behind
// function URLs and API Gateway (HTTP), a stream.Handler behind Kinesis (Stream)
// or SQS (Queue). Events are read from their bytes, since decoding them with
// encoding/json costs several times what is done with them.
package lambda

import (
	"context"
	"log/slog"
	"os"
	"time"

	runtime "github.com/aws/aws-lambda-go/lambda"
)

// Function takes invocations, several at a time where Lambda is configured to.
// It may write to the payload, which is its own until its answer is sent.
type Function = interface {
	Invoke(ctx context.Context, payload []byte) ([]byte, error)
}

// Start runs init, in Lambda's init phase, and serves invocations until the
// sandbox ends. It does not return. An error of init is logged and ends the
// process with 1: Lambda reports it and tries again with the next invocation.
func Start(init func(ctx context.Context) (Function, error)) {
	f, err := init(context.Background())
	if err != nil {
		slog.Error("the function cannot start", "error", err)
		os.Exit(1)
	}
	runtime.StartWithOptions(f)
}

// early returns a context that ends margin before ctx does, so that there is
// time left to settle and answer; of a short invocation, a quarter of the time.
func early(ctx context.Context, margin time.Duration) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	return context.WithDeadline(ctx, deadline.Add(-min(margin, time.Until(deadline)/4)))
}

// logger returns log, or else the default.
func logger(log *slog.Logger) *slog.Logger {
	if log == nil {
		return slog.Default()
	}
	return log
}
