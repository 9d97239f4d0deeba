package kinesis

import (
	"cmp"
	"errors"
	"fmt"
	"math/big"
	"sync"

	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/hitolayer/hito/shared/stream"
	"github.com/hitolayer/hito/shared/stream/pack"
)

// keys are how a partition is named on a stream.
type keys struct {
	// partition is the partition key: what a consumer tells partitions by.
	partition string
	// hash is the explicit hash key: the middle of the partition's equal share of
	// the 128-bit space. So any number of shards has its equal part of the
	// partitions, as it would not have of 256 MD5 sums.
	hash string
}

// partitionKeys are made when they are first needed: not at every cold start.
var partitionKeys = sync.OnceValue(func() *[pack.Partitions]keys {
	share := new(big.Int).Div(new(big.Int).Lsh(big.NewInt(1), 128), big.NewInt(pack.Partitions))
	at := new(big.Int).Rsh(share, 1)
	all := new([pack.Partitions]keys)
	for i := range all {
		all[i] = keys{fmt.Sprintf("%03d", i), at.String()}
		at.Add(at, share)
	}
	return all
})

// span is one pack: which records it carries, and where it is in the buffer.
type span struct {
	partition  int
	from, to   int // of the ordered records
	begin, end int // of data
}

// packing is the memory of one Publish.
type packing struct {
	// ordered are the records by partition, and order says where each is in
	// Publish's argument: nil when they are as they were given.
	ordered []stream.Record
	order   []int32
	// packs are the packs in data, entries what PutRecords takes of them.
	data    []byte
	packs   []span
	entries []types.PutRecordsRequestEntry
	// spare are what ordered and order use when they are needed.
	spareRecords []stream.Record
	spareOrder   []int32
	partitions   []uint8
}

var packings = sync.Pool{New: func() any { return new(packing) }}

// keepBytes bounds the buffer that stays in the pool.
const keepBytes = 4 << 20

// release gives the memory back, without what it refers to.
func (k *packing) release() {
	clear(k.spareRecords)
	clear(k.entries)
	k.ordered, k.order = nil, nil
	k.spareRecords, k.spareOrder, k.partitions = k.spareRecords[:0], k.spareOrder[:0], k.partitions[:0]
	k.data, k.packs, k.entries = k.data[:0], k.packs[:0], k.entries[:0]
	if cap(k.data) > keepBytes {
		k.data = nil
	}
	packings.Put(k)
}

// position returns where in Publish's argument the ordered record at is.
func (k *packing) position(at int) int {
	if k.order == nil {
		return at
	}
	return int(k.order[at])
}

// overhead is what a pack takes at most besides what pack.Size counts, and its
// partition key.
const overhead = 64

// pack makes packs of records, and entries of packs. It names the records that
// no Kinesis record can carry.
func (k *packing) pack(p *Publisher, records []stream.Record) (failures stream.Failures) {
	if p.Together || len(records) == 1 {
		k.ordered = records
		failures = k.group(p, pack.Partition(records[0].Project, records[0].Key), 0, len(records), failures)
	} else {
		ends := k.sort(records)
		from := 0
		for partition, to := range ends {
			if from < to {
				failures = k.group(p, partition, from, to, failures)
			}
			from = to
		}
	}
	all := partitionKeys()
	for _, s := range k.packs {
		names := &all[s.partition]
		k.entries = append(k.entries, types.PutRecordsRequestEntry{
			Data: k.data[s.begin:s.end:s.end], PartitionKey: &names.partition, ExplicitHashKey: &names.hash,
		})
	}
	return failures
}

// sort orders records by partition, as they come within one, and returns where
// each partition ends.
func (k *packing) sort(records []stream.Record) (ends [pack.Partitions]int) {
	for i := range records {
		partition := pack.Partition(records[i].Project, records[i].Key)
		k.partitions = append(k.partitions, uint8(partition))
		ends[partition]++
	}
	var next [pack.Partitions]int // where the partition's next record goes
	sum := 0
	for i, n := range ends {
		next[i] = sum
		sum += n
		ends[i] = sum
	}
	k.spareRecords = sized(k.spareRecords, len(records))
	k.spareOrder = sized(k.spareOrder, len(records))
	for i := range records {
		at := &next[k.partitions[i]]
		k.spareRecords[*at], k.spareOrder[*at] = records[i], int32(i)
		*at++
	}
	k.ordered, k.order = k.spareRecords, k.spareOrder
	return ends
}

func sized[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}

// group packs the ordered records of one partition.
func (k *packing) group(p *Publisher, partition, from, to int, failures stream.Failures) stream.Failures {
	most := cmp.Or(p.MaxRecordBytes, defaultRecordBytes)
	target := min(cmp.Or(p.PackBytes, defaultPackBytes), most-overhead, pack.MaxRaw-overhead)
	for from < to {
		end, size := from+1, pack.Size(&k.ordered[from])
		for end < to {
			if size += pack.Size(&k.ordered[end]); size > target {
				break
			}
			end++
		}
		if err := k.add(span{partition: partition, from: from, to: end}, most); err != nil {
			for at := from; at < end; at++ {
				failures = append(failures, stream.Failure{
					Index: k.position(at), Err: stream.Permanent(fmt.Errorf("put on stream %s: %w", p.Stream, err)),
				})
			}
		}
		from = end
	}
	return failures
}

var errTooLarge = errors.New("too large for a Kinesis record")

// add makes one pack. It fails when the pack is larger than a Kinesis record may
// be, which only a record that is alone in its pack can make it.
func (k *packing) add(s span, most int) error {
	records := k.ordered[s.from:s.to]
	s.begin = len(k.data)
	data, err := pack.Append(k.data, records)
	if err != nil {
		return fmt.Errorf("%w: %w", errTooLarge, err)
	}
	if size := len(data) - s.begin + len(partitionKeys()[s.partition].partition); size > most {
		k.data = data[:s.begin]
		return fmt.Errorf("%w: %d bytes of data take %d bytes packed, at most %d may be", errTooLarge, len(records[0].Data), size, most)
	}
	k.data = data
	s.end = len(data)
	k.packs = append(k.packs, s)
	return nil
}
