package lambda

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// Scheduled is a function that an EventBridge schedule triggers beside what
// else does.
type Scheduled struct {
	// Function takes every other event.
	Function
	// Do does what is due at the time the schedule names. Its error fails the
	// invocation, which Lambda repeats as often as it is configured to.
	Do func(ctx context.Context, at time.Time) error
	// Before, if set, is called as an invocation of the schedule begins.
	Before func(context.Context)
}

// scheduledEvent is what EventBridge sends for a schedule, as
// docs.aws.amazon.com/eventbridge/latest/userguide/eb-events-structure.html has it.
type scheduledEvent struct {
	DetailType string    `json:"detail-type"`
	Time       time.Time `json:"time"`
}

// Invoke takes an event of the schedule, or passes it on.
func (s *Scheduled) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	// Looked for before it is parsed: other events are large.
	if !bytes.Contains(payload[:min(len(payload), 1024)], []byte(`"Scheduled Event"`)) {
		return s.Function.Invoke(ctx, payload)
	}
	var e scheduledEvent
	if err := json.Unmarshal(payload, &e); err != nil || e.DetailType != "Scheduled Event" || e.Time.IsZero() {
		return s.Function.Invoke(ctx, payload)
	}
	if s.Before != nil {
		s.Before(ctx)
	}
	ctx, cancel := early(ctx, time.Second)
	defer cancel()
	if err := s.Do(ctx, e.Time); err != nil {
		return nil, fmt.Errorf("what is due at %s: %w", e.Time.Format(time.RFC3339), err)
	}
	return []byte("null"), nil
}
