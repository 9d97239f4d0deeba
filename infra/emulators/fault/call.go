package fault

import "slices"

// Call is a call that came to the proxy.
type Call struct {
	// Identity is the access key that signed the call; empty when nothing did.
	Identity string
	// Service is the service as in IAM's actions, such as kinesis or s3.
	Service string
	// Action is the API's action, such as PutRecords. For a REST API the proxy
	// knows nothing of it is method and path.
	Action string
	// Resources name what the call is about: a stream, a table, table/index/name,
	// a queue, bucket/key, a secret. They are sorted, and each is there once.
	Resources []string
	// Needs are the permissions that IAM would ask of the caller.
	Needs []Permission
	// Entries is how many entries a batch has; else 0.
	Entries int

	// Fault is what went wrong with it; empty when it went through.
	Fault Kind
	// Status is what was answered: an HTTP status, or 0 for a dropped connection.
	Status int
}

// Permission is an IAM action on a resource, such as dynamodb:PutItem on the
// table hito.
type Permission struct {
	Action, Resource string
}

// need adds a permission, and its resource.
func (c *Call) need(action, resource string) {
	permission := Permission{c.Service + ":" + action, resource}
	if !slices.Contains(c.Needs, permission) {
		c.Needs = append(c.Needs, permission)
	}
	if i, found := slices.BinarySearch(c.Resources, resource); !found && resource != "" {
		c.Resources = slices.Insert(c.Resources, i, resource)
	}
}
