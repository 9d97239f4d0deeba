// Package emulators starts what stands for the clouds in tests. For AWS: Kinesis
// (kinesalite or kinesis-mock), DynamoDB (DynamoDB Local), and everything that a
// Terraform stack makes (moto). For Google Cloud: Pub/Sub, Bigtable and Firestore.
// Each runs as a process of its own on a free loopback port, holds its state in
// memory, and starts empty.
//
// They are programs for Node.js, Java and Python. What comes from npm is pinned
// by npm/package-lock.json and installed once, into the user's cache directory;
// Node.js, Java, moto and the Google Cloud SDK have to be there.
package emulators

import (
	"context"
	"runtime"
	"sync"
	"testing"
)

// Kinesalite starts a Kinesis that is fast (12,000 records/s), and returns its
// URL. It neither reshards on demand nor throttles. Its streams are ready after
// 50 ms.
//
// A test that lacks the program is skipped, or fails where CI=true.
func Kinesalite(t testing.TB) string { return run(t, ProgramKinesalite) }

// KinesisMock starts a Kinesis that is slower than kinesalite (500 records/s) but
// more faithful, and returns its URL.
//
// A test that lacks the program is skipped, or fails where CI=true.
func KinesisMock(t testing.TB) string { return run(t, ProgramKinesisMock) }

// DynamoDB starts DynamoDB Local, and returns its URL. All credentials and
// regions share one set of tables. Items past their TTL go after 5 to 15 s.
//
// A test that lacks the program is skipped, or fails where CI=true.
func DynamoDB(t testing.TB) string { return run(t, ProgramDynamoDB) }

// Moto starts moto's server, and returns its URL: every service that a stack of
// hito is made of, so that Terraform applies it and then plans no changes. It
// runs no code and enforces no limits, and its Kinesis loses records under
// concurrent writers: see Kinesalite.
//
// A test that lacks the program is skipped, or fails where CI=true.
func Moto(t testing.TB) string { return run(t, ProgramMoto) }

var shared = struct {
	sync.Mutex
	process *Process
}{}

// SharedDynamoDB returns the URL of a DynamoDB Local which all tests of the
// process share, for it takes seconds to start: a test makes tables of its own
// there. It ends with the test process.
func SharedDynamoDB(t testing.TB) string {
	t.Helper()
	if runtime.GOOS != "linux" {
		return DynamoDB(t) // nothing would end it with the process
	}
	shared.Lock()
	defer shared.Unlock()
	if shared.process == nil || shared.process.Err() != nil {
		shared.process = start(t, ProgramDynamoDB)
	}
	showLog(t, shared.process)
	return shared.process.URL
}

func run(t testing.TB, program Program) string {
	t.Helper()
	p := start(t, program)
	showLog(t, p)
	t.Cleanup(p.Stop)
	return p.URL
}

// start starts a program that outlives t.Context, which ends before a test's
// cleanup does.
func start(t testing.TB, program Program) *Process {
	t.Helper()
	p, err := Start(context.WithoutCancel(t.Context()), program)
	if missing, ok := isMissing(err); ok {
		Missing(t, missing)
	}
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func showLog(t testing.TB, p *Process) {
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%s at %s logged:\n%s", p.program, p.URL, p.Log())
		}
	})
}
