package gcp

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	_ "github.com/GoogleCloudPlatform/functions-framework-go/funcframework" // in go.mod, for the module made here
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/hitolayer/hito/infra/pack/artifact"
)

// project is hito's own folder.
const project = "../../.."

// checkout makes a module with the function hello, which requires what hito does.
func checkout(t *testing.T, folder string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), folder)
	module, err := txtar.ParseFile(filepath.Join("testdata", "module.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"go.mod", "go.sum", "LICENSE"} {
		data, err := os.ReadFile(filepath.Join(project, name))
		if err != nil {
			t.Fatal(err)
		}
		module.Files = append(module.Files, txtar.File{Name: name, Data: data})
	}
	for _, f := range module.Files {
		write(t, filepath.Join(dir, f.Name), f.Data)
	}
	return dir
}

func write(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

// names are the files that a zip has, and their data.
func names(t *testing.T, path string) map[string]string {
	t.Helper()
	z, err := zip.OpenReader(path)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	files := map[string]string{}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		if _, twice := files[f.Name]; err != nil || twice || f.Mode() != 0o644 {
			t.Errorf("%s of mode %v, there already: %v, %v", f.Name, f.Mode(), twice, err)
		}
		files[f.Name] = string(data)
	}
	return files
}

// TestReproducible packs a function in two folders, under other settings: the
// bytes are the same.
func TestReproducible(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles a function twice")
	}
	var first map[string][]byte
	for _, folder := range []string{"here", "some/where else"} {
		b := Build{Root: checkout(t, folder), Out: filepath.Join(t.TempDir(), "out")}
		t.Setenv("TMPDIR", t.TempDir())
		t.Setenv("GOFLAGS", "-tags=nothing")
		packages, err := b.Run(t.Context())
		if err != nil || len(packages) != 1 {
			t.Fatalf("%v, %v", packages, err)
		}
		files := map[string][]byte{}
		for _, name := range []string{"hello.zip", "hello.cdx.json", "SHA256SUMS"} {
			if files[name], err = os.ReadFile(filepath.Join(b.Out, name)); err != nil {
				t.Fatal(err)
			}
		}
		if first == nil {
			first = files
			sum := sha256.Sum256(files["hello.zip"])
			if p := packages[0]; p.Function != "hello" || p.Zip != len(files["hello.zip"]) || p.Binary < p.Zip || p.SHA256 != hex.EncodeToString(sum[:]) {
				t.Errorf("%+v", p)
			}
			bill(t, files["hello.cdx.json"])
			continue
		}
		for name, data := range files {
			if !bytes.Equal(data, first[name]) {
				t.Errorf("%s from another folder has other bytes", name)
			}
		}
	}
}

// bill checks that each module has a licence and its line's hash of go.sum.
func bill(t *testing.T, data []byte) {
	t.Helper()
	var b struct {
		Components []struct {
			Name       string
			Licenses   []struct{ Expression string }
			Properties []struct{ Name, Value string }
		}
	}
	if err := json.Unmarshal(data, &b); err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, c := range b.Components {
		found = append(found, c.Name)
		if len(c.Licenses) != 1 || c.Name != "std" && (len(c.Properties) != 1 || !strings.HasPrefix(c.Properties[0].Value, "h1:")) {
			t.Errorf("%+v", c)
		}
	}
	if !slices.Contains(found, framework) || !slices.Contains(found, "github.com/cespare/xxhash/v2") || slices.Contains(found, "github.com/aws/aws-lambda-go") {
		t.Errorf("components %v", found)
	}
}

// pack packs the function hello.
func pack(t *testing.T, root string) string {
	t.Helper()
	dir := t.TempDir()
	if _, err := (Build{Root: root}).source(t.Context(), "hello", dir); err != nil {
		t.Fatal(err)
	}
	data, err := zipped(dir)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "source.zip")
	write(t, path, data)
	return path
}

// TestSource: a zip has what its function is built from on any system, the
// licences of that, and no more.
func TestSource(t *testing.T) {
	files := names(t, pack(t, checkout(t, "module")))
	var own, texts []string
	for _, name := range slices.Sorted(maps.Keys(files)) {
		path, vendored := strings.CutPrefix(name, "vendor/")
		if !vendored {
			own = append(own, name)
		}
		if strings.HasSuffix(name, "_test.go") {
			t.Errorf("%s is in the zip", name)
		}
		if vendored && strings.Contains(name, "LICENSE") {
			texts = append(texts, filepath.ToSlash(filepath.Dir(path)))
		}
	}
	if want := []string{
		"LICENSE", "function.go", "functions/hello/gcp/function.go", "functions/hello/greetings/en.txt", "functions/hello/hello.go",
		"functions/hello/tag_amd64.go", "functions/hello/tag_arm64.go", "functions/hello/tag_windows.go", "functions/hello/tomorrow.go", "go.mod", "go.sum",
	}; !slices.Equal(own, want) {
		t.Errorf("own files %q\nwant %q", own, want)
	}
	var modules []string
	for line := range strings.Lines(files["vendor/modules.txt"]) {
		if path, ok := strings.CutPrefix(line, "# "); ok {
			path, version, _ := strings.Cut(strings.TrimSpace(path), " ")
			modules = append(modules, path)
			if !strings.Contains(files["go.mod"], path+" "+version) || !strings.Contains(files["go.sum"], path+" "+version+" h1:") {
				t.Errorf("%s %s is not in go.mod and go.sum", path, version)
			}
			if !slices.Contains(texts, path) {
				t.Errorf("%s is there without its licence", path)
			}
		}
	}
	if !slices.Contains(modules, framework) || !slices.Contains(modules, "github.com/cespare/xxhash/v2") {
		t.Errorf("modules %v", modules)
	}
	for _, name := range []string{"go.mod", "go.sum", "vendor/modules.txt"} {
		if strings.Contains(files[name], "github.com/aws/") {
			t.Errorf("%s names what the function does not link:\n%s", name, files[name])
		}
	}
}

// TestCompile serves what is in a zip, without any module but those in it.
func TestCompile(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles a function")
	}
	source, binary := pack(t, checkout(t, "module")), filepath.Join(t.TempDir(), "main")
	t.Setenv("GOMODCACHE", t.TempDir())
	t.Setenv("GOFLAGS", "-mod=mod")
	if err := Compile(t.Context(), source, binary); err != nil {
		t.Fatal(err)
	}
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	if info.Main.Path != "github.com/hitolayer/hito" || info.Path != "github.com/hitolayer/hito/functions.local/app" {
		t.Errorf("the binary of %s, %s", info.Main.Path, info.Path)
	}
	if runtime.GOOS != "linux" {
		return // it does not run here
	}
	port := serve(t, binary)
	deadline := time.Now().Add(30 * time.Second)
	for {
		body, err := get(t.Context(), "127.0.0.1:"+port)
		if err == nil {
			if body != "hello\n" {
				t.Errorf("the function answers %q", body)
			}
			break
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond)
	}
	// All of 127.0.0.0/8 is this machine: who listens on every address listens here.
	if body, err := get(t.Context(), "127.0.0.2:"+port); err == nil {
		t.Errorf("not only 127.0.0.1 answers: %q", body)
	}
}

// serve runs a binary on a port that it returns.
func serve(t *testing.T, binary string) string {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(binary)
	cmd.Env = []string{"FUNCTION_TARGET=hello", "PORT=" + port, "LOCAL_ONLY=true"}
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("the function logged:\n%s", &log)
		}
	})
	return port
}

func get(ctx context.Context, host string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+host, http.NoBody)
	if err != nil {
		return "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("answered %s", resp.Status)
	}
	return string(body), err
}

// TestCompileRefuses what the buildpack refuses.
func TestCompileRefuses(t *testing.T) {
	whole := names(t, pack(t, checkout(t, "module")))
	for _, c := range []struct {
		name, want string
		change     func(files map[string]string)
	}{
		{"two packages", "2 packages", func(f map[string]string) { f["extra.go"] = "package extra\n" }},
		{"no package", "0 packages", func(f map[string]string) { delete(f, "function.go") }},
		{"a main", "no main", func(f map[string]string) {
			f["function.go"] = strings.Replace(f["function.go"], "package function", "package main", 1)
		}},
		{"the registry imported elsewhere", "does not import", func(f map[string]string) {
			f["function.go"] = strings.Replace(f["function.go"], fmt.Sprintf("_ %q\n", registry), "", 1)
		}},
		{"no go.mod", "no go.mod", func(f map[string]string) { delete(f, "go.mod") }},
		{"no modules.txt", "no vendor/modules.txt", func(f map[string]string) { delete(f, "vendor/modules.txt") }},
		{"no framework", "no vendor/" + server, func(f map[string]string) {
			maps.DeleteFunc(f, func(name, _ string) bool { return strings.HasPrefix(name, "vendor/"+server) })
		}},
		{"another version", "inconsistent vendoring", func(f map[string]string) {
			f["go.mod"] = strings.Replace(f["go.mod"], framework+" v1.", framework+" v1.1", 1)
		}},
		{"a path without a dot", "has no dot", func(f map[string]string) {
			f["go.mod"] = strings.Replace(f["go.mod"], "module github.com/", "module github/", 1)
		}},
		{"an embedded file missing", "en.txt", func(f map[string]string) { delete(f, "functions/hello/greetings/en.txt") }},
	} {
		t.Run(c.name, func(t *testing.T) {
			changed := maps.Clone(whole)
			c.change(changed)
			dir, path := t.TempDir(), filepath.Join(t.TempDir(), "source.zip")
			for name, data := range changed {
				write(t, filepath.Join(dir, name), []byte(data))
			}
			data, err := zipped(dir)
			if err != nil {
				t.Fatal(err)
			}
			write(t, path, data)
			err = Compile(t.Context(), path, filepath.Join(t.TempDir(), "main"))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v; want %q", err, c.want)
			}
		})
	}
	if err := Compile(t.Context(), filepath.Join(t.TempDir(), "none.zip"), "main"); err == nil {
		t.Error("a zip that is none")
	}
}

func TestRunTellsWhatFailed(t *testing.T) {
	root := checkout(t, "module")
	if _, err := (Build{Root: root, Out: t.TempDir(), Functions: []string{"nothing"}}).Run(t.Context()); err == nil || !strings.Contains(err.Error(), "nothing") {
		t.Errorf("a function that is none: %v", err)
	}
	mod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(root, "go.mod"), append(mod, "\nreplace github.com/cespare/xxhash/v2 => github.com/cespare/xxhash/v2 v2.3.0\n"...))
	if _, err := (Build{Root: root, Out: t.TempDir()}).Run(t.Context()); err == nil || !strings.Contains(err.Error(), "replaces github.com/cespare/xxhash/v2") {
		t.Errorf("a module that replaces another: %v", err)
	}
}

// TestFunctions: every function that AWS has, Google Cloud has, and what any of
// them links may be shipped.
func TestFunctions(t *testing.T) {
	if got, err := Functions(t.TempDir()); err == nil {
		t.Errorf("an empty folder has the functions %v", got)
	}
	functions, err := Functions(project)
	if err != nil {
		t.Fatal(err)
	}
	if want, err := artifact.Functions(project, "aws/main.go"); err != nil || !slices.Equal(functions, want) {
		t.Errorf("%v; want %v, %v", functions, want, err)
	}
	for _, name := range functions {
		if _, err := os.Stat(filepath.Join(project, "functions", name, "gcp", "server", "main.go")); err != nil {
			t.Errorf("no image of %s can be built: %v", name, err)
		}
		kept, err := Build{Root: project}.source(t.Context(), name, t.TempDir())
		if err != nil || len(kept) < 10 {
			t.Fatalf("%s: %d modules, %v", name, len(kept), err)
		}
	}
}
