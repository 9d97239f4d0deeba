package function

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"

	cloudbigtable "cloud.google.com/go/bigtable"
	"google.golang.org/api/option"

	"github.com/hitolayer/hito/infra/gcp/bigtable"
	"github.com/hitolayer/hito/infra/gcp/firestore"
	"github.com/hitolayer/hito/infra/gcp/functions"
	"github.com/hitolayer/hito/shared/ledger"
	"github.com/hitolayer/hito/shared/profile"
	"github.com/hitolayer/hito/shared/quarantine"
)

// Store keeps fragments, and yields everybody in parts.
type Store interface {
	profile.Store
	Pages(ctx context.Context, part, total, n int) iter.Seq2[[]*profile.Fragment, error]
}

// Ledger keeps the balance.
type Ledger interface {
	functions.Ledger
	ledger.Reader
}

// Quarantine keeps what cannot be processed.
type Quarantine interface {
	quarantine.Sink
	quarantine.Reader
}

// table is where a function keeps what it knows: one of Bigtable's, or a database
// of Firestore.
type table struct {
	store      Store
	ledger     Ledger
	quarantine Quarantine
}

var errTable = errors.New("HITO_TABLE must be projects/P/instances/I/tables/T or projects/P/databases/D")

// openTable makes the client of what has the name, which says the project too.
// Bigtable's pings the table's instance, and fails if it may not.
func openTable(ctx context.Context, name, appProfile string, options ...option.ClientOption) (t table, project string, err error) {
	parts := strings.Split(name, "/")
	for i := 1; i < len(parts); i += 2 {
		if parts[i] == "" {
			parts = nil
		}
	}
	switch {
	case len(parts) == 6 && parts[0] == "projects" && parts[2] == "instances" && parts[4] == "tables":
		// The client's own metrics would be sent by a background task, whose CPU is
		// taken away between requests, and need a right of their own; and so would its
		// sessions be, of which a task asks what the server thinks of them.
		client, err := cloudbigtable.NewClientWithConfig(ctx, parts[1], parts[3], cloudbigtable.ClientConfig{
			AppProfile: appProfile, MetricsProvider: cloudbigtable.NoopMetricsProvider{}, DisableSession: true,
		}, options...)
		if err != nil {
			return t, "", fmt.Errorf("make Bigtable's client: %w", err)
		}
		rows := client.Open(parts[5])
		return table{&bigtable.Store{Table: rows}, &bigtable.Ledger{Table: rows}, &bigtable.Quarantine{Table: rows}}, parts[1], nil
	case len(parts) == 4 && parts[0] == "projects" && parts[2] == "databases":
		d, err := firestore.Open(ctx, name)
		if err != nil {
			return t, "", fmt.Errorf("make Firestore's client: %w", err)
		}
		return table{&firestore.Store{Database: d}, &firestore.Ledger{Database: d}, &firestore.Quarantine{Database: d}}, parts[1], nil
	}
	return t, "", fmt.Errorf("%w, not %q", errTable, name)
}
