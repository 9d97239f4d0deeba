package main

// bench is what was measured: docs/bench/aws.md says how, and on what.
var bench = measured{
	eventsPerRequest: 2,
	beaconCPU:        150e-6, enrichCPU: 30e-6, scoreCPU: 60e-6,
	rawBytes: 900, enrichedBytes: 450,
	reads: 0.5, writes: 0.35, readUnit: 1, writeUnit: 1.2, logBytes: 420,
	put: 12e-3, load: 10e-3, save: 10e-3, commit: 12e-3, schedule: 70e-3,
}
