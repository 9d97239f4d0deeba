package firestore

import (
	"context"
	"fmt"
	"iter"
	"path"

	"github.com/hitolayer/hito/shared/profile"
)

// Pages yields the fragments of all projects in one of total parts of the
// database, 0 to total-1, up to n at a time. Who was there before it began is in
// it, as of about the time of its page; who comes meanwhile may be. After an
// error it ends.
func (s *Store) Pages(ctx context.Context, part, total, n int) iter.Seq2[[]*profile.Fragment, error] {
	return func(yield func([]*profile.Fragment, error) bool) {
		from, to := partRange(part, total)
		for n = max(n, 1); ; {
			docs, err := s.Database.list(ctx, fragments, from, to, n)
			page := make([]*profile.Fragment, 0, len(docs))
			for _, doc := range docs {
				id := path.Base(doc.Name)
				from = id
				k, ok := cutFragmentID(id)
				if !ok {
					continue // not ours
				}
				var f *profile.Fragment
				if f, err = fragment(k, doc); err != nil {
					break
				}
				page = append(page, f)
			}
			if err != nil {
				yield(nil, fmt.Errorf("read part %d of %d from %q: %w", part, total, from, err))
				return
			}
			if len(page) > 0 && !yield(page, nil) || len(docs) < n {
				return
			}
		}
	}
}
