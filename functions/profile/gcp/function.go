// Package gcp is profile on Google Cloud, behind a URL.
package gcp

import (
	"net/http"

	"github.com/hitolayer/hito/functions/profile"
	"github.com/hitolayer/hito/infra/gcp/function"
	"github.com/hitolayer/hito/shared/rules"
)

func init() { function.Register("profile", wire) }

func wire(b *function.Base) (_ http.Handler, err error) {
	set := &rules.Set{OnTrip: b.Projects.Tripped}
	b.Projects.OnFile, b.LastGood.NoKeys = set.Load, true // the keys kept are the write keys
	if b.Projects.Keys, err = b.SecretKeys(); err != nil {
		return nil, err
	}
	return b.HTTP(&profile.Handler{
		Projects: b.Projects, Store: b.Store(), Rules: set.Get, Raw: b.Raw(), Ledger: b.Ledger(), Quarantine: b.Quarantine(),
		Origin: function.Origin, Telemetry: b.Telemetry, Log: b.Log,
	}, b.Projects.Fresh), nil
}
