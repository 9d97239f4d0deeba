// Package message is the form of a Pub/Sub message that carries records, without
// the SDK: one pack as its data, and attributes that tell of it. Whoever a
// message is pushed to reads it without linking what publishes.
package message

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"

	"github.com/hitolayer/hito/shared/stream"
	"github.com/hitolayer/hito/shared/stream/pack"
)

// The attributes of a message.
const (
	// ID is the message's identity: a hash of its data. Pub/Sub's own message id
	// is of one publication, and differs when a client that got no answer
	// publishes again, and again on a dead-letter topic.
	ID = "id"
	// Key is the partition of its first record's visitor key: three digits.
	Key = "key"
	// Origin is the cloud that accepted its events.
	Origin = "origin"
	// Schema is the data's form: "1" is a pack.
	Schema = "schema"
)

// schema is the form written.
const schema = "1"

// Encode returns the data and the attributes of the message that carries
// records, of which there must be some. It fails when they are more than a pack takes.
func Encode(origin string, records []stream.Record) (data []byte, attributes map[string]string, err error) {
	if data, err = pack.Append(nil, records); err != nil {
		return nil, nil, fmt.Errorf("pubsub: message of %d records: %w", len(records), err)
	}
	return data, map[string]string{
		ID: identity(data), Key: fmt.Sprintf("%03d", pack.Partition(records[0].Project, records[0].Key)), Origin: origin, Schema: schema,
	}, nil
}

// identity is 16 bytes of the data's SHA-256, in hexadecimal.
func identity(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:16])
}

// Identity returns a message's identity: that of its data when it says it has
// one, so that nobody can give two messages one identity; else its Pub/Sub message id.
func Identity(data []byte, attributes map[string]string, messageID string) string {
	if attributes[ID] == "" {
		return messageID
	}
	return identity(data)
}

// Open returns the records that a message carries, each with its ID: the
// message's Identity and the record's index. An error that is a pack.ErrForm asks
// for a later build; any other will not mend.
func Open(data []byte, attributes map[string]string, messageID string) ([]stream.Record, error) {
	if form := attributes[Schema]; form != "" && form != schema {
		return nil, fmt.Errorf("pubsub: message %s: %w: schema %q, this build reads %q", messageID, pack.ErrForm, form, schema)
	}
	records, err := pack.Open(data)
	if err != nil {
		return nil, fmt.Errorf("pubsub: message %s of %d bytes: %w", messageID, len(data), err)
	}
	id := Identity(data, attributes, messageID)
	for i := range records {
		records[i].ID = id + "." + strconv.Itoa(i)
	}
	return records, nil
}
