package dynamodb

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	mathrand "math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/cespare/xxhash/v2"

	"github.com/hitolayer/hito/infra/aws/retry"
	"github.com/hitolayer/hito/shared/ledger"
)

// Ledger keeps the balance of every project. What is booked is added in the write
// that says it is booked: moves a log's account past it, or leaves an id. It must
// not be copied after its first use.
type Ledger struct {
	Client API
	Table  string
	// Retry is as in Store.
	Retry retry.Call
	// Now is the clock, time.Now when nil.
	Now func() time.Time

	registered sync.Map // projects and logs, see register
}

var (
	_ ledger.Committer = (*Ledger)(nil)
	_ ledger.Recorder  = (*Ledger)(nil)
	_ ledger.Reader    = (*Ledger)(nil)
)

const (
	// maxTransaction is how many items a transaction writes.
	// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html
	maxTransaction = 100
	// onceKept is how long an id stays that something was booked under: longer
	// than a message waits in a queue, 14 days.
	onceKept = 15 * 24 * time.Hour
)

func (l *Ledger) table() *table { return newTable(l.Client, l.Table, 0, l.Retry, l.Now) }

// transact writes items, all or none. An attempt whose answer was lost and that
// took effect is not repeated: all attempts have one token, which DynamoDB
// remembers for 10 minutes.
func (t *table) transact(ctx context.Context, items []types.TransactWriteItem) error {
	in := &dynamodb.TransactWriteItemsInput{TransactItems: items, ClientRequestToken: new(rand.Text())}
	return t.do(ctx, func(ctx context.Context) error {
		_, err := t.api.TransactWriteItems(ctx, in)
		return err
	})
}

// Record books deltas, those that fit in one transaction all or none: some 50
// projects and hours. A call that fails may have booked them.
func (l *Ledger) Record(ctx context.Context, deltas []ledger.Delta) error {
	t, total := l.table(), make(sums)
	for _, d := range deltas {
		total.book(d)
	}
	for some := range slices.Chunk(total.updates(t, mathrand.IntN(slots)), maxTransaction) {
		if err := t.transact(ctx, some); err != nil {
			return fmt.Errorf("record %d ledger deltas: %w", len(deltas), err)
		}
	}
	return nil
}

// CommitOnce implements ledger.Committer. An id is remembered for 15 days.
// Deltas that do not fit in one transaction go in several, each under an id of
// its own: a call that failed between them is completed by the next, which must
// have the same deltas.
func (l *Ledger) CommitOnce(ctx context.Context, id string, deltas []ledger.Delta) error {
	t := l.table()
	updates := sumsOf(deltas).updates(t, slotOf(id))
	n := 0
	for some := range slices.Chunk(updates, maxTransaction-1) {
		guard := types.TransactWriteItem{Put: &types.Put{
			TableName: &t.name, Item: item{pkAttr: text(onceKey(id, n)), ttlAttr: number(t.now().Add(onceKept).Unix())},
			ConditionExpression: new("attribute_not_exists(pk)"),
		}}
		if err := t.transact(ctx, append([]types.TransactWriteItem{guard}, some...)); err != nil && failedConditions(err) == nil {
			return fmt.Errorf("commit %d ledger deltas under %s: %w", len(deltas), id, err)
		}
		n++
	}
	return nil
}

func onceKey(id string, part int) string {
	h := sha256.Sum256(appendNames(id, fmt.Sprint(part)))
	return "l/o/" + hex.EncodeToString(h[:16])
}

// slotOf returns the slot that what has this name is added to.
func slotOf(name string) int {
	if name == "" {
		return mathrand.IntN(slots)
	}
	return int(xxhash.Sum64String(name) % slots)
}
