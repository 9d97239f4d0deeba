package function

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hitolayer/hito/infra/aws/environment"
)

// bucket is an S3 with one bucket, "projects".
type bucket struct {
	mu      sync.Mutex
	objects map[string]string
	failing map[string]int // status by key
	hangs   bool
	calls   []string
}

func (b *bucket) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	key := strings.TrimPrefix(r.URL.Path, "/projects/")
	b.mu.Lock()
	b.calls = append(b.calls, r.Method+" "+key)
	data, ok := b.objects[key]
	status, hangs := b.failing[key], b.hangs
	b.mu.Unlock()
	if hangs {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
		return
	}
	tag := strconv.Quote(data)
	switch {
	case status != 0:
		w.WriteHeader(status)
	case r.Method == http.MethodPut:
		kept, _ := io.ReadAll(r.Body)
		b.put(key, string(kept))
	case !ok:
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, "<Error><Code>NoSuchKey</Code></Error>")
	case r.Header.Get("If-None-Match") == tag:
		w.WriteHeader(http.StatusNotModified)
	default:
		w.Header().Set("ETag", tag)
		_, _ = io.WriteString(w, data)
	}
}

func (b *bucket) put(key, data string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.objects[key] = data
}

func (b *bucket) fail(key string, status int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failing[key] = status
}

func lookup(vars map[string]string) environment.Lookup {
	return func(name string) (string, bool) {
		value, ok := vars[name]
		return value, ok
	}
}

// base returns a beacon's base over a bucket with the projects shop and news,
// and what it logs.
func base(t *testing.T, more map[string]string) (*bucket, *Base, *bytes.Buffer) {
	t.Helper()
	b := &bucket{failing: map[string]int{}, objects: map[string]string{
		"projects/keys.yaml": "shop: {write: [w1]}\nnews: {write: [w2]}", "projects/shop.yaml": "settings: {ip: drop}", "projects/news.yaml": "settings: {ip: keep}",
	}}
	server := httptest.NewServer(b)
	t.Cleanup(server.Close)
	vars := map[string]string{
		"AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_ENDPOINT_URL": server.URL,
		"HITO_TABLE": "table", "HITO_RAW_STREAM": "raw", "HITO_PROJECTS_BUCKET": "projects",
	}
	maps.Copy(vars, more)
	f, err := open("beacon", lookup(vars))
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	f.Log = slog.New(slog.NewTextHandler(&log, nil))
	f.Projects.Log = f.Log
	return b, f, &log
}

// TestOpenTellsEverything: what is wrong with hito's variables and with AWS' is told at once.
func TestOpenTellsEverything(t *testing.T) {
	_, err := open("beacon", lookup(map[string]string{"HITO_REFRESH": "often"}))
	if err == nil {
		t.Fatal("an empty environment is enough")
	}
	for _, want := range []string{"HITO_TABLE is not set", "HITO_RAW_STREAM is not set", `HITO_REFRESH: "often"`, "AWS_REGION is not set"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("lacks %q in\n%v", want, err)
		}
	}
}

// TestMetricsAreTheInstalls: metrics go by the name that the function has on Lambda.
func TestMetricsAreTheInstalls(t *testing.T) {
	_, f, _ := base(t, map[string]string{"AWS_LAMBDA_FUNCTION_NAME": "shop-beacon"})
	if f.Telemetry.Function != "shop-beacon" {
		t.Errorf("the metrics' function is %q", f.Telemetry.Function)
	}
}

func TestServe(t *testing.T) {
	b, f, _ := base(t, nil)
	if err := f.Projects.Serve(t.Context()); err != nil {
		t.Fatal(err)
	}
	if p, ok := f.Projects.ByWriteKey("w1"); !ok || p.Name != "shop" || p.Settings.IP != "drop" {
		t.Errorf("key w1 is %+v, %v", p, ok)
	}
	if slices.ContainsFunc(b.calls, func(call string) bool { return strings.HasPrefix(call, "PUT") }) {
		t.Errorf("a function that does not keep up the last good ones called %v", b.calls)
	}
}

// TestKeeper: the one that keeps up what was last good does so.
func TestKeeper(t *testing.T) {
	b, f, _ := base(t, nil)
	f.LastGood.ReadOnly = false
	if err := f.Projects.Serve(t.Context()); err != nil {
		t.Fatal(err)
	}
	if b.objects["lastgood/shop.yaml"] != "settings: {ip: drop}" || b.objects["lastgood/keys.yaml"] != b.objects["projects/keys.yaml"] {
		t.Errorf("the bucket has %v", b.objects)
	}
}

// TestMissingFile: a project without a file does not keep others from service.
func TestMissingFile(t *testing.T) {
	b, f, log := base(t, nil)
	delete(b.objects, "projects/news.yaml")
	if err := f.Projects.Serve(t.Context()); err != nil {
		t.Fatal(err)
	}
	if names := f.Projects.Names(); !slices.Equal(names, []string{"shop"}) || !strings.Contains(log.String(), "s3://projects/projects/news.yaml") {
		t.Errorf("in service: %v, logged:\n%s", names, log)
	}
	b.put("projects/news.yaml", "settings: {ip: keep}")
	if err := f.Projects.Refresh(t.Context()); err != nil {
		t.Error(err)
	}
	if _, ok := f.Projects.ByWriteKey("w2"); !ok {
		t.Error("uploaded, it is not in service")
	}
}

// TestDoesNotServe: a function that would turn away what it should take must not start.
func TestDoesNotServe(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(b *bucket)
		says  string
	}{
		"no keys":                   {func(b *bucket) { delete(b.objects, "projects/keys.yaml") }, "projects/keys.yaml"},
		"bad keys":                  {func(b *bucket) { b.put("projects/keys.yaml", "shop: 1") }, "keys"},
		"no file at all":            {func(b *bucket) { delete(b.objects, "projects/shop.yaml"); delete(b.objects, "projects/news.yaml") }, "upload it"},
		"one file out of reach":     {func(b *bucket) { b.fail("projects/news.yaml", http.StatusServiceUnavailable) }, "news.yaml"},
		"the keys are out of reach": {func(b *bucket) { b.fail("projects/keys.yaml", http.StatusInternalServerError) }, "keys.yaml"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, f, _ := base(t, nil)
			c.spoil(b)
			if err := f.Projects.Serve(t.Context()); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("error %v, want one that says %q", err, c.says)
			}
		})
	}
}

// TestFresh: an invocation finds new files when those in service have grown old,
// and is not held up by a bucket that does not answer.
func TestFresh(t *testing.T) {
	b, f, log := base(t, map[string]string{"HITO_REFRESH": "1ns"})
	if err := f.Projects.Serve(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.put("projects/shop.yaml", "settings: {ip: truncate}")
	f.Projects.Fresh(t.Context())
	if p, ok := f.Projects.ByName("shop"); !ok || p.Settings.IP != "truncate" {
		t.Errorf("after a change: %+v", p)
	}
	b.mu.Lock()
	b.hangs = true
	b.mu.Unlock()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	f.Projects.Fresh(ctx)
	if ctx.Err() != nil {
		t.Error("it waited for a bucket that does not answer")
	}
	if _, ok := f.Projects.ByWriteKey("w1"); !ok || !strings.Contains(log.String(), "does not answer") {
		t.Errorf("what was in service is gone, or nothing logged:\n%s", log)
	}
	old, g, _ := base(t, map[string]string{"HITO_REFRESH": "1h"})
	if err := g.Projects.Serve(t.Context()); err != nil {
		t.Fatal(err)
	}
	calls := len(old.calls)
	g.Projects.Fresh(t.Context())
	if len(old.calls) != calls {
		t.Errorf("what is fresh was looked for: %v", old.calls[calls:])
	}
}

func TestTuneMemory(t *testing.T) {
	limit, percent := debug.SetMemoryLimit(-1), debug.SetGCPercent(100)
	defer debug.SetMemoryLimit(limit)
	defer debug.SetGCPercent(percent)
	for _, c := range []struct {
		vars    map[string]string
		limit   int64
		percent int
	}{
		{map[string]string{}, limit, 100},
		{map[string]string{"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1024", "GOMEMLIMIT": "1GiB"}, limit, 100},
		{map[string]string{"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1024", "GOGC": "50"}, 1 << 30 * 9 / 10, 100},
		{map[string]string{"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512"}, 512 << 20 * 9 / 10, gcPercent},
	} {
		debug.SetMemoryLimit(limit)
		debug.SetGCPercent(100)
		tuneMemory(lookup(c.vars))
		if l, p := debug.SetMemoryLimit(-1), debug.SetGCPercent(100); l != c.limit || p != c.percent {
			t.Errorf("%v: limit %d and %d %%, want %d and %d %%", c.vars, l, p, c.limit, c.percent)
		}
	}
}

func TestLogger(t *testing.T) {
	for form, want := range map[string]string{"json": "cloudwatch.handler", "text": "*slog.TextHandler"} {
		if got := fmt.Sprintf("%T", logger(form).Handler()); got != want {
			t.Errorf("%s: %s", form, got)
		}
	}
}
