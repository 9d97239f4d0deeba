package gcp

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

//go:embed ko.yaml
var koConfig []byte

// ErrNoKo says that ko is not installed.
var ErrNoKo = errors.New("ko IS MISSING, which builds images: go install github.com/google/ko@v0.19.1, so that PATH has it")

// Image is one function's image.
type Image struct {
	Function string
	// Reference names the image by its digest.
	Reference string
}

// Images builds each function's image with ko, of functions/<name>/gcp/server on
// the base image KO_DEFAULTBASEIMAGE, and pushes it to the repository
// $KO_DOCKER_REPO/<name> (https://ko.build/configuration/). It returns the images
// pushed, even if there is an error.
func (b Build) Images(ctx context.Context) ([]Image, error) {
	functions, err := b.functions()
	if err != nil {
		return nil, err
	}
	if _, err := exec.LookPath("ko"); err != nil {
		return nil, ErrNoKo
	}
	repository := os.Getenv("KO_DOCKER_REPO")
	if repository == "" {
		return nil, errors.New("KO_DOCKER_REPO is not set: the repository that gets an image per function, as region-docker.pkg.dev/project/repository")
	}
	dir, err := os.MkdirTemp("", "hito-ko-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	config := filepath.Join(dir, "ko.yaml")
	if err := os.WriteFile(config, koConfig, 0o600); err != nil {
		return nil, err
	}
	var images []Image
	for _, name := range slices.Sorted(slices.Values(functions)) {
		cmd := exec.CommandContext(ctx, "ko", "build", "--bare", "./functions/"+name+"/gcp/server")
		cmd.Dir = b.Root
		cmd.Env = environment("GOARCH="+arch, "CGO_ENABLED=0", "GOFLAGS=-mod=readonly",
			"KO_CONFIG_PATH="+config, "KO_DOCKER_REPO="+strings.TrimSuffix(repository, "/")+"/"+name)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			return images, fmt.Errorf("build the image of %s: %w\n%s", name, err, stderr.Bytes())
		}
		images = append(images, Image{name, strings.TrimSpace(string(out))})
	}
	return images, nil
}
