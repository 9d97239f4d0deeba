package dynamodb

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/cespare/xxhash/v2"

	"github.com/hitolayer/hito/shared/quarantine"
)

// List implements quarantine.Reader. It reads an index, which shows an entry
// within some milliseconds of its Put.
func (q *Quarantine) List(ctx context.Context, project, cursor string, limit int) (entries []quarantine.Entry, next string, err error) {
	after, err := decodeCursor(project, cursor)
	if err != nil {
		return nil, "", err
	}
	if entries, next, err = q.list(ctx, project, after, max(limit, 1)); err != nil {
		return nil, "", fmt.Errorf("list quarantine of %s: %w", project, err)
	}
	return entries, next, nil
}

// shelf is one slot's entries, in order, as far as they are read.
type shelf struct {
	slot  int
	items []item
	// after is the place of the last item read, done whether there are no more.
	after string
	done  bool
}

func (q *Quarantine) list(ctx context.Context, project, after string, limit int) (entries []quarantine.Entry, next string, err error) {
	t := q.table()
	shelves := make([]*shelf, slots)
	for i := range shelves {
		shelves[i] = &shelf{slot: i, after: after}
	}
	page := int32(limit/slots + 2) // of each slot: an even share, and a little more
	last := ""
	for {
		var short []*shelf
		for _, s := range shelves {
			if len(s.items) == 0 && !s.done {
				short = append(short, s)
			}
		}
		if err := parallel(len(short), t.workers, func(i int) error { return t.fill(ctx, short[i], project, page) }); err != nil {
			return nil, "", err
		}
		if first := firstOf(shelves); first == nil {
			return entries, "", nil
		} else if len(entries) == limit {
			return entries, encodeCursor(project, last), nil
		}
		// Until a shelf is empty that may have more, the first is the next.
		for len(entries) < limit {
			first := firstOf(shelves)
			if first == nil {
				break
			}
			it := first.items[0]
			first.items = first.items[1:]
			e, err := t.entry(ctx, it)
			if err != nil {
				return nil, "", fmt.Errorf("read %s: %w", textOf(it, pkAttr), err)
			}
			entries, last = append(entries, e), textOf(it, orderAttr)
			if len(first.items) == 0 && !first.done {
				break
			}
		}
	}
}

// firstOf returns the shelf that has the first item of all, nil when none has any.
func firstOf(shelves []*shelf) (first *shelf) {
	for _, s := range shelves {
		if len(s.items) > 0 && (first == nil || textOf(s.items[0], orderAttr) < textOf(first.items[0], orderAttr)) {
			first = s
		}
	}
	return first
}

// fill reads a slot's next items.
func (t *table) fill(ctx context.Context, s *shelf, project string, limit int32) error {
	in := &dynamodb.QueryInput{
		TableName: &t.name, IndexName: new(Index), Limit: &limit,
		KeyConditionExpression:    new("#q = :q AND #at > :after"),
		ExpressionAttributeNames:  map[string]string{"#q": queueAttr, "#at": orderAttr},
		ExpressionAttributeValues: item{":q": text(queueKey(project, s.slot)), ":after": text(s.after)},
	}
	var out *dynamodb.QueryOutput
	err := t.do(ctx, func(ctx context.Context) (err error) {
		out, err = t.api.Query(ctx, in)
		return err
	})
	if err != nil {
		return err
	}
	s.items, s.done = out.Items, len(out.LastEvaluatedKey) == 0
	if n := len(out.Items); n > 0 {
		s.after = textOf(out.Items[n-1], orderAttr)
	}
	return nil
}

// entry returns the entry that an item holds, or that its parts do.
func (t *table) entry(ctx context.Context, it item) (quarantine.Entry, error) {
	packed := bytesOf(it, valueAttr)
	p, err := readParts(bytesOf(it, partsAttr))
	if err != nil {
		return quarantine.Entry{}, err
	}
	if p.count > 0 {
		if packed, _, err = t.readParts(ctx, textOf(it, pkAttr), p); err != nil {
			return quarantine.Entry{}, err
		}
	}
	value, err := decodeValue(packed)
	if err != nil {
		return quarantine.Entry{}, err
	}
	return decodeEntry(value)
}

// A cursor is the place of the last entry listed, with a sum of the project it
// is a place in.
func encodeCursor(project, last string) string {
	return base64.RawURLEncoding.EncodeToString(append(cursorSum(project, last), last...))
}

func cursorSum(project, last string) []byte {
	return binary.BigEndian.AppendUint32(nil, uint32(xxhash.Sum64(appendNames("cursor", project, last))))
}

// beforeAll is a place before all entries; places begin with a hex digit.
const beforeAll = " "

func decodeCursor(project, cursor string) (after string, err error) {
	if cursor == "" {
		return beforeAll, nil
	}
	b, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil || len(b) < 5 || string(cursorSum(project, string(b[4:]))) != string(b[:4]) {
		return "", quarantine.ErrCursor
	}
	return string(b[4:]), nil
}
