package main

import (
	"io"
	"os"
	"strings"
	"testing"
)

// TestPagesHaveTheTables: the pages say what the arithmetic says.
func TestPagesHaveTheTables(t *testing.T) {
	for cloud, c := range map[string]struct {
		write func(io.Writer) error
		date  string
	}{"aws": {writeAWS, usEast1.date}, "gcp": {writeGCP, usCentral1.date}} {
		page, err := os.ReadFile("../../docs/capacity-" + cloud + ".md")
		if err != nil {
			t.Fatal(err)
		}
		var tables strings.Builder
		if err := c.write(&tables); err != nil {
			t.Fatal(err)
		}
		for table := range strings.SplitSeq(strings.TrimSpace(tables.String()), "\n\n") {
			if !strings.Contains(string(page), strings.TrimSpace(table)) {
				t.Errorf("the page lacks this table: run go run ./infra/capacity %s\n%s", cloud, table)
			}
		}
		if !strings.Contains(string(page), c.date) {
			t.Errorf("the page of %s does not say that prices are of %s", cloud, c.date)
		}
	}
}

// TestArithmetic checks what can be told without it.
func TestArithmetic(t *testing.T) {
	if n := shards(70*shardBytes*headroom, 0); n != 70 {
		t.Errorf("70 shards' worth of bytes take %d", n)
	}
	if n := shards(0, 1400); n != 2 {
		t.Errorf("1,400 records/s take %d shards", n)
	}
	// What arrives while a batch is worked on makes the next: 100/s × (0.1 s + n × 1 ms) = n.
	if events, seconds := batch(100, 0.1, 1e-3); events < 11.1 || events > 11.2 || seconds < 0.111 || seconds > 0.112 {
		t.Errorf("a batch of %v in %v s", events, seconds)
	}
	small, large := compute(1000, false, bench, usEast1), compute(134_000, false, bench, usEast1)
	if large.total() >= small.total() || large.rawShards < 10*small.rawShards {
		t.Errorf("at 1,000/s %+v, at 134,000/s %+v", small, large)
	}
}

// TestArithmeticGCP: the same, of Google Cloud.
func TestArithmeticGCP(t *testing.T) {
	if n := instances(1000, 600e-6, 1e-3); n != 1 {
		t.Errorf("a processor's worth of calls takes %v instances", n)
	}
	if n := instances(1000, 0, 0.8); n != 10 {
		t.Errorf("800 calls at a time take %v instances", n)
	}
	// 10 instances with 4 publications of 20 ms at a time make 2,000 messages; no more than calls; none larger than a pack.
	for _, c := range []struct{ calls, events, want float64 }{{5000, 10_000, 2000}, {1000, 2000, 1000}, {5000, 2_048_000, 4000}} {
		if n := messages(c.calls, c.events, 10, gcpMeasured{publish: 20e-3}); n != c.want {
			t.Errorf("%v calls of %v events make %v messages, want %v", c.calls, c.events, n, c.want)
		}
	}
	// 30 MB/s that are kept for a day are 2,414 GiB.
	kept, free := usCentral1, usCentral1
	free.keptGB = 0
	if month := (computeGCP(40_000, false, gcpBench, kept).pubsub - computeGCP(40_000, false, gcpBench, free).pubsub) * 40_000 * month / 1e6; month < 640 || month > 660 {
		t.Errorf("a day's messages at 40,000/s cost $%v a month", month)
	}
	// Where Firestore costs what a node does.
	same := sameCost(gcpBench, usCentral1)
	if cost := computeGCP(same, false, gcpBench, usCentral1); same < 10 || same > 200 || cost.documents < cost.table*0.99 || cost.documents > cost.table*1.01 {
		t.Errorf("at %v/s Bigtable is $%v, Firestore $%v per million events", same, cost.table, cost.documents)
	}
	small, large := computeGCP(1000, false, gcpBench, usCentral1), computeGCP(134_000, false, gcpBench, usCentral1)
	if large.total() >= small.total() || large.nodes < 10*small.nodes || large.scorers < 10*small.scorers {
		t.Errorf("at 1,000/s %+v, at 134,000/s %+v", small, large)
	}
}
