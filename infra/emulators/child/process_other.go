//go:build !linux

package child

import (
	"os"
	"os/exec"
)

// Start starts cmd.
func Start(cmd *exec.Cmd) error { return cmd.Start() }

// Kill kills p.
func Kill(p *os.Process) { _ = p.Kill() }
