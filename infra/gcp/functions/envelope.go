package functions

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/hitolayer/hito/infra/gcp/pubsub/message"
)

// Message is a Pub/Sub message as it was delivered.
type Message struct {
	// ID is Pub/Sub's id of the publication.
	ID         string
	Data       []byte
	Attributes map[string]string
	// Attempt counts deliveries from 1, as far as the subscription tells: one with
	// a dead-letter policy, wrapped or pulled.
	Attempt   int
	Published time.Time
	// Final is of a message that came as a dead letter: it is given up in the end.
	Final bool
}

// maxBody is more than the 10 MB of a message take in base64, with what is around
// them. https://cloud.google.com/pubsub/quotas#resource_limits
const maxBody = 16 << 20

// envelope is what Pub/Sub posts for a wrapped message.
// https://cloud.google.com/pubsub/docs/push#receive_push
type envelope struct {
	Message *struct {
		Data        []byte            `json:"data"`
		Attributes  map[string]string `json:"attributes"`
		MessageID   string            `json:"messageId"`
		PublishTime time.Time         `json:"publishTime"`
	} `json:"message"`
	Attempt int `json:"deliveryAttempt"`
}

// metadata begins the headers in which an unwrapped message has its metadata.
// https://cloud.google.com/pubsub/docs/payload-unwrapping
const metadata = "X-Goog-Pubsub-"

var (
	errNoMessage = errors.New("neither an envelope with a message, nor a message with the header x-goog-pubsub-message-id: the subscription must be wrapped, or unwrapped with its metadata written")
	errTooLarge  = errors.New("larger than a message can be")
)

// read reads the message that a push request carries, wrapped or not.
func read(r *http.Request) (*Message, error) {
	var body []byte
	var err error
	if n := r.ContentLength; n > maxBody {
		return nil, errTooLarge
	} else if n >= 0 {
		body = make([]byte, n)
		_, err = io.ReadFull(r.Body, body)
	} else if body, err = io.ReadAll(io.LimitReader(r.Body, maxBody+1)); len(body) > maxBody {
		return nil, errTooLarge
	}
	if err != nil {
		return nil, fmt.Errorf("read the body: %w", err)
	}
	if id := r.Header.Get(metadata + "Message-Id"); id != "" {
		return unwrapped(r.Header, id, body), nil
	}
	return wrapped(body)
}

// unwrapped is a message whose data is the body, and whose attributes are headers.
func unwrapped(h http.Header, id string, body []byte) *Message {
	m := &Message{ID: id, Data: body, Attempt: 1, Attributes: make(map[string]string, 4)}
	for _, name := range []string{message.ID, message.Key, message.Origin, message.Schema} {
		if v := h.Get(name); v != "" {
			m.Attributes[name] = v
		}
	}
	m.Published, _ = time.Parse(time.RFC3339, h.Get(metadata+"Publish-Time")) // if not, it is not known
	return m
}

func wrapped(body []byte) (*Message, error) {
	var e envelope
	if err := json.Unmarshal(body, &e); err != nil {
		return nil, fmt.Errorf("%w: %w", errNoMessage, err)
	}
	if e.Message == nil || e.Message.MessageID == "" {
		return nil, errNoMessage
	}
	return &Message{
		ID: e.Message.MessageID, Data: e.Message.Data, Attributes: e.Message.Attributes, Published: e.Message.PublishTime, Attempt: max(e.Attempt, 1),
	}, nil
}
