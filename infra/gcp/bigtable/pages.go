package bigtable

import (
	"context"
	"fmt"
	"iter"

	"cloud.google.com/go/bigtable"

	"github.com/hitolayer/hito/shared/profile"
)

// Pages yields the fragments of all projects in one of total parts of the table,
// 0 to total-1, up to n at a time. Who was there before it began is in it, as of
// about the time of its page; who comes meanwhile may be. After an error it ends.
func (s *Store) Pages(ctx context.Context, part, total, n int) iter.Seq2[[]*profile.Fragment, error] {
	return func(yield func([]*profile.Fragment, error) bool) {
		from, to := partRange(part, total)
		for n = max(n, 1); ; {
			var page []*profile.Fragment
			rows, last := 0, ""
			var bad error
			err := s.Table.ReadRows(ctx, bigtable.NewRange(from, to), func(r bigtable.Row) bool {
				rows, last = rows+1, r.Key()
				k, ok := cutFragmentKey(last)
				if !ok {
					return true
				}
				f, err := fragment(k, r)
				if err != nil {
					bad = fmt.Errorf("read fragment %s: %w", k, err)
					return false
				}
				page = append(page, f)
				return true
			}, bigtable.RowFilter(latest()), bigtable.LimitRows(int64(n)))
			if err == nil {
				err = bad
			}
			if err == nil {
				err = ctx.Err() // which is no error of ReadRows
			}
			if err != nil {
				yield(nil, fmt.Errorf("read part %d of %d from %q: %w", part, total, from, err))
				return
			}
			if len(page) > 0 && !yield(page, nil) || rows < n {
				return
			}
			from = last + "\x00"
		}
	}
}
