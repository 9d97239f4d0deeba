// Package sample is the project that "run" lays out at first start: an online
// shop, with Segment's e-commerce events.
package sample

import _ "embed"

// Name is the sample project's name.
const Name = "shop"

// File is the project's file: settings and rules.
//
//go:embed shop.yaml
var File []byte

// Keys is the keys document: write key demo, secret key demo-secret.
//
//go:embed keys.yaml
var Keys []byte
