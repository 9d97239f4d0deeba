package gcp

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/hitolayer/hito/infra/emulators"
)

// imageRegistry keeps images, by as much of the protocol as ko speaks
// (https://github.com/opencontainers/distribution-spec/blob/main/spec.md).
type imageRegistry struct {
	mu        sync.Mutex
	blobs     map[string][]byte // by digest
	manifests map[string][]byte // by name and tag or digest
	uploads   map[string][]byte // begun, by path
}

const (
	manifestType = "application/vnd.oci.image.manifest.v1+json"
	configType   = "application/vnd.oci.image.config.v1+json"
)

func digest(data []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(data)) }

func (x *imageRegistry) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x.mu.Lock()
	defer x.mu.Unlock()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	upload, _, _ := strings.Cut(r.URL.Path, "/uploads/")
	name, ref, isManifest := strings.Cut(r.URL.Path, "/manifests/")
	switch {
	case r.URL.Path == "/v2/":
	case r.Method == http.MethodPost:
		path := fmt.Sprintf("%s/uploads/%d", upload, len(x.uploads))
		x.uploads[path] = nil
		w.Header().Set("Location", path)
		w.WriteHeader(http.StatusAccepted)
	case r.Method == http.MethodPatch:
		x.uploads[r.URL.Path] = append(x.uploads[r.URL.Path], body...)
		w.Header().Set("Location", r.URL.Path)
		w.WriteHeader(http.StatusAccepted)
	case r.Method == http.MethodPut && isManifest:
		x.manifests[name+"/"+ref], x.manifests[name+"/"+digest(body)] = body, body
		w.WriteHeader(http.StatusCreated)
	case r.Method == http.MethodPut:
		blob := append(x.uploads[r.URL.Path], body...)
		if r.URL.Query().Get("digest") != digest(blob) {
			http.Error(w, "another digest", http.StatusBadRequest)
			return
		}
		x.blobs[digest(blob)] = blob
		w.WriteHeader(http.StatusCreated)
	case isManifest && x.manifests[name+"/"+ref] != nil:
		w.Header().Set("Content-Type", manifestType)
		w.Header().Set("Docker-Content-Digest", digest(x.manifests[name+"/"+ref]))
		_, _ = w.Write(x.manifests[name+"/"+ref])
	case x.blobs[r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]] != nil:
		_, _ = w.Write(x.blobs[r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]])
	default:
		http.NotFound(w, r)
	}
}

// base puts an empty image there.
func (x *imageRegistry) base(name string) {
	config := []byte(`{"architecture":"amd64","os":"linux","config":{},"rootfs":{"type":"layers","diff_ids":[]}}`)
	x.blobs[digest(config)] = config
	x.manifests["/v2/"+name+"/latest"] = fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":%q,"config":{"mediaType":%q,"size":%d,"digest":%q},"layers":[]}`,
		manifestType, configType, len(config), digest(config))
}

// TestImages builds an image in two folders, and looks into it.
func TestImages(t *testing.T) {
	if testing.Short() {
		t.Skip("builds an image twice")
	}
	x := &imageRegistry{blobs: map[string][]byte{}, manifests: map[string][]byte{}, uploads: map[string][]byte{}}
	x.base("base")
	server := httptest.NewServer(x)
	defer server.Close()
	host := strings.TrimPrefix(server.URL, "http://")
	t.Setenv("KO_DOCKER_REPO", host+"/hito/")
	t.Setenv("KO_DEFAULTBASEIMAGE", host+"/base")
	t.Setenv("GOFLAGS", "-tags=nothing")
	t.Setenv("GOOS", "windows")
	var first string
	for _, folder := range []string{"here", "some/where else"} {
		images, err := Build{Root: checkout(t, folder)}.Images(t.Context())
		if errors.Is(err, ErrNoKo) {
			emulators.Missing(t, err)
		}
		if err != nil || len(images) != 1 || images[0].Function != "hello" {
			t.Fatalf("%+v, %v", images, err)
		}
		if first == "" {
			first = images[0].Reference
		}
		if images[0].Reference != first {
			t.Errorf("from another folder %s; want %s", images[0].Reference, first)
		}
	}
	sum, ok := strings.CutPrefix(first, host+"/hito/hello@")
	if !ok {
		t.Fatalf("the image is %s", first)
	}
	var manifest struct {
		Config struct{ Digest string }
		Layers []struct{ Digest string }
	}
	var config struct {
		Architecture, OS string
		Config           struct{ Entrypoint []string }
	}
	if err := json.Unmarshal(x.manifests["/v2/hito/hello/"+sum], &manifest); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(x.blobs[manifest.Config.Digest], &config); err != nil {
		t.Fatal(err)
	}
	if config.OS != "linux" || config.Architecture != "amd64" || len(config.Config.Entrypoint) != 1 {
		t.Fatalf("configuration %+v", config)
	}
	for _, layer := range manifest.Layers {
		if binary := untar(t, x.blobs[layer.Digest], config.Config.Entrypoint[0]); binary != nil {
			info, err := buildinfo.Read(bytes.NewReader(binary))
			if err != nil || info.Path != "github.com/hitolayer/hito/functions/hello/gcp/server" {
				t.Errorf("the entry point is %+v, %v", info, err)
			}
			return
		}
	}
	t.Errorf("no layer has %s", config.Config.Entrypoint[0])
}

// untar returns a file of a layer, or nil.
func untar(t *testing.T, layer []byte, name string) []byte {
	t.Helper()
	unzipped, err := gzip.NewReader(bytes.NewReader(layer))
	if err != nil {
		t.Fatal(err)
	}
	for r := tar.NewReader(unzipped); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Name == name {
			data, err := io.ReadAll(r)
			if err != nil {
				t.Fatal(err)
			}
			return data
		}
	}
}

// TestImagesNeed says what an image needs that is not there.
func TestImagesNeed(t *testing.T) {
	b := Build{Root: project, Functions: []string{"hello"}}
	dir := t.TempDir()
	t.Setenv("PATH", dir)
	if _, err := b.Images(t.Context()); !errors.Is(err, ErrNoKo) {
		t.Errorf("without ko: %v", err)
	}
	script := "#!/bin/sh\necho \"$KO_DOCKER_REPO $*\"\necho of no use >&2\nexit 3\n"
	if err := os.WriteFile(dir+"/ko", []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("KO_DOCKER_REPO", "")
	if _, err := b.Images(t.Context()); err == nil || !strings.Contains(err.Error(), "KO_DOCKER_REPO is not set") {
		t.Errorf("without a repository: %v", err)
	}
	t.Setenv("KO_DOCKER_REPO", "example.com/x")
	if _, err := b.Images(t.Context()); err == nil || !strings.Contains(err.Error(), "image of hello") || !strings.Contains(err.Error(), "of no use") {
		t.Errorf("a ko that fails: %v", err)
	}
}
