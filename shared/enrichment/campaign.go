package enrichment

import (
	"strings"

	"github.com/valyala/fastjson"

	"github.com/hitolayer/hito/shared/event"
)

const (
	// maxCampaign is how much of a campaign's field is kept, in bytes.
	maxCampaign = 256
	// maxClick is how much of a click id is kept, in bytes.
	maxClick = 512
)

// clicks are the parameters that advertisers' networks add to an ad's link,
// with the network; when a query has several, the first of them counts.
var clicks = [...]struct{ param, network string }{
	{"gclid", "Google"},
	{"gbraid", "Google"},
	{"wbraid", "Google"},
	{"dclid", "DoubleClick"},
	{"msclkid", "Bing"},
	{"ttclid", "TikTok"},
	{"twclid", "Twitter"},
	{"li_fat_id", "LinkedIn"},
	{"yclid", "Yandex"},
	{"fbclid", "Facebook"},
}

// readCampaign returns c (which may be nil) with what a landing page's query
// says of its campaign where c says nothing yet; nil when neither says
// anything. It may keep parts of query.
func readCampaign(c *event.Campaign, query string) *event.Campaign {
	if !strings.Contains(query, "utm_") && !strings.Contains(query, "id=") {
		return c
	}
	rank := len(clicks)
	for key, value := range params(query) {
		if value == "" {
			continue
		}
		if word, ok := strings.CutPrefix(key, "utm_"); ok {
			if word == "campaign" {
				word = "name"
			} else if word == "name" {
				continue
			}
			c = setCampaign(c, word, unescape(value, maxCampaign))
			continue
		}
		for i := range clicks[:rank] {
			if key == clicks[i].param {
				if c == nil {
					c = new(event.Campaign)
				}
				rank = i
				c.ClickType, c.ClickId = clicks[i].param, unescape(value, maxClick)
				break
			}
		}
	}
	return c
}

// contextCampaign returns what an SDK found: context.campaign; nil when it says nothing.
func contextCampaign(v *fastjson.Value) (c *event.Campaign) {
	v.GetObject().Visit(func(key []byte, value *fastjson.Value) {
		c = setCampaign(c, string(key), text(value, maxCampaign))
	})
	return c
}

// setCampaign sets the field that Segment's specification calls so, if it is
// one and empty yet, and returns c, made if need be.
func setCampaign(c *event.Campaign, word, value string) *event.Campaign {
	if value == "" {
		return c
	}
	into := c
	if into == nil {
		into = new(event.Campaign)
	}
	var field *string
	switch word {
	case "source":
		field = &into.Source
	case "medium":
		field = &into.Medium
	case "name":
		field = &into.Name
	case "term":
		field = &into.Term
	case "content":
		field = &into.Content
	case "id":
		field = &into.Id
	default:
		return c
	}
	if *field == "" {
		*field = value
	}
	return into
}

// paidMediums are utm_medium's words for bought visits, as Google Analytics
// groups them.
var paidMediums = map[string]bool{"paid": true, "cpc": true, "ppc": true, "cpm": true, "cpv": true, "cpa": true, "cpp": true,
	"paidsearch": true, "paid-search": true, "paid_search": true, "paidsocial": true, "paid-social": true, "paid_social": true,
	"display": true, "banner": true, "retargeting": true, "remarketing": true, "interstitial": true, "expandable": true}

// settlePaid makes a click id's visit a paid one unless the campaign's medium
// says otherwise, and names the network where the referrer does not.
func settlePaid(c *event.Campaign, r *event.Referrer) {
	if c.Medium == "" && c.ClickType != "" {
		c.Medium = Paid
	}
	if r.Medium == Internal || !paidMediums[strings.ToLower(c.Medium)] {
		return
	}
	r.Medium = Paid
	if r.Source == "" {
		for _, click := range clicks {
			if click.param == c.ClickType {
				r.Source = click.network
			}
		}
	}
}
