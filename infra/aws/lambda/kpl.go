package lambda

import (
	"bytes"
	"crypto/md5"
	"errors"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/hitolayer/hito/shared/stream/pack"
)

// A record that the Kinesis Producer Library aggregated is a magic number, an
// AggregatedRecord in Protocol Buffers, and the MD5 of that.
//
// https://github.com/awslabs/amazon-kinesis-producer/blob/master/aggregation-format.md
var kplMagic = []byte{0xF3, 0x89, 0x9A, 0xC2}

const (
	kplRecords = 3 // of AggregatedRecord
	kplData    = 3 // of its Record
)

var (
	errKPLSum   = errors.New("KPL: damaged, its checksum differs")
	errKPLEmpty = errors.New("KPL: an aggregate of no records")
	errKPLLarge = fmt.Errorf("KPL: an aggregate of more than %d bytes, inflated", pack.MaxRaw)
	errKPLData  = errors.New("KPL: a record without data")
)

// isAggregate reports whether data begins as the KPL's aggregates do.
func isAggregate(data []byte) bool {
	return len(data) >= len(kplMagic)+md5.Size && bytes.HasPrefix(data, kplMagic)
}

// deaggregate returns the data of an aggregate's user records, which share its memory.
func deaggregate(data []byte) ([][]byte, error) {
	message, sum := data[len(kplMagic):len(data)-md5.Size], data[len(data)-md5.Size:]
	if got := md5.Sum(message); !bytes.Equal(got[:], sum) {
		return nil, errKPLSum
	}
	var users [][]byte
	for len(message) > 0 {
		number, value, rest, err := kplField(message)
		if err != nil {
			return nil, err
		}
		message = rest
		if number != kplRecords || value == nil {
			continue
		}
		user, err := kplUser(value)
		if err != nil {
			return nil, err
		}
		users = append(users, user)
	}
	return users, nil
}

// kplUser returns the data of one user record.
func kplUser(message []byte) (user []byte, err error) {
	for len(message) > 0 {
		number, value, rest, err := kplField(message)
		if err != nil {
			return nil, err
		}
		message = rest
		if number == kplData && value != nil {
			user = value
		}
	}
	if user == nil {
		return nil, errKPLData
	}
	return user, nil
}

// kplField returns a message's first field and what follows it; value is nil
// unless it is bytes.
func kplField(message []byte) (number protowire.Number, value, rest []byte, err error) {
	number, kind, n := protowire.ConsumeTag(message)
	if n >= 0 {
		message = message[n:]
		if kind == protowire.BytesType {
			if value, n = protowire.ConsumeBytes(message); n >= 0 {
				return number, value[:len(value):len(value)], message[n:], nil
			}
		} else if n = protowire.ConsumeFieldValue(number, kind, message); n >= 0 {
			return number, nil, message[n:], nil
		}
	}
	return 0, nil, nil, fmt.Errorf("KPL: %w", protowire.ParseError(n))
}
