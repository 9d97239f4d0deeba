package sqs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"
	"pgregory.net/rapid"

	"github.com/hitolayer/hito/infra/aws/sqs/message"
	"github.com/hitolayer/hito/shared/stream"
)

// TestMain makes the coders outside of any synctest bubble: they are shared.
func TestMain(m *testing.M) {
	text, err := message.Append(nil, []stream.Record{{Data: make([]byte, 4096)}})
	if err != nil {
		panic(err)
	}
	if _, err := message.Decode(string(text)); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// fake is a queue in memory, as strict as the real one about what it is asked.
type fake struct {
	bytes int // most of a message and a call, 256 KiB when 0
	// call decides about a call, entry about an entry of it. With after, a call
	// that fails took its entries all the same.
	call  func(n int) (err error, after bool)
	entry func(n int, body string) *types.BatchResultErrorEntry
	mute  bool // answers nothing of its second entry

	mu         sync.Mutex
	calls      int
	taken      []string
	refusedAsk error
}

func (f *fake) SendMessageBatch(ctx context.Context, in *sqs.SendMessageBatchInput, options ...func(*sqs.Options)) (*sqs.SendMessageBatchOutput, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := f.calls
	f.calls++
	f.check(in, options)
	if err := ctx.Err(); err != nil {
		return nil, &sdk.RequestCanceledError{Err: err}
	}
	var err error
	after := true
	if f.call != nil {
		err, after = f.call(n)
	}
	if err != nil && !after {
		return nil, err
	}
	out := &sqs.SendMessageBatchOutput{}
	for i := range in.Entries {
		e := &in.Entries[i]
		if f.entry != nil {
			if failed := f.entry(n, *e.MessageBody); failed != nil {
				failed.Id = e.Id
				out.Failed = append(out.Failed, *failed)
				continue
			}
		}
		f.taken = append(f.taken, strings.Clone(*e.MessageBody))
		if f.mute && i == 1 {
			continue
		}
		out.Successful = append(out.Successful, types.SendMessageBatchResultEntry{Id: e.Id, MessageId: sdk.String(fmt.Sprint(len(f.taken)))})
	}
	slices.Reverse(out.Successful) // an answer's order says nothing
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (f *fake) check(in *sqs.SendMessageBatchInput, options []func(*sqs.Options)) {
	most := f.bytes
	if most == 0 {
		most = 256 << 10
	}
	wrong := func(format string, args ...any) { f.refusedAsk = fmt.Errorf(format, args...) }
	var o sqs.Options
	for _, set := range options {
		set(&o)
	}
	if o.Retryer == nil || o.Retryer.MaxAttempts() != 1 {
		wrong("the SDK tries again by itself")
	}
	if *in.QueueUrl != "https://queue" {
		wrong("queue %s", *in.QueueUrl)
	}
	if n := len(in.Entries); n == 0 || n > 10 {
		wrong("%d entries", n)
	}
	size := 0
	ids := map[string]bool{}
	for _, e := range in.Entries {
		size += len(*e.MessageBody)
		if ids[*e.Id] {
			wrong("entry %s twice", *e.Id)
		}
		ids[*e.Id] = true
		if *e.MessageBody == "" || strings.ContainsFunc(*e.MessageBody, func(r rune) bool { return r < ' ' || r > '~' }) {
			wrong("a body that is no text")
		}
	}
	if size > most {
		wrong("a call of %d bytes", size)
	}
}

func (f *fake) records(t testing.TB) []stream.Record {
	t.Helper()
	if f.refusedAsk != nil {
		t.Fatalf("SQS was asked what it does not do: %v", f.refusedAsk)
	}
	var all []stream.Record
	for _, text := range f.taken {
		records, err := message.Decode(text)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, records...)
	}
	return all
}

func some(n, size int) []stream.Record {
	noise := rand.NewChaCha8([32]byte{})
	records := make([]stream.Record, n)
	for i := range records {
		data := make([]byte, size)
		_, _ = noise.Read(data) // never fails
		records[i] = stream.Record{Project: "shop", Key: fmt.Sprint("u:", i), Events: 1, Time: int64(i), Data: data}
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

func TestPublish(t *testing.T) {
	for name, c := range map[string]struct {
		n, size         int
		p               Publisher
		calls, messages int // 0: not looked at
	}{
		"One":        {n: 1, size: 300, calls: 1, messages: 1},
		"OneMessage": {n: 40, size: 300, calls: 1, messages: 1},
		"Many":       {n: 2000, size: 300},
		"OneEach":    {n: 25, size: 300, p: Publisher{PackBytes: 1}, calls: 3, messages: 25},
		"Large":      {n: 7, size: 190 << 10, calls: 7, messages: 7},
		"LargeQueue": {n: 3, size: 700 << 10, p: Publisher{MaxMessageBytes: 1 << 20}, calls: 3},
		"OneAtATime": {n: 2000, size: 300, p: Publisher{Parallel: 1}},
		"LargePacks": {n: 2000, size: 300, p: Publisher{PackBytes: 1 << 30}},
	} {
		t.Run(name, func(t *testing.T) {
			f := &fake{bytes: c.p.MaxMessageBytes}
			p := c.p
			p.Client, p.Queue = f, "https://queue"
			records := some(c.n, c.size)
			if err := p.Publish(t.Context(), records); err != nil {
				t.Fatal(err)
			}
			sameRecords(t, f.records(t), records)
			if c.calls > 0 && f.calls != c.calls || c.messages > 0 && len(f.taken) != c.messages {
				t.Errorf("%d calls with %d messages, want %d with %d", f.calls, len(f.taken), c.calls, c.messages)
			}
		})
	}
}

func TestTooLarge(t *testing.T) {
	f := &fake{}
	p := &Publisher{Client: f, Queue: "https://queue"}
	records := some(5, 100)
	records[2].Data = some(1, 197<<10)[0].Data
	err := p.Publish(t.Context(), records)
	failures, ok := errors.AsType[stream.Failures](err)
	if !ok || len(failures) != 1 || failures[0].Index != 2 || !stream.IsPermanent(failures[0].Err) {
		t.Fatalf("got %v", err)
	}
	for _, part := range []string{"https://queue", fmt.Sprint(197 << 10), fmt.Sprint(256 << 10)} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not say %q", err, part)
		}
	}
	sameRecords(t, f.records(t), slices.Delete(slices.Clone(records), 2, 3))
}

// TestWhoseFault: what SQS has broken or throttled goes again, what the sender
// has done wrong does not.
func TestWhoseFault(t *testing.T) {
	for code, c := range map[string]struct {
		senders, again, throttled bool
	}{
		"InternalError":           {again: true},
		"SomethingNew":            {again: true},
		"InvalidMessageContents":  {senders: true},
		"RequestThrottled":        {senders: true, again: true, throttled: true},
		"KMS.ThrottlingException": {senders: true, again: true, throttled: true},
	} {
		t.Run(code, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				records := some(30, 100)
				sent := map[string]int{}
				var poison string
				f := &fake{entry: func(n int, body string) *types.BatchResultErrorEntry {
					if sent[body]++; poison == "" && len(sent) == 4 {
						poison = body
					}
					if body == poison {
						return &types.BatchResultErrorEntry{Code: &code, SenderFault: c.senders, Message: sdk.String("no")}
					}
					return nil
				}}
				p := &Publisher{Client: f, Queue: "https://queue", PackBytes: 1, Parallel: 1, Patience: 3 * time.Second}
				err := p.Publish(t.Context(), records)
				failures, ok := errors.AsType[stream.Failures](err)
				if !ok || len(failures) != 1 || failures[0].Index != 3 || errors.Is(err, ErrThrottled) != c.throttled || stream.IsPermanent(err) {
					t.Fatalf("got %v", err)
				}
				if again := sent[poison] > 1; again != c.again {
					t.Errorf("sent %d times", sent[poison])
				}
				delete(sent, poison)
				for _, n := range sent {
					if n != 1 {
						t.Errorf("what was taken was sent %d times", n)
					}
				}
				sameRecords(t, f.records(t), slices.Delete(slices.Clone(records), 3, 4))
			})
		})
	}
}

func TestWhatIsNotAnsweredForGoesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{mute: true}
		p := &Publisher{Client: f, Queue: "https://queue", PackBytes: 1}
		if err := p.Publish(t.Context(), some(3, 100)); err != nil {
			t.Fatal(err)
		}
		if f.calls != 2 || len(f.taken) != 4 { // one of them twice, which is safe
			t.Errorf("%d messages in %d calls", len(f.taken), f.calls)
		}
	})
}

func TestCallsThatFail(t *testing.T) {
	for name, c := range map[string]struct {
		err   error
		calls int // at least; 1 exactly
		is    error
	}{
		"NoQueue":   {&types.QueueDoesNotExist{}, 1, nil},
		"Forbidden": {&smithy.GenericAPIError{Code: "AccessDenied", Fault: smithy.FaultClient}, 1, nil},
		"Throttled": {&types.RequestThrottled{}, 3, ErrThrottled},
		"Broken":    {&smithy.GenericAPIError{Code: "InternalFailure", Fault: smithy.FaultServer}, 3, context.DeadlineExceeded},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &fake{call: func(int) (error, bool) { return c.err, false }}
				p := &Publisher{Client: f, Queue: "https://queue"}
				ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
				defer cancel()
				err := p.Publish(ctx, some(3, 10))
				failures, _ := errors.AsType[stream.Failures](err)
				if len(failures) != 3 || !errors.Is(err, c.err) || c.is != nil && !errors.Is(err, c.is) || ctx.Err() != nil {
					t.Errorf("got %v, ctx %v", err, ctx.Err())
				}
				if f.calls < c.calls || c.calls == 1 && f.calls > 1 {
					t.Errorf("%d calls", f.calls)
				}
			})
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	f := &fake{}
	if err := (&Publisher{Client: f, Queue: "https://queue"}).Publish(ctx, some(1, 1)); !errors.Is(err, context.Canceled) || f.calls > 0 {
		t.Errorf("cancelled: %v, %d calls", err, f.calls)
	}
}

// TestNothingIsLostUnnamed: whatever fails, every record is in the queue or named.
func TestNothingIsLostUnnamed(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		seed := rapid.Uint64().Draw(r, "seed")
		bad := rapid.SampledFrom([]float64{0, 0.1, 0.5, 1}).Draw(r, "bad")
		rnd := rand.New(rand.NewPCG(seed, seed))
		f := &fake{
			call: func(int) (error, bool) {
				errs := []error{&types.RequestThrottled{}, &types.QueueDoesNotExist{}, errors.New("not from AWS at all")}
				if rnd.IntN(3) > 0 || rnd.Float64() >= bad {
					return nil, true
				}
				return errs[rnd.IntN(len(errs))], rnd.IntN(2) == 0
			},
			entry: func(int, string) *types.BatchResultErrorEntry {
				if rnd.Float64() >= bad {
					return nil
				}
				code := []string{"InternalError", "InvalidMessageContents", "RequestThrottled"}[rnd.IntN(3)]
				return &types.BatchResultErrorEntry{Code: &code, SenderFault: code != "InternalError"}
			},
		}
		p := &Publisher{
			Client: f, Queue: "https://queue", Patience: 3 * time.Second,
			PackBytes: rapid.SampledFrom([]int{0, 1, 500}).Draw(r, "pack bytes"),
			Parallel:  rapid.IntRange(0, 3).Draw(r, "parallel"),
		}
		records := some(rapid.IntRange(0, 150).Draw(r, "records"), 50)
		var err error
		synctest.Test(t, func(t *testing.T) { err = p.Publish(t.Context(), records) })
		failures, ok := err.(stream.Failures) // itself, as a Publisher must return it
		if err != nil && !ok {
			r.Fatalf("%T: %v", err, err)
		}
		known := map[int64]bool{}
		for i, failure := range failures {
			if i > 0 && failure.Index <= failures[i-1].Index || failure.Err == nil {
				r.Fatalf("failure %d is %+v", i, failure)
			}
			known[records[failure.Index].Time] = true
		}
		if bad == 0 && len(known) > 0 {
			r.Fatalf("nothing failed, and yet: %v", err)
		}
		for _, got := range f.records(t) {
			known[got.Time] = true
		}
		if len(known) != len(records) {
			r.Fatalf("%d of %d records arrived or are named", len(known), len(records))
		}
	})
}
