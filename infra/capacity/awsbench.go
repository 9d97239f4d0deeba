package main

// bench is what the arithmetic goes by. CPU is the sum of what docs/bench/aws.md
// measured of the parts, on a busy machine; what the streams and the table take
// per event depends on the traffic, and is assumed.
var bench = measured{
	eventsPerRequest: 2,
	beaconCPU:        180e-6, enrichCPU: 35e-6, scoreCPU: 100e-6,
	rawBytes: 900, enrichedBytes: 450,
	reads: 0.5, writes: 0.35, readUnit: 1, writeUnit: 1.2, logBytes: 420,
	put: 12e-3, load: 10e-3, save: 10e-3, commit: 12e-3, schedule: 70e-3,
}
