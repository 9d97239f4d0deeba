package awslambda

import (
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
)

// ErrArchitecture says that this machine cannot run a bootstrap built for another.
var ErrArchitecture = errors.New("awslambda: no emulator for the bootstrap's architecture (Debian's qemu-user-static has one for arm64)")

// machines are the Go architectures whose ELF files Lambda runs.
var machines = map[elf.Machine]string{elf.EM_X86_64: "amd64", elf.EM_AARCH64: "arm64"}

// architecture returns the Go architecture a bootstrap was built for, "" when
// it is no ELF file for Lambda, such as a script.
func architecture(bootstrap string) string {
	f, err := elf.Open(bootstrap)
	if err != nil {
		return ""
	}
	defer f.Close()
	return machines[f.Machine]
}

// Launcher returns the command that runs a bootstrap on this machine: itself,
// or with an emulator of user mode before it if it was built for another
// architecture. Where the kernel starts the emulator by itself (binfmt_misc)
// the bootstrap is enough. It returns ErrArchitecture if there is none.
func Launcher(bootstrap string) ([]string, error) {
	arch := architecture(bootstrap)
	if arch == "" || arch == runtime.GOARCH {
		return []string{bootstrap}, nil
	}
	name := map[string]string{"arm64": "qemu-aarch64", "amd64": "qemu-x86_64"}[arch]
	if _, err := os.Stat("/proc/sys/fs/binfmt_misc/" + name); err == nil {
		return []string{bootstrap}, nil
	}
	for _, program := range []string{name + "-static", name} {
		if path, err := exec.LookPath(program); err == nil {
			return []string{path, bootstrap}, nil
		}
	}
	return nil, fmt.Errorf("%s is built for %s: %w", bootstrap, arch, ErrArchitecture)
}
