package enrichment

import (
	_ "embed"
	"strings"
	"sync"

	"github.com/hitolayer/hito/shared/event"
	"github.com/hitolayer/hito/shared/project"
)

// The mediums a visitor can come by, as event.Referrer's Medium holds them. An
// assistant that answers questions with links, such as ChatGPT, counts as search.
const (
	Search   = "search"
	Social   = "social"
	Email    = "email"
	Paid     = "paid"
	Internal = "internal"
	Unknown  = "unknown"
)

// referrerTable lists known referrers; its first line says how.
//
//go:embed referrers.txt
var referrerTable string

// site is a known referrer.
type site struct {
	medium, name string
	// terms are the query parameters that may hold what was searched for.
	terms []string
}

// siteTable finds sites by the end of a host's name.
type siteTable struct {
	// exact has whole ends such as "bing.com", open those before any country's
	// ending: "google" for google.com, google.co.uk.
	exact, open map[string]*site
}

var sites = sync.OnceValue(func() siteTable { return parseSites(referrerTable) })

func parseSites(table string) siteTable {
	t := siteTable{map[string]*site{}, map[string]*site{}}
	for line := range strings.Lines(table) {
		fields := strings.Split(strings.TrimSpace(line), "\t")
		if len(fields) != 4 || line[0] == '#' {
			continue
		}
		s := &site{medium: fields[0], name: fields[1]}
		if fields[2] != "-" {
			s.terms = strings.Split(fields[2], ",")
		}
		for host := range strings.FieldsSeq(fields[3]) {
			if name, ok := strings.CutSuffix(host, ".*"); ok {
				t.open[name] = s
			} else {
				t.exact[host] = s
			}
		}
	}
	return t
}

// find returns the site with the longest name that the host ends with, nil when none is known.
func (t siteTable) find(host string) *site {
	// Where a country's ending can begin: the last label ("de", "com"), or the
	// last two when they look like "co.uk" or "com.au".
	one := strings.LastIndexByte(host, '.')
	two := -1
	if one > 0 && len(host)-one == 3 {
		if dot := strings.LastIndexByte(host[:one], '.'); dot > 0 && one-dot <= 4 {
			two = dot
		}
	}
	for from := 0; ; {
		if s := t.exact[host[from:]]; s != nil {
			return s
		}
		if from < one {
			if s := t.open[host[from:one]]; s != nil {
				return s
			}
		}
		if from < two {
			if s := t.open[host[from:two]]; s != nil {
				return s
			}
		}
		dot := strings.IndexByte(host[from:], '.')
		if dot < 0 {
			return nil
		}
		from += dot + 1
	}
}

// maxTerm is how much of a search term is kept, in bytes.
const maxTerm = 256

// readReferrer fills in where a visitor came from: ref is the referring page's
// address, pageHost the host of the page they came to. It keeps parts of ref.
func readReferrer(r *event.Referrer, ref, pageHost string, s *project.Settings) {
	u := splitURL(ref)
	if u.host == "" {
		return
	}
	r.Host = u.host
	if isInternal(u.host, pageHost, s) {
		r.Medium = Internal
		return
	}
	known := sites().find(u.host)
	switch {
	case known != nil:
		r.Medium, r.Source = known.medium, known.name
		if len(known.terms) > 0 {
			r.Term = searchTerm(u.query, known.terms)
		}
	case strings.Count(u.host, ".") > 1 && (strings.HasPrefix(u.host, "webmail.") || strings.HasPrefix(u.host, "mail.")):
		r.Medium, r.Source = Email, u.host
	default:
		r.Medium, r.Source = Unknown, strings.TrimPrefix(u.host, "www.")
	}
}

// searchTerm returns the first non-empty of the parameters, by their order in names.
func searchTerm(query string, names []string) string {
	for _, name := range names {
		for key, value := range params(query) {
			if key == name && value != "" {
				return strings.TrimSpace(unescape(value, maxTerm))
			}
		}
	}
	return ""
}

// isInternal reports whether a referrer's host is the page's own, or one of the
// project's or a subdomain of it.
func isInternal(host, pageHost string, s *project.Settings) bool {
	if strings.TrimPrefix(host, "www.") == strings.TrimPrefix(pageHost, "www.") {
		return true
	}
	if s == nil {
		return false
	}
	for _, own := range s.InternalHosts {
		if len(own) > 4 && strings.EqualFold(own[:4], "www.") {
			own = own[4:]
		}
		at := len(host) - len(own)
		if own != "" && at >= 0 && strings.EqualFold(host[at:], own) && (at == 0 || host[at-1] == '.') {
			return true
		}
	}
	return false
}
