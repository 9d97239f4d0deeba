// Package child runs the processes of a function that stands in for a deployed
// one: they do not outlive this process, and what they write is kept in lines.
package child

import (
	"bytes"
	"slices"
	"strings"
	"sync"
)

// maxLogBytes bounds what a Log keeps: the oldest lines go.
const maxLogBytes = 32 << 20

// A Log keeps the lines that a function's processes wrote to standard output
// and standard error, which a cloud sends to its logs.
type Log struct {
	mu    sync.Mutex
	lines []string
	bytes int
}

// Lines returns the kept lines, oldest first.
func (l *Log) Lines() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.lines)
}

// Contains tells whether a kept line contains text.
func (l *Log) Contains(text string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.ContainsFunc(l.lines, func(line string) bool { return strings.Contains(line, text) })
}

// String returns the last lines, for a failed test's message.
func (l *Log) String() string {
	lines := l.Lines()
	return strings.Join(lines[max(0, len(lines)-200):], "\n")
}

// Add adds a line.
func (l *Log) Add(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, line)
	l.bytes += len(line)
	if l.bytes <= maxLogBytes {
		return
	}
	drop := 0
	for ; l.bytes > maxLogBytes/2; drop++ {
		l.bytes -= len(l.lines[drop])
	}
	l.lines = slices.Clone(l.lines[drop:])
}

// Lines cuts what one process writes into lines, so that the lines of several do
// not mix.
type Lines struct {
	Line func(string) // is given each
	rest []byte
}

// Write never fails.
func (w *Lines) Write(p []byte) (int, error) {
	n := len(p)
	for {
		before, after, ok := bytes.Cut(p, []byte{'\n'})
		if !ok {
			w.rest = append(w.rest, p...)
			return n, nil
		}
		w.Line(string(w.rest) + string(before))
		w.rest, p = w.rest[:0], after
	}
}

// Flush gives what came after the last newline.
func (w *Lines) Flush() {
	if len(w.rest) > 0 {
		w.Line(string(w.rest))
		w.rest = nil
	}
}
