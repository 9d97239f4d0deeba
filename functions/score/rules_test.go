package score

import (
	"testing"

	"github.com/hitolayer/hito/shared/rules"
)

// TestIn: a project without rules has none, so that its records wait.
func TestIn(t *testing.T) {
	set := new(rules.Set)
	in := In(set)
	if got := in("shop"); got != nil {
		t.Errorf("a project that is not in service has the rules %v", got)
	}
	serve, err := set.Load("shop", []byte("segments: {known: events.total > 0}"))
	if err != nil {
		t.Fatal(err)
	}
	serve()
	if got := in("shop"); got != Rules(set.Get("shop")) {
		t.Errorf("got the rules %v", got)
	}
}
