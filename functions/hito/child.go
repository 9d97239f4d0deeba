package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// child is a hito that runs as a process of its own, on a free port.
type child struct {
	url  string
	cmd  *exec.Cmd
	gone chan struct{} // closed when it has ended, and err is final
	err  error
}

// startChild starts a hito on a data directory and waits until it serves. Its
// log goes to log. When ctx ends, it is told to end.
func startChild(ctx context.Context, executable, data string, log io.Writer) (*child, error) {
	return startCommand(exec.CommandContext(ctx, executable, "run"), data, log)
}

// startCommand starts a command that is, or becomes, hito run.
func startCommand(cmd *exec.Cmd, data string, log io.Writer) (*child, error) {
	cmd.Env = append(os.Environ(), "HITO_ADDR=127.0.0.1:0", "HITO_DATA="+data, "HITO_PROJECTS=", "HITO_LOG=json")
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = time.Minute
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	c := &child{cmd: cmd, gone: make(chan struct{})}
	ready := make(chan string, 1)
	go func() {
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			var line struct{ Msg, Console string }
			if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == "hito runs" {
				ready <- line.Console
			}
			fmt.Fprintf(log, "%s\n", lines.Bytes())
		}
		c.err = cmd.Wait()
		close(c.gone)
	}()
	select {
	case console := <-ready:
		c.url = strings.TrimSuffix(console, "/")
		return c, nil
	case <-c.gone:
		return nil, fmt.Errorf("%s ended at once: %w", cmd.Path, c.err)
	}
}

// stop ends it in order.
func (c *child) stop() error {
	_ = c.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	<-c.gone
	return c.err
}

// usage is what a process has used so far.
type usage struct {
	cpu time.Duration
	// peak is the largest resident memory, in bytes.
	peak int64
	ok   bool
}

// clockTick is USER_HZ, which Linux fixes at 100 for what /proc tells (proc(5)).
const clockTick = time.Second / 100

// usage reads /proc, which only Linux has.
func (c *child) usage() usage {
	dir := "/proc/" + strconv.Itoa(c.cmd.Process.Pid)
	stat, err := os.ReadFile(dir + "/stat")
	if err != nil {
		return usage{}
	}
	status, err := os.ReadFile(dir + "/status")
	if err != nil {
		return usage{}
	}
	// The second field is the name in parentheses, which may hold anything.
	_, rest, _ := strings.Cut(string(stat), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return usage{}
	}
	user, err1 := strconv.ParseInt(fields[11], 10, 64)
	system, err2 := strconv.ParseInt(fields[12], 10, 64)
	_, peak, _ := strings.Cut(string(status), "VmHWM:")
	peak, _, _ = strings.Cut(peak, "kB")
	kb, err3 := strconv.ParseInt(strings.TrimSpace(peak), 10, 64)
	return usage{
		cpu:  time.Duration(user+system) * clockTick,
		peak: kb << 10,
		ok:   err1 == nil && err2 == nil && err3 == nil,
	}
}
