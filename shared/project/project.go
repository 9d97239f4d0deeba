// Package project is the tenant: its name, its keys and its settings. Nothing
// crosses projects.
package project

import (
	"context"
	"errors"
)

// AddressPolicy says what is kept of a visitor's IP address. It is applied
// before anything is stored.
type AddressPolicy string

// The address policies.
const (
	// Keep stores the whole address.
	Keep AddressPolicy = "keep"
	// Truncate stores the network: the first 24 bits of IPv4, the first 48 of IPv6.
	Truncate AddressPolicy = "truncate"
	// Drop stores nothing, so that no country can be found either.
	Drop AddressPolicy = "drop"
)

// Settings is the part of a project's file that says how events are taken in.
type Settings struct {
	// IP is the address policy, Truncate when empty.
	IP AddressPolicy `yaml:"ip"`
	// InternalHosts are the project's own sites: referrers from them (or a
	// subdomain) are internal.
	InternalHosts []string `yaml:"internal_hosts"`
	// JunkIDs are ids refused as user and anonymous ids, compared without case;
	// nil means the built-in list.
	JunkIDs []string `yaml:"junk_ids"`
}

// Project is one tenant as a function sees it.
type Project struct {
	Name     string
	Settings Settings
}

// Keys are a project's keys. Write keys are public, secret keys read and erase.
type Keys struct {
	Write  []string `yaml:"write" json:"write"`
	Secret []string `yaml:"secret" json:"secret"`
}

// Directory finds projects by key. The projects it returns are not changed
// afterwards and may be shared.
type Directory interface {
	ByWriteKey(key string) (*Project, bool)
	BySecretKey(key string) (*Project, bool)
}

// Source is a document that changes now and then: a file, an S3 or GCS object.
type Source interface {
	// Fetch returns the document and its tag. When the document still has the
	// given tag (empty at first), data is nil and the tag the same. The error wraps
	// ErrMissing when there is no document.
	Fetch(ctx context.Context, tag string) (data []byte, newTag string, err error)
}

// ErrMissing is in the chain of errors that say that there is no such document,
// or that it may not be read, where that cannot be told apart.
var ErrMissing = errors.New("the document is missing, or may not be read")
