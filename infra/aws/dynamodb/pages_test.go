package dynamodb

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/hitolayer/hito/shared/ledger"
	"github.com/hitolayer/hito/shared/profile"
	"github.com/hitolayer/hito/shared/quarantine"
)

// TestPages: the segments together have every fragment once, of whatever size
// and name, and nothing else.
func TestPages(t *testing.T) {
	s := &Store{Client: faulty(t, everyFault), Table: empty(t), Retry: quick}
	want := make(map[profile.Key]int64)
	var fs []*profile.Fragment
	add := func(project, visitor string, state *profile.State) {
		f := profile.NewFragment(profile.Key{Project: project, Visitor: visitor})
		f.State = state
		f.State.Events = int64(len(fs) + 1)
		want[f.Key] = f.State.Events
		fs = append(fs, f)
	}
	for i := range 300 {
		add(fmt.Sprintf("shop%d", i%3), fmt.Sprintf("a:%d", i), noise(10, 1))
	}
	add("", "", noise(10, 1))
	add("/%~\xff", "u:/%~\x00\xfe日", noise(10, 1))
	add("shop", strings.Repeat("/", 3000), noise(10, 1))
	add("shop", strings.Repeat("/", 3000)+"b", noise(800<<10, 1))
	add("shop", "u:large", noise(800<<10, 1))
	api := (&wire{}).client(t)
	if err := errors.Join(
		s.Save(t.Context(), fs),
		(&Ledger{Client: api, Table: s.Table}).Commit(t.Context(), "f/log", []ledger.Booking{at(1, scored(1))}),
		(&Quarantine{Client: api, Table: s.Table}).Put(t.Context(), []quarantine.Entry{entryOf(1, quarantine.Beacon)}),
	); err != nil {
		t.Fatal(err)
	}
	for _, total := range []int{1, 4} {
		got := make(map[profile.Key]int64)
		for segment := range total {
			for page, err := range s.Pages(t.Context(), segment, total, 20) {
				if err != nil || len(page) == 0 || len(page) > 20 {
					t.Fatal(len(page), err)
				}
				for _, f := range page {
					if got[f.Key] != 0 || f.Version != 1 {
						t.Errorf("%v came twice, or in version %d", f.Key, f.Version)
					}
					got[f.Key] = f.State.Events
				}
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%d fragments of %d, or others", len(got), len(want))
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	pages := 0
	for page, err := range s.Pages(ctx, 0, 1, 20) {
		if pages++; err != nil {
			if page != nil || !errors.Is(err, context.Canceled) {
				t.Error(page, err)
			}
			break
		}
		cancel()
	}
	cancel()
	if pages != 2 {
		t.Errorf("%d pages, the second is the error", pages)
	}
}
