package lambda

import (
	"context"
	"errors"
	"sync"

	"github.com/hitolayer/hito/shared/ledger"
)

// Book is the ledger of a Stream's handler. What is recorded in it is held until
// the handler returns: only then is known which of the batch's records are done,
// and Lambda delivers all the others again.
type Book struct{}

var _ ledger.Recorder = Book{}

type bookKey struct{}

var errNoBook = errors.New("lambda: Book records what a Stream's handler does, and no Stream called")

// Record collects deltas. It fails only outside a Stream's handler.
func (Book) Record(ctx context.Context, deltas []ledger.Delta) error {
	p, ok := ctx.Value(bookKey{}).(*page)
	if !ok {
		return errNoBook
	}
	p.mu.Lock()
	p.deltas = append(p.deltas, deltas...)
	p.mu.Unlock()
	return nil
}

// page is what the calls of one invocation recorded.
type page struct {
	mu     sync.Mutex
	deltas []ledger.Delta
}

// with returns a context whose Book is the page.
func (p *page) with(ctx context.Context) context.Context {
	return context.WithValue(ctx, bookKey{}, p)
}

func (p *page) mark() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.deltas)
}

// forget drops what was recorded of records since the mark: the handler is
// called with them again. What comes from no record stays, since it says what
// has happened to the store and happens only once.
func (p *page) forget(mark int) {
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

// take empties the page and returns what was on it.
func (p *page) take() []ledger.Delta {
	p.mu.Lock()
	defer p.mu.Unlock()
	deltas := p.deltas
	p.deltas = nil
	return deltas
}
