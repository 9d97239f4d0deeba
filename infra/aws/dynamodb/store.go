package dynamodb

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/hitolayer/hito/infra/aws/retry"
	"github.com/hitolayer/hito/shared/profile"
)

// Store keeps fragments, each in one item, however large in as many parts as it
// takes.
type Store struct {
	Client API
	Table  string
	// Keep is how long a fragment stays after it was last saved, 0 for ever.
	// DynamoDB removes it some time within the days after.
	Keep time.Duration
	// Workers is how many requests of one call are under way at a time, 32 when 0.
	Workers int
	// ReadOnly is for those who may not write: Load leaves to others what a crash
	// in the middle of a large Save left to be mended.
	ReadOnly bool
	// Retry is how a request is repeated until ctx ends. When 0, an attempt has 5 s
	// and pauses grow from 20 ms to 1 s.
	Retry retry.Call
	// Now is the clock, time.Now when nil.
	Now func() time.Time
}

var _ profile.Store = (*Store)(nil)

func (s *Store) table() *table { return newTable(s.Client, s.Table, s.Workers, s.Retry, s.Now) }

func fragmentKey(k profile.Key) (pk string, hashed bool) { return key("f", k.Project, k.Visitor) }

// head is a fragment's item as it was read.
type head struct {
	version uint64
	packed  []byte
	parts   parts // instead of packed
	ttl     int64
}

func readHead(it item) (head, error) {
	version, err := numberOf(it, versionAttr)
	if err != nil || it == nil {
		return head{}, err
	}
	h := head{version: uint64(version), packed: bytesOf(it, valueAttr)}
	if h.ttl, err = numberOf(it, ttlAttr); err != nil {
		return head{}, err
	}
	h.parts, err = readParts(bytesOf(it, partsAttr))
	return h, err
}

// fragment returns the fragment with what h holds.
func (h *head) fragment(k profile.Key) (*profile.Fragment, error) {
	if h.version == 0 {
		return profile.NewFragment(k), nil
	}
	state, err := decodeValue(h.packed)
	if err != nil {
		return nil, err
	}
	return profile.Decode(k, h.version, state)
}

// Load implements profile.Store. A key may be asked for more than once.
func (s *Store) Load(ctx context.Context, keys []profile.Key) ([]*profile.Fragment, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("load %d fragments: %w", len(keys), context.Cause(ctx))
	}
	names, distinct := make([]string, len(keys)), make([]string, 0, len(keys))
	seen := make(map[string]bool, len(keys))
	for i, k := range keys {
		names[i], _ = fragmentKey(k)
		if !seen[names[i]] {
			seen[names[i]] = true
			distinct = append(distinct, names[i])
		}
	}
	heads, err := s.heads(ctx, distinct)
	if err != nil {
		return nil, fmt.Errorf("load %d fragments: %w", len(keys), err)
	}
	out := make([]*profile.Fragment, len(keys))
	for i, k := range keys {
		if out[i], err = heads[names[i]].fragment(k); err != nil {
			return nil, fmt.Errorf("load fragment %s: %w", k, err)
		}
	}
	return out, nil
}

// heads reads the heads of keys that differ, and what is in parts with its parts.
// Every key has a head in the result.
func (s *Store) heads(ctx context.Context, keys []string) (map[string]*head, error) {
	t := s.table()
	heads := make(map[string]*head, len(keys))
	read := func(keys []string) (inParts []string, err error) {
		items, err := t.get(ctx, keys)
		if err != nil {
			return nil, err
		}
		for _, k := range keys {
			h, err := readHead(items[k])
			if err != nil {
				return nil, fmt.Errorf("read %s: %w", k, err)
			}
			heads[k] = &h
			if h.parts.count > 0 {
				inParts = append(inParts, k)
			}
		}
		return inParts, nil
	}
	left, err := read(keys)
	// Parts that are gone were replaced, or a faster writer is about to: read again.
	for n := 0; err == nil && len(left) > 0; n++ {
		var gone []string
		for _, k := range left {
			switch err := s.assemble(ctx, t, k, heads[k]); {
			case errors.Is(err, errGone) && n < 8:
				gone = append(gone, k)
			case errors.Is(err, errGone) && heads[k].ttl > 0 && heads[k].ttl < t.now().Unix():
				// Its time is over, and its parts went first: it is empty.
				heads[k].packed, err = emptyState()
				if err != nil {
					return nil, err
				}
			case err != nil:
				return nil, fmt.Errorf("read %s: %w", k, err)
			}
		}
		if len(gone) > 0 && n > 0 {
			if err := t.retry.Backoff.Wait(ctx, n); err != nil {
				return nil, fmt.Errorf("%d fragments change while they are read: %w", len(gone), err)
			}
		}
		left, err = read(gone)
	}
	return heads, err
}

func emptyState() ([]byte, error) {
	state, err := profile.NewFragment(profile.Key{}).Encode()
	if err != nil {
		return nil, err
	}
	return encodeValue(state, 0)
}

// appendNames and cutNames are how an item keeps what its key cannot.
func appendNames(names ...string) []byte {
	var buf []byte
	for _, n := range names {
		buf = append(binary.AppendUvarint(buf, uint64(len(n))), n...)
	}
	return buf
}

func cutNames(buf []byte) (names []string, err error) {
	for len(buf) > 0 {
		n, size := binary.Uvarint(buf)
		if size <= 0 || n > uint64(len(buf)-size) {
			return nil, fmt.Errorf("dynamodb: %x holds no names", buf)
		}
		names, buf = append(names, string(buf[size:size+int(n)])), buf[size+int(n):]
	}
	return names, nil
}
