package enrichment

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"
)

// accessLog returns the lines of a real web server's log in the combined
// format, each split at its quotes: [1] is the request, [3] the referrer, [5] the user agent.
func accessLog(t testing.TB) [][]string {
	path := os.Getenv("HITO_ACCESS_LOG")
	if path == "" {
		path = filepath.Join("..", "..", "..", "shared", "data", "access.log")
	}
	data, err := os.ReadFile(path)
	if err != nil {
		text := fmt.Sprintf("no access log: set HITO_ACCESS_LOG to a file in the combined log format: %v", err)
		if os.Getenv("CI") == "true" {
			t.Fatal(text)
		}
		t.Skip(text)
	}
	var lines [][]string
	for line := range strings.Lines(string(data)) {
		if fields := strings.Split(line, `"`); len(fields) >= 6 {
			lines = append(lines, fields)
		}
	}
	return lines
}

// agents returns the log's distinct user agents.
func agents(t testing.TB) []string {
	var all []string
	for _, line := range accessLog(t) {
		all = append(all, line[5])
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// modern are user agents of this decade that are people's.
var modern = []string{
	"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36",
	"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36 Edg/131.0.0.0",
	"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.6 Safari/605.1.15",
	"Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0",
	"Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1",
	"Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 [FBAN/FBIOS;FBAV/450.0.0.38.108;FBBV/1]",
	"Mozilla/5.0 (iPad; CPU OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1",
	"Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Mobile Safari/537.36",
	"Mozilla/5.0 (Linux; Android 14; SM-X810) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36",
	"Mozilla/5.0 (Linux; Android 9; CUBOT_P30) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/88.0.4324.181 Mobile Safari/537.36",
	"Mozilla/5.0 (Linux; Android 11; CUBOT X30 Build/RP1A) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/96.0 Mobile Safari/537.36",
	"Mozilla/5.0 (Linux; Android 9; AFTMM Build/PS7633; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/108.0 Mobile Safari/537.36",
	"Mozilla/5.0 (SMART-TV; Linux; Tizen 6.0) AppleWebKit/537.36 (KHTML, like Gecko) 76.0.3809.146/6.0 TV Safari/537.36",
	"Mozilla/5.0 (Web0S; Linux/SmartTV) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/94.0.4606.128 Safari/537.36 WebAppManager",
	"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36",
	"Mozilla/4.0 (compatible; MSIE 8.0; Windows NT 6.1; Trident/4.0; Tablet PC 2.0)",
	"Dalvik/2.1.0 (Linux; U; Android 13; Pixel 7 Build/TQ3A)",
	"okhttp/4.12.0", "MyShop/3.2 CFNetwork/1494.0.7 Darwin/23.4.0",
	"analytics-node/6.2.0", "analytics-python/2.2.2", "analytics-go (version: 3.3.0)", "rudder-sdk-node/2.0",
}

func TestPeopleAreNoBots(t *testing.T) {
	var a Agents
	kinds := []string{Desktop, Desktop, Desktop, Desktop, Mobile, Mobile, Tablet, Mobile, Tablet, Mobile, Mobile, TV, TV, TV, Desktop, Desktop, Mobile,
		Other, Mobile, Other, Other, Other, Other}
	for i, ua := range modern {
		got := a.Lookup(ua)
		if got.Bot || got.BotName != "" {
			t.Errorf("%q is taken for the bot %q", ua, got.BotName)
		}
		if got.Kind != kinds[i] {
			t.Errorf("%q: kind %q, want %q", ua, got.Kind, kinds[i])
		}
	}
	for _, ua := range []string{"", "-", "   "} {
		if got := a.Lookup(ua); got.Bot || got.Kind != Other {
			t.Errorf("%q: bot %v, kind %q", ua, got.Bot, got.Kind)
		}
	}
}

func TestBots(t *testing.T) {
	var a Agents
	for ua, name := range map[string]string{
		"Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)":                                                            "Googlebot",
		"Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm) Chrome/116.0 Safari/5": "bingbot",
		"Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; GPTBot/1.2; +https://openai.com/gptbot)":                              "GPTBot",
		"Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; ClaudeBot/1.0; +claudebot@anthropic.com)":                             "ClaudeBot",
		"Mozilla/5.0 (Linux; Android 5.0) AppleWebKit/537.36 (KHTML, like Gecko) Mobile Safari/537.36 (compatible; Bytespider; x@y.com)":      "Bytespider",
		"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/131.0.0.0 Safari/537.36":                       "Headless Chrome",
		"curl/8.5.0": "curl", "Wget/1.21.4": "Wget", "python-requests/2.31.0": "python-requests", "Go-http-client/1.1": "Go-http-client",
		"facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)": "Facebook",
		"Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)":                "Slackbot",
		"Mozilla/5.0+(compatible; UptimeRobot/2.0; http://www.uptimerobot.com/)":    "UptimeRobot",
		"Mozilla/5.0 (compatible; WonderBot/7; +https://wonder.example)":            "WonderBot",
		"wonder-crawler/1.0":                                        "wonder-crawler",
		"Wonder Spider 2.1":                                         "Wonder Spider",
		"Wonder/1.0 (+https://wonder.example)":                      "Wonder",
		"Wonder Reader (https://wonder.example; me@wonder.example)": "Wonder Reader",
		"Mozilla/5.0 (Windows; U; Windows NT 5.1) WonderBot BETA 1.2 (me@wonder.example)": "WonderBot BETA",
	} {
		if got := a.Lookup(ua); !got.Bot || got.BotName != name || got.Kind != Bot {
			t.Errorf("%q: bot %v %q, kind %q; want %q", ua, got.Bot, got.BotName, got.Kind, name)
		}
	}
}

func TestBotTable(t *testing.T) {
	for i, line := range slices.Collect(strings.Lines(botTable)) {
		name, list, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		if !ok || name == "" || list == "" || list != strings.ToLower(list) {
			t.Errorf("line %d is no name, tab, lower-case tokens: %q", i+1, line)
		}
		for token := range strings.SplitSeq(list, "|") {
			if len(strings.TrimPrefix(token, "^")) < 3 {
				t.Errorf("line %d: token %q is too short to tell anything", i+1, token)
			}
		}
	}
}

// The log's crawlers and browsers, found by reading it with plain string search.
func TestBotsOfTheLog(t *testing.T) {
	var a Agents
	crawlers := []string{"Googlebot", "bingbot", "msnbot", "Baiduspider", "YandexBot", "YandexImages", "Slurp", "MJ12bot", "Exabot", "Twitterbot",
		"facebookexternalhit", "archive.org_bot", "Ezooms", "UniversalFeedParser", "Tiny Tiny RSS", "FeedBurner", "Feedfetcher", "Wget", "Python-urllib",
		"Sogou web spider", "Mail.RU_Bot", "+http", "PhantomJS", "spider", "crawler"}
	seen := map[string]int{}
	lines, bots, byWord := 0, 0, 0
	for _, line := range accessLog(t) {
		ua := line[5]
		got := a.Lookup(ua)
		lines++
		if got.Bot {
			bots++
		}
		crawler := false
		for _, c := range crawlers {
			if strings.Contains(ua, c) {
				crawler = true
				seen[c]++
			}
		}
		if crawler {
			byWord++
			if !got.Bot || got.Kind != Bot {
				t.Errorf("a crawler is not flagged: %q", ua)
			}
		}
		// What Chrome, Firefox and Safari on desktops write, and nothing more.
		rest, ok := strings.CutPrefix(ua, "Mozilla/5.0 (")
		system, rest, _ := strings.Cut(rest, ") ")
		desktop := strings.HasPrefix(system, "Windows NT") || strings.HasPrefix(system, "Macintosh") || strings.HasPrefix(system, "X11")
		engine := strings.HasPrefix(rest, "AppleWebKit/") && strings.Count(rest, " ") <= 6 || strings.HasPrefix(rest, "Gecko/20100101 Firefox/") && strings.Count(rest, " ") == 1
		if ok && desktop && engine && !crawler && !strings.Contains(ua, "bot") && !strings.Contains(ua, "Bing") && !strings.Contains(ua, "Google Web Preview") &&
			(got.Bot || got.Kind != Desktop) {
			t.Errorf("a desktop browser is taken for %q %q: %q", got.Kind, got.BotName, ua)
		}
	}
	for _, c := range crawlers {
		if seen[c] == 0 {
			t.Logf("no %s in this log", c)
		}
	}
	if bots < byWord {
		t.Errorf("%d bots flagged of %d that say so", bots, byWord)
	}
	t.Logf("%d of %d lines are bots' (%.1f %%), %d by well-known words", bots, lines, 100*float64(bots)/float64(lines), byWord)
}

func TestAgentsKeepsABoundedNumber(t *testing.T) {
	a := Agents{Size: 64}
	first := a.Lookup(modern[0])
	if a.Lookup(modern[0]) != first {
		t.Error("a second look-up was not answered from the cache")
	}
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 500 {
				ua := fmt.Sprintf("Foo/%d.%d", w, i)
				if got := a.Lookup(ua); got.Browser != "Other" {
					t.Errorf("%q: %q", ua, got.Browser)
				}
				a.Lookup(modern[0])
			}
		})
	}
	wg.Wait()
	if n := a.cache.len(); n > 64 {
		t.Errorf("%d kept, want 64 at most", n)
	}
	if a.Lookup(modern[0]) != first {
		t.Error("what was used all the time was forgotten")
	}
}

func TestLongAndBrokenAgents(t *testing.T) {
	var a Agents
	for _, ua := range []string{strings.Repeat("x", 1<<16), strings.Repeat("é", 1<<12), "\xff\xfe Chrome/1.0", "\x00", strings.Repeat("(", 2000), strings.Repeat("; ", 2000)} {
		got := a.Lookup(ua)
		for _, s := range []string{got.Browser, got.Os, got.Device, got.Model, got.BotName} {
			if !utf8.ValidString(s) || len(s) > 3*maxAgent {
				t.Errorf("%.20q: %q", ua, s)
			}
		}
	}
}

func FuzzAgent(f *testing.F) {
	for _, ua := range modern {
		f.Add(ua)
	}
	f.Add("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)")
	f.Add("bot")
	f.Add("/ ( ; ) +http")
	f.Fuzz(func(t *testing.T, ua string) {
		var a, b Agents
		got := a.Lookup(ua)
		b.Lookup("other")
		if again := b.Lookup(ua); again.String() != got.String() {
			t.Errorf("%v, then %v", got, again)
		}
		if got.Bot != (got.BotName != "") || got.Bot != (got.Kind == Bot) || got.Kind == "" {
			t.Errorf("bot %v, name %q, kind %q", got.Bot, got.BotName, got.Kind)
		}
		if !utf8.ValidString(got.Browser + got.Os + got.Device + got.Brand + got.Model + got.BotName) {
			t.Errorf("not UTF-8: %v", got)
		}
		if len(ua) <= maxAgent && utf8.ValidString(ua) {
			sameAsReference(t, ua)
		}
	})
}

func BenchmarkAgentHit(b *testing.B) {
	var a Agents
	uas := agents(b)
	for _, ua := range uas {
		a.Lookup(ua)
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		a.Lookup(uas[i%len(uas)])
		i++
	}
}

func BenchmarkAgentMiss(b *testing.B) {
	uas := agents(b)
	for _, ua := range uas {
		readAgent(ua)
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		readAgent(uas[i%len(uas)])
		i++
	}
}

// BenchmarkAgentMissModern reads browsers of this decade.
func BenchmarkAgentMissModern(b *testing.B) {
	for _, ua := range modern {
		readAgent(ua)
	}
	i := 0
	for b.Loop() {
		readAgent(modern[i%len(modern)])
		i++
	}
}
