package local

import (
	"context"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/hitolayer/hito/shared/profile"
)

// Scan returns up to limit of the project's fragments in order of their visitor
// keys, beginning behind after (empty begins), as they are now. next is the
// after of the following page, empty at the end.
func (s *Store) Scan(ctx context.Context, project, after string, limit int) (page []*profile.Fragment, next string, err error) {
	fail := func(err error) ([]*profile.Fragment, string, error) {
		return nil, "", fmt.Errorf("scan fragments of %s: %w", project, err)
	}
	if limit <= 0 {
		return nil, "", nil
	}
	unwritten := s.unwritten(project, after)
	lower := prefix(fragmentKind, project)
	base := len(lower)
	upper := keyAfter(lower)
	if after != "" {
		lower = append(append(lower, after...), 0)
	}
	it, err := s.db.pebble.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return fail(err)
	}
	var names []string
	for valid := it.First(); valid && len(names) <= limit; valid = it.Next() {
		names = append(names, string(it.Key()[base:]))
	}
	if err := it.Close(); err != nil {
		return fail(err)
	}
	names = append(names, unwritten...)
	slices.Sort(names)
	names = slices.Compact(names)
	more := len(names) > limit
	names = names[:min(len(names), limit)]
	for _, visitor := range names {
		if err := ctx.Err(); err != nil {
			return fail(context.Cause(ctx))
		}
		k := profile.Key{Project: project, Visitor: visitor}
		version, data, err := s.peek(k)
		if err != nil {
			return fail(err)
		}
		f, err := fragment(k, version, data)
		if err != nil {
			return fail(err)
		}
		page = append(page, f)
	}
	if more {
		next = names[len(names)-1]
	}
	return page, next, nil
}

// unwritten returns the project's visitors behind after whose fragments may not
// be on disk.
func (s *Store) unwritten(project, after string) []string {
	var names []string
	for i := range s.shards {
		sh := &s.shards[i]
		sh.mu.Lock()
		for _, sl := range sh.ring {
			if (sl.dirty || sl.writing != nil) && sl.key.Project == project && sl.key.Visitor > after {
				names = append(names, sl.key.Visitor)
			}
		}
		sh.mu.Unlock()
	}
	return names
}

// peek returns a fragment's stored form without bringing it into memory, so that
// a scan does not drive out what is in use.
func (s *Store) peek(k profile.Key) (uint64, []byte, error) {
	sh := s.shard(k)
	for {
		settled := s.settled.Load()
		read, err := s.read(k)
		if err != nil {
			return 0, nil, err
		}
		sh.mu.Lock()
		if sl, ok := sh.slots[k]; ok {
			defer sh.mu.Unlock()
			return sl.version, sl.data, nil
		}
		sh.mu.Unlock()
		if s.settled.Load() == settled {
			return read.version, read.data, nil
		}
	}
}
