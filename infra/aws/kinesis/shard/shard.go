// Package shard is what a shard of a Kinesis stream gives, without the SDK: so
// that whoever consumes records links nothing that only a reader of shards needs.
package shard

import (
	"cmp"
	"strings"
	"time"
)

// Record is one Kinesis record, as its shard keeps it.
type Record struct {
	// PartitionKey is what it was put under: package kinesis puts the number of
	// the records' partition there, as three decimal digits.
	PartitionKey string
	// Sequence is its sequence number, which ascends within a shard (Compare).
	Sequence string
	// Data is its payload, as it was put: a pack.
	Data []byte
	// Arrived is when Kinesis took it, about.
	Arrived time.Time
}

// Compare compares two sequence numbers: decimal, of any size. It is negative
// when a is before b, and 0 when they are the same.
func Compare(a, b string) int {
	a, b = strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
	return cmp.Or(len(a)-len(b), strings.Compare(a, b))
}
