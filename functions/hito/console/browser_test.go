package console

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hitolayer/hito/shared/event"
	"github.com/hitolayer/hito/shared/ledger"
	"github.com/hitolayer/hito/shared/quarantine"
)

// hostile is text that must be shown as it is wherever a client can put text.
const hostile = `<img src=x onerror="window.pwned=1"><script>window.pwned=2</script>"'>&amp;`

// stock fills the shop with people, some of them up to no good.
func (s *site) stock(t *testing.T) {
	t.Helper()
	now := time.Now().UnixMilli()
	names := []string{"Product Viewed", "Cart Viewed", "Product Added", "Order Completed"}
	agents := []*event.Agent{
		{Browser: "Chrome", BrowserVersion: "141.0", Os: "Windows", OsVersion: "10", Kind: "desktop"},
		{Browser: "Mobile Safari", BrowserVersion: "18.5", Os: "iOS", OsVersion: "18.5", Device: "iPhone", Brand: "Apple", Kind: "mobile"},
		{Browser: "Googlebot", BrowserVersion: "2.1", Kind: "bot", Bot: true, BotName: "Googlebot"},
	}
	for i := range 60 {
		user := i % 12
		e := &event.Event{
			MessageId: fmt.Sprint("m", i), Timestamp: now - int64(60-i)*700, Type: event.Type_TYPE_TRACK, Name: names[i%len(names)],
			AnonymousId: fmt.Sprintf("3b0ac2c8-77d1-4c0e-9a0b-%012d", user),
			Properties:  []byte(`{"value":12.5}`),
			Enriched: &event.Enriched{
				Agent: agents[user%3], Geo: &event.Geo{Country: []string{"JP", "DE", "US"}[user%3], AsOrg: "Example Telecom"},
				Page: &event.Page{Host: "shop.example", Path: "/products/red-shoes"}, Referrer: &event.Referrer{Medium: "search", Source: "Google", Term: "red shoes"},
			},
		}
		switch i % 5 {
		case 0:
			e.Type, e.Name = event.Type_TYPE_PAGE, ""
		case 1:
			e.Type, e.Name = event.Type_TYPE_IDENTIFY, ""
			e.Traits = fmt.Appendf(nil, `{"email":"ada%d@example.com","name":"Ada Lovelace","plan":"pro","age":36,"address":{"city":"Tokyo"}}`, user)
		}
		if user%2 == 0 {
			e.UserId = fmt.Sprint("customer-", 1000+user)
		}
		s.give(t, "shop", now, e)
	}
	s.give(t, "shop", now, &event.Event{
		MessageId: hostile, Timestamp: now, Type: event.Type_TYPE_IDENTIFY, UserId: hostile, Name: hostile,
		Traits: []byte(`{"<b>key</b>":"<img src=x onerror='window.pwned=3'>"}`),
		Enriched: &event.Enriched{
			Agent: &event.Agent{Browser: hostile, Os: hostile}, Geo: &event.Geo{Country: hostile, City: hostile},
			Page: &event.Page{Path: hostile}, Referrer: &event.Referrer{Source: hostile, Term: hostile, Medium: "search"}, Campaign: &event.Campaign{Name: hostile},
		},
	})
	s.give(t, "shop", now, &event.Event{MessageId: "h2", Timestamp: now, Type: event.Type_TYPE_TRACK, UserId: hostile, Name: hostile})
	s.mu.Lock()
	defer s.mu.Unlock()
	totals := s.totals["shop"]
	totals.Add(ledger.Delta{
		Counts:   ledger.Counts{Accepted: 31, Duplicate: 4, Quarantined: 26},
		Segments: map[string]int64{"returning": 8, "cart_abandoner": 5, "big_spender": 1, hostile: 3},
	})
	s.totals["shop"] = totals
	for i := range 26 {
		e := quarantine.Entry{
			ID: fmt.Sprint(i), Project: "shop", Stage: quarantine.Beacon, Reason: "missing_id", Events: 1,
			Detail: "an event needs a userId or an anonymousId, and neither may be junk such as null", Time: now - int64(i)*1000,
			Body: []byte(`{"type":"track","event":"Product Viewed","userId":null}`),
		}
		if i == 1 {
			e.Reason, e.Detail, e.Body = hostile, hostile, []byte(hostile)
		}
		if i == 2 {
			e.Reason, e.Body = "not_json", []byte(`{"html":"<img src=x onerror='window.pwned=4'>"}`)
		}
		s.entries = append(s.entries, e)
	}
}

const noFlaw = `window.pwned === undefined && !document.querySelector("img, iframe, body script, [onerror]")`

func TestConsoleInABrowser(t *testing.T) {
	b := startBrowser(t)
	s := startSite(t)
	s.stock(t)
	page := b.open(s.url+"/#key=shop-secret", 1280, 1000, "prefers-color-scheme:light")
	page.until(`document.querySelectorAll("#events .event").length === 62`)
	page.until(`document.querySelectorAll("#recent .someone").length === 13`)
	page.until(`document.getElementById("p99").textContent.endsWith("ms")`)
	page.until(`document.querySelectorAll("#segments li").length === 4`)
	page.until(`document.querySelectorAll("#quarantine li").length === 20`)
	if got := page.eval("location.hash + sessionStorage.getItem('hito-secret-key')"); got != "shop-secret" {
		t.Errorf("hash and stored key: %q", got)
	}
	if got := page.eval(`document.getElementById("people").textContent`); got != "13" {
		t.Errorf("people: %q", got)
	}

	// What comes now is shown, without a reload; a filter shows a part of it.
	s.give(t, "shop", time.Now().UnixMilli(), &event.Event{MessageId: "live", Timestamp: time.Now().UnixMilli(), Type: event.Type_TYPE_GROUP, GroupId: "g", UserId: "latecomer"})
	s.give(t, "bank", time.Now().UnixMilli(), &event.Event{MessageId: "theirs", Timestamp: time.Now().UnixMilli(), Type: event.Type_TYPE_GROUP, UserId: "banker"})
	page.until(`document.querySelector("#events .event").innerText.includes("latecomer")`)
	page.until(`document.getElementById("rate").textContent !== "–"`)
	page.screenshot("desktop-light")
	page.eval(`{ const f = document.getElementById("match"); f.value = "LATE"; f.dispatchEvent(new Event("input")); }`)
	page.until(`document.querySelectorAll("#events .event").length === 1`)
	page.eval(`{ const f = document.getElementById("match"); f.value = ""; f.dispatchEvent(new Event("input")); }`)
	if page.eval(`document.body.innerText.includes("banker")`) != "false" {
		t.Error("another project's event is shown")
	}

	// A hostile visitor's event opens a profile, by keyboard; all of it is text.
	page.until(`[...document.querySelectorAll("#events button")].some((b) => b.textContent === ` + js(hostile) + `)`)
	page.eval(`[...document.querySelectorAll("#events button")].find((b) => b.textContent === ` + js(hostile) + `).focus()`)
	page.press("Enter", 13)
	page.eval(`document.activeElement.click()`)
	page.until(`document.getElementById("person").open && document.querySelector("#person-body .part")`)
	if got := page.eval(`document.getElementById("person-name").textContent`); got != hostile {
		t.Errorf("the profile's title is %q", got)
	}
	if got := page.eval(`document.getElementById("person-body").textContent`); strings.Count(got, hostile) < 5 || !strings.Contains(got, "<b>key</b>") {
		t.Errorf("the profile does not show the texts as they are: %q", got)
	}
	page.screenshot("hostile")
	page.press("Escape", 27)
	page.until(`!document.getElementById("person").open`)
	page.eval(`document.querySelectorAll("#quarantine details").forEach((d) => d.open = true)`)
	if got := page.eval(`document.getElementById("quarantine").textContent`); !strings.Contains(got, hostile) {
		t.Error("quarantine does not show the text as it is")
	}
	page.eval(`document.getElementById("more").click()`)
	page.until(`document.querySelectorAll("#quarantine li").length === 26 && document.getElementById("more").hidden`)
	if page.eval(noFlaw) != "true" {
		t.Error("text from events became more than text")
	}

	// Finding by id: a user, an anonymous visitor, nobody.
	find := func(id string) {
		page.eval(`{ document.getElementById("id").value = ` + js(id) + `; document.getElementById("find").requestSubmit(); }`)
	}
	find("customer-1000")
	page.until(`document.getElementById("person").open && document.querySelector("#person-body .part")`)
	if got := page.eval(`document.getElementById("person-body").innerText`); !strings.Contains(got, "ada0@example.com") || !strings.Contains(got, "here now") {
		t.Errorf("the profile lacks what is known: %q", got)
	}
	page.screenshot("profile-light")
	page.eval(`document.getElementById("close").click()`)
	find("nobody-at-all")
	page.until(`document.getElementById("finderror").textContent.includes("Nobody")`)
	b.mu.Lock() // the browser logs a 404 as trouble, as it is bound to
	b.trouble = nil
	b.mu.Unlock()

	// Forgetting the key empties the page.
	page.eval(`document.getElementById("forget").click()`)
	page.until(`!document.getElementById("signin").hidden && document.getElementById("console").hidden`)
	if got := page.eval(`String(sessionStorage.getItem("hito-secret-key"))`); got != "null" {
		t.Errorf("the key is still stored: %q", got)
	}
	page.screenshot("signin")
	b.calm()
}

func TestConsoleRefusesAWrongKey(t *testing.T) {
	b := startBrowser(t)
	s := startSite(t)
	page := b.open(s.url+"/", 800, 600)
	page.until(`document.activeElement?.id === "key"`)
	page.eval(`{ document.getElementById("key").value = "wrong"; document.getElementById("keyform").requestSubmit(); }`)
	page.until(`document.getElementById("keyerror").textContent.includes("opens no project")`)
	page.eval(`{ document.getElementById("key").value = "shop-secret"; document.getElementById("keyform").requestSubmit(); }`)
	page.until(`document.getElementById("state").textContent === "live"`)
}

func TestConsoleComesBackAfterABreak(t *testing.T) {
	b := startBrowser(t)
	s := startSite(t)
	s.stock(t)
	page := b.open(s.url+"/#key=shop-secret", 1000, 800)
	page.until(`document.querySelectorAll("#events .event").length === 62`)
	s.cut()
	page.until(`document.getElementById("state").textContent.includes("trying again")`)
	page.until(`document.getElementById("state").textContent === "live"`)
	s.give(t, "shop", time.Now().UnixMilli(), said("after"))
	page.until(`document.querySelectorAll("#events .event").length === 63`)

	// While paused the list stands still and says how much it misses.
	page.eval(`document.getElementById("pause").click()`)
	for i := range 3 {
		s.give(t, "shop", time.Now().UnixMilli(), said(fmt.Sprint("later", i)))
	}
	page.until(`document.getElementById("pause").textContent === "Resume (3)"`)
	if got := page.eval(`document.querySelectorAll("#events .event").length`); got != "63" {
		t.Errorf("%s events while paused, want 63", got)
	}
	page.eval(`document.getElementById("pause").click()`)
	page.until(`document.getElementById("pause").textContent === "Pause" && document.querySelectorAll("#events .event").length === 66`)
}

func TestConsoleFitsEveryScreen(t *testing.T) {
	b := startBrowser(t)
	s := startSite(t)
	s.stock(t)
	for _, c := range []struct {
		name          string
		width, height int
		scheme        string
	}{
		{"phone", 360, 740, "light"}, {"tablet", 820, 1100, "dark"}, {"desktop", 1440, 1000, "dark"},
	} {
		page := b.open(s.url+"/#key=shop-secret", c.width, c.height, "prefers-color-scheme:"+c.scheme, "prefers-reduced-motion:reduce")
		page.until(`document.querySelectorAll("#events .event").length > 0 && document.querySelectorAll("#quarantine li").length > 0 && document.querySelectorAll("#segments li").length > 1`)
		for _, when := range []string{"page", "profile"} {
			if when == "profile" {
				page.eval(`[...document.querySelectorAll("#events button")].find((b) => b.textContent.startsWith("customer")).click()`)
				page.until(`document.querySelector("#person-body .part")`)
			}
			if got := page.eval(`document.scrollingElement.scrollWidth <= innerWidth && document.getElementById("person-body").scrollWidth <= innerWidth`); got != "true" {
				t.Errorf("%s at %d pixels: wider than the screen by %s", when, c.width, page.eval(`document.scrollingElement.scrollWidth - innerWidth`))
			}
			page.screenshot(c.name + "-" + when + "-" + c.scheme)
		}
		if got := page.eval(`getComputedStyle(document.querySelector(".state"), "::before").animationName`); got != "none" {
			t.Errorf("%s: moves (%s) although the user asked for no motion", c.name, got)
		}
	}
	b.calm()
}

func js(text string) string { return fmt.Sprintf("%q", text) }
