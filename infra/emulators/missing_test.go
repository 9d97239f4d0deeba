package emulators

import (
	"runtime"
	"testing"
)

// watched is a test of which it is seen how it ends.
type watched struct {
	testing.TB
	failed, skipped []any
}

func (*watched) Helper() {}

func (w *watched) Fatal(args ...any) {
	w.failed = args
	runtime.Goexit()
}

func (w *watched) Skip(args ...any) {
	w.skipped = args
	runtime.Goexit()
}

// TestMissing: what is missing is told, and fails where everything must be there.
func TestMissing(t *testing.T) {
	for ci, fails := range map[string]bool{"true": true, "": false, "false": false} {
		t.Setenv("CI", ci)
		w := &watched{TB: t}
		ended := make(chan bool)
		on := false
		go func() {
			defer close(ended)
			Missing(w, "java IS MISSING")
			on = true
		}()
		<-ended
		if told := append(w.failed, w.skipped...); on || len(told) != 1 || told[0] != "java IS MISSING" || (w.failed != nil) != fails {
			t.Errorf("CI=%s: goes on: %v, failed %v, skipped %v", ci, on, w.failed, w.skipped)
		}
	}
}
