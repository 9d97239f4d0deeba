package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/hitolayer/hito/functions/hito/load"
	"github.com/hitolayer/hito/shared/config"
)

type loadCmd struct {
	config.Client `embed:""`

	Duration    time.Duration `default:"10s" help:"How long to send."`
	Events      int64         `help:"End after about so many events." placeholder:"N"`
	PerRequest  int           `default:"10" help:"Events per request."`
	Rate        float64       `help:"Events per second, kept however slow the answers are; without it, as fast as they come." placeholder:"N"`
	Connections int           `default:"64" help:"Requests at once."`
	Visitors    int           `default:"100000" help:"How many visitors there are."`
	Exponent    float64       `default:"1.1" help:"How unequal visitors are: the k-th comes as 1/k^EXPONENT; above 1, or 0 for one after the other."`
	Seed        uint64        `default:"1" help:"Seed of visitors and events; it is part of their ids."`
	Drain       time.Duration `default:"60s" help:"How long to wait until everything is scored."`
	Verify      bool          `help:"Read every visitor's profile and compare it with what was acknowledged."`
	JSON        bool          `name:"json" help:"Print the report as JSON."`
}

// Help is the long help of the command.
func (*loadCmd) Help() string {
	return `Sends track events of 661 bytes and reports how many were acknowledged and scored
per second, and the latencies until acknowledgement and until a profile reflects
an event (followed on a sample). With --rate latencies count from the moment a
request was due. Exit code 1 unless everything acknowledged was scored, once.`
}

func (c *loadCmd) Run(ctx context.Context) error {
	if err := c.valid(); err != nil {
		return err
	}
	total := int64(c.Duration / time.Second)
	bar := progress(total, "seconds", false)
	started := time.Now()
	report, err := load.Run(ctx, load.Options{
		URL: c.URL, WriteKey: c.WriteKey, SecretKey: c.SecretKey,
		Visitors: c.Visitors, Exponent: c.Exponent, Seed: c.Seed,
		PerRequest: c.PerRequest, Rate: c.Rate, Duration: c.Duration, Events: c.Events,
		Connections: c.Connections, Drain: c.Drain, Verify: c.Verify,
		Progress: func(acked int64) {
			bar.Describe(fmt.Sprintf("%d acknowledged", acked))
			_ = bar.Set64(min(int64(time.Since(started)/time.Second), total))
		},
	})
	_ = bar.Finish()
	if err != nil {
		return err
	}
	if c.JSON {
		err = json.NewEncoder(os.Stdout).Encode(report)
	} else {
		printReport(os.Stdout, report)
	}
	if err == nil && !report.OK {
		return errFailed
	}
	return err
}

func (c *loadCmd) valid() error {
	switch {
	case c.PerRequest < 1 || c.PerRequest > maxBatchBytes/(load.EventBytes+1):
		return usageError{fmt.Errorf("--per-request must be from 1 to %d", maxBatchBytes/(load.EventBytes+1))}
	case c.Visitors < 1 || c.Visitors > 100_000_000:
		return usageError{errors.New("--visitors must be from 1 to 100000000")}
	case c.Exponent != 0 && c.Exponent <= 1:
		return usageError{errors.New("--exponent must be 0 or above 1")}
	case c.Connections < 1 || c.Connections > 10_000:
		return usageError{errors.New("--connections must be from 1 to 10000")}
	case c.Duration <= 0 || c.Rate < 0 || c.Events < 0 || c.Drain < 0:
		return usageError{errors.New("durations, rate and events must not be negative")}
	}
	return nil
}

func printReport(w io.Writer, r *load.Report) {
	fmt.Fprintf(w, "events       %d acknowledged in %d requests", r.Events, r.Requests)
	if r.Unknown > 0 {
		fmt.Fprintf(w, ", %d never acknowledged", r.Unknown)
	}
	if r.Retries > 0 {
		fmt.Fprintf(w, ", %d requests repeated", r.Retries)
	}
	fmt.Fprintf(w, "\nper second   %.0f acknowledged, %.0f scored end to end\n", r.AckedPerSecond, r.ScoredPerSecond)
	for _, l := range []struct {
		name string
		load.Latencies
	}{{"acknowledged", r.Ack}, {"readable", r.Readable}} {
		fmt.Fprintf(w, "%-12s p50 %.1f ms, p90 %.1f ms, p99 %.1f ms, p99.9 %.1f ms, max %.1f ms (%d)\n", l.name, l.P50, l.P90, l.P99, l.P999, l.Max, l.Count)
	}
	fmt.Fprintf(w, "ledger       accepted %d, scored %d, duplicate %d, quarantined %d, in flight %d: %s\n",
		r.Ledger.Accepted, r.Ledger.Scored, r.Ledger.Duplicate, r.Ledger.Quarantined, r.Ledger.InFlight, rightness(r.Ledger.OK))
	if p := r.Profiles; p != nil {
		fmt.Fprintf(w, "profiles     %d events in the profiles of %d visitors: %s\n", p.Events, p.Visitors, rightness(p.OK))
		for _, wrong := range p.Wrong {
			fmt.Fprintf(w, "  %s\n", wrong)
		}
		if more := p.WrongCount - len(p.Wrong); more > 0 {
			fmt.Fprintf(w, "  and %d more\n", more)
		}
	}
}

func rightness(ok bool) string {
	if ok {
		return "right"
	}
	return "WRONG"
}
