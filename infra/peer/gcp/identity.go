package gcp

import (
	"fmt"
	"regexp"
)

// Identity is whom a function on AWS acts as on Google Cloud.
type Identity struct {
	// Provider is the workload identity pool's provider that trusts the AWS account,
	// //iam.googleapis.com/projects/N/locations/global/workloadIdentityPools/P/providers/X.
	Provider string
	// Account is the e-mail address of the service account that may publish.
	Account string
}

// identity has what Google takes for the names of projects, pools and providers,
// and for a service account's address: nothing that would mean something in a URL.
var identity = regexp.MustCompile(`^(//iam\.googleapis\.com/projects/[a-z0-9:.-]+/locations/global/workloadIdentityPools/[a-z0-9-]+/providers/[a-z0-9-]+)#([a-z0-9-]+@[a-z0-9.-]+)$`)

// ParseIdentity reads an identity as String writes it: the provider, #, the account.
func ParseIdentity(text string) (Identity, error) {
	m := identity.FindStringSubmatch(text)
	if m == nil {
		return Identity{}, fmt.Errorf("%q is not an identity on Google Cloud: it must be //iam.googleapis.com/projects/NUMBER/locations/global/workloadIdentityPools/POOL/providers/PROVIDER#SERVICE-ACCOUNT@PROJECT.iam.gserviceaccount.com", text)
	}
	return Identity{Provider: m[1], Account: m[2]}, nil
}

func (i Identity) String() string { return i.Provider + "#" + i.Account }
