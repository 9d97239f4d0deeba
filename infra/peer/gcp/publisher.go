// Package gcp is Google Cloud as a function on AWS sees it: a stream there that it
// publishes on, and the token it does so with. It links none of Google's clients,
// which weigh more than all the rest of a function, and no key is stored.
package gcp

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/klauspost/compress/gzip"

	"github.com/hitolayer/hito/infra/gcp/pubsub/publish"
	"github.com/hitolayer/hito/shared/stream"
)

// maxBytes bounds the data of a request. Its limit of 10 MB counts what the data is
// sent as, before gzip: base64, a third more, in JSON with the attributes.
// https://cloud.google.com/pubsub/quotas#resource_limits
const maxBytes = 7_000_000

// Publisher publishes records on a topic as a publish.Publisher does, by Pub/Sub's
// REST API. Topic and Origin must be set. It is safe for concurrent use, and must
// not be copied.
type Publisher struct {
	// Token is who publishes, nil for an emulator's nobody.
	Token *Token
	// Topic is projects/P/topics/T.
	Topic string
	// Origin is the cloud that accepted the records' events, for the messages' attributes.
	Origin string
	// URL is where Pub/Sub is, without a slash at the end: Google's when empty.
	URL string
	// Transport carries the requests, nil for one that all calls share.
	Transport http.RoundTripper
	// PackBytes, Parallel, Timeout and Patience are those of publish.Publisher.
	PackBytes, Parallel int
	Timeout, Patience   time.Duration

	once sync.Once
	to   publish.Publisher
}

var _ stream.Publisher = (*Publisher)(nil)

// topics are those whose names mean nothing in a URL.
var topics = regexp.MustCompile(`^projects/[a-z0-9:.-]+/topics/[\w.~-]+$`)

// NewPublisher returns a publisher on a topic, which acts by an identity (see
// ParseIdentity) with the credentials of cfg. PUBSUB_EMULATOR_HOST and
// GOOGLE_STS_EMULATOR_HOST put emulators in place of Pub/Sub and of Google's token
// services; with only the first one no identity is needed, and none used.
func NewPublisher(lookup func(variable string) (value string, ok bool), cfg aws.Config, identity, topic, origin string) (*Publisher, error) {
	if !topics.MatchString(topic) {
		return nil, fmt.Errorf("%q is not a topic: it must be projects/PROJECT/topics/TOPIC", topic)
	}
	emulator := func(variable string) string {
		host, _ := lookup(variable)
		if host != "" && !strings.Contains(host, "://") {
			host = "http://" + host
		}
		return strings.TrimSuffix(host, "/")
	}
	pubsub, sts := emulator("PUBSUB_EMULATOR_HOST"), emulator("GOOGLE_STS_EMULATOR_HOST")
	p := &Publisher{Topic: topic, Origin: origin, URL: pubsub}
	if pubsub != "" && sts == "" {
		return p, nil
	}
	i, err := ParseIdentity(identity)
	if err != nil {
		return nil, err
	}
	p.Token = &Token{Credentials: cfg.Credentials, Region: cfg.Region, Identity: i, STS: sts, IAM: sts}
	return p, nil
}

// Publish implements stream.Publisher, as publish.Publisher does.
func (p *Publisher) Publish(ctx context.Context, records []stream.Record) error {
	p.once.Do(func() {
		p.to = publish.Publisher{
			Call: p.call, KindOf: kindOf, Topic: p.Topic, Origin: p.Origin, MaxBytes: maxBytes,
			PackBytes: p.PackBytes, Parallel: p.Parallel, Timeout: p.Timeout, Patience: p.Patience,
		}
	})
	return p.to.Publish(ctx, records)
}

// Fresh sees to it that there is a token when one is needed, and does not wait for it.
func (p *Publisher) Fresh(ctx context.Context) {
	if p.Token != nil {
		p.Token.Fresh(ctx)
	}
}

// noToken is an error that kept a request from being made.
type noToken struct{ error }

func (e noToken) Unwrap() error { return e.error }

// kindOf says of a request's error whether another attempt makes sense.
// https://cloud.google.com/pubsub/docs/reference/error-codes
func kindOf(err error) publish.Kind {
	if _, ok := errors.AsType[noToken](err); ok {
		if _, ok := errors.AsType[denied](err); ok {
			return publish.Never
		}
		return publish.Again
	}
	switch status := statusOf(err); {
	case passes(err):
		return publish.Again
	case status == http.StatusBadRequest, status == http.StatusRequestEntityTooLarge:
		return publish.Invalid
	}
	return publish.Never
}

// call makes one attempt of a request. With a token that is not taken it makes
// another one, with another.
func (p *Publisher) call(ctx context.Context, messages []publish.Message) error {
	body, err := encode(messages)
	if err != nil {
		return err
	}
	token, err := p.access(ctx)
	if err != nil {
		return err
	}
	err = p.post(ctx, token, body, len(messages))
	if p.Token != nil && statusOf(err) == http.StatusUnauthorized {
		p.Token.Refused(token)
		another, failed := p.access(ctx)
		if failed != nil {
			return failed
		}
		if another != token {
			err = p.post(ctx, another, body, len(messages))
		}
	}
	if status := statusOf(err); p.Token != nil && (status == http.StatusUnauthorized || status == http.StatusForbidden || status == http.StatusNotFound) {
		return fmt.Errorf("%w: the topic must exist, and give %s roles/pubsub.publisher", err, p.Token.Identity.Account)
	}
	return err
}

func (p *Publisher) access(ctx context.Context) (string, error) {
	if p.Token == nil {
		return "", nil
	}
	token, err := p.Token.Access(ctx)
	if err != nil {
		return "", noToken{err}
	}
	return token, nil
}

var gzips = sync.Pool{New: func() any {
	w, err := gzip.NewWriterLevel(nil, gzip.HuffmanOnly)
	if err != nil {
		panic(err) // there is that level
	}
	return w
}}

// encode returns the body of a request, which Pub/Sub takes compressed, as Google's
// own client for Java sends it by default
// (https://github.com/googleapis/google-api-java-client, AbstractGoogleClientRequest).
// What is in packs is compressed: only what base64 adds is to be had.
func encode(messages []publish.Message) ([]byte, error) {
	type message struct {
		Data       []byte            `json:"data"`
		Attributes map[string]string `json:"attributes"`
	}
	in := struct {
		Messages []message `json:"messages"`
	}{make([]message, len(messages))}
	for i := range messages {
		in.Messages[i] = message(messages[i])
	}
	var body bytes.Buffer
	w := gzips.Get().(*gzip.Writer)
	defer gzips.Put(w)
	w.Reset(&body)
	if err := errors.Join(json.NewEncoder(w).Encode(in), w.Close()); err != nil {
		return nil, err
	}
	return body.Bytes(), nil
}

// post publishes so many messages.
//
// https://cloud.google.com/pubsub/docs/reference/rest/v1/projects.topics/publish
func (p *Publisher) post(ctx context.Context, token string, body []byte, messages int) error {
	req, err := post(ctx, cmp.Or(p.URL, "https://pubsub.googleapis.com")+"/v1/"+p.Topic+":publish", "application/json", token, body)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Encoding", "gzip")
	var answer struct {
		IDs []string `json:"messageIds"`
	}
	if err := call(client(p.Transport), req, &answer, token); err != nil {
		return err
	}
	if len(answer.IDs) != messages {
		return errors.New("the answer does not say what became of every message")
	}
	return nil
}
