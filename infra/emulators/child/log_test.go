package child

import (
	"strings"
	"testing"
)

func TestLog(t *testing.T) {
	var l Log
	w := Lines{Line: l.Add}
	for _, part := range []string{"a", "b\nc\n", "\nd"} {
		_, _ = w.Write([]byte(part))
	}
	w.Flush()
	if got := strings.Join(l.Lines(), "|"); got != "ab|c||d" {
		t.Errorf("lines are %s", got)
	}
	long := strings.Repeat("x", 1<<20)
	for range 40 {
		l.Add(long)
	}
	if n := len(l.Lines()); n > 32 || n < 16 {
		t.Errorf("%d lines of 1 MiB are kept", n)
	}
}
