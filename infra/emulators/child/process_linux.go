package child

import (
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
)

// starter is one thread that starts all processes and never ends: PDEATHSIG
// is sent when the thread that started a process ends, and Go's threads may.
var starter = sync.OnceValue(func() chan<- func() {
	work := make(chan func())
	go func() {
		runtime.LockOSThread()
		for f := range work {
			f()
		}
	}()
	return work
})

// Start starts cmd in a process group of its own, which does not
// outlive this process.
func Start(cmd *exec.Cmd) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	started := make(chan error, 1)
	starter() <- func() { started <- cmd.Start() }
	return <-started
}

// Kill kills p, and what it started, with SIGKILL.
func Kill(p *os.Process) {
	// The group first: when its leader is reaped the number may be another's.
	_ = syscall.Kill(-p.Pid, syscall.SIGKILL)
	_ = p.Kill()
}
