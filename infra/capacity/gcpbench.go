package main

// gcpBench is what the arithmetic goes by. CPU is the sum of what
// docs/bench/gcp.md measured of the parts, on a busy machine; what the topics and
// the table take per event depends on the traffic, and is assumed.
var gcpBench = gcpMeasured{
	eventsPerRequest: 2,
	beaconCPU:        150e-6, pushCPU: 200e-6, enrichCPU: 30e-6, scoreCPU: 100e-6,
	rawBytes: 350, enrichedBytes: 400,
	reads: 0.5, writes: 0.35, logBytes: 250,
	publish: 20e-3, deliver: 30e-3, load: 6e-3, save: 6e-3, commit: 6e-3,
}
