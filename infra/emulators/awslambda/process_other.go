//go:build !linux

package awslambda

import (
	"os"
	"os/exec"
)

// startProcess starts cmd.
func startProcess(cmd *exec.Cmd) error { return cmd.Start() }

// killProcess kills p.
func killProcess(p *os.Process) { _ = p.Kill() }
