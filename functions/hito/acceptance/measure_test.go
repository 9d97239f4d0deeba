//go:build acceptance

package acceptance

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

// measured are the events of the measurement, and perRequest how many a request has.
const (
	measured   = 10_000
	perRequest = 2
)

// measure puts a steady load on the deployment and tells what an event takes of
// every function, stream and table: what capacity planning begins with. It
// asserts that all of it is right, and nothing about time. It needs
// HITO_BENCH_AWS=FILE, where it writes the table.
func (x *installation) measure(t *testing.T) {
	path := os.Getenv("HITO_BENCH_AWS")
	if path == "" {
		return
	}
	before := x.usage()
	position := x.tips(t)
	calls := len(x.dynamodb.Calls())
	batches := x.batches()
	plain := x.target
	plain.URL = x.plain
	t.Log(plain.Hito(t, "load", "--events", fmt.Sprint(measured), "--visitors", "4000", "--per-request", fmt.Sprint(perRequest), "--connections", "6",
		"--duration", "5m", "--drain", "3m", "--seed", fmt.Sprint(rand.Uint32()), "--verify"))
	x.balanced(t)
	after := x.usage()
	batches = x.batches() - batches

	var saves, loads, updates int
	for _, c := range x.dynamodb.Calls()[calls:] {
		switch {
		case c.Identity != "score" || c.Fault != "":
		case c.Action == "UpdateItem":
			updates++
		case c.Action == "BatchGetItem":
			loads += c.Entries
		}
	}
	saves = updates - 2*batches // the ledger's
	raw, rawBytes := x.since(t, position, x.functions["beacon"].Env["HITO_RAW_STREAM"])
	enriched, enrichedBytes := x.since(t, position, x.functions["enrich"].Env["HITO_ENRICHED_STREAM"])

	var out strings.Builder
	row := func(what string, value float64, unit string) {
		fmt.Fprintf(&out, "| %s | %.2f | %s |\n", what, value, unit)
	}
	fmt.Fprintf(&out, "| what | measured | unit |\n|---|---:|---|\n")
	const events, requests = float64(measured), float64(measured / perRequest)
	row("beacon, CPU", (after["beacon"]-before["beacon"]).Seconds()*1e6/requests, "µs per request of 2 events")
	row("enrich, CPU", (after["enrich"]-before["enrich"]).Seconds()*1e6/events, "µs per event")
	row("score, CPU", (after["score"]-before["score"]).Seconds()*1e6/events, "µs per event")
	row("raw stream", rawBytes/requests, "bytes per request")
	row("raw stream", float64(raw)/requests, "Kinesis records per request")
	row("enriched stream", enrichedBytes/events, "bytes per event")
	row("enriched stream", float64(enriched)/events, "Kinesis records per event")
	row("fragments loaded", float64(loads)/events, "per event")
	row("fragments saved", float64(saves)/events, "per event")
	row("batches scored", events/float64(batches), "events per batch")
	t.Log("\n" + out.String())
	if err := os.WriteFile(path, []byte(out.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

// usage ends all sandboxes, whose CPU is known then, and returns each function's so far.
func (x *installation) usage() map[string]time.Duration {
	all := map[string]time.Duration{}
	for name, f := range x.functions {
		for deadline := time.Now().Add(10 * time.Second); f.Kill(rand.IntN) && time.Now().Before(deadline); {
			time.Sleep(10 * time.Millisecond) // until it has ended
		}
		all[name] = f.Stats().CPU
	}
	return all
}

func (x *installation) batches() int { return x.streams["score"].Stats().Batches }

// tips are iterators at the end of every shard of every stream.
func (x *installation) tips(t *testing.T) map[string][]string {
	t.Helper()
	client := x.kinesisClient(harness)
	all := map[string][]string{}
	for _, s := range x.deployment.Streams {
		shards, err := client.ListShards(t.Context(), &kinesis.ListShardsInput{StreamName: &s.Name})
		if err != nil {
			t.Fatal(err)
		}
		for _, shard := range shards.Shards {
			it, err := client.GetShardIterator(t.Context(), &kinesis.GetShardIteratorInput{
				StreamName: &s.Name, ShardId: shard.ShardId, ShardIteratorType: types.ShardIteratorTypeAtTimestamp, Timestamp: aws.Time(time.Now()),
			})
			if err != nil {
				t.Fatal(err)
			}
			all[s.Name] = append(all[s.Name], *it.ShardIterator)
		}
	}
	return all
}

// since counts the records and bytes that came since.
func (x *installation) since(t *testing.T, tips map[string][]string, stream string) (records int, bytes float64) {
	t.Helper()
	client := x.kinesisClient(harness)
	for _, it := range tips[stream] {
		for at := &it; at != nil; {
			out, err := client.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: at})
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range out.Records {
				bytes += float64(len(r.Data))
			}
			records += len(out.Records)
			at = out.NextShardIterator
			if len(out.Records) == 0 && aws.ToInt64(out.MillisBehindLatest) == 0 {
				break
			}
		}
	}
	return records, bytes
}
