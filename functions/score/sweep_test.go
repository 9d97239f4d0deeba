package score_test

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"testing"
	"time"

	"github.com/hitolayer/hito/functions/score"
	"github.com/hitolayer/hito/shared/profile"
)

// TestIsolateFindsWhoPanics: only who causes it is passed over.
func TestIsolateFindsWhoPanics(t *testing.T) {
	var page []*profile.Fragment
	for i := range 1000 {
		page = append(page, profile.NewFragment(profile.Key{Project: "shop", Visitor: fmt.Sprintf("a:%03d", i)}))
	}
	decided, passed, calls := map[string]int{}, map[string]any{}, 0
	err := score.Isolate(page, func(some []*profile.Fragment) error {
		calls++
		for _, f := range some {
			if f.Key.Visitor == "a:000" || f.Key.Visitor == "a:777" {
				panic("a bug")
			}
		}
		for _, f := range some {
			decided[f.Key.Visitor]++
		}
		return nil
	}, func(key profile.Key, cause any) { passed[key.Visitor] = cause })
	if err != nil || len(decided) != 998 || len(passed) != 2 || passed["a:000"] != "a bug" || passed["a:777"] != "a bug" {
		t.Errorf("decided %d, passed over %v, %v", len(decided), passed, err)
	}
	if calls > 50 {
		t.Errorf("%d calls to find two of 1000", calls)
	}
	// An error is no panic: it ends the page.
	if err := score.Isolate(page, func([]*profile.Fragment) error { return context.Canceled }, nil); err != context.Canceled {
		t.Errorf("an error gives %v", err)
	}
}

// explosive panics on one person, and puts who was seen within a minute into "recent".
type explosive struct{ recent }

func (e explosive) Standings(p *profile.Person, now time.Time, into []profile.Standing) []profile.Standing {
	if p.Head.Key.Visitor == "a:7" {
		panic("a bug")
	}
	return e.recent.Standings(p, now, into)
}

// TestSweepGoesOnAfterAPanic: everybody else is decided, and the error names who was not.
func TestSweepGoesOnAfterAPanic(t *testing.T) {
	w := newWorld(t)
	w.Rules = func(string) score.Rules { return recent{} }
	for i := range 20 {
		w.handle(w.track("", fmt.Sprint(i)))
	}
	w.Rules = func(string) score.Rules { return explosive{} }
	w.Now = func() time.Time { return time.UnixMilli(epoch + 120_000) }
	pages := func() iter.Seq2[[]*profile.Fragment, error] {
		return func(yield func([]*profile.Fragment, error) bool) {
			for k := range w.store.fragments {
				page, err := w.store.Load(t.Context(), []profile.Key{k})
				if !yield(page, err) {
					return
				}
			}
		}
	}
	err := w.Sweep(t.Context(), pages())
	if err == nil || !strings.Contains(err.Error(), "a:7: panic: a bug") {
		t.Errorf("error %v", err)
	}
	if n := w.book.Segments["recent"]; n != 1 {
		t.Errorf("%d are still in the segment, want the one that could not be decided", n)
	}
	if err := w.Sweep(t.Context(), func(yield func([]*profile.Fragment, error) bool) { yield(nil, context.Canceled) }); err == nil {
		t.Error("a page that cannot be had is no error")
	}
}
