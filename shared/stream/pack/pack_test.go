package pack

import (
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/hitolayer/hito/shared/stream"
)

var update = flag.Bool("update", false, "write the golden files anew")

func some(n, size int) []stream.Record {
	records := make([]stream.Record, n)
	for i := range records {
		data := fmt.Appendf(nil, `{"n":%d,"event":"Product Viewed","url":"https://shop.example/p/%d"}`, i, i*7)
		for len(data) < size {
			data = append(data, data...)
		}
		records[i] = stream.Record{Project: "shop", Key: fmt.Sprintf("a:%d", i), Events: i + 1, Time: 1_700_000_000_000 + int64(i), Data: data[:max(size, 1)]}
	}
	return records
}

func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := make([]stream.Record, rapid.IntRange(0, 40).Draw(t, "records"))
		for i := range want {
			want[i] = stream.Record{
				Project: rapid.SampledFrom([]string{"shop", "店", "", "a\x00b\xff"}).Draw(t, "project"),
				Key:     rapid.String().Draw(t, "key"),
				Events:  rapid.IntRange(0, 2500).Draw(t, "events"),
				Time:    rapid.Int64().Draw(t, "time"),
				Data:    bytes.Repeat(rapid.SliceOf(rapid.Byte()).Draw(t, "data"), rapid.IntRange(1, 50).Draw(t, "repeat")),
			}
		}
		one, err := Append([]byte("before"), want)
		if err != nil {
			t.Fatal(err)
		}
		two, err := Append(one, want[:len(want)/2])
		if err != nil {
			t.Fatal(err)
		}
		got, rest, err := Next(two[len("before"):])
		if err != nil {
			t.Fatal(err)
		}
		equal(t, got, want)
		if got, err = Open(rest); err != nil {
			t.Fatal(err)
		}
		equal(t, got, want[:len(want)/2])
	})
}

func equal(t *rapid.T, got, want []stream.Record) {
	if len(got) != len(want) {
		t.Fatalf("%d records, want %d", len(got), len(want))
	}
	for i := range got {
		if len(got[i].Data) == 0 && len(want[i].Data) == 0 {
			got[i].Data, want[i].Data = nil, nil
		}
		if !reflect.DeepEqual(got[i], want[i]) {
			t.Fatalf("record %d: %+v, want %+v", i, got[i], want[i])
		}
	}
}

// TestGolden keeps the wire form: what this build wrote must stay readable.
func TestGolden(t *testing.T) {
	const file = "testdata/form1.golden"
	var text strings.Builder
	for _, records := range [][]stream.Record{nil, some(1, 20), some(9, 200)} {
		data, err := Append(nil, records)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&text, "%x\n", data)
	}
	if *update {
		if err := os.WriteFile(file, []byte(text.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	golden, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for i, line := range strings.Fields(string(golden)) {
		data, err := hex.DecodeString(line)
		if err != nil {
			t.Fatal(err)
		}
		records, err := Open(data)
		if want := []int{0, 1, 9}[i]; err != nil || len(records) != want {
			t.Fatalf("pack %d: %d records, %v, want %d", i, len(records), err, want)
		}
		for j, want := range some(len(records), []int{0, 20, 200}[i]) {
			if !reflect.DeepEqual(records[j], want) {
				t.Errorf("pack %d record %d: %+v, want %+v", i, j, records[j], want)
			}
		}
	}
}

func TestDamageIsSeen(t *testing.T) {
	for _, records := range [][]stream.Record{some(1, 20), some(9, 200)} {
		data, err := Append(nil, records)
		if err != nil {
			t.Fatal(err)
		}
		for i := range data {
			broken := bytes.Clone(data)
			broken[i] ^= 0x40
			if _, err := Open(broken); err == nil {
				t.Fatalf("byte %d of %d changed, and nobody sees it", i, len(data))
			}
			if _, err := Open(data[:i]); err == nil {
				t.Fatalf("cut to %d of %d bytes, and nobody sees it", i, len(data))
			}
		}
		if _, err := Open(append(bytes.Clone(data), 0)); err == nil {
			t.Fatal("a byte behind it is not seen")
		}
		data[2]++
		if _, err := Open(data); !errors.Is(err, ErrForm) {
			t.Errorf("a later form gives %v", err)
		}
	}
}

func TestNeighboursCompress(t *testing.T) {
	records := some(50, 400)
	data, err := Append(nil, records)
	if err != nil {
		t.Fatal(err)
	}
	if raw := 50 * 400; len(data) > raw/4 {
		t.Errorf("%d bytes of 50 like records are packed into %d", raw, len(data))
	}
}

func TestTooMuch(t *testing.T) {
	if _, err := Append(nil, []stream.Record{{Data: make([]byte, MaxRaw)}}); err == nil {
		t.Error("a pack of more than MaxRaw was made")
	}
}

func TestPartition(t *testing.T) {
	counts := make([]int, Partitions)
	for i := range 100 * Partitions {
		counts[Partition("shop", fmt.Sprint("a:", i))]++
	}
	for p, n := range counts {
		if n < 50 || n > 160 {
			t.Errorf("partition %d has %d keys of %d on average", p, n, 100)
		}
	}
	// A key stays in its partition for ever: consumers keep places by them.
	if a, b := Partition("shop", "u:1"), Partition("sho", "pu:1"); a != 226 || b != 172 {
		t.Errorf("partitions %d and %d", a, b)
	}
}

func FuzzOpen(f *testing.F) {
	for _, records := range [][]stream.Record{nil, some(1, 20), some(9, 200)} {
		data, err := Append(nil, records)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		records, err := Open(data)
		if err != nil {
			return
		}
		again, err := Append(nil, records)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := Open(again); err != nil || len(got) != len(records) {
			t.Fatalf("%d records of %d, %v", len(got), len(records), err)
		}
	})
}

func BenchmarkAppendAndOpen(b *testing.B) {
	for _, n := range []int{1, 10, 100} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			records := some(n, 700)
			var buf []byte
			b.ReportAllocs()
			for b.Loop() {
				var err error
				if buf, err = Append(buf[:0], records); err != nil {
					b.Fatal(err)
				}
				if _, err = Open(buf); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/record")
			b.ReportMetric(float64(len(buf))/float64(n), "B/record")
		})
	}
}
