package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"github.com/hitolayer/hito/shared/config"
	"github.com/hitolayer/hito/shared/project"
	"github.com/hitolayer/hito/shared/project/sample"
)

type runCmd struct {
	config.Server `embed:""`
}

// Help is the long help of the command.
func (*runCmd) Help() string {
	return `The first start lays out a sample project, an online shop, under the data
directory: write key demo, secret key demo-secret. Its files may be edited while
hito runs; a file with mistakes is reported and not put in service.

SIGTERM or an interrupt ends it in order; a second one at once. Whatever ends
it, nothing acknowledged is lost.`
}

// How long the end may take: for requests under way, then for the engine.
const (
	drainRequests = 10 * time.Second
	drainEngine   = 30 * time.Second
)

func (c *runCmd) Run(ctx context.Context) error {
	if err := c.valid(); err != nil {
		return err
	}
	log := c.logger()
	slog.SetDefault(log)
	tuneMemory(int64(c.Memory))
	if c.Projects == "" {
		c.Projects = filepath.Join(c.Data, "projects")
		// Where keys were in service before, the sample's would be a way in.
		last, err := lastGood(c.Server).Load(ctx, project.KeysName)
		if err == nil && last == nil {
			err = layOut(c.Projects)
		}
		if err != nil {
			return err
		}
	}
	listener, err := net.Listen("tcp", c.Addr)
	if err != nil {
		return err
	}
	defer listener.Close()
	p, err := openPipeline(ctx, c.Server, log)
	if err != nil {
		return err
	}
	c.warn(log, listener.Addr(), p)

	ending, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	server := &http.Server{
		Handler:           knownHosts(p.handler(ending, c.Server), listener.Addr(), c.Hosts),
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       60 * time.Second,
		WriteTimeout:      60 * time.Second,
		IdleTimeout:       5 * time.Minute,
		MaxHeaderBytes:    32 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	go p.registry.Run(ctx)
	swept := make(chan struct{})
	go func() {
		defer close(swept)
		p.sweep(ending, log)
	}()
	log.Info("hito runs", "console", "http://"+listener.Addr().String()+"/", "data", c.Data, "projects", c.Projects, "version", versionText())

	select {
	case <-ctx.Done():
		log.Info("hito ends: what is under way is finished")
	case err = <-served:
	}
	end()
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainRequests)
	defer cancel()
	if e := server.Shutdown(grace); e != nil {
		log.Warn("requests were cut off", "error", e)
		server.Close()
	}
	<-swept
	grace, cancel = context.WithTimeout(context.WithoutCancel(ctx), drainEngine)
	defer cancel()
	if e := p.db.Close(grace); e != nil {
		err = errors.Join(err, fmt.Errorf("close the engine: %w", e))
	}
	if err != nil {
		return err
	}
	log.Info("hito ended")
	return nil
}

// leastMemory is what the process needs to be of use.
const leastMemory = 256 << 20

func (c *runCmd) valid() error {
	switch {
	case c.Memory < leastMemory:
		return usageError{fmt.Errorf("--memory must be at least %v", config.Bytes(leastMemory))}
	case c.Retention < 0 || c.TrustedProxies < 0:
		return usageError{errors.New("--retention and --trusted-proxies must not be negative")}
	}
	return nil
}

func (c *runCmd) logger() *slog.Logger {
	if c.Log == "json" {
		return slog.New(slog.NewJSONHandler(os.Stderr, nil))
	}
	return slog.New(slog.NewTextHandler(os.Stderr, nil))
}

// warn says what is not safe about how hito is served.
func (c *runCmd) warn(log *slog.Logger, addr net.Addr, p *pipeline) {
	tcp, ok := addr.(*net.TCPAddr)
	if ok && tcp.IP.IsLoopback() {
		return
	}
	log.Warn("hito can be reached from other machines, without TLS: put a proxy with TLS before it", "addr", addr.String())
	if _, ok := p.registry.BySecretKey("demo-secret"); ok {
		log.Warn("the sample's secret key demo-secret is in use, which everybody knows: change it", "file", filepath.Join(c.Projects, "keys.yaml"))
	}
	if c.Pprof {
		log.Warn("/debug/pprof is open to everybody who can reach hito")
	}
}

// layOut writes the sample project, unless there are keys already.
func layOut(dir string) error {
	keys := filepath.Join(dir, "keys.yaml")
	if _, err := os.Stat(keys); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("lay out the sample project: %w", err)
	}
	// The keys last: without them the layout is repeated.
	if err := writeNew(filepath.Join(dir, sample.Name+".yaml"), sample.File); err != nil {
		return fmt.Errorf("lay out the sample project: %w", err)
	}
	if err := writeNew(keys, sample.Keys); err != nil {
		return fmt.Errorf("lay out the sample project: %w", err)
	}
	return nil
}

// writeNew writes a file that must not be there, at once or not at all.
func writeNew(path string, data []byte) error {
	temporary := path + ".new"
	if err := os.WriteFile(temporary, data, 0o600); err != nil {
		return err
	}
	if err := os.Link(temporary, path); err != nil && !errors.Is(err, os.ErrExist) {
		return errors.Join(err, os.Remove(temporary))
	}
	return os.Remove(temporary)
}

// engineMemory is what the engine holds outside Go's heap: its memtables, and a
// small cache of blocks.
const engineMemory = 160 << 20

// tuneMemory makes the garbage collector rare while memory is plenty, and
// eager near the limit. GOGC and GOMEMLIMIT, when set, stand.
func tuneMemory(limit int64) {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(max(limit-engineMemory, limit/2))
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400)
	}
}
