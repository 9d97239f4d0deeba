package dynamodb

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// A value that is too large for one item is in parts: items of their own, of
// one generation, that are written before the head which names the generation.
// Until the head is known to do so they are loose and have a time to live, so
// that those of a writer that died, or was too slow, go by themselves. A head
// whose writer died before it could say so refers to parts that are still
// loose: Load mends that, and the batch of the writer that died is delivered
// again long before their time is over.

const (
	// maxInline is how large a value may be in an item with others. An item has
	// at most 400 KB, with the names of its attributes.
	maxInline = 380 << 10
	// partSize is how much of a value a part holds.
	partSize = 380 << 10
	// looseFor is how long a part lives that no head is known to refer to: longer
	// than a stream that is set to do so keeps a batch (7 days) and than a
	// message waits in a queue (14 days).
	looseFor = 30 * 24 * time.Hour
	// partsOutlive is how much longer parts live than their head.
	partsOutlive = looseFor
)

// errGone says that a head's parts are not there.
var errGone = errors.New("dynamodb: parts are gone")

// parts names a value's parts.
type parts struct {
	generation [8]byte
	count      int
}

func (p parts) encode() []byte {
	return binary.AppendUvarint(bytes.Clone(p.generation[:]), uint64(p.count))
}

func readParts(b []byte) (p parts, err error) {
	if b == nil {
		return parts{}, nil
	}
	if len(b) > len(p.generation) {
		count, n := binary.Uvarint(b[copy(p.generation[:], b):])
		if p.count = int(count); n > 0 && count < maxValue/partSize {
			return p, nil
		}
	}
	return parts{}, fmt.Errorf("dynamodb: %x does not name parts", b)
}

// keys returns the parts' keys, of the value of the item pk.
func (p parts) keys(pk string) []string {
	keys := make([]string, p.count)
	for i := range keys {
		keys[i] = pk + string(mark) + hex.EncodeToString(p.generation[:]) + "/" + strconv.Itoa(i)
	}
	return keys
}

// putParts writes packed in loose parts.
func (t *table) putParts(ctx context.Context, pk string, p parts, packed []byte, ttl time.Time) error {
	keys := p.keys(pk)
	return parallel(p.count, t.workers, func(i int) error {
		in := &dynamodb.PutItemInput{
			TableName: &t.name,
			Item: item{
				pkAttr:    text(keys[i]),
				valueAttr: binaryValue(packed[i*partSize : min((i+1)*partSize, len(packed))]),
				looseAttr: number(1),
				ttlAttr:   number(ttl.Unix()),
			},
			// A request that is late must not make a part loose again that is held.
			ConditionExpression: new("attribute_not_exists(pk)"),
		}
		err := t.do(ctx, func(ctx context.Context) error {
			_, err := t.api.PutItem(ctx, in)
			return err
		})
		if _, there := errors.AsType[*types.ConditionalCheckFailedException](err); err != nil && !there {
			return fmt.Errorf("write part %s: %w", keys[i], err)
		}
		return nil
	})
}

// holdParts says that a head refers to the parts: they live as long as it does,
// until ttl, for ever when that is 0. Parts that are gone stay so.
func (t *table) holdParts(ctx context.Context, keys []string, ttl int64) error {
	return parallel(len(keys), t.workers, func(i int) error {
		in := &dynamodb.UpdateItemInput{
			TableName: &t.name, Key: t.key(keys[i]),
			UpdateExpression:         new("REMOVE #u, #t"),
			ConditionExpression:      new("attribute_exists(#pk)"),
			ExpressionAttributeNames: map[string]string{"#u": looseAttr, "#t": ttlAttr, "#pk": pkAttr},
		}
		if ttl > 0 {
			in.UpdateExpression = new("REMOVE #u SET #t = :t")
			in.ExpressionAttributeValues = item{":t": number(ttl + int64(partsOutlive/time.Second))}
		}
		err := t.do(ctx, func(ctx context.Context) error {
			_, err := t.api.UpdateItem(ctx, in)
			return err
		})
		if _, gone := errors.AsType[*types.ConditionalCheckFailedException](err); err != nil && !gone {
			return fmt.Errorf("hold part %s: %w", keys[i], err)
		}
		return nil
	})
}

// deleteParts removes parts that no head refers to.
func (t *table) deleteParts(ctx context.Context, pk string, p parts) error {
	keys := p.keys(pk)
	return parallel(len(keys), t.workers, func(i int) error {
		err := t.do(ctx, func(ctx context.Context) error {
			_, err := t.api.DeleteItem(ctx, &dynamodb.DeleteItemInput{TableName: &t.name, Key: t.key(keys[i])})
			return err
		})
		if err != nil {
			return fmt.Errorf("delete part %s: %w", keys[i], err)
		}
		return nil
	})
}

// readParts returns the value the parts make up, or errGone, and which are loose.
func (t *table) readParts(ctx context.Context, pk string, p parts) (packed []byte, loose []string, err error) {
	keys := p.keys(pk)
	items, err := t.get(ctx, keys)
	if err != nil {
		return nil, nil, err
	}
	for _, k := range keys {
		it, ok := items[k]
		if !ok {
			return nil, nil, fmt.Errorf("%w: %s", errGone, k)
		}
		packed = append(packed, bytesOf(it, valueAttr)...)
		if it[looseAttr] != nil {
			loose = append(loose, k)
		}
	}
	return packed, loose, nil
}

// assemble reads a head's parts, and mends them.
func (s *Store) assemble(ctx context.Context, t *table, pk string, h *head) error {
	packed, loose, err := t.readParts(ctx, pk, h.parts)
	if err != nil {
		return err
	}
	h.packed = packed
	if len(loose) == 0 || s.ReadOnly {
		return nil
	}
	return t.holdParts(ctx, loose, h.ttl)
}
