package local

import (
	"context"
	"iter"

	"github.com/hitolayer/hito/shared/stream"
)

// Tail yields the stream's records from now on, as they become readable, until
// the context ends; with each, how many were dropped before it because the
// reader was slow. It reads what the stream keeps in memory anyway (TailBytes)
// and holds nobody up. A record's Data must not be changed.
func (s *Stream) Tail(ctx context.Context) iter.Seq2[stream.Record, int64] {
	at := make([]position, len(s.partitions))
	for i, p := range s.partitions {
		at[i] = p.end()
	}
	return func(yield func(stream.Record, int64) bool) {
		wake := make(chan struct{}, 1)
		defer s.watch(wake)()
		var records []stream.Record
		var dropped int64
		for {
			for i, p := range s.partitions {
				for {
					c, ok := p.newer(at[i].seq)
					if !ok {
						break
					}
					dropped += int64(c.firstRecord() - at[i].records)
					at[i] = position{seq: c.seq + 1, records: c.firstRecord() + uint64(c.records())}
					var err error
					if records, err = c.decode(records[:0]); err != nil {
						dropped += int64(c.records())
						continue
					}
					for _, r := range records {
						if ctx.Err() != nil || !yield(r, dropped) {
							return
						}
						dropped = 0
					}
				}
			}
			select {
			case <-wake:
			case <-ctx.Done():
				return
			case <-s.db.stop:
				return
			}
		}
	}
}

// watch has wake receive a value after every chunk until the returned function is called.
func (s *Stream) watch(wake chan struct{}) (stop func()) {
	s.watchMu.Lock()
	defer s.watchMu.Unlock()
	if s.watchers == nil {
		s.watchers = make(map[chan struct{}]bool)
	}
	s.watchers[wake] = true
	wake <- struct{}{} // what came before
	return func() {
		s.watchMu.Lock()
		defer s.watchMu.Unlock()
		delete(s.watchers, wake)
	}
}

func (s *Stream) tellWatchers() {
	s.watchMu.Lock()
	defer s.watchMu.Unlock()
	for w := range s.watchers {
		select {
		case w <- struct{}{}:
		default:
		}
	}
}

// newer returns the oldest chunk in memory that is not before seq.
func (p *partition) newer(seq uint64) (chunk, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.tail) == 0 || seq >= p.next {
		return chunk{}, false
	}
	return p.tail[max(seq, p.tail[0].seq)-p.tail[0].seq], true
}
