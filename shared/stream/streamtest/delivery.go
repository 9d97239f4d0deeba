package streamtest

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hitolayer/hito/shared/stream"
)

func (s suite) deliversEveryRecord(t *testing.T) {
	st, l := s.harness(t), newLog()
	st.Consume(t, l.accept)
	rs := records(500, "r")
	for part := range slices.Chunk(rs, 70) {
		s.publish(t, st, part)
	}
	s.allDone(t, l, rs)
}

// keepsEveryByte: what a handler gets is what was published, plus ID and Attempt.
func (s suite) keepsEveryByte(t *testing.T) {
	st := s.harness(t)
	odd := []stream.Record{
		{Project: "shop", Key: "u:1", Events: 1, Time: 1_700_000_000_001, Data: []byte{0, 1, 2, 255, 254, '\n', 0}},
		{Project: "shöp", Key: "u:日本語/\x00\x01 …", Events: 2500, Time: 1_700_000_000_002, Data: []byte("b")},
		{Project: "a/b", Key: "a:" + strings.Repeat("k", 200), Events: 1, Time: 1, Data: []byte("c")},
		{Project: "shop", Key: "u:2", Events: 0, Time: 1_700_000_000_003, Data: []byte("no events")},
	}
	var mu sync.Mutex
	got := map[string]stream.Record{}
	st.Consume(t, func(_ context.Context, rs []stream.Record) error {
		mu.Lock()
		defer mu.Unlock()
		for _, r := range rs {
			r.Data = slices.Clone(r.Data)
			got[string(r.Data)] = r
		}
		return nil
	})
	s.publish(t, st, odd)
	s.eventually(t, func() bool { mu.Lock(); defer mu.Unlock(); return len(got) == len(odd) },
		func() string { return fmt.Sprintf("%d of %d records came", len(got), len(odd)) })
	for _, want := range odd {
		g := got[string(want.Data)]
		if g.Project != want.Project || g.Key != want.Key || g.Events != want.Events || g.Time != want.Time {
			t.Errorf("published %+v, delivered %+v", want, g)
		}
		if g.ID == "" || g.Attempt < 1 {
			t.Errorf("record %q delivered with ID %q, attempt %d", want.Data, g.ID, g.Attempt)
		}
	}
}

func (s suite) deliversWhatWasPublishedBefore(t *testing.T) {
	st, l := s.harness(t), newLog()
	before, after := records(40, "before"), records(40, "after")
	s.publish(t, st, before)
	st.Consume(t, l.accept)
	s.publish(t, st, after)
	s.allDone(t, l, slices.Concat(before, after))
}

func (s suite) emptyPublish(t *testing.T) {
	st, l := s.harness(t), newLog()
	st.Consume(t, func(ctx context.Context, rs []stream.Record) error {
		if len(rs) == 0 {
			t.Error("a batch without records was delivered")
		}
		return l.accept(ctx, rs)
	})
	s.publish(t, st, nil)
	s.publish(t, st, []stream.Record{})
	rs := records(1, "r")
	s.publish(t, st, rs)
	s.allDone(t, l, rs)
}

func (s suite) largeRecords(t *testing.T) {
	st, l := s.harness(t), newLog()
	st.Consume(t, l.accept)
	var rs []stream.Record
	for i, size := range []int{s.MaxRecordBytes, s.MaxRecordBytes / 2, 9, s.MaxRecordBytes - 1} {
		data := make([]byte, size)
		for j := range data {
			data[j] = byte(j * (i + 3))
		}
		binary.BigEndian.PutUint64(data, uint64(i))
		rs = append(rs, stream.Record{Project: "shop", Key: "u:large", Events: 1, Time: 1, Data: data})
	}
	s.publish(t, st, rs)
	s.allDone(t, l, rs)
}

// takesACopy: the publisher may reuse its memory at once.
func (s suite) takesACopy(t *testing.T) {
	st, l := s.harness(t), newLog()
	st.Consume(t, l.accept)
	var want []stream.Record
	for i := range 20 {
		rs := records(10, fmt.Sprintf("copy%d", i))
		for j := range rs {
			want = append(want, stream.Record{Data: slices.Clone(rs[j].Data)})
		}
		s.publish(t, st, rs)
		for j := range rs {
			clear(rs[j].Data)
			rs[j] = stream.Record{}
		}
	}
	s.allDone(t, l, want)
}

func (s suite) concurrentPublishers(t *testing.T) {
	st, l := s.harness(t), newLog()
	st.Consume(t, l.accept)
	var wg sync.WaitGroup
	var all []stream.Record
	for i := range 8 {
		rs := records(120, fmt.Sprintf("p%d", i))
		all = append(all, rs...)
		wg.Go(func() {
			for part := range slices.Chunk(rs, 1+i*3) {
				if err := st.Publish(t.Context(), part); err != nil {
					t.Errorf("Publish: %v", err)
				}
			}
		})
	}
	wg.Wait()
	s.allDone(t, l, all)
}

// cancelledPublish: no success under a context that has ended, and no harm to others.
func (s suite) cancelledPublish(t *testing.T) {
	st, l := s.harness(t), newLog()
	st.Consume(t, l.accept)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := st.Publish(ctx, records(3, "cancelled")); err == nil {
		t.Error("Publish under a cancelled context succeeded")
	}
	rs := records(3, "live")
	s.publish(t, st, rs)
	s.allDone(t, l, rs)
}

func (s suite) keyAffinity(t *testing.T) {
	st, l := s.harness(t), newLog()
	var mu sync.Mutex
	busy := map[string]int{}
	st.Consume(t, func(ctx context.Context, rs []stream.Record) error {
		keys := map[string]bool{}
		for i := range rs {
			keys[rs[i].Project+"\x00"+rs[i].Key] = true
		}
		mu.Lock()
		for k := range keys {
			if busy[k]++; busy[k] > 1 {
				t.Errorf("key %q is with two consumers", k)
			}
		}
		mu.Unlock()
		time.Sleep(time.Millisecond) // so that others would get in between
		err := l.accept(ctx, rs)
		mu.Lock()
		for k := range keys {
			busy[k]--
		}
		mu.Unlock()
		return err
	})
	rs := records(600, "r")
	for part := range slices.Chunk(rs, 5) {
		s.publish(t, st, part)
	}
	s.allDone(t, l, rs)
}
