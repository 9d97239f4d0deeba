// Package message is the form of an SQS message that carries records, without
// the SDK: the base64 of one pack, since a body must be text. Whoever is
// triggered by a queue reads it without linking what sends.
package message

import (
	"encoding/base64"
	"fmt"

	"github.com/hitolayer/hito/shared/stream"
	"github.com/hitolayer/hito/shared/stream/pack"
)

// Append appends the body that carries records to dst. It fails when they are
// more than a pack takes.
func Append(dst []byte, records []stream.Record) ([]byte, error) {
	packed, err := pack.Append(nil, records)
	if err != nil {
		return dst, fmt.Errorf("sqs: message of %d records: %w", len(records), err)
	}
	return base64.StdEncoding.AppendEncode(dst, packed), nil
}

// Decode returns the records a message's body carries. ID and Attempt are the
// queue's to set. An error that is a pack.ErrForm asks for a later build; any
// other will not mend.
func Decode(body string) ([]stream.Record, error) {
	packed, err := base64.StdEncoding.DecodeString(body)
	if err != nil {
		return nil, fmt.Errorf("sqs: message of %d bytes: %w", len(body), err)
	}
	records, err := pack.Open(packed)
	if err != nil {
		return nil, fmt.Errorf("sqs: message of %d bytes: %w", len(body), err)
	}
	return records, nil
}
