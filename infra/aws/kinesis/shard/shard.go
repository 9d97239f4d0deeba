// Package shard is what a shard of a Kinesis stream gives, without the SDK: so
// that whoever consumes records links nothing that only a reader of shards needs.
package shard

import "time"

// Record is one Kinesis record, as its shard keeps it.
type Record struct {
	// PartitionKey is what it was put under: package kinesis puts the number of
	// the records' partition there, as three decimal digits.
	PartitionKey string
	// Sequence is its sequence number, decimal, to be compared as a number of
	// any size: it ascends within a shard.
	Sequence string
	// Data is its payload, as it was put: a pack.
	Data []byte
	// Arrived is when Kinesis took it, about.
	Arrived time.Time
}
