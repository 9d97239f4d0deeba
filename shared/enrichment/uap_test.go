package enrichment

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/ua-parser/uap-go/uaparser"
	"pgregory.net/rapid"
)

var reference = sync.OnceValue(func() *uaparser.Parser {
	p, err := uaparser.New()
	if err != nil {
		panic(err)
	}
	return p
})

type fataler interface{ Fatalf(string, ...any) }

// sameAsReference fails unless uap-go reads the user agent as we do.
func sameAsReference(t fataler, ua string) {
	c := reference().Parse(ua)
	browser, system, device := defaultUAP().parse(ua)
	if want := (found{c.UserAgent.Family, c.UserAgent.Major, c.UserAgent.Minor, c.UserAgent.Patch}); browser != want {
		t.Fatalf("%q: browser %q, uap-go has %q", ua, browser, want)
	}
	if want := (found{c.Os.Family, c.Os.Major, c.Os.Minor, c.Os.Patch, c.Os.PatchMinor}); system != want {
		t.Fatalf("%q: system %q, uap-go has %q", ua, system, want)
	}
	if want := (found{c.Device.Family, c.Device.Brand, c.Device.Model}); device != want {
		t.Fatalf("%q: device %q, uap-go has %q", ua, device, want)
	}
	if v := version(browser[1:4]); v != c.UserAgent.ToVersionString() {
		t.Fatalf("%q: browser version %q, uap-go has %q", ua, v, c.UserAgent.ToVersionString())
	}
	if v := version(system[1:5]); v != c.Os.ToVersionString() {
		t.Fatalf("%q: system version %q, uap-go has %q", ua, v, c.Os.ToVersionString())
	}
}

// uapAgents returns every nth of the user agents that uap-go ships as a sample.
func uapAgents(t testing.TB, n int) []string {
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/ua-parser/uap-go").Output()
	if err != nil {
		t.Fatalf("find uap-go's sources: %v", err)
	}
	data, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), "uas"))
	if err != nil {
		t.Fatal(err)
	}
	var sample []string
	i := 0
	for ua := range strings.Lines(string(data)) {
		if i++; i%n == 0 {
			sample = append(sample, strings.TrimSuffix(ua, "\n"))
		}
	}
	return sample
}

func TestSameAsUAPGoOnTheLog(t *testing.T) {
	for _, ua := range agents(t) {
		sameAsReference(t, ua)
	}
}

func TestSameAsUAPGoOnItsSample(t *testing.T) {
	sample := uapAgents(t, 800)
	if len(sample) < 100 {
		t.Fatalf("only %d user agents", len(sample))
	}
	for _, ua := range sample {
		sameAsReference(t, ua)
	}
}

func TestSameAsUAPGoOnMutants(t *testing.T) {
	all := append(agents(t), modern...)
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.SampledFrom(all).Draw(t, "a"), rapid.SampledFrom(all).Draw(t, "b")
		ua := a[:rapid.IntRange(0, len(a)).Draw(t, "to")] + b[rapid.IntRange(0, len(b)).Draw(t, "from"):]
		switch rapid.IntRange(0, 4).Draw(t, "change") {
		case 0:
			ua = strings.ToUpper(ua)
		case 1:
			ua = strings.ToLower(ua)
		case 2: // runes that case folding takes for ASCII letters
			ua = strings.NewReplacer("s", "ſ", "k", "\u212a").Replace(ua)
		case 3:
			i := rapid.IntRange(0, len(ua)).Draw(t, "insert")
			ua = ua[:i] + rapid.String().Draw(t, "junk") + ua[i:]
		}
		sameAsReference(t, ua)
	})
}

func TestDefinitionsAreReadAsYAML(t *testing.T) {
	u := defaultUAP()
	ref := reference().RegexDefinitions
	if u.ends != [3]int{len(ref.UA), len(ref.UA) + len(ref.OS), len(ref.UA) + len(ref.OS) + len(ref.Device)} {
		t.Fatalf("sections end at %v", u.ends)
	}
	check := func(i int, flags, expr string, templates ...string) {
		t.Helper()
		if flags != "" {
			expr = "(?" + flags + ")" + expr
		}
		var want [5]string
		copy(want[:], templates)
		if p := &u.patterns[i]; p.expr != expr || p.templates != want {
			t.Errorf("pattern %d: %q %q, YAML has %q %q", i, p.expr, p.templates, expr, want)
		}
	}
	for i, p := range ref.UA {
		check(i, p.Flags, p.Expr, p.FamilyReplacement, p.V1Replacement, p.V2Replacement, p.V3Replacement)
	}
	for i, p := range ref.OS {
		check(u.ends[0]+i, p.Flags, p.Expr, p.OSReplacement, p.V1Replacement, p.V2Replacement, p.V3Replacement, p.V4Replacement)
	}
	for i, p := range ref.Device {
		check(u.ends[1]+i, p.Flags, p.Expr, p.DeviceReplacement, p.BrandReplacement, p.ModelReplacement)
	}
}

func TestUnreadableDefinitions(t *testing.T) {
	for _, text := range []string{
		"", "user_agent_parsers:\n", "what: 'x'\n", "user_agent_parsers:\n  - regex: '('\nos_parsers:\ndevice_parsers:\n",
		"user_agent_parsers:\n    v1_replacement: 'x'\n", "user_agent_parsers:\n  - regex: 'a'\n    new_key: 'x'\n",
	} {
		if _, err := newUAP([]byte(text)); err == nil {
			t.Errorf("%q: no error", text)
		}
	}
}

// BenchmarkUAPGo is what uap-go takes for the same as BenchmarkAgentMiss.
func BenchmarkUAPGo(b *testing.B) {
	p, err := uaparser.New(uaparser.WithCacheSize(1))
	if err != nil {
		b.Fatal(err)
	}
	uas := agents(b)
	i := 0
	for b.Loop() {
		p.Parse(uas[i%len(uas)])
		i++
	}
}

// BenchmarkAgentsReady is what the first user agent of a process takes more.
func BenchmarkAgentsReady(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := newUAP(uaparser.DefinitionYaml); err != nil {
			b.Fatal(err)
		}
	}
}
