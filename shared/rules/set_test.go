package rules

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/hitolayer/hito/shared/project"
)

// page is a project.Source in memory.
type page struct {
	mu  sync.Mutex
	now string
}

func (s *page) set(now string) { s.mu.Lock(); defer s.mu.Unlock(); s.now = now }

func (s *page) Fetch(_ context.Context, tag string) ([]byte, string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.now == tag {
		return nil, tag, nil
	}
	return []byte(s.now), s.now, nil
}

// segments are the names of the segments.
func segments(r *Rules) string {
	var names []string
	for _, s := range r.segments {
		names = append(names, s.name)
	}
	return strings.Join(names, " ")
}

func TestSetFollowsTheFile(t *testing.T) {
	set := new(Set)
	file, keys := &page{}, &page{}
	keys.set("shop: {write: [w]}")
	file.set("segments: {everybody: events.total > 0}")
	registry := &project.Registry{Keys: keys, File: func(string) project.Source { return file }, OnFile: set.Load}
	if r := set.Get("shop"); r != nil {
		t.Errorf("a project without a file has rules: %v", r)
	}
	if err := registry.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	first := set.Get("shop")
	if got := segments(first); got != "everybody" {
		t.Fatalf("segments are %v", got)
	}
	file.set("segments: {everybody: events.totl > 0}")
	err := registry.Refresh(t.Context())
	if want := "project shop: shop.yaml:1:30: events.totl > 0: there is no field of events \"totl\""; err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("error is %v, want %s", err, want)
	}
	if set.Get("shop") != first {
		t.Error("a bad file was put in service")
	}
	// Emptied by an editor, before it writes: everybody's segments would be exits,
	// and then entries again.
	file.set("")
	if err := registry.Refresh(t.Context()); err == nil || !strings.Contains(err.Error(), "the file is empty") || set.Get("shop") != first {
		t.Errorf("an emptied file was put in service: %v", err)
	}
	file.set("settings: {ip: keep}\nsegments: {anybody: events.total > 0}")
	if err := registry.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := segments(set.Get("shop")); got != "anybody" {
		t.Errorf("segments are %v", got)
	}
	if p, _ := registry.ByWriteKey("w"); p.Settings.IP != project.Keep {
		t.Error("the settings are the old ones")
	}
}

func TestRulesServeManyWhileTheyChange(t *testing.T) {
	var trips sync.Map
	set := &Set{OnTrip: func(project string, p Problem) {
		if _, again := trips.LoadOrStore(p.Line, true); again && p.Line < 3 {
			t.Errorf("told twice: %v", p)
		}
	}}
	const file = "segments:\n  bad: |\n    " + explosive + "\n  good: has(traits.plan) && traits.tags.exists(t, t == 'a')\n"
	load := func() {
		serve, err := set.Load("p", []byte(file))
		if err != nil {
			t.Error(err)
			return
		}
		serve()
	}
	load()
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 100 {
				r := set.Get("p")
				p := expressionPerson(r)
				for _, s := range r.Standings(p, epoch, nil) {
					if s.In != (s.Segment == "good") || s.Undecided != (s.Segment == "bad") {
						t.Errorf("standing is %+v", s)
					}
				}
			}
		})
	}
	wg.Go(func() {
		for range 20 {
			load()
		}
	})
	wg.Wait()
}
