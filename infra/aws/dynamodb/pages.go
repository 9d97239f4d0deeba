package dynamodb

import (
	"context"
	"fmt"
	"iter"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/hitolayer/hito/shared/profile"
)

// Pages yields the fragments of all projects in one of total segments of the
// table, 0 to total-1, up to n at a time. Who was there a second before it began is in
// it, as of about the time of its page; who comes meanwhile may be. After an
// error it ends.
func (s *Store) Pages(ctx context.Context, segment, total int, n int) iter.Seq2[[]*profile.Fragment, error] {
	return func(yield func([]*profile.Fragment, error) bool) {
		t := s.table()
		in := &dynamodb.ScanInput{
			TableName: &t.name, Segment: new(int32(segment)), TotalSegments: new(int32(total)), Limit: new(int32(max(n, 1))),
			// A part of a fragment has no version.
			FilterExpression:          new("begins_with(pk, :f) AND attribute_exists(#v)"),
			ExpressionAttributeNames:  map[string]string{"#v": versionAttr},
			ExpressionAttributeValues: item{":f": text("f/")},
		}
		for {
			var out *dynamodb.ScanOutput
			err := t.do(ctx, func(ctx context.Context) (err error) {
				out, err = t.api.Scan(ctx, in)
				return err
			})
			var page []*profile.Fragment
			if err == nil {
				page, err = s.page(ctx, out.Items)
			}
			if err != nil {
				yield(nil, fmt.Errorf("scan segment %d of %d: %w", segment, total, err))
				return
			}
			if len(page) > 0 && !yield(page, nil) || len(out.LastEvaluatedKey) == 0 {
				return
			}
			in.ExclusiveStartKey = out.LastEvaluatedKey
		}
	}
}

// page returns the fragments whose items were read, with what is in parts.
func (s *Store) page(ctx context.Context, items []item) ([]*profile.Fragment, error) {
	page := make([]*profile.Fragment, len(items))
	var inParts []profile.Key
	var at []int
	for i, it := range items {
		k, err := keyOf(it)
		if err != nil {
			return nil, err
		}
		h, err := readHead(it)
		if err == nil && h.parts.count > 0 {
			inParts, at = append(inParts, k), append(at, i)
			continue
		}
		if err == nil {
			page[i], err = h.fragment(k)
		}
		if err != nil {
			return nil, fmt.Errorf("read fragment %s: %w", k, err)
		}
	}
	large, err := s.Load(ctx, inParts)
	if err != nil {
		return nil, err
	}
	for i, f := range large {
		page[at[i]] = f
	}
	return page, nil
}

// keyOf returns the key of a fragment's item.
func keyOf(it item) (profile.Key, error) {
	pk := textOf(it, pkAttr)
	var names []string
	var err error
	if hashed := bytesOf(it, nameAttr); hashed != nil {
		names, err = cutNames(hashed)
	} else {
		names, err = cutKey(pk)
	}
	if err == nil && (len(names) != 2 || !strings.HasPrefix(pk, "f/")) {
		err = fmt.Errorf("dynamodb: %q is not a fragment's key", pk)
	}
	if err != nil {
		return profile.Key{}, err
	}
	return profile.Key{Project: names[0], Visitor: names[1]}, nil
}
