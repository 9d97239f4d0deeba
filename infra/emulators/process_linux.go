package emulators

import (
	"os/exec"
	"syscall"
)

// endWithCaller lets the kernel end the process when its parent dies, however.
func endWithCaller(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
