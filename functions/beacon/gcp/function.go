// Package gcp is beacon on Google Cloud, behind a URL.
package gcp

import (
	"crypto/rand"
	"net/http"
	"time"

	"github.com/hitolayer/hito/functions/beacon"
	"github.com/hitolayer/hito/infra/gcp/function"
)

func init() { function.Register("beacon", wire) }

func wire(b *function.Base) (http.Handler, error) {
	return b.HTTP(&beacon.Handler{
		Projects: b.Projects, Raw: b.Raw(), Quarantine: b.Quarantine(), Telemetry: b.Telemetry, Origin: function.Origin,
		Now: time.Now, NewID: rand.Text, Log: b.Log, TrustedProxies: b.TrustedProxies,
	}), nil
}
