package lambda

import (
	"context"
	"errors"
	"testing"
	"time"
)

type recordedPayload struct{ payload string }

func (r *recordedPayload) Invoke(_ context.Context, payload []byte) ([]byte, error) {
	r.payload = string(payload)
	return []byte("other"), nil
}

// schedule is an event as EventBridge documents it.
const schedule = `{"version":"0","id":"53dc4d37-cffa-4f76-80c9-8b7d4a4d2eaa","detail-type":"Scheduled Event","source":"aws.events",
	"account":"123456789012","time":"2015-10-08T16:53:06Z","region":"us-east-1","resources":["arn:aws:events:us-east-1:123456789012:rule/my-scheduled-rule"],"detail":{}}`

func TestScheduled(t *testing.T) {
	var other recordedPayload
	var due time.Time
	failure := error(nil)
	before := 0
	s := &Scheduled{Function: &other, Before: func(context.Context) { before++ }, Do: func(_ context.Context, at time.Time) error {
		due = at
		return failure
	}}
	if _, err := s.Invoke(t.Context(), []byte(schedule)); err != nil || !due.Equal(time.Date(2015, 10, 8, 16, 53, 6, 0, time.UTC)) || before != 1 {
		t.Errorf("due at %v, before %d, %v", due, before, err)
	}
	failure = errors.New("the table is away")
	if _, err := s.Invoke(t.Context(), []byte(schedule)); !errors.Is(err, failure) {
		t.Errorf("a failure gives %v", err)
	}
	// A record may say what it likes: it is no schedule.
	for _, payload := range []string{`{"Records":[{"body":"\"Scheduled Event\""}]}`, `{"Records":[]}`, `"Scheduled Event"`, ``} {
		due, other.payload = time.Time{}, "none"
		if answer, err := s.Invoke(t.Context(), []byte(payload)); err != nil || string(answer) != "other" || other.payload != payload || !due.IsZero() {
			t.Errorf("%s is answered %s, %v", payload, answer, err)
		}
	}
}
