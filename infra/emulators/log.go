package emulators

import (
	"bytes"
	"strconv"
	"sync"
)

// logKept is how much of an emulator's output is kept: its end, in bytes.
const logKept = 128 << 10

// log keeps the end of what a process prints, and looks in it for the line
// "hito-listening <port>".
type log struct {
	listens chan int // the first port, once

	mu   sync.Mutex
	kept []byte
	line []byte // the last one, as far as it has come
	told bool
}

func newLog() *log { return &log{listens: make(chan int, 1)} }

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.kept = append(l.kept, p...)
	if len(l.kept) > 2*logKept {
		l.kept = append(l.kept[:0], l.kept[len(l.kept)-logKept:]...)
	}
	if !l.told {
		l.look(p)
	}
	return len(p), nil
}

// look goes through the lines that p completes.
func (l *log) look(p []byte) {
	l.line = append(l.line, p...)
	for !l.told {
		line, rest, ok := bytes.Cut(l.line, []byte("\n"))
		if !ok {
			return
		}
		l.line = rest
		word, ok := bytes.CutPrefix(line, []byte("hito-listening "))
		if !ok {
			continue
		}
		if port, err := strconv.Atoi(string(bytes.TrimSpace(word))); err == nil {
			l.told, l.line = true, nil
			select {
			case l.listens <- port:
			default:
			}
		}
	}
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.kept[max(0, len(l.kept)-logKept):])
}
