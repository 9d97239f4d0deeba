package dynamodb

import (
	"errors"
	"fmt"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// A packed value is a byte that says how, and the value.
const (
	plain      = 0
	compressed = 1 // by zstd
)

// writeUnit is what a write is billed by: so many bytes of an item, or part of it.
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html
const writeUnit = 1024

// maxValue bounds a value: no function has the memory for more.
const maxValue = 256 << 20

// Both are safe for concurrent use by EncodeAll and DecodeAll. They are made
// when first needed, since they cost a cold start some memory.
var (
	encoder = sync.OnceValues(func() (*zstd.Encoder, error) {
		return zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedDefault), zstd.WithEncoderConcurrency(1),
			zstd.WithEncoderCRC(false), zstd.WithWindowSize(128<<10), zstd.WithLowerEncoderMem(true))
	})
	decoder = sync.OnceValues(func() (*zstd.Decoder, error) {
		return zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderMaxMemory(maxValue), zstd.WithDecoderLowmem(true))
	})
)

// encodeValue returns value packed for an item that has other bytes besides: compressed
// when that saves write units.
func encodeValue(value []byte, other int) ([]byte, error) {
	if len(value) > maxValue {
		return nil, fmt.Errorf("dynamodb: a value of %d bytes is larger than %d", len(value), maxValue)
	}
	if len(value)+1+other > writeUnit {
		e, err := encoder()
		if err != nil {
			return nil, fmt.Errorf("dynamodb: %w", err)
		}
		small := e.EncodeAll(value, append(make([]byte, 0, len(value)/2+64), compressed))
		if units(len(small)+other) < units(len(value)+1+other) {
			return small, nil
		}
	}
	return append(append(make([]byte, 0, len(value)+1), plain), value...), nil
}

// units returns what a write of so many bytes is billed.
func units(bytes int) int { return (bytes + writeUnit - 1) / writeUnit }

// decodeValue is encodeValue's inverse. The result may share memory with packed.
func decodeValue(packed []byte) ([]byte, error) {
	if len(packed) == 0 {
		return nil, errors.New("dynamodb: an empty value is not packed")
	}
	switch packed[0] {
	case plain:
		return packed[1:], nil
	case compressed:
		d, err := decoder()
		if err != nil {
			return nil, fmt.Errorf("dynamodb: %w", err)
		}
		value, err := d.DecodeAll(packed[1:], nil)
		if err != nil {
			return nil, fmt.Errorf("dynamodb: decompress: %w", err)
		}
		return value, nil
	}
	return nil, fmt.Errorf("dynamodb: a value is packed in form %d, which this build does not read", packed[0])
}
