package shard

import "fmt"

// LostError says that records of a range are no longer on their shard: they
// were older than the stream keeps them.
type LostError struct {
	Stream, Shard string
	// First and Last are the sequence numbers of the range that was asked for.
	First, Last string
	// Found is the first sequence number of the range that is still there: those
	// from First up to it are lost. It is empty when all are.
	Found string
}

func (e *LostError) Error() string {
	if e.Found == "" {
		return fmt.Sprintf("the stream keeps none of the records %s to %s of %s/%s any more", e.First, e.Last, e.Stream, e.Shard)
	}
	return fmt.Sprintf("the stream keeps the records %s to %s of %s/%s only from %s on", e.First, e.Last, e.Stream, e.Shard, e.Found)
}
