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

// Register makes the function of that name, when it is the one that this process
// serves: wire makes it, and what it set in Base.Projects is in service before the
// first request. Where HITO_SUBSCRIPTION says so, the function is a worker, which
// pulls. Register is called from init, which is where Google's framework looks for
// functions. One that cannot be made, or that cannot reach the bucket, ends the
// process with 1: it must not take requests, and Cloud Run tries again.
//
// The framework's other kind of function, of CloudEvents, loses requests when it
// has several at a time, so that all are HTTP functions.
func Register(name string, wire func(b *Base) (http.Handler, error)) {
	if os.Getenv(target) != name {
		return
	}
	b, handler, err := start(context.Background(), name, os.LookupEnv, wire)
	end(name, err)
	framework.HTTP(name, handler.ServeHTTP)
	if b.Subscription != "" {
		go b.work()
	}
}

// end ends the process for an error.
func end(name string, err error) {
	if err != nil {
		slog.Error("the function ends", "function", name, "error", err)
		os.Exit(1)
	}
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
	if b.Projects == nil { // of no project
		return b, handler, nil
	}
	return b, handler, b.Projects.Serve(ctx)
}

// work pulls until SIGTERM, and ends the process once what it has is settled.
func (b *Base) work() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	end(b.name, b.pull(ctx))
	os.Exit(0)
}

var errNoWorker = errors.New("HITO_SUBSCRIPTION is for functions behind a topic")

// pull takes messages from the subscription until ctx ends.
func (b *Base) pull(ctx context.Context) error {
	if b.worker == nil {
		return errNoWorker
	}
	p := &pubsub.Puller{Client: b.pubsub, Subscription: b.Subscription, Timeout: b.Timeout, Log: b.Log, Deliver: func(ctx context.Context, d *pubsub.Delivery) error {
		if b.Projects != nil {
			b.Projects.Fresh(ctx)
		}
		return b.worker.Deliver(ctx, &functions.Message{ID: d.ID, Data: d.Data, Attributes: d.Attributes, Attempt: d.Attempt, Published: d.Published})
	}}
	if err := p.Run(ctx); err != nil {
		return fmt.Errorf("pull from %s: %w", b.Subscription, err)
	}
	return nil
}

// Main serves the registered function on PORT, 8080 when it is not set, as the
// program does that Google's buildpack makes: on loopback only where LOCAL_ONLY is
// true. It is for containers that are built without the buildpack.
func Main() {
	port, host := os.Getenv("PORT"), ""
	if port == "" {
		port = "8080"
	}
	if os.Getenv("LOCAL_ONLY") == "true" {
		host = "127.0.0.1"
	}
	end(os.Getenv(target), funcframework.StartHostPort(host, port))
}
