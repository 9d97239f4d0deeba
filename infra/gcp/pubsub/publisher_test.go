package pubsub

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/hitolayer/hito/shared/stream"
)

// What a Publisher packs and how it makes requests is tested in package publish.

func TestPublish(t *testing.T) {
	f := &fake{}
	p := &Publisher{Client: f.client(t), Topic: topic, Origin: "gcp", PackBytes: 2000}
	records := some(1000, 100)
	if err := p.Publish(t.Context(), records); err != nil {
		t.Fatal(err)
	}
	sameRecords(t, f.records(t), records)
	if f.calls != 1 || len(f.taken) < 50 {
		t.Errorf("%d messages in %d requests", len(f.taken), f.calls)
	}
}

func TestWhatCannotSucceedReturnsAtOnce(t *testing.T) {
	for _, code := range []codes.Code{codes.NotFound, codes.PermissionDenied, codes.Unauthenticated, codes.FailedPrecondition, codes.InvalidArgument, codes.Unimplemented} {
		synctest.Test(t, func(t *testing.T) {
			f := &fake{call: func(int, *pubsubpb.PublishRequest) (error, bool) { return status.Error(code, "no"), false }}
			p := &Publisher{Client: f.client(t), Topic: topic, Origin: "gcp"}
			began := time.Now()
			err := p.Publish(t.Context(), some(3, 10))
			failures, ok := err.(stream.Failures)
			if !ok || len(failures) != 3 || status.Code(failures[2].Err) != code || stream.IsPermanent(err) || !strings.Contains(err.Error(), topic) {
				t.Errorf("got %v", err)
			}
			if f.calls != 1 || time.Since(began) > 0 {
				t.Errorf("%d requests in %v", f.calls, time.Since(began))
			}
		})
	}
}

func TestBackoff(t *testing.T) {
	passing := []codes.Code{codes.Aborted, codes.Canceled, codes.Internal, codes.ResourceExhausted, codes.Unknown, codes.Unavailable, codes.DeadlineExceeded}
	synctest.Test(t, func(t *testing.T) {
		var at []time.Time
		f := &fake{call: func(n int, _ *pubsubpb.PublishRequest) (error, bool) {
			at = append(at, time.Now())
			if n < len(passing) {
				return status.Error(passing[n], "try again"), false
			}
			return nil, true
		}}
		p := &Publisher{Client: f.client(t), Topic: topic, Origin: "gcp", Patience: time.Minute}
		records := some(3, 10)
		if err := p.Publish(t.Context(), records); err != nil {
			t.Fatal(err)
		}
		sameRecords(t, f.records(t), records)
		for i := 1; i < len(at); i++ {
			most := min(100*time.Millisecond<<(i-1), 2*time.Second)
			if wait := at[i].Sub(at[i-1]); wait < most/2 || wait > most {
				t.Errorf("wait %d was %v, want up to %v", i, wait, most)
			}
		}
	})
}

func TestAShortAnswerIsNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{short: 2}
		p := &Publisher{Client: f.client(t), Topic: topic, Origin: "gcp"}
		if err := p.Publish(t.Context(), some(3, 10)); err != nil || f.calls != 3 {
			t.Errorf("%d requests, %v", f.calls, err)
		}
	})
}
