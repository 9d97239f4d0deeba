package main

import (
	"os"
	"strings"
	"testing"
)

// TestPageHasTheTables: docs/capacity-aws.md says what the arithmetic says.
func TestPageHasTheTables(t *testing.T) {
	page, err := os.ReadFile("../../docs/capacity-aws.md")
	if err != nil {
		t.Fatal(err)
	}
	var tables strings.Builder
	if err := write(&tables); err != nil {
		t.Fatal(err)
	}
	for table := range strings.SplitSeq(strings.TrimSpace(tables.String()), "\n\n") {
		if !strings.Contains(string(page), strings.TrimSpace(table)) {
			t.Errorf("the page lacks this table: run go run ./infra/capacity\n%s", table)
		}
	}
	if !strings.Contains(string(page), usEast1.date) {
		t.Errorf("the page does not say that prices are of %s", usEast1.date)
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
