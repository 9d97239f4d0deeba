package local

import (
	"context"
	"fmt"
	"iter"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/hitolayer/hito/shared/profile"
)

// Pages yields the project's fragments in order of their visitor keys, up to
// limit at a time. Who was there when it began is in it, as of the time of its
// page; who comes meanwhile may be.
func (s *Store) Pages(ctx context.Context, project string, limit int) iter.Seq2[[]*profile.Fragment, error] {
	return func(yield func([]*profile.Fragment, error) bool) {
		// Once for all pages: it looks at everything in memory.
		unwritten := s.unwritten(project)
		slices.Sort(unwritten)
		for after := ""; ; {
			page, rest, more, err := s.page(ctx, project, after, unwritten, max(limit, 1))
			if err != nil {
				yield(nil, fmt.Errorf("scan fragments of %s behind %q: %w", project, after, err))
				return
			}
			if len(page) > 0 && !yield(page, nil) || !more {
				return
			}
			unwritten, after = rest, page[len(page)-1].Key.Visitor
		}
	}
}

// page returns up to limit fragments behind after, of those on disk and those
// unwritten, which is sorted; and the rest of unwritten.
func (s *Store) page(ctx context.Context, project, after string, unwritten []string, limit int) (page []*profile.Fragment, rest []string, more bool, err error) {
	lower := prefix(fragmentKind, project)
	base := len(lower)
	upper := keyAfter(lower)
	if after != "" {
		lower = append(append(lower, after...), 0)
	}
	it, err := s.db.pebble.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return nil, nil, false, err
	}
	var names []string
	for valid := it.First(); valid && len(names) <= limit; valid = it.Next() {
		names = append(names, string(it.Key()[base:]))
	}
	if err := it.Close(); err != nil {
		return nil, nil, false, err
	}
	names = append(names, unwritten[:min(len(unwritten), limit+1)]...)
	slices.Sort(names)
	names = slices.Compact(names)
	if more = len(names) > limit; more {
		names = names[:limit]
	}
	for _, visitor := range names {
		if ctx.Err() != nil {
			return nil, nil, false, context.Cause(ctx)
		}
		k := profile.Key{Project: project, Visitor: visitor}
		version, data, err := s.peek(k)
		if err != nil {
			return nil, nil, false, err
		}
		f, err := fragment(k, version, data)
		if err != nil {
			return nil, nil, false, err
		}
		page = append(page, f)
		if len(unwritten) > 0 && unwritten[0] == visitor {
			unwritten = unwritten[1:]
		}
	}
	return page, unwritten, more, nil
}

// unwritten returns the project's visitors whose fragments may not be on disk.
func (s *Store) unwritten(project string) []string {
	var names []string
	for i := range s.shards {
		sh := &s.shards[i]
		sh.mu.Lock()
		for _, sl := range sh.ring {
			if (sl.dirty || sl.writing != nil) && sl.key.Project == project {
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
