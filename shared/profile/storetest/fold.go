package storetest

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/hitolayer/hito/shared/event"
	"github.com/hitolayer/hito/shared/profile"
)

// foldingHarmsNothingStored: a fragment may share memory with the store as long
// as folding into it, without a save, changes nothing that others load.
func (s suite) foldingHarmsNothingStored(t *testing.T) {
	st := s.harness(t)
	var folder profile.Folder
	start := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	fold := func(f *profile.Fragment, first, n int, at time.Time) {
		r := &event.Record{Key: f.Key.Visitor, ReceivedAt: at.UnixMilli()}
		for i := first; i < first+n; i++ {
			r.Events = append(r.Events, &event.Event{
				MessageId: fmt.Sprintf("m%d", i), Type: event.Type_TYPE_IDENTIFY, AnonymousId: "1", UserId: fmt.Sprintf("u%d", i%3),
				Timestamp: at.Add(time.Duration(i) * time.Minute).UnixMilli(),
				Traits:    fmt.Appendf(nil, `{"plan":"p%d","t%d":"x"}`, i, i%9), Context: []byte(`{}`),
				Enriched: &event.Enriched{Page: &event.Page{Path: fmt.Sprintf("/%d", i)}},
			})
		}
		folder.Fold(f, r)
	}
	encoded := func(f *profile.Fragment) []byte {
		t.Helper()
		b, err := f.Encode()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for _, n := range []int{1, 20, 300} { // the window's last block has room, or has not
		k := key(fmt.Sprintf("a:%d", n))
		f := load(t, st, k)[0]
		fold(f, 0, n, start)
		save(t, st, f)
		saved := encoded(f)
		held := load(t, st, k)[0]
		for _, c := range []struct {
			what string
			do   func(*profile.Fragment)
		}{
			{"a repeat", func(f *profile.Fragment) { fold(f, 0, n, start) }},
			{"new events", func(f *profile.Fragment) { fold(f, 1000, 5, start.Add(time.Second)) }},
			{"many events", func(f *profile.Fragment) { fold(f, 2000, 2700, start.Add(time.Minute)) }},
			{"events a day later", func(f *profile.Fragment) { fold(f, 6000, 3, start.Add(profile.WindowAge+time.Hour)) }},
			{"an erasure", func(f *profile.Fragment) {
				folder.Fold(f, &event.Record{Erase: true, ReceivedAt: start.Add(time.Hour).UnixMilli()})
			}},
			{"a merge", func(f *profile.Fragment) {
				other := profile.NewFragment(f.Key)
				fold(other, 3000, 10, start.Add(time.Minute))
				f.State.Merge(other.State)
			}},
		} {
			c.do(load(t, st, k)[0])
			if got := load(t, st, k)[0]; !bytes.Equal(encoded(got), saved) {
				t.Errorf("%d events: what is stored changed by folding %s without a save", n, c.what)
			}
			if !bytes.Equal(encoded(held), saved) {
				t.Errorf("%d events: what another loaded changed by folding %s", n, c.what)
			}
		}
	}
}
