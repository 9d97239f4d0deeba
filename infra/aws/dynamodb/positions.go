package dynamodb

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"math/big"
	"slices"
	"strconv"

	"github.com/cespare/xxhash/v2"

	"github.com/hitolayer/hito/shared/stream/pack"
)

// maxForeign is how many partitions that are not hito's own a log's positions
// have room for. Whoever puts records of 65 other partition keys on a stream of
// hito's has the one booked to the lowest sequence forgotten: were a record of
// it delivered once more, it would be booked again.
const maxForeign = 64

// positions is how far a log is booked, by partition. Partitions go by number:
// hito's own by theirs, others by a hash of their name.
type positions map[uint64][]byte

// sequence returns a decimal number as bytes that compare like it: see compareSequences.
func sequence(decimal string) ([]byte, error) {
	for _, c := range []byte(decimal) {
		if c < '0' || c > '9' {
			return nil, fmt.Errorf("dynamodb: sequence %q is not a decimal number", decimal)
		}
	}
	n, ok := new(big.Int).SetString(decimal, 10)
	if !ok || n.BitLen() > 255*8 {
		return nil, fmt.Errorf("dynamodb: sequence %q is no number of up to 255 bytes", decimal)
	}
	return n.Bytes(), nil
}

func compareSequences(a, b []byte) int {
	return cmp.Or(cmp.Compare(len(a), len(b)), bytes.Compare(a, b))
}

// partitionNumber returns the number that positions know a partition by.
func partitionNumber(partition string) uint64 {
	if len(partition) == 3 {
		if n, err := strconv.ParseUint(partition, 10, 16); err == nil && n < pack.Partitions {
			return n
		}
	}
	return xxhash.Sum64String(partition) | 1<<63
}

// booked reports whether what is at sequence seq of a partition is booked.
func (p positions) booked(partition uint64, seq []byte) bool {
	at, ok := p[partition]
	return ok && compareSequences(seq, at) <= 0
}

// advance sets a partition's position to seq unless it is further.
func (p positions) advance(partition uint64, seq []byte) {
	if at, ok := p[partition]; !ok || compareSequences(seq, at) > 0 {
		p[partition] = seq
	}
}

// encode returns the stored form: of each partition its number, uvarint, the
// length of its sequence, a byte, and the sequence.
func (p positions) encode() []byte {
	var own, foreign []uint64
	for n := range p {
		if n < pack.Partitions {
			own = append(own, n)
		} else {
			foreign = append(foreign, n)
		}
	}
	slices.Sort(own)
	slices.SortFunc(foreign, func(a, b uint64) int { return cmp.Or(compareSequences(p[b], p[a]), cmp.Compare(a, b)) })
	buf := make([]byte, 0, 27*len(own))
	for _, n := range append(own, foreign[:min(len(foreign), maxForeign)]...) {
		buf = binary.AppendUvarint(buf, n)
		buf = append(buf, byte(len(p[n])))
		buf = append(buf, p[n]...)
	}
	return buf
}

func decodePositions(b []byte) (positions, error) {
	p := make(positions)
	for len(b) > 0 {
		partition, n := binary.Uvarint(b)
		if n <= 0 || len(b) <= n || len(b) < n+1+int(b[n]) {
			return nil, fmt.Errorf("dynamodb: %x does not name positions", b)
		}
		p[partition] = b[n+1 : n+1+int(b[n])]
		b = b[n+1+int(b[n]):]
	}
	return p, nil
}
