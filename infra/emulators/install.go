package emulators

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"sync"
)

//go:embed npm/package.json npm/package-lock.json npm/.npmrc node/loopback.js native/loopback.c moto/server.py moto/fixes/*.py
var embedded embed.FS

// installing lets one test of a process install while the others wait.
var installing sync.Mutex

// install returns the directory in the user's cache that holds the embedded
// files of a folder and what build makes there of them. Its name tells their
// content, so that it is made once and never changed. Several processes may do it
// at once: the first to finish wins.
func install(ctx context.Context, folder string, build func(ctx context.Context, dir string) error) (string, error) {
	installing.Lock()
	defer installing.Unlock()
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("install %s: %w", folder, err)
	}
	files, err := fs.Sub(embedded, folder)
	if err != nil {
		return "", fmt.Errorf("install %s: %w", folder, err)
	}
	sum, err := hash(files)
	if err != nil {
		return "", fmt.Errorf("install %s: %w", folder, err)
	}
	root := filepath.Join(cache, "hito", "emulators")
	dir := filepath.Join(root, path.Base(folder)+"-"+sum)
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	if err := os.MkdirAll(root, 0o755); err != nil {
		return "", fmt.Errorf("install %s: %w", folder, err)
	}
	making, err := os.MkdirTemp(root, "making-")
	if err != nil {
		return "", fmt.Errorf("install %s: %w", folder, err)
	}
	defer os.RemoveAll(making)
	if err := os.CopyFS(making, files); err != nil {
		return "", fmt.Errorf("install %s: %w", folder, err)
	}
	if err := build(ctx, making); err != nil {
		return "", fmt.Errorf("install %s: %w", folder, err)
	}
	if err := os.Rename(making, dir); err != nil {
		if _, other := os.Stat(dir); other != nil {
			return "", fmt.Errorf("install %s: %w", folder, err)
		}
	}
	return dir, nil
}

// hash returns 16 hex digits that tell the files' names and content.
func hash(files fs.FS) (string, error) {
	h := sha256.New()
	err := fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := fs.ReadFile(files, name)
		fmt.Fprintf(h, "%s\x00%d\x00%s", name, len(content), content)
		return err
	})
	return hex.EncodeToString(h.Sum(nil)[:8]), err
}

// nothing is the build of files that are used as they are.
func nothing(context.Context, string) error { return nil }

// installPackages has npm install the locked packages. None of their own scripts
// runs.
func installPackages(ctx context.Context, dir string) error {
	return do(ctx, dir, "npm", "ci", "--ignore-scripts", "--prefer-offline")
}

// installShim compiles the shared object that keeps a program on loopback.
func installShim(ctx context.Context, dir string) error {
	return do(ctx, dir, "cc", "-shared", "-fPIC", "-O2", "-o", "loopback.so", "loopback.c", "-ldl")
}

func do(ctx context.Context, dir, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", cmd, err, out)
	}
	return nil
}
