// Package pack puts several records into one message of a stream: a Kinesis
// record, a Pub/Sub message, an SQS message. Streams bill and limit by the
// message, and neighbours compress well.
//
// A pack tells its own length, so that packs written one after the other, as
// managed delivery to an object store does, can be told apart again.
package pack

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"sync"

	"github.com/cespare/xxhash/v2"
	"github.com/klauspost/compress/zstd"

	"github.com/hitolayer/hito/shared/stream"
)

// Partitions is how many partitions visitor keys are spread over. They bound how
// many consumers a stream can have that never meet on a key, and are few enough
// that a consumer's place in each can be kept.
const Partitions = 256

// Partition returns the partition of a visitor key, from 0 to Partitions-1.
func Partition(project, key string) int {
	var d xxhash.Digest
	d.Reset()
	_, _ = d.WriteString(project) // never fails
	_, _ = d.Write([]byte{0})
	_, _ = d.WriteString(key)
	return int(d.Sum64() % Partitions)
}

// MaxRaw is how many bytes a pack's records may take, inflated: what a pack can
// make its reader allocate.
const MaxRaw = 16 << 20

// A pack is: magic, form, codec, uvarint of the payload's length, for a
// compressed one uvarint of its inflated length, the payload, CRC-32C of all of it.
const (
	magic0, magic1 = 'h', 0xD1 // no text begins so, nor does a KPL aggregate
	form           = 1
	plain, zstd1   = 0, 1
	trailer        = 4
	header         = 4
)

// compressFrom is the least payload that is worth compressing, in bytes.
const compressFrom = 512

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// The coders are made when they are first needed: not every function packs.
var (
	encoder = sync.OnceValue(func() *zstd.Encoder {
		e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderCRC(false), zstd.WithLowerEncoderMem(true))
		if err != nil {
			panic(err) // the options are constants
		}
		return e
	})
	decoder = sync.OnceValue(func() *zstd.Decoder {
		d, err := zstd.NewReader(nil, zstd.WithDecoderMaxMemory(MaxRaw), zstd.WithDecoderConcurrency(0))
		if err != nil {
			panic(err) // the options are constants
		}
		return d
	})
	payloads = sync.Pool{New: func() any { return new([]byte) }}
)

// Size returns how many bytes of a pack's payload a record takes, at most.
func Size(r *stream.Record) int {
	return len(r.Project) + len(r.Key) + len(r.Data) + 5*binary.MaxVarintLen64
}

// Append appends the packed form of records to dst. ID and Attempt are not
// kept: they are the stream's. It fails when they take more than MaxRaw.
func Append(dst []byte, records []stream.Record) ([]byte, error) {
	buf := payloads.Get().(*[]byte)
	defer payloads.Put(buf)
	raw := binary.AppendUvarint((*buf)[:0], uint64(len(records)))
	for i := range records {
		r := &records[i]
		raw = appendBytes(raw, r.Project)
		raw = appendBytes(raw, r.Key)
		raw = binary.AppendUvarint(raw, uint64(r.Events))
		raw = binary.AppendVarint(raw, r.Time)
		raw = appendBytes(raw, r.Data)
		if len(raw) > MaxRaw {
			return dst, fmt.Errorf("pack: %d records take more than %d bytes: pack fewer", len(records), MaxRaw)
		}
	}
	if cap(raw) <= 1<<20 {
		*buf = raw
	}
	from := len(dst)
	dst = append(dst, magic0, magic1, form, plain)
	if len(raw) >= compressFrom {
		if small := encoder().EncodeAll(raw, nil); len(small) < len(raw)-len(raw)/8 {
			dst[from+3] = zstd1
			dst = binary.AppendUvarint(dst, uint64(len(small)))
			dst = binary.AppendUvarint(dst, uint64(len(raw)))
			dst = append(dst, small...)
			return binary.LittleEndian.AppendUint32(dst, crc32.Checksum(dst[from:], castagnoli)), nil
		}
	}
	dst = binary.AppendUvarint(dst, uint64(len(raw)))
	dst = append(dst, raw...)
	return binary.LittleEndian.AppendUint32(dst, crc32.Checksum(dst[from:], castagnoli)), nil
}

func appendBytes[T string | []byte](dst []byte, s T) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

// Is reports whether data begins like a pack of any form.
func Is(data []byte) bool {
	return len(data) >= header && data[0] == magic0 && data[1] == magic1
}

// ErrForm says that a newer build wrote the pack: deploy readers before writers.
var ErrForm = errors.New("pack: written in a later form")

var (
	errNotPack = errors.New("pack: not a pack")
	errShort   = errors.New("pack: cut short")
	errSum     = errors.New("pack: damaged, its checksum differs")
)

// Open returns the records of a message that is one pack. Their Data shares
// memory with the message unless it was compressed.
func Open(message []byte) ([]stream.Record, error) {
	records, rest, err := Next(message)
	if err == nil && len(rest) > 0 {
		return nil, fmt.Errorf("pack: %d bytes behind it", len(rest))
	}
	return records, err
}

// Next returns the records of the first pack in data, and what follows it.
func Next(data []byte) (records []stream.Record, rest []byte, err error) {
	if !Is(data) {
		return nil, nil, errNotPack
	}
	if data[2] != form {
		return nil, nil, fmt.Errorf("%w: form %d, this build reads %d", ErrForm, data[2], form)
	}
	at := data[header:]
	size, at, err := uvarint(at, math.MaxInt32)
	if err != nil {
		return nil, nil, err
	}
	inflated := 0
	switch data[3] {
	case plain:
	case zstd1:
		if inflated, at, err = uvarint(at, MaxRaw); err != nil {
			return nil, nil, err
		}
	default:
		return nil, nil, fmt.Errorf("%w: codec %d", ErrForm, data[3])
	}
	if len(at) < size+trailer {
		return nil, nil, errShort
	}
	payload := at[:size:size]
	end := len(data) - len(at) + size
	if crc32.Checksum(data[:end], castagnoli) != binary.LittleEndian.Uint32(data[end:]) {
		return nil, nil, errSum
	}
	if data[3] == zstd1 {
		// A frame may claim less than it holds; the decoder's bound holds then.
		if payload, err = decoder().DecodeAll(payload, make([]byte, 0, inflated)); err != nil {
			return nil, nil, fmt.Errorf("pack: inflate: %w", err)
		}
		if len(payload) != inflated {
			return nil, nil, fmt.Errorf("pack: inflates to %d bytes, not %d", len(payload), inflated)
		}
	}
	if records, err = read(payload); err != nil {
		return nil, nil, err
	}
	return records, data[end+trailer:], nil
}

// leastRecord is the least a record takes in a payload, in bytes: a count that
// could not fit is not believed.
const leastRecord = 5

func read(payload []byte) ([]stream.Record, error) {
	n, at, err := uvarint(payload, len(payload)/leastRecord)
	if err != nil {
		return nil, err
	}
	records := make([]stream.Record, n)
	for i := range records {
		r := &records[i]
		var project, key []byte
		if project, at, err = field(at); err != nil {
			return nil, err
		}
		if key, at, err = field(at); err != nil {
			return nil, err
		}
		if i > 0 && string(project) == records[i-1].Project {
			r.Project = records[i-1].Project
		} else {
			r.Project = string(project)
		}
		r.Key = string(key)
		if r.Events, at, err = uvarint(at, math.MaxInt32); err != nil {
			return nil, err
		}
		var used int
		if r.Time, used = binary.Varint(at); used <= 0 {
			return nil, errShort
		}
		if r.Data, at, err = field(at[used:]); err != nil {
			return nil, err
		}
	}
	if len(at) > 0 {
		return nil, fmt.Errorf("pack: %d bytes behind its %d records", len(at), n)
	}
	return records, nil
}

func uvarint(data []byte, most int) (int, []byte, error) {
	v, n := binary.Uvarint(data)
	switch {
	case n <= 0:
		return 0, nil, errShort
	case v > uint64(most):
		return 0, nil, fmt.Errorf("pack: a length of %d, at most %d can be", v, most)
	}
	return int(v), data[n:], nil
}

func field(data []byte) (value, rest []byte, err error) {
	n, rest, err := uvarint(data, math.MaxInt32)
	if err != nil {
		return nil, nil, err
	}
	if n > len(rest) {
		return nil, nil, errShort
	}
	return rest[:n:n], rest[n:], nil
}
