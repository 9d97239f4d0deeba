package gcp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/hitolayer/hito/infra/gcp/pubsub/message"
	"github.com/hitolayer/hito/shared/stream"
	"github.com/hitolayer/hito/shared/stream/pack"
)

// TestMain makes the coders outside of any synctest bubble: they are shared.
func TestMain(m *testing.M) {
	packed, err := pack.Append(nil, []stream.Record{{Data: make([]byte, 4096)}})
	if err == nil {
		_, err = pack.Open(packed)
	}
	if err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// publisher returns one on the fakes.
func publisher(a *topicAPI) *Publisher {
	p := &Publisher{Topic: topic, Origin: "aws", Transport: direct{a}}
	if a.google != nil {
		p.Transport = direct{all(a.google, a)}
		p.Token = token(a.google)
	}
	return p
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

// records returns what was taken.
func (a *topicAPI) records(t *testing.T) (all []stream.Record) {
	t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.wrong != nil {
		t.Fatalf("Pub/Sub was asked what it does not do: %v", a.wrong)
	}
	for _, m := range a.taken {
		got, err := message.Open(m.Data, m.Attributes, "1")
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, got...)
	}
	return all
}

func same(t *testing.T, got, want []stream.Record) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d records arrived of %d", len(got), len(want))
	}
	slices.SortFunc(got, func(a, b stream.Record) int { return int(a.Time - b.Time) })
	for i := range got {
		if g, w := got[i], want[i]; g.Key != w.Key || g.Events != w.Events || g.Time != w.Time || !bytes.Equal(g.Data, w.Data) {
			t.Fatalf("record %d arrived changed", i)
		}
	}
}

// TestPublish: what is published is what Google's client would publish.
func TestPublish(t *testing.T) {
	a := &topicAPI{google: google()}
	p := publisher(a)
	records := some(30, 300)
	if err := p.Publish(t.Context(), records); err != nil {
		t.Fatal(err)
	}
	same(t, a.records(t), records)
	data, attributes, err := message.Encode("aws", records)
	if err != nil {
		t.Fatal(err)
	}
	if len(a.taken) != 1 || !bytes.Equal(a.taken[0].Data, data) || fmt.Sprint(a.taken[0].Attributes) != fmt.Sprint(attributes) {
		t.Error("it is another message")
	}
	if err := p.Publish(t.Context(), nil); err != nil || a.calls != 1 {
		t.Errorf("nothing to publish: %d requests, %v", a.calls, err)
	}
	if g := a.google; g.Exchanges() != 1 || g.Impersonations() != 1 {
		t.Errorf("%d exchanges", g.Exchanges())
	}
}

// TestLimits: however much it is, no request is more than Pub/Sub takes.
func TestLimits(t *testing.T) {
	for name, c := range map[string]struct {
		n, size, packBytes int
		requests, messages int // 0: not looked at
	}{
		"ManyMessages":   {n: 3000, size: 200, packBytes: 250, requests: 3, messages: 3000},
		"ManyBytes":      {n: 100, size: 250 << 10},
		"LargeRecords":   {n: 3, size: 6_900_000, requests: 3, messages: 3},
		"FullOfMessages": {n: 2000, size: 6900, packBytes: 1, messages: 2000},
	} {
		t.Run(name, func(t *testing.T) {
			a := &topicAPI{google: google()}
			p := publisher(a)
			p.PackBytes, p.Timeout, p.Patience = c.packBytes, time.Minute, time.Minute
			records := some(c.n, c.size)
			if err := p.Publish(t.Context(), records); err != nil {
				t.Fatal(err)
			}
			same(t, a.records(t), records)
			if c.requests > 0 && a.calls != c.requests || c.messages > 0 && len(a.taken) != c.messages {
				t.Errorf("%d messages in %d requests", len(a.taken), a.calls)
			}
		})
	}
}

func TestTooLarge(t *testing.T) {
	a := &topicAPI{google: google()}
	records := some(10, 100)
	records[3].Data = some(1, maxBytes)[0].Data
	records[7].Data = make([]byte, pack.MaxRaw)
	err := publisher(a).Publish(t.Context(), records)
	failures, ok := err.(stream.Failures)
	if !ok || len(failures) != 2 || failures[0].Index != 3 || failures[1].Index != 7 || !stream.IsPermanent(failures[0].Err) || !stream.IsPermanent(failures[1].Err) {
		t.Fatalf("got %v", err)
	}
	same(t, a.records(t), slices.Delete(slices.Delete(slices.Clone(records), 7, 8), 3, 4))
}

// TestARefusedMessageFailsAlone: by its position; the others are published.
func TestARefusedMessageFailsAlone(t *testing.T) {
	records := some(100, 100)
	for _, status := range []int{400, 413} {
		a := &topicAPI{google: google(), call: func(_ int, messages []published) int {
			for _, m := range messages {
				got, err := message.Open(m.Data, m.Attributes, "1")
				if err != nil || slices.ContainsFunc(got, func(r stream.Record) bool { return r.Key == records[70].Key }) {
					return status
				}
			}
			return 0
		}}
		p := publisher(a)
		p.PackBytes = 1
		err := p.Publish(t.Context(), records)
		failures, ok := err.(stream.Failures)
		if !ok || len(failures) != 1 || failures[0].Index != 70 || stream.IsPermanent(err) || statusOf(err) != status {
			t.Fatalf("got %v", err)
		}
		same(t, a.records(t), slices.Delete(slices.Clone(records), 70, 71))
	}
}

// TestTriedAgain: what passes, with the same messages, until it has passed.
func TestTriedAgain(t *testing.T) {
	for _, status := range []int{1, 408, 409, 429, 499, 500, 502, 503, 504} {
		synctest.Test(t, func(t *testing.T) {
			var first []published
			a := &topicAPI{google: google(), call: func(n int, messages []published) int {
				if n == 0 {
					first = messages
				}
				if fmt.Sprint(messages) != fmt.Sprint(first) {
					t.Error("what goes again is not the same")
				}
				if n < 4 {
					return status
				}
				return 0
			}}
			began := time.Now()
			if err := publisher(a).Publish(t.Context(), some(3, 10)); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(began); a.calls != 5 || took < 700*time.Millisecond || a.wrong != nil {
				t.Errorf("%d requests in %v, %v", a.calls, took, a.wrong)
			}
		})
	}
}

// TestPatience: it ends, and with the reason.
func TestPatience(t *testing.T) {
	for name, p := range map[string]*Publisher{
		"down":  publisher(&topicAPI{google: google(), call: func(int, []published) int { return 503 }}),
		"hangs": {Topic: topic, Origin: "aws", Transport: direct{http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { hangs(w, r) })}},
		"short": publisher(&topicAPI{google: google(), short: 1000}),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p.Patience, p.Timeout = 3*time.Second, time.Second
				began := time.Now()
				err := p.Publish(t.Context(), some(3, 10))
				failures, named := err.(stream.Failures)
				if took := time.Since(began); took > 3*time.Second || !errors.Is(err, context.DeadlineExceeded) || !named && name != "hangs" || named && len(failures) != 3 || stream.IsPermanent(err) {
					t.Errorf("%v after %v", err, took)
				}
				noSecrets(t, err)
				ctx, cancel := context.WithCancel(t.Context())
				cancel()
				if err := p.Publish(ctx, some(3, 10)); !errors.Is(err, context.Canceled) {
					t.Errorf("got %v", err)
				}
				time.Sleep(time.Minute)
			})
		})
	}
}

func TestAShortAnswerIsNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &topicAPI{google: google(), short: 2}
		if err := publisher(a).Publish(t.Context(), some(3, 10)); err != nil || a.calls != 3 {
			t.Errorf("%d requests, %v", a.calls, err)
		}
	})
}

// TestRefusedRequests: what can be mended only from outside fails at once, with
// what to do, and is no record's fault.
func TestRefusedRequests(t *testing.T) {
	for status, says := range map[int]string{403: "roles/pubsub.publisher", 404: "must exist", 412: "412", 301: "301"} {
		synctest.Test(t, func(t *testing.T) {
			a := &topicAPI{google: google(), call: func(int, []published) int { return status }}
			began := time.Now()
			err := publisher(a).Publish(t.Context(), some(3, 10))
			failures, ok := err.(stream.Failures)
			if !ok || len(failures) != 3 || stream.IsPermanent(err) || a.calls != 1 || time.Since(began) > 0 {
				t.Fatalf("%v after %d requests in %v", err, a.calls, time.Since(began))
			}
			for _, part := range []string{says, topic, "TOLD_TO"} {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%q does not say %q", err, part)
				}
			}
			if status < 500 && status > 402 && status < 405 && !strings.Contains(err.Error(), accountText) {
				t.Errorf("%q does not say who", err)
			}
			noSecrets(t, err)
		})
	}
}

// TestUnauthorized: a token that is not taken is replaced once.
func TestUnauthorized(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &topicAPI{google: google()}
		p := publisher(a)
		records := some(3, 10)
		if err := p.Publish(t.Context(), records[:1]); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Minute)
		a.google.Revoke()
		if err := p.Publish(t.Context(), records[1:]); err != nil {
			t.Fatal(err)
		}
		same(t, a.records(t), records)
		if a.google.Exchanges() != 2 || a.calls != 3 || a.tokens[1] != a.tokens[0] || a.tokens[2] == a.tokens[0] {
			t.Errorf("%d exchanges, %d requests", a.google.Exchanges(), a.calls)
		}
		// One that goes on taking none is not asked all the time, nor is who gives them out.
		time.Sleep(10 * time.Minute)
		a.call = func(int, []published) int { return 401 }
		began, calls := time.Now(), a.calls
		for range 10 {
			err := p.Publish(t.Context(), records)
			if statusOf(err) != 401 || stream.IsPermanent(err) || !strings.Contains(err.Error(), accountText) {
				t.Errorf("got %v", err)
			}
			noSecrets(t, err)
		}
		if a.google.Exchanges() != 3 || a.calls-calls != 11 || time.Since(began) > 0 {
			t.Errorf("%d exchanges, %d requests in %v", a.google.Exchanges(), a.calls-calls, time.Since(began))
		}
	})
}

// TestNoToken: Pub/Sub is not asked without one.
func TestNoToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &topicAPI{google: google()}
		a.google.Role += "2"
		p := publisher(a)
		for range 20 {
			began := time.Now()
			err := p.Publish(t.Context(), some(3, 10))
			failures, ok := err.(stream.Failures)
			if !ok || len(failures) != 3 || stream.IsPermanent(err) || time.Since(began) > 0 || !strings.Contains(err.Error(), provider) {
				t.Errorf("%v after %v", err, time.Since(began))
			}
			noSecrets(t, err)
		}
		if a.google.Exchanges() != 1 || a.calls > 0 {
			t.Errorf("%d exchanges, %d requests", a.google.Exchanges(), a.calls)
		}
		// Nor are there any without AWS's.
		without := publisher(a)
		without.Token.Credentials = &credentials{}
		began := time.Now()
		if err := without.Publish(t.Context(), some(3, 10)); err == nil || !strings.Contains(err.Error(), "no keys") || time.Since(began) > 0 {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		// While Google's token services are away for a moment, who publishes waits.
		back := time.Now().Add(time.Minute + 2*time.Second)
		a.google.Role, a.google.Fail = role, func(w http.ResponseWriter, r *http.Request) bool { return time.Now().Before(back) && fails(503)(w, r) }
		time.Sleep(time.Minute)
		if err := p.Publish(t.Context(), some(3, 10)); err != nil {
			t.Error(err)
		}
	})
}

// TestNothingIsLostUnnamed: many callers at once, on a wire that fails in all ways;
// every record is on the topic or named.
func TestNothingIsLostUnnamed(t *testing.T) {
	taken := 0
	for seed := range uint64(30) {
		synctest.Test(t, func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, seed))
			bad := []int{1, 1, 400, 401, 403, 408, 429, 500, 503}
			a := &topicAPI{google: google(), call: func(int, []published) int {
				if rnd.IntN(3) > 0 {
					return 0
				}
				return bad[rnd.IntN(len(bad))]
			}}
			p := publisher(a)
			p.Patience = 2 * time.Second
			if seed%2 == 0 {
				p.PackBytes = 1
			}
			records := some(200, 30)
			failed := make([]bool, len(records))
			var callers sync.WaitGroup
			for from := 0; from < len(records); from += 10 {
				callers.Go(func() {
					err := p.Publish(t.Context(), records[from:from+10])
					failures, named := err.(stream.Failures)
					for _, f := range failures {
						failed[from+f.Index] = true
					}
					for i := range failed[from : from+10] {
						failed[from+i] = failed[from+i] || err != nil && !named
					}
				})
			}
			callers.Wait()
			got := map[int64]bool{}
			for _, r := range a.records(t) {
				got[r.Time] = true
			}
			for i := range records {
				if !failed[i] && !got[records[i].Time] {
					t.Errorf("seed %d: record %d is lost, and not named", seed, i)
				}
			}
			taken += len(got)
		})
	}
	if taken < 1000 {
		t.Errorf("only %d records were taken", taken)
	}
}

func TestNewPublisher(t *testing.T) {
	cfg := aws.Config{Region: region, Credentials: own()}
	type variables = map[string]string
	env := func(v variables) func(string) (string, bool) {
		return func(name string) (string, bool) { value, ok := v[name]; return value, ok }
	}
	none := env(nil)
	p, err := NewPublisher(none, cfg, who.String(), topic, "aws")
	if err != nil || p.Token == nil || p.Token.Identity != who || p.Token.Region != region || p.Token.Credentials == nil || p.URL != "" || p.Token.STS != "" || p.Origin != "aws" || p.Topic != topic {
		t.Errorf("%v, %v", p, err)
	}
	p, err = NewPublisher(env(variables{"PUBSUB_EMULATOR_HOST": "127.0.0.1:1"}), cfg, "", topic, "aws")
	if err != nil || p.Token != nil || p.URL != "http://127.0.0.1:1" {
		t.Errorf("%v, %v", p, err)
	}
	p, err = NewPublisher(env(variables{"PUBSUB_EMULATOR_HOST": "127.0.0.1:1", "GOOGLE_STS_EMULATOR_HOST": "http://127.0.0.1:2/"}), cfg, who.String(), topic, "aws")
	if err != nil || p.Token == nil || p.Token.STS != "http://127.0.0.1:2" || p.Token.IAM != p.Token.STS {
		t.Errorf("%v, %v", p, err)
	}
	if _, err := NewPublisher(none, cfg, "", topic, "aws"); err == nil {
		t.Error("no identity is taken for one")
	}
	for _, name := range []string{"", "raw", "projects/p/topics/", "projects/p/topics/a/b", "projects/p/subscriptions/s", "projects/p/topics/raw?x", "arn:aws:kinesis:x:1:stream/raw", topic + "\n"} {
		if _, err := NewPublisher(none, cfg, who.String(), name, "aws"); err == nil || !strings.Contains(err.Error(), "must be projects/") {
			t.Errorf("%q is taken for a topic: %v", name, err)
		}
	}
}
