package main

import (
	"archive/zip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/hitolayer/hito/shared/project/sample"
)

const (
	bucket = "projects"
	secret = "hito/keys"
)

// stand stands in for what functions call as they start: it has the sample
// project in a bucket, its keys in a secret, and refuses everything else.
type stand struct {
	url    string
	server *httptest.Server

	mu    sync.Mutex
	calls []string
	// lastGood is what was put in the bucket.
	lastGood map[string][]byte
}

func newStand() *stand {
	s := &stand{lastGood: map[string][]byte{}}
	s.server = httptest.NewServer(s)
	s.url = s.server.URL
	return s
}

func (s *stand) close() { s.server.Close() }

// called returns what was called since it was asked last.
func (s *stand) called() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	calls := s.calls
	s.calls = nil
	return calls
}

func (s *stand) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	call := r.Method + " " + r.URL.Path
	if target := r.Header.Get("X-Amz-Target"); target != "" {
		call = target
	}
	s.calls = append(s.calls, call)
	kept, ok := s.lastGood[r.URL.Path]
	switch {
	case call == "secretsmanager.GetSecretValue":
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		_ = json.NewEncoder(w).Encode(map[string]string{"SecretString": string(sample.Keys), "VersionId": "v1"})
	case call == "GET /"+bucket+"/projects/keys.yaml":
		answer(w, sample.Keys)
	case call == "GET /"+bucket+"/projects/"+sample.Name+".yaml":
		answer(w, sample.File)
	case r.Method == http.MethodGet && ok:
		answer(w, kept)
	case r.Method == http.MethodPut && strings.HasPrefix(r.URL.Path, "/"+bucket+"/lastgood/"):
		s.lastGood[r.URL.Path], _ = io.ReadAll(r.Body)
	default:
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, "<Error><Code>NoSuchKey</Code></Error>")
	}
}

func answer(w http.ResponseWriter, data []byte) {
	w.Header().Set("ETag", fmt.Sprintf(`"%d"`, len(data)))
	_, _ = w.Write(data)
}

// unpack puts a zip's bootstrap into a folder, which it makes, and returns its path.
func unpack(name, dir string) (bootstrap string, err error) {
	z, err := zip.OpenReader(name)
	if err != nil {
		return "", err
	}
	defer z.Close()
	from, err := z.Open("bootstrap")
	if err != nil {
		return "", err
	}
	defer from.Close()
	data, err := io.ReadAll(from)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	bootstrap = filepath.Join(dir, "bootstrap")
	return bootstrap, os.WriteFile(bootstrap, data, 0o755)
}
