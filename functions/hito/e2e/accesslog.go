package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/phuslu/iploc"

	"github.com/hitolayer/hito/functions/hito/accesslog"
	"github.com/hitolayer/hito/shared/ledger"
)

// The independent reading of the log: one expression, and maps. It shares no
// code with the product but the visitor's id, which is only a name here.
var lineForm = regexp.MustCompile(`^(\S+) \S+ \S+ \[([^\]]+)\] "(\S+) (\S+) HTTP/[\d.]+" (\d+) \S+ "([^"]*)" "([^"]*)"$`)

// notUTF8 is how Apache writes a byte that is no text.
var notUTF8 = regexp.MustCompile(`\\x[0-9a-f]{2}`)

type visitor struct {
	addr, agent string
	times       []time.Time
	paths       map[string]int
	// external are the referrers of other sites: when, and which host.
	external []arrived
	inside   int
}

// wasAt reports whether the path, which may be cut off, is one of the visitor's.
func (v *visitor) wasAt(path string) bool {
	for p := range v.paths {
		if p == path || len(path) > 100 && strings.HasPrefix(p, path) {
			return true
		}
	}
	return false
}

type arrived struct {
	at   time.Time
	host string
}

func readLog(t *testing.T) (path string, lines int, visitors map[string]*visitor) {
	t.Helper()
	path = os.Getenv("HITO_ACCESS_LOG")
	if path == "" {
		path = filepath.Join(root(t), "..", "shared", "data", "access.log")
	}
	file, err := os.Open(path)
	if err != nil {
		missing(t, fmt.Sprintf("this test needs a web server's log in the combined format: %v. Set HITO_ACCESS_LOG to one, such as Apache's from "+
			"github.com/elastic/examples, Common Data Formats/apache_logs", err))
	}
	defer file.Close()
	visitors = map[string]*visitor{}
	for in := bufio.NewScanner(file); in.Scan(); {
		m := lineForm.FindStringSubmatch(in.Text())
		if m == nil {
			t.Fatalf("%s has a line that this test cannot read: %s", path, in.Text())
		}
		at, err := time.Parse("02/Jan/2006:15:04:05 -0700", m[2])
		if err != nil {
			t.Fatal(err)
		}
		lines++
		agent := strings.TrimPrefix(m[7], "-")
		id := accesslog.Line{Addr: m[1], UserAgent: agent}.AnonymousID()
		v := visitors[id]
		if v == nil {
			v = &visitor{addr: m[1], agent: agent, paths: map[string]int{}}
			visitors[id] = v
		}
		if v.addr != m[1] || v.agent != agent {
			t.Fatalf("two visitors share the id %s", id)
		}
		v.times = append(v.times, at)
		v.paths[strings.Split(m[4], "?")[0]]++
		if rest, ok := strings.CutPrefix(m[6], "http"); ok {
			rest = notUTF8.ReplaceAllString(rest, "\uFFFD")
			host := strings.TrimPrefix(strings.TrimPrefix(rest, "s"), "://")
			host = strings.ToLower(strings.FieldsFunc(host+"/", func(r rune) bool { return r == '/' || r == '?' || r == ':' })[0])
			if strings.TrimPrefix(host, "www.") == "semicomplete.com" {
				v.inside++
			} else {
				v.external = append(v.external, arrived{at, host})
			}
		}
	}
	return path, lines, visitors
}

// Agents that say what they are. What is in neither is a matter of taste and not asserted.
var (
	surelyBots = regexp.MustCompile(`(?i)googlebot|bingbot|msnbot|yandex|baiduspider|slurp|archive\.org_bot|ezooms|exabot|twitterbot|mail\.ru_bot|ahrefsbot|mj12bot|feedfetcher|universalfeedparser|feedburner`)
	surelyNot  = regexp.MustCompile(`^Mozilla/5\.0 \((Windows NT|X11|Macintosh|iPhone|iPad)[^()]*\)( AppleWebKit/[\d.]+ \(KHTML, like Gecko\))?( (Chrome|Safari|Firefox|Version|Gecko|Mobile)/[\w.]+)+$`)
	firefox    = regexp.MustCompile(`^Mozilla/5\.0 \([^()]*\) Gecko/\d+ Firefox/(\d+)\.[\d.]+$`)
)

// profileView is what of a profile this test looks at.
type profileView struct {
	Events struct {
		Total  int
		ByName map[string]int `json:"by_name"`
	}
	Metrics  map[string]any
	Sessions struct{ Count int }
	First    time.Time `json:"first_seen"`
	Last     time.Time `json:"last_seen"`
	Bot      bool
	Device   *struct {
		Browser string
		Version string `json:"browser_version"`
	}
	Geo        *struct{ Country string }
	FirstTouch *touchView `json:"first_touch"`
	LastTouch  *touchView `json:"last_touch"`
	Recent     []struct {
		Path string
		Time time.Time
	}
}

type touchView struct {
	Referrer *struct{ Medium, Source, Host string }
}

// AccessLog replays a real log through the real binary and compares every
// profile with an independent reading of the file; sent again, nothing changes.
// It returns the profiles.
func AccessLog(t *testing.T, x Target) Profiles {
	path, lines, visitors := readLog(t)
	selectors := make([]string, 0, len(visitors))
	for id := range visitors {
		selectors = append(selectors, "anonymous_id:"+url.PathEscape(id))
	}
	send := func(accepted, scored, duplicate int) {
		t.Helper()
		var sent struct{ Sent, Accepted int }
		out := x.Hito(t, "send", "--access-log", path, "--site", "http://semicomplete.com", "--json")
		if err := json.Unmarshal([]byte(out), &sent); err != nil || sent.Sent != lines || sent.Accepted != lines {
			t.Fatalf("%d lines: %s, %v", lines, out, err)
		}
		totals, err := x.Settle(accepted)
		if err != nil {
			t.Fatal(err)
		}
		want := ledger.Counts{Accepted: int64(accepted), Scored: int64(scored), Duplicate: int64(duplicate)}
		if totals.Counts != want || totals.People != int64(len(visitors)) {
			t.Errorf("the ledger is %+v, want %+v and %d people", totals, want, len(visitors))
		}
	}
	send(lines, lines, 0)
	first := x.Profiles(t, false, selectors...)
	compare(t, visitors, first)

	send(2*lines, lines, lines)
	Same(t, x.Profiles(t, false, selectors...), first)
	return first
}

// root returns the repository's root.
func root(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Dir(strings.TrimSpace(string(out)))
}

// compare compares the profiles with the independent reading.
func compare(t *testing.T, visitors map[string]*visitor, all Profiles) {
	t.Helper()
	counts := map[string]int{}
	countries := map[string]int{}
	for id, v := range visitors {
		var p profileView
		if err := json.Unmarshal(all["anonymous_id:"+url.PathEscape(id)], &p); err != nil {
			t.Fatal(err)
		}
		wrong := func(format string, args ...any) {
			t.Helper()
			t.Errorf("%s (%s, %s): %s", id, v.addr, v.agent, fmt.Sprintf(format, args...))
		}
		slices.SortFunc(v.times, time.Time.Compare)
		if p.Events.Total != len(v.times) || p.Events.ByName["page"] != len(v.times) {
			wrong("%d events (%v), want %d", p.Events.Total, p.Events.ByName, len(v.times))
		}
		if !p.First.Equal(v.times[0]) || !p.Last.Equal(v.times[len(v.times)-1]) {
			wrong("seen %v to %v, want %v to %v", p.First, p.Last, v.times[0], v.times[len(v.times)-1])
		}
		sessions := 1
		for i := 1; i < len(v.times); i++ {
			if v.times[i].Sub(v.times[i-1]) >= 30*time.Minute {
				sessions++
			}
		}
		if p.Sessions.Count != sessions {
			wrong("%d sessions, want %d", p.Sessions.Count, sessions)
		}
		counts["sessions"] += sessions
		if visits, _ := p.Metrics["visits"].(float64); int(visits) != len(v.times)-v.inside {
			wrong("%v pages not reached from our own, want %d", visits, len(v.times)-v.inside)
		}
		for _, r := range p.Recent {
			if !v.wasAt(r.Path) {
				wrong("was never at %q", r.Path)
			}
		}
		switch {
		case surelyBots.MatchString(v.agent):
			counts["bots"]++
			if !p.Bot {
				wrong("is a bot")
			}
		case surelyNot.MatchString(v.agent):
			counts["browsers"]++
			if p.Bot {
				wrong("is not a bot")
			}
		default:
			counts["others"]++
		}
		if m := firefox.FindStringSubmatch(v.agent); m != nil {
			counts["firefox"]++
			if p.Device == nil || p.Device.Browser != "Firefox" || !strings.HasPrefix(p.Device.Version, m[1]) {
				wrong("browser is %+v, want Firefox %s", p.Device, m[1])
			}
		}
		if addr, err := netip.ParseAddr(v.addr); err == nil {
			want := strings.TrimPrefix(iploc.IPCountry(addr), "ZZ") // nowhere
			got := ""
			if p.Geo != nil {
				got = p.Geo.Country
			}
			countries[got]++
			if got != want {
				wrong("country is %q, want %q", got, want)
			}
		}
		compareTouches(v, &p, counts, wrong)
	}
	t.Logf("%d visitors: %v, %d countries", len(visitors), counts, len(countries))
	for _, what := range []string{"bots", "browsers", "firefox", "referred", "searched"} {
		if counts[what] < 10 {
			t.Errorf("only %d %s: this log shows too little", counts[what], what)
		}
	}
	if counts["others"] > len(visitors)/2 || len(countries) < 10 {
		t.Errorf("%d of %d agents not judged, %d countries: this log shows too little", counts["others"], len(visitors), len(countries))
	}
}

// compareTouches compares how a visitor first and last came from another site.
func compareTouches(v *visitor, p *profileView, counts map[string]int, wrong func(string, ...any)) {
	if len(v.external) == 0 {
		if p.FirstTouch != nil && p.FirstTouch.Referrer != nil {
			wrong("came from %+v, want nowhere", p.FirstTouch.Referrer)
		}
		return
	}
	counts["referred"]++
	earliest, latest := v.external[0].at, v.external[0].at
	for _, a := range v.external {
		if a.at.Before(earliest) {
			earliest = a.at
		}
		if a.at.After(latest) {
			latest = a.at
		}
	}
	for _, end := range []struct {
		touch *touchView
		at    time.Time
	}{{p.FirstTouch, earliest}, {p.LastTouch, latest}} {
		if end.touch == nil || end.touch.Referrer == nil {
			wrong("came from nowhere, want %v", v.external)
			continue
		}
		r := end.touch.Referrer
		// Of those in the same second any may be the first.
		if !slices.Contains(v.external, arrived{end.at, r.Host}) {
			wrong("came from %+v, want one at %v of %v", r, end.at, v.external)
		}
		if strings.HasPrefix(r.Host, "www.google.") {
			counts["searched"]++
			if r.Medium != "search" || r.Source != "Google" {
				wrong("%s is %s %s, want search Google", r.Host, r.Medium, r.Source)
			}
		}
	}
}
