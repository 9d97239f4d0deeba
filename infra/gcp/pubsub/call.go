package pubsub

import (
	"context"
	"errors"

	"cloud.google.com/go/pubsub/v2"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"github.com/googleapis/gax-go/v2"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/hitolayer/hito/infra/gcp/pubsub/publish"
)

var errShortAnswer = errors.New("the answer does not say what became of every message")

// never keeps the SDK from trying again itself: its attempts would multiply with ours.
func never() gax.Retryer { return nil }

// call returns what makes one attempt to publish on a topic. It uses the generated
// client: the SDK's Publisher collects messages behind timers, and keeps goroutines
// of its own.
func call(client *pubsub.Client, topic string) func(context.Context, []publish.Message) error {
	return func(ctx context.Context, messages []publish.Message) error {
		in := &pubsubpb.PublishRequest{Topic: topic, Messages: make([]*pubsubpb.PubsubMessage, len(messages))}
		for i := range messages {
			in.Messages[i] = &pubsubpb.PubsubMessage{Data: messages[i].Data, Attributes: messages[i].Attributes}
		}
		out, err := client.TopicAdminClient.Publish(ctx, in, gax.WithRetry(never))
		if err == nil && len(out.GetMessageIds()) != len(messages) {
			return errShortAnswer
		}
		return err
	}
}

// kindOf says whether a request may succeed in another attempt: when it failed with
// what Google's own clients try again on.
// https://cloud.google.com/pubsub/docs/retry-requests
func kindOf(err error) publish.Kind {
	switch status.Code(err) {
	case codes.Aborted, codes.Canceled, codes.Internal, codes.ResourceExhausted, codes.Unknown, codes.Unavailable, codes.DeadlineExceeded:
		return publish.Again
	case codes.InvalidArgument:
		return publish.Invalid
	}
	return publish.Never
}
