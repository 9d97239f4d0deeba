package lambda

import (
	"bytes"
	"context"
	"crypto/md5"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/hitolayer/hito/shared/stream"
)

// aggregate is what the Kinesis Producer Library makes of user records.
func aggregate(users ...[]byte) []byte {
	var message []byte
	message = protowire.AppendTag(message, 1, protowire.BytesType) // partition_key_table
	message = protowire.AppendString(message, "017")
	for _, user := range users {
		var r []byte
		r = protowire.AppendTag(r, 1, protowire.VarintType) // partition_key_index
		r = protowire.AppendVarint(r, 0)
		r = protowire.AppendTag(r, 3, protowire.BytesType)
		r = protowire.AppendBytes(r, user)
		r = protowire.AppendTag(r, 4, protowire.BytesType) // tags
		r = protowire.AppendString(r, "\n\x01k")
		message = protowire.AppendTag(message, 3, protowire.BytesType)
		message = protowire.AppendBytes(message, r)
	}
	sum := md5.Sum(message)
	return slices.Concat(kplMagic, message, sum[:])
}

func TestAggregates(t *testing.T) {
	var got, ids []string
	u := newStream(func(_ context.Context, rs []stream.Record) error {
		got = append(got, names(rs)...)
		for i := range rs {
			ids = append(ids, strings.TrimPrefix(rs[i].ID, shardID+":"))
		}
		return nil
	})
	records := packs(t, 1, 1, 1, 1)
	records[1].Data = aggregate(packed(t, testRecord("a"), testRecord("b")), []byte("no pack"), packed(t, testRecord("c")))
	records[2].Data = aggregate(packed(t, testRecord("d")))
	records[2].Data[20]++
	if failed := u.invoke(t, kinesisEvent(t, shardID, records)); len(failed) > 0 {
		t.Errorf("reported %q", failed)
	}
	if !slices.Equal(got, []string{"0.0", "a", "b", "c", "3.0"}) {
		t.Errorf("handled %q", got)
	}
	if want := []string{sequence(0) + ".0", sequence(1) + ".0", sequence(1) + ".1", sequence(1) + ".3", sequence(3) + ".0"}; !slices.Equal(ids, want) {
		t.Errorf("IDs %q, want %q", ids, want)
	}
	q := u.shelf.all()
	if len(q) != 2 || string(q[0].Body) != "no pack" || !bytes.Equal(q[1].Body, records[2].Data) {
		t.Errorf("quarantine %+v", q)
	}
}

func FuzzDeaggregate(f *testing.F) {
	f.Add(aggregate([]byte("a"), nil, bytes.Repeat([]byte("b"), 300))[4:])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		// The checksum would keep all others out.
		for _, tail := range [][]byte{data, nil} {
			if tail == nil {
				sum := md5.Sum(data)
				tail = slices.Concat(data, sum[:])
			}
			whole := slices.Concat(kplMagic, tail)
			if !isAggregate(whole) {
				continue
			}
			users, err := deaggregate(whole)
			if err != nil {
				continue
			}
			size := 0
			for _, u := range users {
				size += len(u)
			}
			if size > len(whole) {
				t.Fatalf("%d bytes of %d", size, len(whole))
			}
			again, err := deaggregate(aggregate(users...))
			if err != nil || !slices.EqualFunc(users, again, bytes.Equal) {
				t.Fatalf("%q again is %q, %v", users, again, err)
			}
		}
	})
}

// TestAggregateBomb: a small aggregate that holds more than a pack may goes to
// quarantine as it came, and its neighbours go on. So does one of nothing.
func TestAggregateBomb(t *testing.T) {
	var got []string
	u := newStream(func(_ context.Context, rs []stream.Record) error { got = append(got, names(rs)...); return nil })
	records := packs(t, 1, 1, 1, 1)
	half := packed(t, stream.Record{Project: "shop", Key: "a:1", Events: 1, Data: make([]byte, 9<<20)})
	records[1].Data, records[2].Data = aggregate(half, half, half), aggregate()
	if ids := u.invoke(t, kinesisEvent(t, shardID, records)); len(ids) > 0 {
		t.Errorf("reported %q", ids)
	}
	kept := u.Quarantine.(*shelf).all()
	if !slices.Equal(got, []string{"0.0", "3.0"}) || len(kept) != 2 || len(kept[0].Body) != len(records[1].Data) {
		t.Errorf("handled %q, %d entries in quarantine", got, len(kept))
	}
}
