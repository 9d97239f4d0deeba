package emulators

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"testing"
)

// MissingError says that something which an emulator needs is not installed.
type MissingError struct {
	Program Program // that cannot run
	What    string  // such as "java"
	Install string  // how to get it
}

func (e *MissingError) Error() string {
	return fmt.Sprintf("%s IS MISSING, so that %s does NOT run: %s", e.What, e.Program, e.Install)
}

// Missing ends a test for want of something that is not part of hito: it skips it
// loudly, or fails it where CI=true, which must have everything.
func Missing(t testing.TB, what any) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(what)
	}
	t.Skip(what)
}

func isMissing(err error) (*MissingError, bool) { return errors.AsType[*MissingError](err) }

const (
	installNode = "install Node.js 20 or later with npm"
	installJava = "install Java 11 or later (apt-get install openjdk-17-jre-headless)"
	installMoto = "install Python 3.10 or later and moto 5.2 (pip install 'moto[server]~=5.2.1'), so that python3 finds it"
	installCC   = "install a C compiler (apt-get install gcc libc6-dev)"
)

// find looks for an executable.
func find(program Program, name, install string) (string, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		return "", &MissingError{program, name, install}
	}
	return path, nil
}
