package publish

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/hitolayer/hito/infra/gcp/pubsub/message"
	"github.com/hitolayer/hito/shared/stream"
	"github.com/hitolayer/hito/shared/stream/pack"
)

// TestMain makes the coders outside of any synctest bubble: they are shared.
func TestMain(m *testing.M) {
	packed, err := pack.Append(nil, []stream.Record{{Data: make([]byte, 4096)}})
	if err != nil {
		panic(err)
	}
	if _, err := pack.Open(packed); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

const topic = "projects/p/topics/raw"

// failure is a request's error.
type failure Kind

func (f failure) Error() string { return fmt.Sprint("failure ", int(f)) }

func kindOf(err error) Kind {
	if f, ok := errors.AsType[failure](err); ok {
		return Kind(f)
	}
	return Again // as one that was cut off
}

// fake is Pub/Sub in memory, as strict as the real one about what it is asked.
type fake struct {
	// call decides about a request: nil takes it. With after, one that fails was
	// taken all the same.
	call func(n int, in []Message) (err error, after bool)
	// hold is closed when requests may go on, nil for at once. One that is held
	// is taken when its caller goes away, and not told.
	hold chan struct{}
	// delay is how long a request takes, nil for no time; it is called under the lock.
	delay func() time.Duration

	mu            sync.Mutex
	calls         int
	going, atOnce int // requests now, and the most there were
	taken         []Message
	refusedAsk    error // what the real one would not have been asked
}

// publish is what a Publisher calls.
func (f *fake) publish(ctx context.Context, in []Message) error {
	f.mu.Lock()
	n := f.calls
	f.calls++
	f.going++
	f.atOnce = max(f.atOnce, f.going)
	f.check(ctx, in)
	var delay time.Duration
	if f.delay != nil {
		delay = f.delay()
	}
	f.mu.Unlock()
	time.Sleep(delay)
	if f.hold != nil {
		select {
		case <-f.hold:
		case <-ctx.Done():
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.going--
	var err error
	after := true
	if f.call != nil {
		err, after = f.call(n, in)
	}
	if err == nil || after {
		f.taken = append(f.taken, in...)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// check notes what of a request the real one would refuse.
func (f *fake) check(ctx context.Context, in []Message) {
	wrong := func(format string, args ...any) { f.refusedAsk = fmt.Errorf(format, args...) }
	if _, bounded := ctx.Deadline(); !bounded {
		wrong("a request without a deadline")
	}
	if n := len(in); n == 0 || n > 1000 {
		wrong("%d messages", n)
	}
	size := 0
	for _, m := range in {
		if len(m.Data) == 0 && len(m.Attributes) == 0 {
			wrong("an empty message")
		}
		size += len(m.Data)
		for k, v := range m.Attributes {
			size += len(k) + len(v) + 16
		}
	}
	if size > 10_000_000 {
		wrong("a request of %d bytes", size)
	}
}

// messages returns what was taken, and what each carries.
func (f *fake) messages(t testing.TB) (all [][]stream.Record) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.refusedAsk != nil {
		t.Fatalf("Pub/Sub was asked what it does not do: %v", f.refusedAsk)
	}
	for _, m := range f.taken {
		all = append(all, open(t, m))
	}
	return all
}

// records returns the records that were taken.
func (f *fake) records(t testing.TB) []stream.Record {
	t.Helper()
	return slices.Concat(f.messages(t)...)
}

// open returns what a message carries, and checks what it says of itself.
func open(t testing.TB, m Message) []stream.Record {
	t.Helper()
	records, err := message.Open(m.Data, m.Attributes, "1")
	if err != nil {
		t.Fatal(err)
	}
	partition := fmt.Sprintf("%03d", pack.Partition(records[0].Project, records[0].Key))
	if a := m.Attributes; a[message.ID] == "" || a[message.Key] != partition || a[message.Origin] != "gcp" || a[message.Schema] != "1" {
		t.Fatalf("attributes %v", a)
	}
	return records
}

// some returns records whose data is their number, and then noise that does not compress.
func some(n, size int) []stream.Record {
	noise := rand.NewChaCha8([32]byte{})
	records := make([]stream.Record, n)
	for i := range records {
		data := fmt.Appendf(nil, "%d:", i)
		if pad := size - len(data); pad > 0 {
			data = append(data, make([]byte, pad)...)
			_, _ = noise.Read(data[size-pad:]) // never fails
		}
		records[i] = stream.Record{Project: "shop", Key: fmt.Sprint("u:", i), Events: 1 + i%3, Time: int64(i), Data: data}
	}
	return records
}

func sameRecords(t *testing.T, got, want []stream.Record) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d records arrived of %d", len(got), len(want))
	}
	byTime := func(a, b stream.Record) int { return int(a.Time - b.Time) }
	got, want = slices.SortedFunc(slices.Values(got), byTime), slices.SortedFunc(slices.Values(want), byTime)
	for i := range got {
		if g, w := got[i], want[i]; g.Project != w.Project || g.Key != w.Key || g.Events != w.Events || g.Time != w.Time || !bytes.Equal(g.Data, w.Data) {
			t.Fatalf("record %d arrived as %s/%s %d %d, %d bytes", i, g.Project, g.Key, g.Events, g.Time, len(g.Data))
		}
	}
}
