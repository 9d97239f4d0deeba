package storetest

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/hitolayer/hito/shared/profile"
)

// Bench measures what loading and saving fragments of some 1 KB takes, so many in
// one call: the time, and the processor time of this process alone.
func Bench(b *testing.B, s profile.Store) {
	run := 0 // each has fragments of its own, for emulators remember what was
	for _, n := range []int{1, 10, 100} {
		b.Run(fmt.Sprintf("%d", n), func(b *testing.B) {
			run++
			keys := make([]profile.Key, n)
			for i := range keys {
				keys[i] = profile.Key{Project: "shop", Visitor: fmt.Sprintf("a:%d/%d", run, i)}
			}
			round := func() {
				fs, err := s.Load(b.Context(), keys)
				if err != nil {
					b.Fatal(err)
				}
				for i, f := range fs {
					f.State.Events++
					f.State.Traits = []*profile.Trait{{Key: "big", Value: fmt.Appendf(nil, "%01000d", i)}}
				}
				if err := s.Save(b.Context(), fs); err != nil {
					b.Fatal(err)
				}
			}
			round() // connects
			b.ReportAllocs()
			began := CPU(b)
			for b.Loop() {
				round()
			}
			b.ReportMetric(float64((CPU(b)-began).Nanoseconds())/float64(b.N*n), "CPU-ns/fragment")
		})
	}
}

// CPU returns the processor time the process used.
func CPU(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
