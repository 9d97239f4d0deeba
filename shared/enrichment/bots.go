package enrichment

import (
	_ "embed"
	"strings"

	"github.com/hitolayer/hito/shared/event"
)

// botTable lists known bots, one per line: the name, a tab, and what its user
// agent contains, in lower case; with ^ in front, what it begins with. The
// first line that fits counts.
//
//go:embed bots.txt
var botTable string

type botToken struct {
	name, text string
	prefix     bool
}

var botTokens = parseBots(botTable)

func parseBots(table string) []botToken {
	tokens := make([]botToken, 0, 256)
	for line := range strings.Lines(table) {
		name, list, ok := strings.Cut(strings.TrimSpace(line), "\t")
		if !ok {
			continue
		}
		for text := range strings.SplitSeq(list, "|") {
			text, prefix := strings.CutPrefix(text, "^")
			tokens = append(tokens, botToken{name, text, prefix})
		}
	}
	return tokens
}

// botWords are what bots commonly call themselves.
var botWords = []string{"bot", "crawl", "spider", "slurp", "scrape", "archiver", "fetcher", "validator", "link check"}

// botName returns the name of the bot whose user agent (as it is and in lower
// case) it is, empty when it is none.
func botName(ua, lower string, a *event.Agent) string {
	if strings.HasPrefix(lower, "analytics-") || strings.HasPrefix(lower, "rudder") {
		return "" // an SDK on a server, speaking for its users
	}
	for _, t := range botTokens {
		if t.prefix && strings.HasPrefix(lower, t.text) || !t.prefix && strings.Contains(lower, t.text) {
			return t.name
		}
	}
	switch {
	case a.Device == "Spider", saysBot(lower), strings.Contains(lower, "+http"):
	case a.Browser == "Other" && (strings.Contains(lower, "http://") || strings.Contains(lower, "https://") || strings.Contains(lower, "@")):
		// No browser: a program that leaves its owner's address.
	default:
		return ""
	}
	if name := product(ua); name != "" {
		return name
	}
	if a.Browser != "Other" && a.Device == "Spider" {
		return a.Browser
	}
	return "bot"
}

// saysBot reports whether a user agent in lower case contains a word for bots
// that ends there or goes on as such words do.
func saysBot(lower string) bool {
	lower = strings.ReplaceAll(lower, "cubot", "") // a brand of phones
	for _, w := range botWords {
		for rest := lower; ; {
			i := strings.Index(rest, w)
			if i < 0 {
				break
			}
			rest = rest[i+len(w):]
			end := strings.TrimLeft(rest, "s")
			if w == "crawl" || w == "scrape" || w == "spider" {
				end = strings.TrimPrefix(strings.TrimPrefix(end, "er"), "r")
			}
			if end == "" || end[0] < 'a' || end[0] > 'z' {
				return true
			}
		}
	}
	return false
}

// product returns the name of the program a user agent is of, empty when it
// only names a browser: of "Mozilla/5.0 (compatible; Foo/1.0; +http://foo.example)" Foo.
func product(ua string) string {
	const maxName = 64
	for i, field := range strings.FieldsFunc(ua, func(r rune) bool { return r == ';' || r == '(' || r == ')' }) {
		field = strings.TrimSpace(field)
		name, _, versioned := strings.Cut(field, "/")
		first, _, _ := strings.Cut(strings.ToLower(name), " ")
		switch {
		case browserWords[first]:
			// "Mozilla/5.0 FooBot/1.0": what follows may be the program.
			for word := range strings.FieldsSeq(field) {
				if name, _, ok := strings.Cut(word, "/"); ok && saysBot(strings.ToLower(name)) && !strings.ContainsAny(name, ":.") {
					return cut(name, maxName)
				}
			}
		case strings.HasPrefix(first, "+"), strings.ContainsAny(first, ":@"), first == "":
		case i == 0, versioned, saysBot(first):
			return cut(unversioned(name), maxName)
		}
	}
	return ""
}

// browserWords begin the parts of a user agent that name a browser or its system.
var browserWords = map[string]bool{"mozilla": true, "opera": true, "applewebkit": true, "gecko": true, "trident": true, "windows": true,
	"linux": true, "android": true, "x11": true, "macintosh": true, "khtml,": true, "u": true, "msie": true, "compatible": true,
	"chrome": true, "safari": true, "firefox": true, "version": true, "mobile": true, "like": true, "http": true, "https": true}

// unversioned returns a product's name without a version or a contact behind it.
func unversioned(name string) string {
	words := strings.Fields(name)
	for i, w := range words[1:] {
		if digits := strings.TrimPrefix(w, "v"); w[0] == '+' || w == "-" || digits != "" && '0' <= digits[0] && digits[0] <= '9' {
			return strings.Join(words[:i+1], " ")
		}
	}
	return strings.Join(words, " ")
}
