package emulators

import (
	"strings"
	"testing"
)

func TestLogFindsThePort(t *testing.T) {
	const output = "starting hito-listening 1\nhito-listening x\nhito-listening 40123\nhito-listening 40124\nmore\n"
	for size := 1; size <= len(output); size++ {
		l := newLog()
		for rest := output; rest != ""; {
			n := min(size, len(rest))
			if _, err := l.Write([]byte(rest[:n])); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		if port := <-l.listens; port != 40123 || len(l.listens) > 0 {
			t.Errorf("in pieces of %d: port %d", size, port)
		}
		if l.String() != output {
			t.Errorf("in pieces of %d: %q", size, l.String())
		}
	}
}

func TestLogKeepsTheEnd(t *testing.T) {
	l := newLog()
	for range 1000 {
		_, _ = l.Write([]byte(strings.Repeat("x", 1023) + "\n"))
	}
	_, _ = l.Write([]byte("end"))
	if got := l.String(); len(got) != logKept || !strings.HasSuffix(got, "end") || cap(l.kept) > 4*logKept {
		t.Errorf("keeps %d of %d bytes", len(got), cap(l.kept))
	}
}
