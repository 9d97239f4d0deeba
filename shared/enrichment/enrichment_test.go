package enrichment

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/hitolayer/hito/shared/event"
	"github.com/hitolayer/hito/shared/project"
)

func TestReferrer(t *testing.T) {
	settings := &project.Settings{InternalHosts: []string{"shop.example", "WWW.Blog.Example", ""}}
	for _, test := range []struct{ ref, medium, source, term string }{
		{"https://www.google.com/search?q=blue+shoes", Search, "Google", "blue shoes"},
		{"https://www.google.co.uk/", Search, "Google", ""},
		{"https://google.com.au/?q=a%26b", Search, "Google", "a&b"},
		{"http://www.google.com/url?sa=t&q=&url=x", Search, "Google", ""},
		{"android-app://com.google.android.googlequicksearchbox/https/www.google.com", Search, "Google", ""},
		{"https://images.google.de/imgres?q=cat", Search, "Google Images", "cat"},
		{"https://docs.google.com/document/d/1", Unknown, "Google", ""},
		{"https://google.evil.example/?q=x", Unknown, "google.evil.example", ""},
		{"https://google.com.attacker.example/", Unknown, "google.com.attacker.example", ""},
		{"https://notgoogle.com/?q=x", Unknown, "notgoogle.com", ""},
		{"https://www.bing.com/search?q=%E9%9D%B4", Search, "Bing", "靴"},
		{"https://search.yahoo.co.jp/search?p=%E9%9D%B4", Search, "Yahoo!", "靴"},
		{"https://search.yahoo.com/search;_ylt=abc?p=shoes", Search, "Yahoo!", "shoes"},
		{"https://mail.yahoo.com/d/folders/1", Email, "Yahoo! Mail", ""},
		{"https://yandex.ru/search/?text=обувь", Search, "Yandex", "обувь"},
		{"https://yandex.com.tr/search?text=x", Search, "Yandex", "x"},
		{"https://www.baidu.com/s?wd=%D0%AC", Search, "Baidu", "Ь"},
		{"https://www.baidu.com/s?wd=%D0", Search, "Baidu", "\uFFFD"},
		{"https://duckduckgo.com/?q=tea&ia=web", Search, "DuckDuckGo", "tea"},
		{"https://search.naver.com/search.naver?query=tea", Search, "Naver", "tea"},
		{"https://search.seznam.cz/?q=tea", Search, "Seznam", "tea"},
		{"https://www.ecosia.org/search?q=tea", Search, "Ecosia", "tea"},
		{"https://search.brave.com/search?q=tea", Search, "Brave Search", "tea"},
		{"https://chatgpt.com/", Search, "ChatGPT", ""},
		{"https://www.perplexity.ai/search/x", Search, "Perplexity", ""},
		{"https://t.co/abc", Social, "Twitter", ""},
		{"https://l.facebook.com/l.php?u=x", Social, "Facebook", ""},
		{"https://www.linkedin.com/feed", Social, "LinkedIn", ""},
		{"https://old.reddit.com/r/x", Social, "Reddit", ""},
		{"https://news.ycombinator.com/item?id=1", Social, "Hacker News", ""},
		{"https://mail.google.com/mail/u/0", Email, "Gmail", ""},
		{"https://webmail.company.example/", Email, "webmail.company.example", ""},
		{"https://mail.ru/", Email, "Mail.Ru", ""},
		{"https://www.googleadservices.com/pagead/aclk", Paid, "Google Ads", ""},
		{"https://other.example/x", Unknown, "other.example", ""},
		{"https://WWW.Other.Example:8443/x", Unknown, "other.example", ""},
		{"https://page.example/y", Internal, "", ""},
		{"https://www.page.example/y", Internal, "", ""},
		{"https://sub.page.example/y", Unknown, "sub.page.example", ""},
		{"https://shop.example/", Internal, "", ""},
		{"https://a.b.shop.example/", Internal, "", ""},
		{"https://blog.example/", Internal, "", ""},
		{"https://notshop.example/", Unknown, "notshop.example", ""},
		{"https://[2001:db8::1]:80/x", Unknown, "2001:db8::1", ""},
		{"", "", "", ""}, {"-", "", "", ""}, {"about:blank", "", "", ""}, {"http://", "", "", ""}, {"http://%zz/", "", "", ""},
		{"http://a b/", "", "", ""}, {"javascript:alert(1)", "", "", ""}, {"/relative", "", "", ""}, {"http://\xe4\xe5/", "", "", ""},
	} {
		var r event.Referrer
		readReferrer(&r, test.ref, "www.page.example", settings)
		if r.Medium != test.medium || r.Source != test.source || r.Term != test.term {
			t.Errorf("%q: %q %q %q, want %q %q %q", test.ref, r.Medium, r.Source, r.Term, test.medium, test.source, test.term)
		}
	}
}

func TestReferrerTable(t *testing.T) {
	mediums := map[string]bool{Search: true, Social: true, Email: true, Paid: true, Unknown: true}
	seen := map[string]int{}
	i := 0
	for line := range strings.Lines(referrerTable) {
		if i++; line[0] == '#' {
			continue
		}
		fields := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(fields) != 4 || !mediums[fields[0]] || fields[1] == "" || fields[2] == "" || fields[3] == "" {
			t.Fatalf("line %d: %q", i, line)
		}
		if (fields[0] == Search) == (fields[2] == "-") {
			t.Errorf("line %d: only searches have terms: %q", i, line)
		}
		for host := range strings.FieldsSeq(fields[3]) {
			if seen[host] != 0 {
				t.Errorf("line %d: %s is already on line %d", i, host, seen[host])
			}
			seen[host] = i
			if got := sites().find(strings.ReplaceAll(host, "*", "de")); got == nil || got.name != fields[1] || got.medium != fields[0] {
				t.Errorf("line %d: %s is found as %v", i, host, got)
			}
		}
	}
}

func TestSplitURL(t *testing.T) {
	for in, want := range map[string]address{
		"https://Shop.Example:8443/a/b?x=1&y=2#frag": {"shop.example", "/a/b", "x=1&y=2"},
		"https://user:pw@shop.example":               {"shop.example", "/", ""},
		"https://shop.example.":                      {"shop.example", "/", ""},
		"https://shop.example?x=https://y.example/":  {"shop.example", "/", "x=https://y.example/"},
		"//shop.example/a":                           {"shop.example", "/a", ""},
		"shop.example/a":                             {"shop.example", "/a", ""},
		"/a?b":                                       {"", "/a", "b"},
		" https://shop.example/a ":                   {"shop.example", "/a", ""},
		"http://[::1]:8080/a":                        {"::1", "/a", ""},
		"http://[::1/a":                              {"", "/a", ""},
		"http://127.0.0.1:8080/":                     {"127.0.0.1", "/", ""},
		"file:///home/x.html":                        {"", "/home/x.html", ""},
		"https://bücher.example/ü":                   {"bücher.example", "/ü", ""},
		"data:text/html,x":                           {}, "": {}, "#": {},
		"http://<script>/a": {"", "/a", ""},
		"https://" + strings.Repeat("a", 300) + ".example/a": {"", "/a", ""},
	} {
		if got := splitURL(in); got != want {
			t.Errorf("%.60q: %+v, want %+v", in, got, want)
		}
	}
}

func TestEnrich(t *testing.T) {
	page := func(json string) *event.Event {
		return &event.Event{Type: event.Type_TYPE_PAGE, Properties: []byte(json)}
	}
	context := func(json string) *event.Event {
		return &event.Event{Type: event.Type_TYPE_TRACK, Context: []byte(json), Properties: []byte(`{"url":"https://not.the.page/","referrer":"https://google.com/"}`)}
	}
	type c = event.Campaign
	for name, test := range map[string]struct {
		e        *event.Event
		page     *event.Page
		referrer *event.Referrer
		campaign *event.Campaign
	}{
		"nothing":    {e: &event.Event{}},
		"track only": {e: context(`{}`)},
		"page properties": {e: page(`{"url":"https://shop.example/p?a=1","title":"Tïtle","referrer":"https://www.bing.com/?q=tea"}`),
			page:     &event.Page{Host: "shop.example", Path: "/p", Query: "a=1", Title: "Tïtle"},
			referrer: &event.Referrer{Medium: Search, Source: "Bing", Term: "tea", Host: "www.bing.com"}},
		"context": {e: context(`{"page":{"url":"https://shop.example/p","referrer":"https://shop.example/","title":"T"}}`),
			page:     &event.Page{Host: "shop.example", Path: "/p", Title: "T"},
			referrer: &event.Referrer{Medium: Internal, Host: "shop.example"}},
		"path and search": {e: page(`{"path":"/p","search":"?utm_source=x"}`), page: &event.Page{Path: "/p", Query: "utm_source=x"}, campaign: &c{Source: "x"}},
		"bad URL":         {e: page(`{"url":"::::","path":"/p","title":7}`), page: &event.Page{Path: "/p", Title: "7"}},
		"wrong types":     {e: page(`{"url":{},"path":[],"title":null,"referrer":true}`)},
		"no object":       {e: &event.Event{Context: []byte(`["page","campaign"]`)}},
		"odd page":        {e: context(`{"page":[1],"campaign":"x"}`)},
		"broken JSON":     {e: context(`{"page":{"url":"https://x.example/"`)},
		"utm": {e: context(`{"page":{"url":"https://a.example/?utm_source=news&utm_medium=email&utm_campaign=spring+sale&utm_term=t&utm_content=c&utm_id=7&utm_name=no"}}`),
			page:     &event.Page{Host: "a.example", Path: "/", Query: "utm_source=news&utm_medium=email&utm_campaign=spring+sale&utm_term=t&utm_content=c&utm_id=7&utm_name=no"},
			campaign: &c{Source: "news", Medium: "email", Name: "spring sale", Term: "t", Content: "c", Id: "7"}},
		"context's campaign first": {e: context(`{"page":{"path":"/","search":"?utm_source=b&utm_term=t"},"campaign":{"name":"n","source":"a","other":"x","id":5}}`),
			page: &event.Page{Path: "/", Query: "utm_source=b&utm_term=t"}, campaign: &c{Source: "a", Name: "n", Term: "t", Id: "5"}},
		"unknown utm": {e: page(`{"path":"/","search":"?utm_foo=b&id=7"}`), page: &event.Page{Path: "/", Query: "utm_foo=b&id=7"}},
		"click id": {e: page(`{"path":"/","search":"?gclid=G1&fbclid=F1","referrer":"https://www.google.com/"}`), page: &event.Page{Path: "/", Query: "gclid=G1&fbclid=F1"},
			campaign: &c{Medium: Paid, ClickType: "gclid", ClickId: "G1"}, referrer: &event.Referrer{Medium: Paid, Source: "Google", Host: "www.google.com"}},
		"the stronger click id": {e: page(`{"path":"/","search":"?fbclid=F1&gclid=G1"}`), page: &event.Page{Path: "/", Query: "fbclid=F1&gclid=G1"},
			campaign: &c{Medium: Paid, ClickType: "gclid", ClickId: "G1"}, referrer: &event.Referrer{Medium: Paid, Source: "Google"}},
		"click id and another medium": {e: page(`{"path":"/","search":"?fbclid=F1&utm_medium=organic","referrer":"https://m.facebook.com/"}`),
			page: &event.Page{Path: "/", Query: "fbclid=F1&utm_medium=organic"}, campaign: &c{Medium: "organic", ClickType: "fbclid", ClickId: "F1"},
			referrer: &event.Referrer{Medium: Social, Source: "Facebook", Host: "m.facebook.com"}},
		"cpc without a click id": {e: page(`{"path":"/","search":"?utm_medium=CPC&utm_source=bing","referrer":"https://www.bing.com/"}`),
			page: &event.Page{Path: "/", Query: "utm_medium=CPC&utm_source=bing"}, campaign: &c{Source: "bing", Medium: "CPC"},
			referrer: &event.Referrer{Medium: Paid, Source: "Bing", Host: "www.bing.com"}},
		"a click id inside the site": {e: page(`{"url":"https://a.example/?gclid=G1","referrer":"https://a.example/"}`), page: &event.Page{Host: "a.example", Path: "/", Query: "gclid=G1"},
			campaign: &c{Medium: Paid, ClickType: "gclid", ClickId: "G1"}, referrer: &event.Referrer{Medium: Internal, Host: "a.example"}},
	} {
		t.Run(name, func(t *testing.T) {
			var n Enricher
			test.e.Enriched = &event.Enriched{Campaign: &event.Campaign{Name: "stale"}}
			n.Enrich(test.e, nil)
			got := test.e.Enriched
			if got.Page.String() != test.page.String() {
				t.Errorf("page %v, want %v", got.Page, test.page)
			}
			if got.Referrer.String() != test.referrer.String() {
				t.Errorf("referrer %v, want %v", got.Referrer, test.referrer)
			}
			if got.Campaign.String() != test.campaign.String() {
				t.Errorf("campaign %v, want %v", got.Campaign, test.campaign)
			}
		})
	}
}

func TestEveryClickID(t *testing.T) {
	for _, param := range []string{"gclid", "fbclid", "msclkid", "ttclid", "twclid", "li_fat_id", "yclid", "gbraid", "wbraid", "dclid"} {
		c := readCampaign(nil, "a=b&"+param+"=v%20w")
		if c == nil || c.ClickType != param || c.ClickId != "v w" {
			t.Errorf("%s: %v", param, c)
		}
	}
}

// What is stored is bounded, whatever comes.
func TestEnrichedIsBounded(t *testing.T) {
	long := strings.Repeat("é%41", 16<<10)
	e := &event.Event{Type: event.Type_TYPE_PAGE, UserAgent: long, Ip: long, Properties: fmt.Appendf(nil,
		`{"url":"https://a.example/%[1]s?utm_source=%[1]s&gclid=%[1]s","title":"%[1]s","referrer":"https://google.com/?q=%[1]s"}`, long)}
	var n Enricher
	n.Enrich(e, nil)
	if size := e.Enriched.SizeVT(); size > 16<<10 {
		t.Errorf("%d bytes", size)
	}
}

// checkEnrich fails unless enriching is the same whatever came before, and gives UTF-8.
func checkEnrich(t fataler, e *event.Event, s *project.Settings) {
	var fresh Enricher
	again := e.CloneVT()
	worn.Enrich(e, s)
	worn.Enrich(&event.Event{Type: event.Type_TYPE_PAGE, Properties: []byte(`{"url":"https://z.example/?utm_source=z","title":"z","referrer":"https://bing.com/?q=z"}`)}, nil)
	fresh.Enrich(again, s)
	if !proto.Equal(e.Enriched, again.Enriched) {
		t.Fatalf("%v\nthen %v", e.Enriched, again.Enriched)
	}
	r, c, p := e.Enriched.GetReferrer(), e.Enriched.GetCampaign(), e.Enriched.GetPage()
	for _, s := range []string{r.GetHost(), r.GetSource(), r.GetTerm(), c.GetName(), c.GetSource(), c.GetMedium(), c.GetClickId(), p.GetHost(), p.GetPath(), p.GetQuery(), p.GetTitle()} {
		if !utf8.ValidString(s) || len(s) > maxPart {
			t.Fatalf("%d bytes, UTF-8 %v: %.40q", len(s), utf8.ValidString(s), s)
		}
	}
}

var worn Enricher

func TestEnrichIsDeterministic(t *testing.T) {
	word := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"https://", "google.com", "?utm_source=", "&gclid=", "/", "%", "q=", "é", "page.example", "#", "@", ":"}))
	text := rapid.Custom(func(t *rapid.T) string { return strings.Join(rapid.SliceOfN(word, 0, 8).Draw(t, "words"), "") })
	quote := rapid.Custom(func(t *rapid.T) string {
		return fmt.Sprintf(`{"url":%q,"referrer":%q,"title":%q,"search":%q,"path":%q}`, text.Draw(t, "url"), text.Draw(t, "ref"), text.Draw(t, "title"), text.Draw(t, "search"), text.Draw(t, "path"))
	})
	rapid.Check(t, func(t *rapid.T) {
		checkEnrich(t, &event.Event{
			Type:       event.Type(rapid.IntRange(0, 6).Draw(t, "type")),
			Properties: []byte(quote.Draw(t, "properties")),
			Context:    fmt.Appendf(nil, `{"page":%s,"campaign":{"name":%q}}`, quote.Draw(t, "page"), text.Draw(t, "campaign")),
			Ip:         rapid.SampledFrom([]string{"", "8.8.8.8", "2001:200::", "x"}).Draw(t, "ip"),
			UserAgent:  rapid.SampledFrom(modern).Draw(t, "ua"),
		}, &project.Settings{InternalHosts: []string{text.Draw(t, "internal")}})
	})
}

func FuzzEnrich(f *testing.F) {
	f.Add(`{"url":"https://a.example/?utm_source=x&gclid=y","referrer":"https://google.com/?q=z"}`, `{"page":{"path":"/p","search":"?q"},"campaign":{"name":"n"}}`)
	f.Add(`{"url":"\ud800","title":"\u0000"}`, `{"page":{"url":"//"},"page":{"url":"http://[::1"}}`)
	f.Add(`{"url":1e999}`, `[[["page"]]]`)
	f.Fuzz(func(t *testing.T, properties, context string) {
		checkEnrich(t, &event.Event{Type: event.Type_TYPE_PAGE, Properties: []byte(properties), Context: []byte(context)}, nil)
	})
}

func FuzzReferrer(f *testing.F) {
	f.Add("https://www.google.co.uk/search?q=blue+shoes", "shop.example", "shop.example")
	f.Add("android-app://com.google.android.gm/", "", "")
	f.Add("http://[::1]:80/%zz?q=%", "::1", ".")
	f.Fuzz(func(t *testing.T, ref, pageHost, internal string) {
		var a, b event.Referrer
		s := &project.Settings{InternalHosts: []string{internal}}
		readReferrer(&a, ref, pageHost, s)
		readReferrer(&b, ref, pageHost, s)
		if !proto.Equal(&a, &b) || (a.Medium == "") != (a.Host == "") || len(a.Term) > maxTerm || !utf8.ValidString(a.Host+a.Term) {
			t.Errorf("%v, %v", &a, &b)
		}
	})
}

func FuzzCampaign(f *testing.F) {
	f.Add("utm_source=a&utm_medium=b+c&gclid=%20&fbclid=%zz")
	f.Add("&&=&utm_=&utm_source&id=")
	f.Fuzz(func(t *testing.T, query string) {
		c := readCampaign(nil, query)
		if c == nil {
			return
		}
		if c.SizeVT() == 0 {
			t.Error("an empty campaign")
		}
		for _, s := range []string{c.Source, c.Medium, c.Name, c.Term, c.Content, c.Id, c.ClickId} {
			if !utf8.ValidString(s) || len(s) > maxClick {
				t.Errorf("%q", s)
			}
		}
	})
}

// The log's referrers, counted again by plain string search.
func TestReferrersOfTheLog(t *testing.T) {
	settings := &project.Settings{InternalHosts: []string{"semicomplete.com"}}
	got, want := map[string]int{}, map[string]int{}
	terms := 0
	for _, line := range accessLog(t) {
		var r event.Referrer
		readReferrer(&r, line[3], "www.semicomplete.com", settings)
		got[r.Medium]++
		got[r.Source]++
		if r.Term != "" {
			terms++
		}
		rest, _ := strings.CutPrefix(strings.TrimPrefix(line[3], "https://"), "http://")
		host, _, _ := strings.Cut(rest, "/")
		switch {
		case host == "semicomplete.com" || host == "www.semicomplete.com" || strings.HasSuffix(host, ".semicomplete.com"):
			want[Internal]++
		case strings.HasPrefix(host, "www.google."):
			want["Google"]++
		case host == "duckduckgo.com" || host == "r.duckduckgo.com":
			want["DuckDuckGo"]++
		case host == "t.co":
			want["Twitter"]++
		case host == "stackoverflow.com":
			want["Stack Overflow"]++
		case host == "www.bing.com":
			want["Bing"]++
		case host == "-" || host == "":
			want["direct"]++
		}
	}
	got["direct"] = want["direct"] // has no medium, like what cannot be read
	for name, n := range want {
		if got[name] != n {
			t.Errorf("%s: %d, %d by plain reading", name, got[name], n)
		}
	}
	if got[Search] < want["Google"]+want["DuckDuckGo"]+want["Bing"] || terms == 0 {
		t.Errorf("%d searches, %d with a term", got[Search], terms)
	}
	t.Logf("internal %d, search %d (Google %d, %d with a term), social %d, unknown %d", got[Internal], got[Search], got["Google"], terms, got[Social], got[Unknown])
}

func BenchmarkEnrich(b *testing.B) {
	var n Enricher
	for name, e := range map[string]*event.Event{
		"page": {Type: event.Type_TYPE_PAGE, UserAgent: modern[0], Ip: "83.149.9.0",
			Properties: []byte(`{"url":"https://shop.example/products/blue-shoes?color=blue&utm_source=news&utm_medium=email","path":"/products/blue-shoes","title":"Blue shoes","referrer":"https://www.google.com/search?q=blue+shoes","search":"?color=blue"}`),
			Context:    []byte(`{"library":{"name":"analytics.js","version":"1.2.3"},"page":{"url":"https://shop.example/products/blue-shoes?color=blue","path":"/products/blue-shoes","title":"Blue shoes","referrer":"https://www.google.com/search?q=blue+shoes","search":"?color=blue"},"locale":"en-US","timezone":"Asia/Tokyo"}`)},
		"track": {Type: event.Type_TYPE_TRACK, UserAgent: modern[4], Ip: "83.149.9.0", Properties: []byte(`{"product":"p1","price":12.5}`),
			Context: []byte(`{"library":{"name":"analytics.js","version":"1.2.3"},"page":{"url":"https://shop.example/products/blue-shoes?color=blue","path":"/products/blue-shoes","title":"Blue shoes","referrer":"https://shop.example/","search":"?color=blue"},"locale":"en-US"}`)},
		"bare": {Type: event.Type_TYPE_TRACK, UserAgent: modern[4], Ip: "83.149.9.0", Properties: []byte(`{"product":"p1","price":12.5}`), Context: []byte(`{"library":{"name":"x"}}`)},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				n.Enrich(e, nil)
			}
		})
	}
}
