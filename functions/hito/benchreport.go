package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// benchReport is a bench's results as Markdown.
func benchReport(ctx context.Context, results []*result) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Local mode, %s\n\n", time.Now().UTC().Format(time.DateOnly))
	fmt.Fprintf(&b, "- Machine: %s\n- hito: %s\n\n", machine(), commit(ctx))
	b.WriteString(`Made by ` + "`make bench`" + `: a fresh server for each row, and the load generator on the same machine as a
process of its own. Events are track events of 661 bytes. Every acknowledgement waits for the
disk. Latencies are p50 / p99 in milliseconds. "End to end" counts from the first request
until everything is scored; "readable" is from the moment a request was due until its profile
reflects the event. CPU is the server's alone, user and system. "Right" means: acknowledged = scored =
the sum over all profiles, and each visitor's count is the visitor's own.

| load | events | end to end, events/s | ack | readable | CPU µs/event | peak memory | syncs | right |
|---|---:|---:|---:|---:|---:|---:|---:|---|
`)
	for _, r := range results {
		cpu, peak := "–", "–"
		if r.PeakBytes > 0 {
			cpu, peak = fmt.Sprintf("%.1f", r.CPUMicros), fmt.Sprintf("%d MiB", r.PeakBytes>>20)
		}
		right := "yes"
		if !r.OK {
			right = "**NO**"
		}
		fmt.Fprintf(&b, "| %s | %d | %.0f | %.1f / %.1f | %.1f / %.1f | %s | %s | %d | %s |\n", r.Name, r.Events, r.ScoredPerSecond,
			r.Ack.P50, r.Ack.P99, r.Readable.P50, r.Readable.P99, cpu, peak, r.Syncs, right)
	}
	return b.String()
}

// machine says what it was measured on.
func machine() string {
	cpu, memory, kernel := runtime.GOARCH, "", runtime.GOOS
	if info, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		if _, model, ok := strings.Cut(string(info), "model name"); ok {
			model, _, _ = strings.Cut(model, "\n")
			cpu = strings.TrimSpace(strings.TrimLeft(model, "\t :"))
		}
	}
	if info, err := os.ReadFile("/proc/meminfo"); err == nil {
		_, total, _ := strings.Cut(string(info), "MemTotal:")
		total, _, _ = strings.Cut(total, "kB")
		if kb, err := strconv.ParseInt(strings.TrimSpace(total), 10, 64); err == nil {
			memory = fmt.Sprintf(", %d GiB RAM", (kb+1<<19)>>20)
		}
	}
	if release, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		kernel += " " + strings.TrimSpace(string(release))
	}
	return fmt.Sprintf("%s, %d cores%s, %s, %s", cpu, runtime.NumCPU(), memory, kernel, runtime.Version())
}

// commit says what was measured.
func commit(ctx context.Context) string {
	if version == "" {
		if out, err := exec.CommandContext(ctx, "git", "describe", "--always", "--dirty").Output(); err == nil {
			return strings.TrimSpace(string(out))
		}
	}
	return versionText()
}
