package main

import (
	"fmt"
	"io"
	"math"
)

// gcpMeasured is what one event, request or message takes, marked as measured is.
type gcpMeasured struct {
	eventsPerRequest float64

	// CPU, in seconds of a whole processor.
	beaconCPU                  float64 // per request; measured
	enrichMessage, enrichEvent float64 // per message pushed, and per event in it; measured
	scoreMessage, scoreEvent   float64 // the same, fragments loaded and saved; measured

	// Bytes on the topics per event, as packed.
	rawBytes, enrichedBytes float64 // assumed

	// The table.
	reads  float64 // fragments loaded per event; assumed
	writes float64 // fragments saved per event; assumed

	logBytes float64 // of a line of metrics, one per request and message; measured

	// Waiting, in seconds.
	publish float64 // assumed
	deliver float64 // from a publication to its push; assumed
	load    float64 // a batch of rows; assumed
	save    float64 // conditional writes, in parallel; assumed
	commit  float64 // the ledger's write; assumed
}

// gcpPrices are Google's list prices in us-central1, in dollars.
type gcpPrices struct {
	date string

	request               float64 // Cloud Run, billed by request
	cpuSecond, gbSecond   float64 // billed while there is a request
	cpuAlways, gbAlways   float64 // billed as long as an instance is there
	tib                   float64 // Pub/Sub: a TiB published, and again one delivered
	leastBytes            float64 // that a request to Pub/Sub counts, at least
	keptGB                float64 // Pub/Sub: a GiB that a topic keeps, for a month
	nodeHour              float64 // Bigtable, SSD
	nodeReads, nodeWrites float64 // rows of 1 KB a node takes per second
	docRead, docWrite     float64 // Firestore, a document
	docDelete             float64
	logGB                 float64
	bigQueryTiB           float64 // a BigQuery subscription's delivery
}

var usCentral1 = gcpPrices{
	date:    "November 2026",
	request: 0.40e-6, cpuSecond: 24e-6, gbSecond: 2.5e-6, cpuAlways: 18e-6, gbAlways: 2e-6,
	tib: 40, leastBytes: 1000, keptGB: 0.27, nodeHour: 0.65, nodeReads: 17_000, nodeWrites: 14_000, docRead: 0.03e-5, docWrite: 0.09e-5, docDelete: 0.01e-5, logGB: 0.50, bigQueryTiB: 50,
}

// What terraform/live/gcp has: an instance is one processor and so much memory in
// GiB, takes so many requests at a time, and publishes so often at a time.
const (
	smallGB     = 0.5 // the beacon
	largeGB     = 1   // enrich and score
	keptHours   = 24
	atATime     = 80
	publishes   = 4
	utilization = 0.6 // of an instance's processor, which Cloud Run scales to
	nodeLoad    = 0.6 // of a node, which autoscaling keeps
	packEvents  = 512
	month       = 730 * 3600 // seconds
	// bookWrites is what booking a message writes in Firestore: its id, totals, an hour.
	bookWrites = 3
)

// gcpLoad is one row of the arithmetic.
type gcpLoad struct {
	rate   float64
	always bool // instances are billed as long as they are there

	beacons, enrichers, scorers   float64 // instances
	rawMessages, enrichedMessages float64 // per second
	megabytes                     float64 // per second published
	nodes                         float64
	latency                       float64

	run, pubsub, table, logs float64 // dollars per million events
	documents                float64 // the same, of Firestore in place of the table
}

func (l gcpLoad) total() float64 { return l.run + l.pubsub + l.table + l.logs }

// instances returns how many serve calls of which so many come per second, each
// of which takes cpu seconds of a processor and lasts some time.
func instances(calls, cpu, lasts float64) float64 {
	return math.Max(1, math.Ceil(math.Max(calls*cpu/utilization, calls*lasts/atATime)))
}

// billed returns the share of the time in which an instance of n has a request,
// where so many are under way on all of them: they arrive at random.
func billed(underWay, n float64) float64 { return 1 - math.Exp(-underWay/n) }

// messages returns how many messages instances publish per second: those of
// calls that come while all publications are under way travel together.
func messages(calls, events, n float64, m gcpMeasured) float64 {
	return math.Max(math.Min(calls, n*publishes/m.publish), events/packEvents)
}

// computeGCP does the arithmetic for a rate of events per second.
func computeGCP(rate float64, always bool, m gcpMeasured, p gcpPrices) gcpLoad {
	l := gcpLoad{rate: rate, always: always}
	requests := rate / m.eventsPerRequest
	beaconTime := m.publish*1.5 + m.beaconCPU // half a publication waits for the one before
	l.beacons = instances(requests, m.beaconCPU, beaconTime)
	l.rawMessages = messages(requests, rate, l.beacons, m)

	each := rate / l.rawMessages
	enrichCPU := m.enrichMessage + each*m.enrichEvent
	enrichTime := m.publish*1.5 + m.commit + enrichCPU
	l.enrichers = instances(l.rawMessages, enrichCPU, enrichTime)
	l.enrichedMessages = messages(l.rawMessages, rate, l.enrichers, m)

	each = rate / l.enrichedMessages
	scoreCPU := m.scoreMessage + each*m.scoreEvent
	scoreTime := m.load + 2*m.save + m.commit + scoreCPU
	l.scorers = instances(l.enrichedMessages, scoreCPU, scoreTime)
	l.latency = beaconTime + 2*m.deliver + enrichTime + scoreTime

	perMillion := func(perSecond float64) float64 { return perSecond / rate * 1e6 }
	for _, f := range []struct{ n, calls, time, gb float64 }{
		{l.beacons, requests, beaconTime, smallGB}, {l.enrichers, l.rawMessages, enrichTime, largeGB}, {l.scorers, l.enrichedMessages, scoreTime, largeGB},
	} {
		if always {
			l.run += perMillion(f.n * (p.cpuAlways + f.gb*p.gbAlways))
		} else {
			l.run += perMillion(f.n*billed(f.calls*f.time, f.n)*(p.cpuSecond+f.gb*p.gbSecond) + f.calls*p.request)
		}
	}

	const tib, mb, gb = 1 << 40, 1e6, 1 << 30
	raw := math.Max(rate*m.rawBytes, l.rawMessages*p.leastBytes)
	enriched := math.Max(rate*m.enrichedBytes, l.enrichedMessages*p.leastBytes)
	l.megabytes = (raw + enriched) / mb
	// What is published is delivered too, and kept for a replay.
	kept := rate * (m.rawBytes + m.enrichedBytes) * keptHours * 3600 / gb
	l.pubsub = perMillion(2*(raw+enriched)/tib*p.tib + kept*p.keptGB/month)

	// A conditional write reads its row too. The ledger's is one per message, of two cells.
	conditional := rate*m.writes + l.rawMessages + l.enrichedMessages
	nodes := ((rate*m.reads+conditional)/p.nodeReads + conditional/p.nodeWrites) / nodeLoad
	l.nodes = math.Max(1, math.Ceil(nodes))
	l.table = perMillion(l.nodes * p.nodeHour / 3600)
	// Ids that were booked are removed when they are old.
	booked := l.rawMessages + l.enrichedMessages
	l.documents = perMillion(rate*m.reads*p.docRead + (rate*m.writes+bookWrites*booked)*p.docWrite + booked*p.docDelete)
	l.logs = perMillion((requests + l.rawMessages + l.enrichedMessages) * m.logBytes / gb * p.logGB)
	return l
}

// writeGCP writes the tables of docs/capacity-gcp.md.
func writeGCP(w io.Writer) error {
	var failed error
	printf := func(format string, args ...any) {
		if _, err := fmt.Fprintf(w, format, args...); err != nil {
			failed = err
		}
	}
	var rows []gcpLoad
	for _, always := range []bool{false, true} {
		for _, rate := range rates {
			rows = append(rows, computeGCP(rate, always, gcpBench, usCentral1))
		}
	}
	name := map[bool]string{false: "by request", true: "by instance"}
	printf("| events/s | instances, beacon / enrich / score | messages/s, raw / enriched | events in a message, raw / enriched | published | Bigtable nodes | scored after, about |\n|---:|---:|---:|---:|---:|---:|---:|\n")
	for _, l := range rows[:len(rates)] {
		printf("| %.0f | %.0f / %.0f / %.0f | %.0f / %.0f | %.0f / %.0f | %.1f MB/s | %.0f | %.0f ms |\n", l.rate, l.beacons, l.enrichers, l.scorers,
			l.rawMessages, l.enrichedMessages, l.rate/l.rawMessages, l.rate/l.enrichedMessages, l.megabytes, l.nodes, l.latency*1000)
	}
	printf("\n| $ per million events | Cloud Run is billed | Cloud Run | Pub/Sub | Bigtable | logs | all |\n|---:|---|---:|---:|---:|---:|---:|\n")
	for _, l := range rows {
		printf("| at %.0f/s | %s | %.3f | %.3f | %.3f | %.3f | **%.2f** |\n", l.rate, name[l.always], l.run, l.pubsub, l.table, l.logs, l.total())
	}
	printf("\n| events/s | Bigtable, $ a month | Firestore, $ a month |\n|---:|---:|---:|\n")
	for _, rate := range append([]float64{0, 1, 10, sameCost(gcpBench, usCentral1), 100}, rates...) {
		l := computeGCP(max(rate, 1e-9), false, gcpBench, usCentral1)
		monthly := rate * month / 1e6
		printf("| %.0f | %.0f | %.0f |\n", rate, l.nodes*usCentral1.nodeHour*month/3600, monthly*l.documents)
	}
	return failed
}

// sameCost returns at how many events per second Firestore costs what Bigtable's
// least does.
func sameCost(m gcpMeasured, p gcpPrices) float64 {
	return p.nodeHour / 3600 / (computeGCP(1, false, m, p).documents / 1e6)
}
