package fault

import (
	"path"
	"slices"
	"time"
)

// Kind is what goes wrong with a call.
type Kind string

// The kinds of fault. What is said of AWS is from each service's API reference,
// under "Common Errors" and the errors of each action.
const (
	// Throttle refuses the call as AWS does above a limit: with
	// ProvisionedThroughputExceededException where the service has it, or with
	// the rule's Code. The call has no effect.
	Throttle Kind = "throttle"
	// Internal answers 500. The call has no effect.
	Internal Kind = "internal"
	// Unavailable answers 503. The call has no effect.
	Unavailable Kind = "unavailable"
	// DropBefore closes the connection instead of passing the call on.
	DropBefore Kind = "drop-before"
	// DropAfter passes the call on, throws the answer away, and closes the
	// connection: what the caller sees of an effect that it cannot know of.
	DropAfter Kind = "drop-after"
	// Slow passes the call on and keeps the answer for the rule's Delay. A caller
	// that does not wait so long sees a timeout after the effect.
	Slow Kind = "slow"
	// Partial passes some entries of a batch on, and answers for the others as
	// AWS does: PutRecords with error codes, BatchGetItem with UnprocessedKeys,
	// BatchWriteItem with UnprocessedItems, SQS' batches with Failed. It leaves
	// other calls alone.
	Partial Kind = "partial"
	// Conflict refuses a transaction, or the write of an item, because another
	// transaction has the item. It leaves other calls alone.
	Conflict Kind = "conflict"
)

// Rule says which calls a fault befalls. Of several rules that a call meets, the
// first that strikes counts.
type Rule struct {
	Kind Kind
	// Action is a pattern (package path's) for service:Action, such as
	// "kinesis:Put*". Empty means every action.
	Action string
	// Resource is a pattern for one of the call's resources; empty means any.
	Resource string
	// Identity is the access key of the callers meant; empty means any.
	Identity string

	// Probability is how likely the fault befalls a call, 0 to 1.
	Probability float64
	// Nth lists calls that the fault befalls for certain, counted from 1 among
	// those that the rule is about.
	Nth []int

	// Code replaces a Throttle's error code, such as LimitExceededException.
	Code string
	// Delay is how long Slow keeps an answer.
	Delay time.Duration
	// Share is how likely Partial withholds an entry; 0 means one half. It
	// withholds at least one.
	Share float64
}

// about returns whether the rule is about such calls.
func (r *Rule) about(c *request) bool {
	switch r.Kind {
	case Partial:
		if c.batch() == nil {
			return false
		}
	case Conflict:
		if !c.conflicts() {
			return false
		}
	}
	return matches(r.Action, c.Service+":"+c.Action) &&
		(r.Identity == "" || r.Identity == c.Identity) &&
		(r.Resource == "" || slices.ContainsFunc(c.Resources, func(resource string) bool { return matches(r.Resource, resource) }))
}

// matches compares a text with a pattern; a malformed one matches nothing.
func matches(pattern, text string) bool {
	if pattern == "" {
		return true
	}
	ok, err := path.Match(pattern, text)
	return ok && err == nil
}
