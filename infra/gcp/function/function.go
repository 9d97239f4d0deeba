// Package function is what hito's functions on Google Cloud have in common: their
// configuration and clients, the projects they serve, and the topics and the
// table they share. A function's package wires its handler to these.
package function

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strings"

	cloudpubsub "cloud.google.com/go/pubsub/v2"

	"github.com/hitolayer/hito/infra/gcp/bigquery"
	"github.com/hitolayer/hito/infra/gcp/cloudlogging"
	"github.com/hitolayer/hito/infra/gcp/functions"
	"github.com/hitolayer/hito/infra/gcp/pubsub"
	"github.com/hitolayer/hito/infra/gcp/secretmanager"
	"github.com/hitolayer/hito/infra/gcp/storage"
	"github.com/hitolayer/hito/infra/projects"
	"github.com/hitolayer/hito/shared/config"
	"github.com/hitolayer/hito/shared/project"
	"github.com/hitolayer/hito/shared/quarantine"
	"github.com/hitolayer/hito/shared/stream"
)

// Origin is where events are accepted that these functions accept.
const Origin = "gcp"

// Base is what a function is made of.
type Base struct {
	// Function is the function's own variables.
	config.Function
	// Lookup finds a variable.
	Lookup func(variable string) (value string, ok bool)
	// Projects serves what the bucket has.
	Projects *projects.Projects
	// LastGood is where Projects finds what was last in service. Only one function
	// is to keep it up, which sets ReadOnly to false.
	LastGood *storage.LastGood
	// Telemetry and Log write what Cloud Logging takes from a function's output.
	Telemetry *cloudlogging.Sink
	Log       *slog.Logger

	name    string
	project string // the cloud's, not hito's
	table   table
	pubsub  *cloudpubsub.Client
	worker  *functions.Settler // what Push was made with
}

// open reads the environment and makes the clients, of which only Bigtable's connects at once.
func open(ctx context.Context, name string, lookup func(variable string) (value string, ok bool)) (*Base, error) {
	c, err := config.LoadFunction(Origin, name, lookup)
	if err != nil {
		return nil, err
	}
	service, _ := lookup("K_SERVICE") // set by Cloud Run
	b := &Base{Function: c, Lookup: lookup, Telemetry: &cloudlogging.Sink{Function: service}, Log: logger(c.Log), name: name}
	if c.Subscription != "" {
		if b.project, err = projectOf(c.Subscription); err != nil {
			return nil, err
		}
	}
	if c.Table != "" {
		if b.table, b.project, err = openTable(ctx, c.Table, c.AppProfile); err != nil {
			return nil, err
		}
	}
	if b.project == "" { // nothing of it is called
		return b, nil
	}
	if b.pubsub, err = pubsub.NewClient(ctx, b.project); err != nil {
		return nil, fmt.Errorf("make Pub/Sub's client: %w", err)
	}
	if c.ProjectsBucket == "" { // of no project of hito's
		return b, nil
	}
	objects, err := storage.NewClient(lookup)
	if err != nil {
		return nil, fmt.Errorf("make Cloud Storage's client: %w", err)
	}
	b.Projects = projects.In(c.ProjectsBucket, func(key string) project.Source {
		return storage.Object{Client: objects, Bucket: c.ProjectsBucket, Key: key}
	})
	b.LastGood = &storage.LastGood{Client: objects, Bucket: c.ProjectsBucket, Prefix: "lastgood/", ReadOnly: true}
	b.Projects.LastGood, b.Projects.Interval, b.Projects.Log = b.LastGood, c.Refresh, b.Log
	return b, nil
}

var errSubscription = errors.New("HITO_SUBSCRIPTION must be projects/P/subscriptions/S")

// projectOf returns the project that a subscription is in.
func projectOf(subscription string) (string, error) {
	parts := strings.Split(subscription, "/")
	if len(parts) != 4 || parts[0] != "projects" || parts[1] == "" || parts[2] != "subscriptions" || parts[3] == "" {
		return "", fmt.Errorf("%w, not %q", errSubscription, subscription)
	}
	return parts[1], nil
}

func logger(form string) *slog.Logger {
	if form == "text" {
		return slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	return cloudlogging.Logger(os.Stderr, slog.LevelInfo)
}

// Raw is the raw topic.
func (b *Base) Raw() stream.Publisher { return b.topic(b.RawStream) }

// Enriched is the enriched topic, and that of rows for BigQuery when there is one;
// nil for a function that is given none.
func (b *Base) Enriched() stream.Publisher {
	switch {
	case b.EnrichedStream == "":
		return nil
	case b.ArchiveStream == "":
		return b.topic(b.EnrichedStream)
	}
	return bigquery.Copied{Publisher: b.topic(b.EnrichedStream), Rows: &pubsub.Rows{Client: b.pubsub, Topic: b.ArchiveStream}}
}

// Actions is the topic of who entered or left a segment.
func (b *Base) Actions() stream.Publisher { return b.topic(b.ActionsStream) }

func (b *Base) topic(name string) *pubsub.Publisher {
	return &pubsub.Publisher{Client: b.pubsub, Topic: name, Origin: Origin}
}

// Store is the table's fragments.
func (b *Base) Store() Store { return b.table.store }

// Ledger is the table's ledger.
func (b *Base) Ledger() Ledger { return b.table.ledger }

// Quarantine is the table's quarantine.
func (b *Base) Quarantine() Quarantine { return b.table.quarantine }

// SecretKeys is the keys document that has the projects' secret keys.
func (b *Base) SecretKeys() (project.Source, error) {
	client, err := secretmanager.NewClient(os.LookupEnv)
	if err != nil {
		return nil, fmt.Errorf("make Secret Manager's client: %w", err)
	}
	return &secretmanager.Secret{Client: client, Name: b.Secret}, nil
}

// HTTP serves a handler to everybody; before is called as every request begins.
func (b *Base) HTTP(handler http.Handler, before func(context.Context)) http.Handler {
	return &functions.HTTP{Handler: handler, Before: before, Timeout: b.Timeout, Project: b.project, Log: b.Log}
}

// Push puts a handler behind a push subscription and its dead letters, under the
// function's name; scheduled, if there is one, behind a schedule.
func (b *Base) Push(handler stream.Handler, scheduled *functions.Scheduled) http.Handler {
	p := b.Tail(handler, b.Quarantine())
	p.Settler.Ledger = b.Ledger()
	p.Scheduled, p.Before = scheduled, b.Projects.Fresh
	return p
}

// Tail puts a handler behind a push subscription that keeps messages however long
// the handler fails. It books nothing; what cannot be opened goes to unread.
func (b *Base) Tail(handler stream.Handler, unread quarantine.Sink) *functions.Push {
	b.worker = &functions.Settler{Handler: handler, Group: b.name, Stage: quarantine.Stage(b.name), Quarantine: unread, Telemetry: b.Telemetry, Log: b.Log}
	return &functions.Push{
		Settler: b.worker, Timeout: b.Timeout, Project: b.project, Log: b.Log,
		Token: &functions.Token{Audience: b.PushAudience, Account: b.PushAccount, Checked: b.PushChecked},
	}
}
