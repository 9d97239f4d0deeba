package function

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"syscall"

	"github.com/GoogleCloudPlatform/functions-framework-go/funcframework"
	framework "github.com/GoogleCloudPlatform/functions-framework-go/functions"

	"github.com/hitolayer/hito/infra/gcp/functions"
	"github.com/hitolayer/hito/infra/gcp/pubsub"
)

// target is the variable that names the function a process serves, by which
// Google's framework finds it too.
const target = "FUNCTION_TARGET"

// served is what Register has made.
var served *Base

// Register makes the function of that name, when it is the one that this process
// serves: wire makes it, and what it set in Base.Projects is in service before the
// first request. It is called from init, which is where Google's framework looks
// for functions. One that cannot be made, or that cannot reach the bucket, ends
// the process with 1: it must not take requests, and Cloud Run tries again.
//
// The framework's other kind of function, of CloudEvents, loses requests when it
// has several at a time, so that all are HTTP functions.
func Register(name string, wire func(b *Base) (http.Handler, error)) {
	if os.Getenv(target) != name {
		return
	}
	b, handler, err := start(context.Background(), name, os.LookupEnv, wire)
	if err != nil {
		slog.Error("the function cannot start", "function", name, "error", err)
		os.Exit(1)
	}
	served = b
	framework.HTTP(name, handler.ServeHTTP)
}

func start(ctx context.Context, name string, lookup func(variable string) (value string, ok bool), wire func(b *Base) (http.Handler, error)) (*Base, http.Handler, error) {
	b, err := open(ctx, name, lookup)
	if err != nil {
		return nil, nil, err
	}
	slog.SetDefault(b.Log)
	handler, err := wire(b)
	if err != nil {
		return nil, nil, err
	}
	return b, handler, b.Projects.Serve(ctx)
}

// Main runs the registered function in a container: a server on PORT, as the
// buildpack's own program is, or a worker that pulls where HITO_SUBSCRIPTION says
// so. It does not return. SIGTERM ends a worker, once what it has is settled.
func Main() {
	if err := run(); err != nil {
		slog.Error("the function ends", "error", err)
		os.Exit(1)
	}
	os.Exit(0)
}

var (
	errNoTarget = errors.New(target + " is not the name of the function to serve")
	errNoWorker = errors.New("HITO_SUBSCRIPTION is for functions behind a topic")
)

func run() error {
	if served == nil {
		return errNoTarget
	}
	if served.Subscription != "" {
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
		defer stop()
		return served.pull(ctx)
	}
	port, host := os.Getenv("PORT"), ""
	if port == "" {
		port = "8080"
	}
	if os.Getenv("LOCAL_ONLY") == "true" { // as the buildpack's program has it
		host = "127.0.0.1"
	}
	return funcframework.StartHostPort(host, port)
}

// pull takes messages from the subscription until ctx ends.
func (b *Base) pull(ctx context.Context) error {
	if b.worker == nil {
		return errNoWorker
	}
	p := &pubsub.Puller{Client: b.pubsub, Subscription: b.Subscription, Timeout: b.Timeout, Log: b.Log, Deliver: func(ctx context.Context, d *pubsub.Delivery) error {
		b.Projects.Fresh(ctx)
		return b.worker.Deliver(ctx, &functions.Message{ID: d.ID, Data: d.Data, Attributes: d.Attributes, Attempt: d.Attempt, Published: d.Published})
	}}
	if err := p.Run(ctx); err != nil {
		return fmt.Errorf("pull from %s: %w", b.Subscription, err)
	}
	return nil
}
