package child

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// TestMain lets the test binary be a process that starts another and is killed.
func TestMain(m *testing.M) {
	if os.Getenv("HITO_TEST_PARENT") == "" {
		os.Exit(m.Run())
	}
	cmd := exec.Command("cat")
	cmd.Stdin, cmd.Stdout = os.Stdin, os.Stdout // both are the test's
	if err := Start(cmd); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	select {}
}

// alive tells whether a process runs: a zombie does not.
func alive(t *testing.T, pid int) bool {
	t.Helper()
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
		return false
	}
	if err != nil {
		t.Fatal(err)
	}
	// https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html
	_, rest, _ := strings.Cut(string(data), ") ")
	return !strings.HasPrefix(rest, "Z") && !strings.HasPrefix(rest, "X")
}

// eventually waits until what holds.
func eventually(t *testing.T, failed string, what func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !what(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal(failed)
		}
	}
}

// kill ends what a test that failed may leave behind.
func kill(t *testing.T, pid int) {
	t.Cleanup(func() {
		if t.Failed() {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	})
}

// TestEndsWithItsParent: however that ends, nothing is left behind: the pipe that
// the child has is closed by nobody else.
func TestEndsWithItsParent(t *testing.T) {
	parent := exec.CommandContext(t.Context(), os.Args[0])
	parent.Env = append(os.Environ(), "HITO_TEST_PARENT=1")
	parent.Stderr = os.Stderr
	in, err := parent.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(in, "hello\n"); err != nil {
		t.Fatal(err)
	}
	answers := bufio.NewReader(out)
	if line, err := answers.ReadString('\n'); line != "hello\n" {
		t.Fatalf("the child answers %q, %v", line, err)
	}
	_ = parent.Process.Kill()
	ended := make(chan error, 1)
	go func() {
		_, err := answers.ReadByte()
		ended <- err
	}()
	select {
	case err := <-ended:
		if !errors.Is(err, io.EOF) {
			t.Errorf("the child's end is %v", err)
		}
	case <-time.After(time.Minute):
		t.Error("the child outlives its parent")
	}
	_ = in.Close()
	_ = parent.Wait() // it was killed
}

// TestOutlivesItsThread: a process does not end with the thread that asked for it.
func TestOutlivesItsThread(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "cat")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var asking sync.WaitGroup
	var thread int
	var ask func()
	ask = func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		if thread = syscall.Gettid(); thread != os.Getpid() {
			err = Start(cmd)
			return
		}
		var other sync.WaitGroup // the process' first thread never ends
		other.Go(ask)
		other.Wait()
	}
	asking.Go(ask)
	asking.Wait()
	if err != nil {
		t.Fatal(err)
	}
	kill(t, cmd.Process.Pid)
	eventually(t, "the thread does not end", func() bool {
		_, err := os.Stat("/proc/self/task/" + strconv.Itoa(thread))
		return err != nil
	})
	answers := bufio.NewReader(out)
	for i := range 100 {
		if _, err := fmt.Fprintln(in, i); err != nil {
			t.Fatalf("the process ended with the thread that asked for it: %v", err)
		}
		if line, err := answers.ReadString('\n'); line != fmt.Sprintln(i) {
			t.Fatalf("the process answers %q, %v", line, err)
		}
	}
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

// TestKill ends a process, what it started, and what ignores being asked to end.
func TestKill(t *testing.T) {
	var log Log
	output := &Lines{Line: log.Add}
	cmd := exec.Command("sh", "-c", "trap '' TERM INT HUP; sleep 600 & echo $!; wait; wait; sleep 600")
	cmd.Stdout, cmd.WaitDelay = output, 10*time.Second // what is left behind holds the pipe
	if err := Start(cmd); err != nil {
		t.Fatal(err)
	}
	kill(t, cmd.Process.Pid)
	eventually(t, "it does not say what it started", func() bool { return len(log.Lines()) == 1 })
	grandchild, err := strconv.Atoi(log.Lines()[0])
	if err != nil {
		t.Fatal(err)
	}
	kill(t, grandchild)
	if !alive(t, grandchild) {
		t.Fatal("what it started does not run")
	}
	Kill(cmd.Process)
	if err := cmd.Wait(); cmd.ProcessState.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL || errors.Is(err, exec.ErrWaitDelay) {
		t.Errorf("it ended with %v", err)
	}
	eventually(t, "what it started is left behind", func() bool { return !alive(t, grandchild) })
	Kill(cmd.Process) // does no harm
}

// TestTells: what a process wrote to its end, and what it ended with.
func TestTells(t *testing.T) {
	for script, want := range map[string]struct {
		lines  []string
		status string
	}{
		"echo a; echo b >&2; printf c; exit 3": {[]string{"a", "b", "c"}, "exit status 3"},
		"printf ''":                            {nil, ""},
		"echo dies; kill -9 $$":                {[]string{"dies"}, "signal: killed"},
		"printf 'a\\n\\nb\\r\\n'":              {[]string{"a", "", "b\r"}, ""},
	} {
		var log Log
		output := &Lines{Line: log.Add}
		cmd := exec.CommandContext(t.Context(), "sh", "-c", script)
		cmd.Stdout, cmd.Stderr = output, output
		if err := Start(cmd); err != nil {
			t.Fatal(err)
		}
		err := cmd.Wait()
		output.Flush()
		status := ""
		if err != nil {
			status = err.Error()
		}
		if lines := log.Lines(); !slices.Equal(lines, want.lines) || status != want.status {
			t.Errorf("%s: %q, %q", script, lines, status)
		}
	}
	if err := Start(exec.Command("/nowhere/at/all")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what cannot start: %v", err)
	}
	// Processes that write at a time do not mix within a line.
	var log Log
	var running sync.WaitGroup
	for i := range 4 {
		running.Go(func() {
			output := &Lines{Line: log.Add}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, "sh", "-c", fmt.Sprintf("for i in 1 2 3 4 5 6 7 8 9; do printf %d%d; printf '%d\\n'; done", i, i, i))
			cmd.Stdout = output
			if err := Start(cmd); err != nil {
				t.Error(err)
				return
			}
			if err := cmd.Wait(); err != nil {
				t.Error(err)
			}
		})
	}
	running.Wait()
	counts := map[string]int{}
	for _, line := range log.Lines() {
		counts[line]++
	}
	for i := range 4 {
		if n := counts[strings.Repeat(strconv.Itoa(i), 3)]; n != 9 {
			t.Errorf("%d lines of process %d: %v", n, i, counts)
		}
	}
}
