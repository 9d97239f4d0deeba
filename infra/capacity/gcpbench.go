package main

// gcpBench is what the arithmetic goes by. CPU is that of whole processes, as
// docs/bench/gcp.md has it, on a busy machine; what the topics and the table take
// per event depends on the traffic, and is assumed.
var gcpBench = gcpMeasured{
	eventsPerRequest: 2,
	beaconCPU:        235e-6, enrichMessage: 345e-6, enrichEvent: 20e-6, scoreMessage: 1000e-6, scoreEvent: 65e-6,
	rawBytes: 350, enrichedBytes: 400,
	reads: 0.5, writes: 0.35, logBytes: 250,
	publish: 20e-3, deliver: 30e-3, load: 6e-3, save: 6e-3, commit: 6e-3,
}
