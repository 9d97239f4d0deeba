// Package streamtest is the conformance suite of streams: what every adapter
// must do, whatever carries the records. It asks no more than the contract in
// package stream: at least once, in any order.
package streamtest

import (
	"testing"
	"time"

	"github.com/hitolayer/hito/shared/quarantine"
	"github.com/hitolayer/hito/shared/stream"
)

// Stream is one stream of the adapter under test, empty and without consumers.
type Stream interface {
	stream.Publisher
	// Consume begins to deliver the stream to h until the test ends. The suite
	// calls it once, before or after it publishes.
	Consume(t *testing.T, h stream.Handler)
	// Quarantined returns what went to quarantine so far. It may be called at
	// any time, again and again.
	Quarantined(t *testing.T) []quarantine.Entry
}

// Harness makes a new stream for a test and sees to its end.
type Harness func(t *testing.T) Stream

// Features are what an adapter does beyond the least, and its bounds.
type Features struct {
	// KeyAffinity says that records of the same project and key are never with
	// two consumers at the same time.
	KeyAffinity bool
	// Bisects says that the adapter finds the record that makes a handler panic.
	Bisects bool
	// Copies says that a record may be carried more than once, as one is whose
	// publisher got no answer: each copy is in quarantine then.
	Copies bool
	// CountsAttempts says that Record.Attempt counts every delivery.
	CountsAttempts bool
	// MaxAttempts is after how many deliveries a record that goes on failing is
	// in quarantine at the latest; 0 when the adapter never gives up.
	MaxAttempts int
	// MaxRecordBytes is the largest Data it carries, 1 MiB when 0.
	MaxRecordBytes int
	// Patience is how long the suite waits for what must happen, 30 s when 0;
	// Quiet how long for what must not, 200 ms when 0.
	Patience, Quiet time.Duration
}

// Run runs the suite.
func Run(t *testing.T, h Harness, f Features) {
	if f.MaxRecordBytes == 0 {
		f.MaxRecordBytes = 1 << 20
	}
	if f.Patience == 0 {
		f.Patience = 30 * time.Second
	}
	if f.Quiet == 0 {
		f.Quiet = 200 * time.Millisecond
	}
	s := suite{harness: h, Features: f}
	for _, c := range []struct {
		name string
		test func(suite, *testing.T)
		need bool
	}{
		{"DeliversEveryRecord", suite.deliversEveryRecord, true},
		{"KeepsEveryByte", suite.keepsEveryByte, true},
		{"DeliversWhatWasPublishedBefore", suite.deliversWhatWasPublishedBefore, true},
		{"EmptyPublish", suite.emptyPublish, true},
		{"LargeRecords", suite.largeRecords, true},
		{"TakesACopy", suite.takesACopy, true},
		{"ConcurrentPublishers", suite.concurrentPublishers, true},
		{"CancelledPublish", suite.cancelledPublish, true},
		{"FailedRecordComesAgain", suite.failedRecordComesAgain, true},
		{"FailedBatchComesAgain", suite.failedBatchComesAgain, true},
		{"PermanentFailureIsQuarantined", suite.permanentFailureIsQuarantined, true},
		{"AttemptsAreBounded", suite.attemptsAreBounded, f.MaxAttempts > 0},
		{"PanicHarmsNoNeighbour", suite.panicHarmsNoNeighbour, f.Bisects},
		{"KeyAffinity", suite.keyAffinity, f.KeyAffinity},
	} {
		t.Run(c.name, func(t *testing.T) {
			if !c.need {
				t.Skip("the adapter does not claim this feature")
			}
			c.test(s, t)
		})
	}
}

type suite struct {
	Features
	harness Harness
}
