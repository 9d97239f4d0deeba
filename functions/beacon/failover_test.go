package beacon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hitolayer/hito/shared/stream"
	"github.com/hitolayer/hito/shared/stream/failover"
)

// hangs takes what it is given, and says so to nobody.
type hangs struct{ *capture }

func (h hangs) Publish(ctx context.Context, records []stream.Record) error {
	_ = h.capture.Publish(ctx, records)
	<-ctx.Done()
	return ctx.Err()
}

// TestTwoClouds: a request is refused only when both clouds refuse some of its
// records; sent again, they are the same events.
func TestTwoClouds(t *testing.T) {
	away := errors.New("away")
	first := stream.Failures{{Index: 0, Err: away}}
	second := stream.Failures{{Index: 1, Err: away}}
	for name, c := range map[string]struct {
		own, other error
		hangs      bool
		refused    bool
		took       time.Duration
	}{
		"both serve":                       {},
		"own refuses":                      {own: away},
		"own refuses some":                 {own: second},
		"the other is away":                {other: away},
		"own hangs":                        {hangs: true, took: 500 * time.Millisecond},
		"both refuse":                      {own: away, other: away, refused: true},
		"both refuse one":                  {own: first, other: first, refused: true},
		"both refuse for good":             {own: stream.Permanent(away), other: stream.Permanent(away), refused: true},
		"own refuses all, the other some":  {own: away, other: second, refused: true},
		"own hangs, and the other refuses": {hangs: true, other: away, refused: true, took: 3 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				own, other := &capture{fail: c.own}, &capture{fail: c.other}
				h := own.handler()
				h.Now = time.Now
				raw := &failover.Publisher{Own: own, Other: other, Log: slog.New(slog.DiscardHandler)}
				if c.hangs {
					raw.Own = hangs{own}
				}
				h.Raw = within{raw, 3 * time.Second}
				send := func() (status int) {
					t.Helper()
					begin := time.Now()
					res := do(h, "POST", "/v1/batch", `{"batch":[{"type":"page","userId":"u1","messageId":"m1"},{"type":"page","userId":"u2","messageId":"m2"}]}`, "Authorization", basic)
					if res.StatusCode == 503 && (res.Header.Get("Retry-After") == "" || res.Header.Get("Hito-Reason") != "unavailable") {
						t.Errorf("503 with %v", res.Header)
					}
					if took := time.Since(begin); took != c.took {
						t.Errorf("took %v, want %v", took, c.took)
					}
					// What is asked for a cloud's health says the same, for a minute.
					if ill := do(h, "GET", "/health", ""); ill.StatusCode != res.StatusCode || ill.Header.Get("Cache-Control") != "no-store" {
						t.Errorf("/health answers %d, %v", ill.StatusCode, ill.Header)
					}
					return res.StatusCode
				}
				if status := do(h, "GET", "/health", "").StatusCode; status != 200 {
					t.Errorf("before anything came /health answers %d", status)
				}
				want := 200
				if c.refused {
					want = 503
				}
				if status := send(); status != want {
					t.Errorf("answered %d, want %d", status, want)
				}
				if c.refused {
					time.Sleep(ill * time.Millisecond)
					if status := do(h, "GET", "/health", "").StatusCode; status != 200 {
						t.Errorf("a minute later /health answers %d", status)
					}
					own.fail, other.fail, c.took = nil, nil, 0
					raw.Own = own
					if status := send(); status != 200 {
						t.Errorf("then answered %d", status)
					}
				}
				there := map[string]bool{}
				for _, e := range append(own.events(t), other.events(t)...) {
					there[e.MessageId] = true
				}
				if got := slices.Sorted(maps.Keys(there)); fmt.Sprint(got) != "[m1 m2]" {
					t.Errorf("acknowledged, and what is there is %s", strings.Join(got, " "))
				}
			})
		})
	}
}

// within bounds a Publish, as the platform bounds a request.
type within struct {
	stream.Publisher
	time.Duration
}

func (w within) Publish(ctx context.Context, records []stream.Record) error {
	ctx, cancel := context.WithTimeout(ctx, w.Duration)
	defer cancel()
	return w.Publisher.Publish(ctx, records)
}
