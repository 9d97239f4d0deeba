package dynamodb

import (
	"context"
	"fmt"
	"maps"
	"strconv"
	"sync"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/hitolayer/hito/infra/aws/retry"
)

// maxBatch is how many items one BatchGetItem reads.
// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html
const maxBatch = 100

func text(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

func binaryValue(b []byte) types.AttributeValue { return &types.AttributeValueMemberB{Value: b} }

func number[T int | int64 | uint64](n T) types.AttributeValue {
	var s string
	if n < 0 {
		s = strconv.FormatInt(int64(n), 10)
	} else {
		s = strconv.FormatUint(uint64(n), 10)
	}
	return &types.AttributeValueMemberN{Value: s}
}

func (t *table) key(pk string) item { return item{pkAttr: text(pk)} }

// textOf, bytesOf and numberOf return an attribute, zero when it is not there.
func textOf(it item, name string) string {
	if v, ok := it[name].(*types.AttributeValueMemberS); ok {
		return v.Value
	}
	return ""
}

func bytesOf(it item, name string) []byte {
	if v, ok := it[name].(*types.AttributeValueMemberB); ok {
		return v.Value
	}
	return nil
}

func numberOf(it item, name string) (int64, error) {
	v, ok := it[name].(*types.AttributeValueMemberN)
	if !ok {
		return 0, nil
	}
	n, err := strconv.ParseInt(v.Value, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("dynamodb: attribute %s of %s: %w", name, textOf(it, pkAttr), err)
	}
	return n, nil
}

// get reads the items of keys that differ, as of now; those that do not exist
// are not in the result.
func (t *table) get(ctx context.Context, keys []string) (map[string]item, error) {
	calls := (len(keys) + maxBatch - 1) / maxBatch
	found := make(map[string]item, len(keys))
	var mu sync.Mutex
	err := parallel(calls, t.workers, func(i int) error {
		// As many keys a call as in every other.
		some := keys[i*len(keys)/calls : (i+1)*len(keys)/calls]
		return t.getBatch(ctx, some, func(items map[string]item) {
			mu.Lock()
			defer mu.Unlock()
			maps.Copy(found, items)
		})
	})
	return found, err
}

// getBatch reads at most maxBatch items, by as many requests as it takes: a
// response ends at 16 MB and, under throttling, earlier.
func (t *table) getBatch(ctx context.Context, keys []string, take func(map[string]item)) error {
	wanted := types.KeysAndAttributes{ConsistentRead: new(true), Keys: make([]item, len(keys))}
	for i, k := range keys {
		wanted.Keys[i] = t.key(k)
	}
	for n := 0; len(wanted.Keys) > 0; n++ {
		if n > 0 {
			if err := t.retry.Backoff.Wait(ctx, n); err != nil {
				return fmt.Errorf("%d items are left unread: %w: %w", len(wanted.Keys), err, retry.ErrThrottled)
			}
		}
		var out *dynamodb.BatchGetItemOutput
		err := t.do(ctx, func(ctx context.Context) (err error) {
			out, err = t.api.BatchGetItem(ctx, &dynamodb.BatchGetItemInput{RequestItems: map[string]types.KeysAndAttributes{t.name: wanted}})
			return err
		})
		if err != nil {
			return err
		}
		items := make(map[string]item)
		for _, list := range out.Responses { // of the one table
			for _, it := range list {
				items[textOf(it, pkAttr)] = it
			}
		}
		take(items)
		if len(items) > 0 {
			n = 0 // it goes on
		}
		wanted.Keys = nil
		for _, left := range out.UnprocessedKeys {
			wanted.Keys = left.Keys
		}
	}
	return nil
}
