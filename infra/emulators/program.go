package emulators

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"runtime"
	"strings"
)

// Program names an emulator.
type Program string

// The emulators.
const (
	ProgramKinesalite  Program = "kinesalite"
	ProgramKinesisMock Program = "kinesis-mock"
	ProgramDynamoDB    Program = "DynamoDB Local"
	ProgramMoto        Program = "moto"
)

// command is how an emulator is started. It prints "hito-listening <port>" when
// it listens, or else port says where it will.
type command struct {
	path, dir string
	args, env []string
	port      int
}

// command installs what is needed.
func (p Program) command(ctx context.Context) (command, error) {
	switch p {
	case ProgramKinesalite:
		return p.node(ctx, filepath.Join("node_modules", "kinesalite"), "cli.js", nil,
			"--port", "1", "--createStreamMs", "50", "--deleteStreamMs", "50", "--updateStreamMs", "50", "--shardLimit", "1000")
	case ProgramKinesisMock:
		return p.node(ctx, filepath.Join("node_modules", "kinesis-local"), "main.js", []string{
			"KINESIS_MOCK_PLAIN_PORT=1", "KINESIS_MOCK_TLS_PORT=2", "AWS_ACCOUNT_ID=123456789012", "AWS_REGION=us-east-1", "LOG_LEVEL=WARN",
			"CREATE_STREAM_DURATION=50ms", "DELETE_STREAM_DURATION=50ms", "UPDATE_SHARD_COUNT_DURATION=50ms", "SPLIT_SHARD_DURATION=50ms", "MERGE_SHARDS_DURATION=50ms", "SHARD_LIMIT=1000",
		})
	case ProgramDynamoDB:
		return p.dynamoDB(ctx)
	case ProgramMoto:
		return p.moto(ctx)
	case ProgramPubSub, ProgramBigtable, ProgramFirestore:
		return p.google(ctx)
	}
	return command{}, fmt.Errorf("there is no emulator called %q", string(p))
}

// node returns the command of a script that listens on port 1: see
// node/loopback.js.
func (p Program) node(ctx context.Context, folder, script string, env []string, args ...string) (command, error) {
	packages, err := p.packages(ctx)
	if err != nil {
		return command{}, err
	}
	loopback, err := install(ctx, "node", nothing)
	if err != nil {
		return command{}, err
	}
	node, err := find(p, "node", installNode)
	return command{
		path: node,
		dir:  filepath.Join(packages, folder), // kinesis-mock reads files from where it starts
		args: append([]string{"--require", filepath.Join(loopback, "loopback.js"), script}, args...),
		env:  env,
	}, err
}

func (p Program) packages(ctx context.Context) (string, error) {
	if _, err := find(p, "npm", installNode); err != nil {
		return "", err
	}
	return install(ctx, "npm", installPackages)
}

func (p Program) dynamoDB(ctx context.Context) (command, error) {
	java, err := find(p, "java", installJava)
	if err != nil {
		return command{}, err
	}
	packages, err := p.packages(ctx)
	if err != nil {
		return command{}, err
	}
	c := command{
		path: java,
		dir:  filepath.Join(packages, "node_modules", "amplify-dynamodb-simulator", "emulator"),
		env:  []string{"DDB_LOCAL_TELEMETRY=0"},
	}
	port := 1024 // any: see native/loopback.c
	if runtime.GOOS == "linux" {
		if _, err := find(p, "cc", installCC); err != nil {
			return command{}, err
		}
		shim, err := install(ctx, "native", installShim)
		if err != nil {
			return command{}, err
		}
		c.env = append(c.env, "LD_PRELOAD="+filepath.Join(shim, "loopback.so"))
	} else {
		// Nothing to preload: it listens on every address, on a port that was free a moment ago.
		if port, err = freePort(ctx); err != nil {
			return command{}, err
		}
		c.port = port
	}
	// A heap that tests of several packages can have at once; a collector
	// that does not compete with them for CPUs; and no file left in /tmp.
	c.args = []string{
		"-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData",
		"-Djava.net.preferIPv4Stack=true", "-Djava.library.path=./DynamoDBLocal_lib",
		"-jar", "DynamoDBLocal.jar", "-inMemory", "-sharedDb", "-disableTelemetry", "-port", fmt.Sprint(port),
	}
	return c, nil
}

func (p Program) moto(ctx context.Context) (command, error) {
	python, err := find(p, "python3", installMoto)
	if err != nil {
		return command{}, err
	}
	dir, err := install(ctx, "moto", nothing)
	return command{
		path: python,
		dir:  dir,
		args: []string{"server.py"},
		// What moto itself calls AWS with, in the process.
		env: []string{"AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test", "AWS_DEFAULT_REGION=us-east-1", "PYTHONUNBUFFERED=1", "PYTHONDONTWRITEBYTECODE=1"},
	}, err
}

// exitWithoutMoto is how server.py exits when it lacks moto, or has another.
const exitWithoutMoto = 3

// explain says what is missing when the program has ended at once for want of it.
func (p Program) explain(exit int, log string) error {
	switch {
	case p == ProgramMoto && exit == exitWithoutMoto:
		return &MissingError{p, strings.TrimSpace(log), installMoto}
	case p == ProgramDynamoDB && strings.Contains(log, "UnsupportedClassVersionError"):
		return &MissingError{p, "a newer java", installJava}
	}
	return nil
}

func freePort(ctx context.Context) (int, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp4", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	return l.Addr().(*net.TCPAddr).Port, l.Close()
}
