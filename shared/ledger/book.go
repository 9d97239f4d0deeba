package ledger

import (
	"context"
	"errors"
	"sync"
)

// Book is the ledger of a handler whose outcomes are committed by who calls it.
// What is recorded in it is held on the call's Page until the handler returns:
// only then is known which of a batch's records are done, and all others come again.
type Book struct{}

var _ Recorder = Book{}

type bookKey struct{}

var errNoBook = errors.New("ledger: Book records on the Page of the call, and this one has none")

// Record collects deltas. It fails where the context has no Page.
func (Book) Record(ctx context.Context, deltas []Delta) error {
	p, ok := ctx.Value(bookKey{}).(*Page)
	if !ok {
		return errNoBook
	}
	p.mu.Lock()
	p.deltas = append(p.deltas, deltas...)
	p.mu.Unlock()
	return nil
}

// Page is what the handler calls of one batch recorded in Book.
type Page struct {
	mu     sync.Mutex
	deltas []Delta
}

// With returns a context whose Book is the page.
func (p *Page) With(ctx context.Context) context.Context {
	return context.WithValue(ctx, bookKey{}, p)
}

// Mark returns how much is on the page, for Forget.
func (p *Page) Mark() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.deltas)
}

// Forget drops what was recorded of records since the mark: the handler is
// called with them again. What comes from no record stays, since it says what
// has happened to the store and happens only once.
func (p *Page) Forget(mark int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	kept := p.deltas[:mark]
	for _, d := range p.deltas[mark:] {
		if d.Source == "" {
			kept = append(kept, d)
		}
	}
	clear(p.deltas[len(kept):])
	p.deltas = kept
}

// Take empties the page and returns what was on it.
func (p *Page) Take() []Delta {
	p.mu.Lock()
	defer p.mu.Unlock()
	deltas := p.deltas
	p.deltas = nil
	return deltas
}
