package local

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/hitolayer/hito/shared/stream"
)

// childDir, when set, makes the test binary the process that is to be killed.
const childDir = "HITO_TEST_CRASH_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		if err := crashChild(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// crashChild runs the pipeline and says on standard output what was acknowledged,
// until it is killed.
func crashChild(dir string) error {
	db, err := Open(Options{Dir: dir, checkpoint: 5 * time.Millisecond, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	p, err := newPipeline(db)
	if err != nil {
		return err
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	run := os.Getpid()
	for w := range 8 {
		wg.Go(func() {
			for i := 0; ; i++ {
				records := make([]stream.Record, 1+i%3)
				for j := range records {
					id := fmt.Sprintf("%d.%d.%d.%d", run, w, i, j)
					if i%11 == 10 {
						id = "bad" + id
					}
					records[j] = stream.Record{Project: "shop", Key: fmt.Sprintf("a:%d", (i+j)%300), Events: 1, Time: time.Now().UnixMilli(), Data: []byte(id)}
				}
				if err := p.raw.Publish(context.Background(), records); err != nil {
					fmt.Fprintln(os.Stderr, err)
					os.Exit(1)
				}
				mu.Lock()
				for j := range records {
					// One write each: a pipe takes it whole, or the parent never sees it.
					fmt.Fprintln(os.Stdout, string(records[j].Data))
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return nil
}

// TestKill kills the process at random while it publishes, consumes and
// checkpoints, and compares what is found afterwards with an independent count
// of what was acknowledged. HITO_CRASH_ROUNDS is how often, 5 when unset;
// HITO_CRASH_SEED draws the same moments again.
func TestKill(t *testing.T) {
	rounds := 5
	if s := os.Getenv("HITO_CRASH_ROUNDS"); s != "" {
		var err error
		if rounds, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	}
	seed := rand.Uint64()
	if s := os.Getenv("HITO_CRASH_SEED"); s != "" {
		var err error
		if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatalf("HITO_CRASH_SEED: %v", err)
		}
	}
	t.Logf("repeat with HITO_CRASH_SEED=%d", seed)
	moments := rand.New(rand.NewPCG(seed, 0))
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	acked := map[string]bool{}
	for range rounds {
		cmd := exec.Command(exe)
		cmd.Env = append(os.Environ(), childDir+"="+dir)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		before := len(acked)
		lines := bufio.NewScanner(out)
		var kill sync.Once
		for lines.Scan() {
			acked[lines.Text()] = true
			kill.Do(func() { // once it is at work, recovery included
				time.AfterFunc(20*time.Millisecond+time.Duration(moments.Int64N(int64(300*time.Millisecond))), func() { _ = cmd.Process.Kill() })
			})
		}
		if err := cmd.Wait(); err == nil || cmd.ProcessState.ExitCode() >= 0 {
			t.Fatalf("the process was not killed but ended: %v", err)
		}
		if len(acked) == before {
			t.Error("nothing was acknowledged before the kill")
		}
	}
	p, err := newPipeline(open(t, Options{Dir: dir}))
	if err != nil {
		t.Fatal(err)
	}
	p.check(t, acked)
	t.Logf("%d records acknowledged in %d lives", len(acked), rounds)
	shut(t, p.db)
}
