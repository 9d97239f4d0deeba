// Command hito is all of hito's functions in one process, and what its operator
// works with: run, send, tail, profile, compare, check, load and bench.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/alecthomas/kong"
)

// version is set by the release build.
var version = ""

type cli struct {
	Run     runCmd     `cmd:"" help:"Run everything in this process: beacon, enrichment, scoring, read API and console."`
	Send    sendCmd    `cmd:"" help:"Send events: one from flags, NDJSON, a web server's access log, or a demonstration's shoppers."`
	Tail    tailCmd    `cmd:"" help:"Print enriched events as they arrive."`
	Profile profileCmd `cmd:"" help:"Print one person's live profile."`
	Compare compareCmd `cmd:"" help:"Compare what two clouds know of the same persons."`
	Check   checkCmd   `cmd:"" help:"Check projects' rules files."`
	Load    loadCmd    `cmd:"" help:"Put bounded load on a running hito and report what it did."`
	Bench   benchCmd   `cmd:"" help:"Measure a fresh hito on this machine."`

	Version kong.VersionFlag `help:"Print the version and quit."`
}

const description = `Live profiles, segments, scores and actions for every visitor.

Exit codes: 0 done; 1 it failed, or something was not accepted or not right; 2 wrong usage.`

// errFailed ends a command with exit code 1 when it has already said why.
var errFailed = errors.New("failed")

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	parser := kong.Must(new(cli),
		kong.Name("hito"),
		kong.Description(description),
		kong.Vars{"version": versionText()},
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
	)
	if len(args) == 0 {
		args = []string{"--help"}
	}
	command, err := parser.Parse(args)
	if err != nil {
		fmt.Fprintf(os.Stderr, "hito: %v\nTry: hito --help\n", err)
		return 2
	}
	if err := command.Run(); err != nil {
		if !errors.Is(err, errFailed) {
			fmt.Fprintf(os.Stderr, "hito %s: %v\n", command.Selected().Name, err)
		}
		if _, ok := errors.AsType[usageError](err); ok {
			return 2
		}
		return 1
	}
	return 0
}

// usageError is wrong usage that the parser cannot see.
type usageError struct{ error }

func versionText() string {
	if version != "" {
		return version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	revision, dirty := "", ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			revision = " " + s.Value[:min(12, len(s.Value))]
		case s.Key == "vcs.modified" && s.Value == "true":
			dirty = " with changes"
		}
	}
	return info.Main.Version + revision + dirty
}
