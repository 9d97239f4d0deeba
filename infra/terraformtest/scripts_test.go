package terraformtest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// scripted runs a script with a gcloud that is logged in, and a curl that answers by
// what is in answers: a line for each call, a piece of the URL and what it says.
func scripted(t *testing.T, script string, answers [][2]string, env ...string) (out string, calls []string, err error) {
	t.Helper()
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write("gcloud", "#!/bin/sh\necho secret-token\n")
	var curl strings.Builder
	curl.WriteString("#!/bin/bash\nread -r header\n[ \"$header\" = 'Authorization: Bearer secret-token' ] || exit 22\nurl=${@: -1}\necho \"$url\" >>" + dir + "/calls\nn=$(wc -l <" + dir + "/calls)\ncase \"$n $*\" in\n*secret-token*) exit 2 ;;\n")
	for i, a := range answers {
		name := "answer" + string(rune('a'+i))
		write(name, a[1])
		curl.WriteString("'" + string(rune('1'+i)) + " '*'" + a[0] + "'*) cat " + dir + "/" + name + " ;;\n")
	}
	write("curl", curl.String()+"*) echo \"nothing at $n $url\"; exit 22 ;;\nesac\n")
	cmd := exec.CommandContext(t.Context(), filepath.Join(repository(t), "terraform", script))
	cmd.Env = append(os.Environ(), append(env, "PATH="+dir+":"+os.Getenv("PATH"), "WAIT=0")...)
	text, err := cmd.CombinedOutput()
	called, _ := os.ReadFile(filepath.Join(dir, "calls"))
	return string(text), strings.Fields(string(called)), err
}

// TestBuild: a regional build is asked where it is; what fails ends the apply.
func TestBuild(t *testing.T) {
	const id = "0b1c7a2e-1111-4222-8333-444455556666"
	submitted := [2]string{"run.googleapis.com/v2/projects/p/locations/europe-west1/builds:submit", `{
  "buildOperation": {
    "name": "operations/build/p/MGIxYzdhMmUtMTExMS00MjIyLTgzMzMtNDQ0NDU1NTU2NjY2",
    "metadata": {
      "@type": "type.googleapis.com/google.devtools.cloudbuild.v1.BuildOperationMetadata",
      "build": { "status": "QUEUED", "source": { "storageSource": { "bucket": "b", "object": "beacon.zip" } }, "id": "` + id + `" }
    }
  }
}`}
	at := "cloudbuild.googleapis.com/v1/projects/p/locations/europe-west1/builds/" + id + "?fields="
	status := func(s string) [2]string { return [2]string{at, "{\n  \"status\": \"" + s + "\"\n}\n"} }
	for name, c := range map[string]struct {
		answers [][2]string
		calls   int
		ok      bool
	}{
		"built":            {[][2]string{submitted, status("QUEUED"), status("WORKING"), status("SUCCESS")}, 4, true},
		"failed":           {[][2]string{submitted, status("WORKING"), status("FAILURE")}, 3, false},
		"cancelled":        {[][2]string{submitted, status("CANCELLED")}, 2, false},
		"refused":          {nil, 1, false},
		"gone":             {[][2]string{submitted}, 2, false},
		"of another shape": {[][2]string{{"builds:submit", `{"buildOperation":{}}`}}, 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			out, calls, err := scripted(t, "live/gcp/build.sh", c.answers, "BUILD={}", "PARENT=projects/p/locations/europe-west1")
			if (err == nil) != c.ok || len(calls) != c.calls || strings.Contains(out, "secret-token") {
				t.Errorf("%v after %q: %s", err, calls, out)
			}
		})
	}
}

// TestWaitForMetric: until it is known.
func TestWaitForMetric(t *testing.T) {
	at := "monitoring.googleapis.com/v3/projects/p/metricDescriptors/logging.googleapis.com/user/hito/latency"
	out, calls, err := scripted(t, "modules/gcp/observability/wait.sh", [][2]string{{at, "404"}, {at, "503"}, {at, "200"}}, "METRIC=projects/p/metricDescriptors/logging.googleapis.com/user/hito/latency")
	if err != nil || len(calls) != 3 || strings.Contains(out, "secret-token") {
		t.Errorf("%v after %q: %s", err, calls, out)
	}
	if out, calls, err := scripted(t, "modules/gcp/observability/wait.sh", nil, "METRIC=x"); err == nil || len(calls) != 90 || !strings.Contains(out, "apply again") {
		t.Errorf("%v after %d calls: %s", err, len(calls), out)
	}
}
