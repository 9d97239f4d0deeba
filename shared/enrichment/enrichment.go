// Package enrichment is what can be learnt from an event alone: the browser,
// the device and the bot behind a user agent, the place of an address, where a
// visitor came from and by which campaign, and the page taken apart.
package enrichment

import (
	"bytes"
	"cmp"
	"strings"
	"unicode/utf8"

	"github.com/valyala/fastjson"

	"github.com/hitolayer/hito/shared/event"
	"github.com/hitolayer/hito/shared/project"
)

// Enricher enriches events. The zero value is ready, and finds countries only;
// it may be used by many goroutines and must not be copied.
type Enricher struct {
	Agents Agents
	// Geo finds places; nil finds countries only.
	Geo     *Geo
	parsers fastjson.ParserPool
}

// defaultGeo finds countries.
var defaultGeo Geo

// results holds together what nearly every event has.
type results struct {
	enriched event.Enriched
	page     event.Page
	referrer event.Referrer
}

// visit is what an event's JSON says of its page.
type visit struct {
	page            address
	referrer, title string
	// campaign is what an SDK read from the page's address, nil when it says nothing.
	campaign *event.Campaign
}

var noSettings project.Settings

// Enrich sets e.Enriched, the same for the same event and settings whatever
// came before. Agent and Geo may be shared with other events: they must not be
// changed. What cannot be read is left out.
func (n *Enricher) Enrich(e *event.Event, s *project.Settings) {
	if s == nil {
		s = &noSettings
	}
	geo := n.Geo
	if geo == nil {
		geo = &defaultGeo
	}
	agent, place := n.Agents.Lookup(e.UserAgent), geo.Lookup(e.Ip)
	v, ok := n.read(e)
	if !ok {
		e.Enriched = &event.Enriched{Agent: agent, Geo: place}
		return
	}
	r := new(results)
	e.Enriched = &r.enriched
	r.enriched.Agent, r.enriched.Geo = agent, place
	if v.page != (address{}) || v.title != "" {
		r.page.Host, r.page.Path, r.page.Query, r.page.Title = v.page.host, clean(v.page.path, maxPart), clean(v.page.query, maxPart), v.title
		r.enriched.Page = &r.page
	}
	readReferrer(&r.referrer, v.referrer, v.page.host, s)
	if c := readCampaign(v.campaign, v.page.query); c != nil {
		r.enriched.Campaign = c
		settlePaid(c, &r.referrer)
	}
	if r.referrer.Medium != "" {
		r.enriched.Referrer = &r.referrer
	}
}

// read reads what the event's JSON says of its page: a page's or a screen's
// properties, then the context. ok when there may be anything.
func (n *Enricher) read(e *event.Event) (v visit, ok bool) {
	isPage := e.Type == event.Type_TYPE_PAGE || e.Type == event.Type_TYPE_SCREEN
	inProperties := isPage && mentions(e.Properties, `"url"`, `"path"`, `"referrer"`, `"title"`)
	inContext := mentions(e.Context, `"page"`, `"campaign"`)
	if !inProperties && !inContext {
		return v, false
	}
	p := n.parsers.Get()
	if inProperties {
		if o, err := p.ParseBytes(e.Properties); err == nil {
			v.add(o)
		}
	}
	isComplete := v.page.host != "" && v.referrer != "" && v.title != ""
	if inContext && !(isComplete && !mentions(e.Context, `"campaign"`)) {
		if o, err := p.ParseBytes(e.Context); err == nil {
			v.add(o.Get("page"))
			v.campaign = contextCampaign(o.Get("campaign"))
		}
	}
	n.parsers.Put(p)
	return v, true
}

// add takes what v does not have yet from a JSON object.
func (v *visit) add(o *fastjson.Value) {
	if v.page.host == "" {
		page := splitURL(text(o.Get("url"), maxURL))
		if page.host == "" && page.path == "" {
			path, query, _ := strings.Cut(text(o.Get("path"), maxURL), "?")
			search := strings.TrimPrefix(text(o.Get("search"), maxURL), "?")
			page.path, page.query = path, cmp.Or(search, query, page.query)
		}
		if page.host != "" || v.page == (address{}) {
			v.page = page
		}
	}
	if v.referrer == "" {
		v.referrer = text(o.Get("referrer"), maxURL)
	}
	if v.title == "" {
		v.title = text(o.Get("title"), maxTitle)
	}
}

// text returns a copy of at most n bytes of a JSON string or number, empty for
// anything else and for nil.
func text(v *fastjson.Value, n int) string {
	if v == nil {
		return ""
	}
	switch v.Type() {
	case fastjson.TypeString:
		b, _ := v.StringBytes()
		return clean(string(b[:min(len(b), n+utf8.UTFMax)]), n)
	case fastjson.TypeNumber:
		return clean(string(v.MarshalTo(nil)), n)
	}
	return ""
}

func mentions(object []byte, keys ...string) bool {
	for _, k := range keys {
		if bytes.Contains(object, []byte(k)) {
			return true
		}
	}
	return false
}
