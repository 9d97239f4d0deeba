package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/hitolayer/hito/functions/hito/load"
)

type benchCmd struct {
	Duration time.Duration `default:"15s" help:"How long each load lasts."`
	Visitors int           `default:"100000" help:"How many visitors there are."`
	Known    int           `default:"1000000" help:"How many visitors the memory run makes known; 0 leaves it out."`
	Rate     float64       `default:"40000" help:"Events per second of the run at a rate."`
	Out      string        `help:"Write the report into this directory, as <date>.md." placeholder:"DIR"`
	Data     string        `help:"Directory for the servers' data, removed afterwards; a temporary one by default." placeholder:"DIR"`
	JSON     bool          `name:"json" help:"Print the results as JSON."`
}

// Help is the long help of the command.
func (*benchCmd) Help() string {
	return `Starts a fresh hito for each load, as a process of its own on the same machine, and
measures it: events end to end, latencies, the server's CPU time, memory and syncs.
Every run checks that what was acknowledged was scored, and is in the profiles.
Exit code 1 when it was not.`
}

// result is one load's.
type result struct {
	Name string `json:"name"`
	*load.Report
	// CPUMicros is the server's user and system time per event.
	CPUMicros float64 `json:"cpu_us_per_event,omitempty"`
	// PeakBytes is the server's largest resident memory.
	PeakBytes int64 `json:"peak_bytes,omitempty"`
	Syncs     int64 `json:"syncs"`
}

func (c *benchCmd) Run(ctx context.Context) error {
	executable, err := os.Executable()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp(c.Data, "hito-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	base := load.Options{
		WriteKey: "demo", SecretKey: "demo-secret", Visitors: c.Visitors, Exponent: 1.1, Seed: 1,
		Duration: c.Duration, Connections: 64, Drain: 2 * time.Minute, Verify: true,
	}
	var results []*result
	run := func(name string, change func(*load.Options)) error {
		o := base
		change(&o)
		fmt.Fprintf(os.Stderr, "%s…\n", name)
		r, err := measure(ctx, executable, filepath.Join(dir, strconv.Itoa(len(results))), o)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		r.Name = name
		results = append(results, r)
		return nil
	}
	for _, n := range []int{1, 10, 100} {
		if err := run(perRequest(n), func(o *load.Options) { o.PerRequest = n }); err != nil {
			return err
		}
	}
	if err := run(fmt.Sprintf("%s, %.0f events/s", perRequest(10), c.Rate), func(o *load.Options) {
		o.PerRequest, o.Rate = 10, c.Rate
	}); err != nil {
		return err
	}
	if c.Known > 0 {
		if err := run(fmt.Sprintf("%d visitors known", c.Known), func(o *load.Options) {
			o.PerRequest, o.Visitors, o.Exponent, o.Events, o.Duration = 100, c.Known, 0, int64(c.Known), time.Hour
		}); err != nil {
			return err
		}
	}

	report := benchReport(ctx, results)
	if c.JSON {
		err = json.NewEncoder(os.Stdout).Encode(results)
	} else {
		_, err = fmt.Print(report)
	}
	if err == nil && c.Out != "" {
		if err = os.MkdirAll(c.Out, 0o777); err == nil {
			err = os.WriteFile(filepath.Join(c.Out, time.Now().UTC().Format(time.DateOnly)+".md"), []byte(report), 0o666)
		}
	}
	for _, r := range results {
		if err == nil && !r.OK {
			err = fmt.Errorf("%s: what was acknowledged is not what was scored", r.Name)
		}
	}
	return err
}

func perRequest(n int) string {
	if n == 1 {
		return "1 event per request"
	}
	return fmt.Sprintf("%d events per request", n)
}

// measure puts one load on a fresh server.
func measure(ctx context.Context, executable, data string, o load.Options) (*result, error) {
	var log strings.Builder
	server, err := startChild(ctx, executable, data, &log)
	if err != nil {
		return nil, fmt.Errorf("%w\n%s", err, log.String())
	}
	defer os.RemoveAll(data)
	defer server.stop() //nolint:errcheck // measured is what was before
	r := &result{}
	o.URL = server.url
	before, syncs, err := usageNow(ctx, server)
	if err != nil {
		return nil, err
	}
	var after usage
	var settledErr error
	o.Settled = func() {
		after, r.Syncs, settledErr = usageNow(ctx, server)
		r.Syncs -= syncs
	}
	if r.Report, err = load.Run(ctx, o); err != nil {
		return nil, err
	}
	if settledErr != nil {
		return nil, settledErr
	}
	if after.ok {
		r.CPUMicros = float64((after.cpu - before.cpu).Microseconds()) / float64(r.Events)
		r.PeakBytes = server.usage().peak
	}
	return r, nil
}

func usageNow(ctx context.Context, server *child) (usage, int64, error) {
	u := server.usage()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, server.url+"/metrics", nil)
	if err != nil {
		return u, 0, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return u, 0, fmt.Errorf("read the metrics: %w", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return u, 0, fmt.Errorf("read the metrics: %w", err)
	}
	for line := range strings.Lines(string(body)) {
		if value, ok := strings.CutPrefix(line, syncs+" "); ok {
			n, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			return u, int64(n), err
		}
	}
	return u, 0, fmt.Errorf("the metrics have no %s", syncs)
}
