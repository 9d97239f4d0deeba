package gcpfunctions

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"cloud.google.com/go/pubsub/v2"
	"golang.org/x/net/http/httpguts"
)

// An envelope is the body of a wrapped push request
// (cloud.google.com/pubsub/docs/push#receive_push).
type envelope struct {
	Message struct {
		Attributes map[string]string `json:"attributes,omitempty"`
		Data       []byte            `json:"data,omitempty"`
		ID         string            `json:"messageId"`
		SameID     string            `json:"message_id"`
		Key        string            `json:"orderingKey,omitempty"`
		Published  string            `json:"publishTime"`
		SameTime   string            `json:"publish_time"`
	} `json:"message"`
	Subscription string `json:"subscription"`
	Attempt      *int   `json:"deliveryAttempt,omitempty"` // with a dead-letter policy
}

// publishTime is the form of a message's time in a push request.
const publishTime = "2006-01-02T15:04:05.999Z07:00"

// request returns the request that delivers a message. A message whose attributes
// are no headers gives an error where they are written as such: it never arrives.
func (p *PushSubscription) request(ctx context.Context, m *pubsub.Message) (*http.Request, error) {
	body := m.Data
	published := m.PublishTime.UTC().Truncate(time.Millisecond).Format(publishTime)
	if !p.NoWrapper {
		e := envelope{Subscription: p.Name, Attempt: m.DeliveryAttempt}
		e.Message.Attributes, e.Message.Data, e.Message.Key = m.Attributes, m.Data, m.OrderingKey
		e.Message.ID, e.Message.SameID, e.Message.Published, e.Message.SameTime = m.ID, m.ID, published, published
		var err error
		if body, err = json.Marshal(e); err != nil {
			return nil, fmt.Errorf("wrap message %s: %w", m.ID, err)
		}
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, p.Endpoint, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if p.NoWrapper && p.WriteMetadata {
		for name, value := range m.Attributes {
			if !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(value) {
				return nil, fmt.Errorf("message %s: attribute %q is no header", m.ID, name)
			}
			r.Header.Set(name, value)
		}
		r.Header.Set("X-Goog-Pubsub-Subscription-Name", p.Name)
		r.Header.Set("X-Goog-Pubsub-Message-Id", m.ID)
		r.Header.Set("X-Goog-Pubsub-Publish-Time", published)
		if m.OrderingKey != "" {
			r.Header.Set("X-Goog-Pubsub-Ordering-Key", m.OrderingKey)
		}
	}
	if !p.NoWrapper {
		r.Header.Set("Content-Type", "application/json")
	}
	r.Header.Set("User-Agent", "CloudPubSub-Google")
	if p.Account != "" {
		r.Header.Set("Authorization", "Bearer "+p.Issuer.Token(p.Account, or(p.Audience, p.Endpoint)))
	}
	return r, nil
}
