package main

import (
	"fmt"
	"io"
	"math"
)

// measured is what one event or request takes. What is the sum of measured parts
// is marked "measured"; what traffic decides or only AWS can show, "assumed".
type measured struct {
	eventsPerRequest float64

	// CPU, in seconds of a whole processor.
	beaconCPU float64 // per request; measured
	enrichCPU float64 // per event; measured
	scoreCPU  float64 // per event; measured

	// Bytes on the streams, as packed.
	rawBytes      float64 // per request; assumed
	enrichedBytes float64 // per event; assumed

	// The table.
	reads     float64 // fragments loaded per event; assumed
	writes    float64 // fragments saved per event; assumed
	readUnit  float64 // read units per fragment loaded, consistently; measured
	writeUnit float64 // write units per fragment saved; measured

	logBytes float64 // per call; measured

	// Waiting, in seconds.
	put      float64 // PutRecords; assumed
	load     float64 // a round of BatchGetItem; assumed
	save     float64 // a round of PutItem, in parallel; assumed
	commit   float64 // a transaction of the ledger; assumed
	schedule float64 // from a record's arrival to its batch's begin, with enhanced fan-out; assumed
}

// prices are AWS' list prices in us-east-1, in dollars.
type prices struct {
	date string

	lambdaRequest float64 // per request
	lambdaSecond  float64 // per GB-second, arm64

	shardHour, putUnit      float64 // provisioned Kinesis; a unit is 25 KB
	streamHour, gbIn, gbOut float64 // on-demand Kinesis
	fanOutGB, fanOutHour    float64 // enhanced fan-out: per GB, per consumer and shard-hour
	fanOutGBOnDemand        float64
	writeRequest, readUnit  float64 // on-demand DynamoDB
	writeHour, readHour     float64 // provisioned DynamoDB, per unit and hour
	logGB                   float64 // taken in by CloudWatch
}

var usEast1 = prices{
	date:          "November 2026",
	lambdaRequest: 0.20e-6, lambdaSecond: 0.0000133334,
	shardHour: 0.015, putUnit: 0.014e-6,
	streamHour: 0.04, gbIn: 0.08, gbOut: 0.04,
	fanOutGB: 0.013, fanOutHour: 0.015, fanOutGBOnDemand: 0.05,
	writeRequest: 0.625e-6, readUnit: 0.125e-6,
	writeHour: 0.00065, readHour: 0.00013,
	logGB: 0.50,
}

// memory of the functions in GB, as terraform/live/aws has it; a processor is 1,769 MB.
const (
	beaconGB  = 0.5
	enrichGB  = 1.0
	scoreGB   = 1769.0 / 1024
	processor = 1769.0 / 1024
)

// headroom is how much of what is provisioned is used on average.
const headroom = 0.7

// load is one row of the arithmetic.
type load struct {
	rate float64 // events per second

	rawShards, enrichedShards int
	// events in a batch of one shard
	enrichBatch, scoreBatch float64
	// how long a batch takes, and calls at the same time
	beaconTime, enrichTime, scoreTime    float64
	beaconCalls, enrichCalls, scoreCalls float64
	latency                              float64 // from a beacon to the profile, in the middle

	lambda, kinesis, table, ledger, logs float64 // dollars per million events
	onDemand                             bool
}

func (l load) total() float64 { return l.lambda + l.kinesis + l.table + l.ledger + l.logs }

// shardBytes and shardRecords are what a shard takes per second.
const (
	shardBytes   = 1 << 20
	shardRecords = 1000
)

func shards(bytes, records float64) int {
	return max(1, int(math.Ceil(max(bytes/shardBytes, records/shardRecords)/headroom)))
}

// batch returns how many events a shard's batch has, and how long it takes, where
// events arrive at a rate on the shard and a batch takes fixed seconds and some
// more for each event: what arrives while one is worked on makes the next.
func batch(rate, fixed, each float64) (events, seconds float64) {
	if busy := rate * each; busy < 1 {
		events = rate * fixed / (1 - busy)
	} else {
		events = math.Inf(1) // the shard is too much for one call
	}
	events = max(1, events)
	return events, fixed + events*each
}

// compute does the arithmetic for a rate of events per second.
func compute(rate float64, onDemand bool, m measured, p prices) load {
	l := load{rate: rate, onDemand: onDemand}
	requests := rate / m.eventsPerRequest
	l.rawShards = shards(requests*m.rawBytes, requests)
	l.enrichedShards = shards(rate*m.enrichedBytes, 0)

	share := func(gb float64) float64 { return min(1, gb/processor) } // of a processor
	l.beaconTime = m.put + m.beaconCPU/share(beaconGB)
	l.enrichBatch, l.enrichTime = batch(rate/float64(l.rawShards), m.put+m.commit, m.enrichCPU/share(enrichGB))
	l.scoreBatch, l.scoreTime = batch(rate/float64(l.enrichedShards), m.load+2*m.save+m.commit, m.scoreCPU/share(scoreGB))
	l.beaconCalls = requests * l.beaconTime
	enrichInvocations, scoreInvocations := rate/l.enrichBatch, rate/l.scoreBatch
	l.enrichCalls, l.scoreCalls = enrichInvocations*l.enrichTime, scoreInvocations*l.scoreTime
	l.latency = m.put + 2*m.schedule + 1.5*(l.enrichTime+l.scoreTime) // half a batch waits for the one before

	perMillion := func(perSecond float64) float64 { return perSecond / rate * 1e6 }
	l.lambda = perMillion((requests+enrichInvocations+scoreInvocations)*p.lambdaRequest +
		(l.beaconCalls*beaconGB+l.enrichCalls*enrichGB+l.scoreCalls*scoreGB)*p.lambdaSecond)

	const gb = 1 << 30
	rawGB, enrichedGB := requests*m.rawBytes/gb, rate*m.enrichedBytes/gb
	// A pack on the enriched stream is what a batch has for one partition.
	packs := enrichInvocations * min(256, l.enrichBatch)
	if onDemand {
		kb := func(count, bytes float64) float64 { return count * math.Ceil(bytes/1024) * 1024 / gb } // billed by the started KB
		in := kb(requests, m.rawBytes) + kb(packs, rate*m.enrichedBytes/packs)
		l.kinesis = perMillion(2*p.streamHour/3600 + in*p.gbIn + (rawGB+enrichedGB)*p.fanOutGBOnDemand)
	} else {
		n := float64(l.rawShards + l.enrichedShards)
		l.kinesis = perMillion(n*(p.shardHour+p.fanOutHour)/3600 + (requests+packs)*p.putUnit + (rawGB+enrichedGB)*p.fanOutGB)
	}

	writes, reads := rate*m.writes*m.writeUnit, rate*m.reads*m.readUnit
	books := 2 * (enrichInvocations + scoreInvocations) // a shard's account, and its hour's
	if onDemand {
		l.table = perMillion(writes*p.writeRequest + reads*p.readUnit)
		l.ledger = perMillion(books * p.writeRequest)
	} else {
		l.table = perMillion((writes*p.writeHour + reads*p.readHour) / headroom / 3600)
		l.ledger = perMillion(books * p.writeHour / headroom / 3600)
	}
	// A line of metrics per call; Lambda's own lines are switched off.
	l.logs = perMillion((requests + enrichInvocations + scoreInvocations) * m.logBytes / gb * p.logGB)
	return l
}

var rates = []float64{1_000, 40_000, 134_000}

// writeAWS writes the tables of docs/capacity-aws.md.
func writeAWS(w io.Writer) error {
	var failed error
	printf := func(format string, args ...any) {
		if _, err := fmt.Fprintf(w, format, args...); err != nil {
			failed = err
		}
	}
	var rows []load
	for _, onDemand := range []bool{true, false} {
		for _, rate := range rates {
			rows = append(rows, compute(rate, onDemand, bench, usEast1))
		}
	}
	name := map[bool]string{true: "on demand", false: "provisioned"}
	printf("| events/s | streams and table | shards raw + enriched | events in a batch, enrich / score | calls at once, beacon / enrich / score | scored after, about |\n|---:|---|---:|---:|---:|---:|\n")
	for _, l := range rows {
		printf("| %.0f | %s | %d + %d | %.0f / %.0f | %.0f / %.0f / %.0f | %.0f ms |\n", l.rate, name[l.onDemand], l.rawShards, l.enrichedShards,
			l.enrichBatch, l.scoreBatch, math.Ceil(l.beaconCalls), math.Ceil(l.enrichCalls), math.Ceil(l.scoreCalls), l.latency*1000)
	}
	printf("\n| $ per million events | streams and table | Lambda | Kinesis | profiles | ledger | logs | all |\n|---:|---|---:|---:|---:|---:|---:|---:|\n")
	for _, l := range rows {
		printf("| at %.0f/s | %s | %.3f | %.3f | %.3f | %.3f | %.3f | **%.2f** |\n", l.rate, name[l.onDemand], l.lambda, l.kinesis, l.table, l.ledger, l.logs, l.total())
	}
	return failed
}
