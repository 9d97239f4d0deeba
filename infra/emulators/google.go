package emulators

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The emulators of Google's SDK.
const (
	ProgramPubSub    Program = "the Pub/Sub emulator"
	ProgramBigtable  Program = "the Bigtable emulator"
	ProgramFirestore Program = "the Firestore emulator"
)

// PubSub starts Google's Pub/Sub emulator, and returns its host and port, for
// PUBSUB_EMULATOR_HOST. What it pushes lacks the token, the ordering key and the
// number of the attempt.
//
// A test that lacks the program is skipped, or fails where CI=true.
func PubSub(t testing.TB) string { return hostOf(run(t, ProgramPubSub)) }

// Bigtable starts Google's Bigtable emulator, and returns its host and port, for
// BIGTABLE_EMULATOR_HOST. It collects garbage late: read the latest cell only.
//
// A test that lacks the program is skipped, or fails where CI=true.
func Bigtable(t testing.TB) string { return hostOf(run(t, ProgramBigtable)) }

// Firestore starts Google's Firestore emulator, and returns its host and port, for
// FIRESTORE_EMULATOR_HOST. Every database of every project is there, and empty. It
// removes nothing whose time is over, and needs no index.
//
// A test that lacks the program is skipped, or fails where CI=true.
func Firestore(t testing.TB) string { return hostOf(run(t, ProgramFirestore)) }

func hostOf(url string) string { return strings.TrimPrefix(url, "http://") }

const installGoogle = "install the Google Cloud SDK, so that gcloud is in PATH, and gcloud components install pubsub-emulator bigtable cloud-firestore-emulator"

// javaOptions are of a heap that tests of several packages can have at once, and
// of a collector that does not compete with them for CPUs.
var javaOptions = []string{"-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData"}

// google returns the command of an emulator. gcloud itself leaves a child behind
// when it is ended, so that the program is started without it.
func (p Program) google(ctx context.Context) (command, error) {
	root, err := p.googleSDK(ctx)
	if err != nil {
		return command{}, err
	}
	port, err := freePort(ctx)
	if err != nil {
		return command{}, err
	}
	c := command{port: port}
	needs := ""
	switch p {
	case ProgramPubSub:
		if _, err := find(p, "java", installJava); err != nil {
			return command{}, err
		}
		c.path = filepath.Join(root, "platform", "pubsub-emulator", "bin", "cloud-pubsub-emulator")
		needs = c.path
		c.args = []string{"--host=127.0.0.1", fmt.Sprintf("--port=%d", port)}
		c.env = []string{"JAVA_OPTS=" + strings.Join(javaOptions, " ")}
	case ProgramBigtable:
		c.path = filepath.Join(root, "platform", "bigtable-emulator", "cbtemulator")
		needs = c.path
		c.args = []string{"-host=127.0.0.1", fmt.Sprintf("-port=%d", port)}
	case ProgramFirestore:
		if c.path, err = find(p, "java", installJava); err != nil {
			return command{}, err
		}
		needs = filepath.Join(root, "platform", "cloud-firestore-emulator", "cloud-firestore-emulator.jar")
		c.args = append(slices.Clone(javaOptions), "-Duser.language=en", "-cp", needs, "com.google.cloud.datastore.emulator.firestore.CloudFirestore",
			"--host=127.0.0.1", fmt.Sprintf("--port=%d", port))
	}
	if _, err := os.Stat(needs); err != nil {
		return command{}, &MissingError{p, needs, installGoogle}
	}
	return c, nil
}

// googleSDK returns the folder of the Google Cloud SDK.
func (p Program) googleSDK(ctx context.Context) (string, error) {
	gcloud, err := find(p, "gcloud", installGoogle)
	if err != nil {
		return "", err
	}
	// bin/gcloud is in the SDK, or a link to it is in PATH.
	if path, err := filepath.EvalSymlinks(gcloud); err == nil {
		root := filepath.Dir(filepath.Dir(path))
		if _, err := os.Stat(filepath.Join(root, "platform")); err == nil {
			return root, nil
		}
	}
	out, err := exec.CommandContext(ctx, gcloud, "info", "--format=value(installation.sdk_root)").Output()
	if root := strings.TrimSpace(string(out)); err == nil && root != "" {
		return root, nil
	}
	return "", errors.Join(&MissingError{p, "the folder of the Google Cloud SDK", installGoogle}, err)
}

// probeGoogle asks the emulators that speak HTTP/1, and calls at the other's door.
func (p Program) probeGoogle(ctx context.Context, url string) error {
	if p == ProgramBigtable {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp4", hostOf(url))
		if err != nil {
			return err
		}
		return conn.Close()
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", url, resp.Status)
	}
	return nil
}
