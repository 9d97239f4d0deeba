package beacon

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/hitolayer/hito/shared/event"
	"github.com/hitolayer/hito/shared/project"
)

const basic = "Basic ZGVtbzo=" // demo:

// Every path that takes events, and the type it makes of them.
func TestPaths(t *testing.T) {
	const single = `{"writeKey":"demo","messageId":"m","userId":"u","anonymousId":"a","previousId":"p","groupId":"g","event":"e"}`
	for path, want := range map[string]string{
		"/v1/track": "track", "/v1/page": "page", "/v1/screen": "screen", "/v1/identify": "identify", "/v1/group": "group", "/v1/alias": "alias",
		"/v1/t": "track", "/v1/p": "page", "/v1/s": "screen", "/v1/i": "identify", "/v1/g": "group", "/v1/a": "alias",
		"/v1/track/": "track",
		"/v1/batch":  "identify", "/v1/import": "identify", "/v1/b": "identify",
	} {
		c := new(capture)
		body := single
		if want == "identify" && !strings.HasSuffix(path, "i") && path != "/v1/identify" {
			body = `{"writeKey":"demo","batch":[{"type":"identify","messageId":"m","userId":"u"}]}`
		}
		res := do(c.handler(), "POST", path, body)
		if got := text(t, res); res.StatusCode != 200 || got != `{"success":true}` || res.Header.Get("Hito-Reason") != "" || res.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: %d %s %v", path, res.StatusCode, got, res.Header)
		}
		events := c.events(t)
		if len(events) != 1 || events[0].Type.Word() != want || events[0].VisitorKey() != "u:u" || events[0].MessageId != "m" {
			t.Errorf("%s: %v", path, events)
		}
	}
}

func TestOtherPathsAndMethods(t *testing.T) {
	for _, c := range []struct {
		method, path  string
		status        int
		reason, allow string
	}{
		{"GET", "/", 404, "not_found", ""}, {"POST", "/v1/", 404, "not_found", ""}, {"POST", "/v1/tracks", 404, "not_found", ""}, {"POST", "/v2/track", 404, "not_found", ""},
		{"GET", "/v1/projects//settings", 404, "not_found", ""}, {"GET", "/v1/projects/a/b/settings", 404, "not_found", ""}, {"GET", "/v1/pixel/batch", 404, "not_found", ""},
		{"OPTIONS", "/nowhere", 404, "not_found", ""},
		{"GET", "/v1/track", 405, "method_not_allowed", "POST, OPTIONS"}, {"PUT", "/v1/batch", 405, "method_not_allowed", "POST, OPTIONS"},
		{"POST", "/v1/projects/demo/settings", 405, "method_not_allowed", "GET, HEAD, OPTIONS"}, {"HEAD", "/v1/pixel/page", 405, "method_not_allowed", "GET, OPTIONS"},
		{"POST", "/v1/m", 200, "", ""},
	} {
		res := do(new(capture).handler(), c.method, c.path, `{"series":[]}`)
		if res.StatusCode != c.status || res.Header.Get("Hito-Reason") != c.reason || res.Header.Get("Allow") != c.allow {
			t.Errorf("%s %s: %d %v", c.method, c.path, res.StatusCode, res.Header)
		}
		if body := text(t, res); c.status != 200 {
			checkError(t, body, c.reason)
		}
	}
}

// checkError sees that body is the documented error, on one line.
func checkError(t testing.TB, body, code string) {
	t.Helper()
	var answer struct {
		Success *bool
		Error   struct{ Code, Message string }
	}
	if err := json.Unmarshal([]byte(body), &answer); err != nil || answer.Success == nil || *answer.Success || answer.Error.Code != code || answer.Error.Message == "" || strings.Contains(body, "\n") || len(body) > 400 {
		t.Errorf("error %q, want code %s", body, code)
	}
}

func TestWriteKeys(t *testing.T) {
	basicOf := func(user string) string {
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"))
	}
	for _, c := range []struct {
		name, query, body string
		headers           []string
		ok                bool
	}{
		{"basic", "", "", []string{"Authorization", basicOf("demo")}, true},
		{"header", "", "", []string{"X-Write-Key", "demo"}, true},
		{"body", "", `"writeKey":"demo",`, nil, true},
		{"query", "?writeKey=demo", "", nil, true},
		{"bearer", "", "", []string{"Authorization", "bearer demo"}, true},
		{"token and body", "", `"writeKey":"demo",`, []string{"Authorization", "Bearer token"}, true},
		{"empty basic and body", "", `"writeKey":"demo",`, []string{"Authorization", basicOf("")}, true},
		{"none", "", "", nil, false},
		{"wrong basic", "", `"writeKey":"demo",`, []string{"Authorization", basicOf("x")}, false},
		{"wrong header", "", "", []string{"X-Write-Key", "demo2"}, false},
		{"wrong body", "", `"writeKey":"Demo",`, nil, false},
		{"body of a wrong type", "", `"writeKey":{},`, nil, false},
		{"wrong query", "?writeKey=", "", nil, false},
		{"broken basic", "", "", []string{"Authorization", "Basic !!"}, false},
	} {
		cap := new(capture)
		res := do(cap.handler(), "POST", "/v1/batch"+c.query, `{`+c.body+`"batch":[{"type":"page","userId":"u"}]}`, c.headers...)
		if c.ok && (res.StatusCode != 200 || len(cap.events(t)) != 1) || !c.ok && (res.StatusCode != 401 || len(cap.records)+len(cap.entries) != 0) {
			t.Errorf("%s: %d", c.name, res.StatusCode)
		}
		if body := text(t, res); !c.ok {
			checkError(t, body, "unknown_key")
		}
	}
}

func TestReceipts(t *testing.T) {
	c := new(capture)
	const body = `{"batch":[
		{"type":"page","messageId":"m1","userId":"u"},
		{"type":"page","messageId":"m2","anonymousId":"a"},
		{"type":"page","messageId":"m1","userId":"u"},
		{"type":"page","messageId":"m1","userId":"other"},
		{"type":"page","messageId":"m\"5\n"},
		{"type":"page","messageId":"m6"},
		{"type":"page","userId":"u"},
		7]}`
	res := do(c.handler(), "POST", "/v1/batch", body, "Authorization", basic, "Hito-Receipts", "1")
	var answer struct {
		Success  bool
		Receipts []struct {
			MessageID string `json:"message_id"`
			Status    string
			Reason    string
		}
	}
	got := text(t, res)
	if err := json.Unmarshal([]byte(got), &answer); err != nil || !answer.Success || strings.Contains(got, "\n") {
		t.Fatal(err, got)
	}
	want := `[{m1 accepted } {m2 accepted } {m1 duplicate } {m1 accepted } {minted-1 quarantined invalid_id} {m6 quarantined missing_id} {minted-2 accepted } {minted-3 quarantined not_an_object}]`
	if got := fmt.Sprint(answer.Receipts); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	if got := res.Header.Get("Hito-Reason"); got != "invalid_id, missing_id, not_an_object, duplicate" {
		t.Error(got)
	}
	// The books balance: what scores counts the duplicate.
	if n := len(c.events(t)); n != 5 {
		t.Errorf("%d events published", n)
	}
	for name, want := range map[string]float64{"requests": 1, "events_received": 8, "events_quarantined": 3, "events_duplicate": 1, "requests_refused": 0, "request_bytes": float64(len(body))} {
		if got := c.metrics["beacon."+name]; got != want {
			t.Errorf("%s = %v, want %v", name, got, want)
		}
	}
	if text(t, do(c.handler(), "POST", "/v1/batch", body, "Authorization", basic)) != `{"success":true}` {
		t.Error("receipts without being asked for")
	}
}

func TestRecordsPerVisitor(t *testing.T) {
	c := new(capture)
	var events []string
	for i := range 300 {
		events = append(events, fmt.Sprintf(`{"type":"track","event":"%d","messageId":"m%d","userId":"u%d"}`, i, i, i%7))
	}
	res := do(c.handler(), "POST", "/v1/batch", `{"batch":[`+strings.Join(events, ",")+`]}`, "Authorization", basic)
	if res.StatusCode != 200 || len(c.records) != 7 {
		t.Fatalf("%d, %d records", res.StatusCode, len(c.records))
	}
	for i, r := range c.records {
		record, err := event.Decode(r.Data)
		if err != nil {
			t.Fatal(err)
		}
		if record.Key != fmt.Sprintf("u:u%d", i) || record.Project != "shop" || record.Origin != "local" || record.ReceivedAt != received.UnixMilli() {
			t.Errorf("record %d: %v", i, record)
		}
		for j, e := range record.Events {
			if e.Name != fmt.Sprint(i+7*j) {
				t.Errorf("record %d, event %d is %s", i, j, e.Name)
			}
		}
	}
	c.events(t)
}

func TestPrivacy(t *testing.T) {
	const body = `{"batch":[
		{"type":"page","userId":"own","context":{"ip":"198.51.100.23","n":1}},
		{"type":"page","userId":"request"},
		{"type":"page","messageId":"unfit-own","context":{"n":1,"ip":"198.51.100.23"}},
		{"type":"page","messageId":"unfit-request"}]}`
	for policy, want := range map[project.AddressPolicy][2]string{
		"": {"198.51.100.0", "203.0.113.0"}, project.Truncate: {"198.51.100.0", "203.0.113.0"},
		project.Keep: {"198.51.100.23", "203.0.113.77"}, project.Drop: {"", ""},
	} {
		c := &capture{settings: project.Settings{IP: policy}}
		do(c.handler(), "POST", "/v1/batch", body, "Authorization", basic)
		events := c.events(t)
		if len(events) != 2 || len(c.entries) != 2 {
			t.Fatal(len(events), len(c.entries))
		}
		var seen []string
		for i, e := range events {
			if e.Ip != want[i] || strings.Contains(string(e.Context), "ip") {
				t.Errorf("%s: %s %s", policy, e.Ip, e.Context)
			}
			seen = append(seen, e.String())
		}
		for i, e := range c.entries {
			if (want[i] != "") != strings.Contains(string(e.Body), `"ip":"`+want[i]+`"`) || !json.Valid(e.Body) {
				t.Errorf("%s: %s", policy, e.Body)
			}
			if e.Project != "shop" || e.Stage != "beacon" || e.Reason != "missing_id" || e.Events != 1 || e.Time != received.UnixMilli() || e.ID == "" {
				t.Errorf("%+v", e)
			}
			seen = append(seen, string(e.Body))
		}
		if all := strings.Join(seen, " "); policy != project.Keep && (strings.Contains(all, "100.23") || strings.Contains(all, "113.77")) {
			t.Errorf("%s: an address got through: %s", policy, all)
		}
	}
}

func TestClientAddress(t *testing.T) {
	for _, c := range []struct {
		proxies   int
		forwarded string
		want      string
	}{
		{0, "198.51.100.1", "203.0.113.77"}, {1, "", "203.0.113.77"}, {1, "6.6.6.6, 198.51.100.1", "198.51.100.1"},
		{2, "6.6.6.6, 198.51.100.1, 10.0.0.1", "198.51.100.1"}, {3, "198.51.100.1", "198.51.100.1"}, {1, "garbage", ""},
	} {
		cap := &capture{settings: project.Settings{IP: project.Keep}}
		h := cap.handler()
		h.TrustedProxies = c.proxies
		headers := []string{"Authorization", basic}
		if c.forwarded != "" {
			headers = append(headers, "X-Forwarded-For", c.forwarded)
		}
		do(h, "POST", "/v1/page", `{"userId":"u"}`, headers...)
		if e := cap.events(t); len(e) != 1 || e[0].Ip != c.want {
			t.Errorf("%+v: %v", c, e)
		}
	}
}

func TestJunkIDsOfTheProject(t *testing.T) {
	c := &capture{settings: project.Settings{JunkIDs: []string{"root"}}}
	do(c.handler(), "POST", "/v1/batch", `{"batch":[{"type":"page","userId":"ROOT"},{"type":"page","userId":"null"}]}`, "Authorization", basic)
	if e := c.events(t); len(e) != 1 || e[0].UserId != "null" || !slices.Equal(c.reasons(), []string{"junk_id"}) {
		t.Error(e, c.reasons())
	}
}

func TestCORS(t *testing.T) {
	c := new(capture)
	h := c.handler()
	res := do(h, "OPTIONS", "/v1/t", "", "Origin", "https://shop.example", "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "authorization,content-type,x-retry-count")
	for name, want := range map[string]string{
		"Access-Control-Allow-Origin": "https://shop.example", "Access-Control-Allow-Headers": "authorization,content-type,x-retry-count",
		"Access-Control-Allow-Methods": "POST, OPTIONS", "Access-Control-Max-Age": "86400",
	} {
		if got := res.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if res.StatusCode != 204 {
		t.Error(res.StatusCode)
	}
	// A simple request, as sendBeacon makes it: no preflight, no headers.
	res = do(h, "POST", "/v1/p", `{"writeKey":"demo","anonymousId":"a"}`, "Origin", "https://shop.example", "Content-Type", "text/plain;charset=UTF-8")
	if res.StatusCode != 200 || res.Header.Get("Access-Control-Allow-Origin") != "https://shop.example" || !strings.Contains(res.Header.Get("Vary"), "Origin") || len(c.events(t)) != 1 {
		t.Error(res.StatusCode, res.Header)
	}
	// A page must be able to read why it failed.
	res = do(h, "POST", "/v1/p", `{"anonymousId":"a"}`, "Origin", "null")
	if res.StatusCode != 401 || res.Header.Get("Access-Control-Allow-Origin") != "null" || !strings.Contains(res.Header.Get("Access-Control-Expose-Headers"), "Hito-Reason") {
		t.Error(res.StatusCode, res.Header)
	}
}

func TestSettings(t *testing.T) {
	c := new(capture)
	h := c.handler()
	h.TrustedProxies = 1
	res := do(h, "GET", "http://hito.example/v1/projects/demo/settings", "", "X-Forwarded-Proto", "https")
	var doc struct {
		Integrations map[string]map[string]any
		Plan         map[string]any
	}
	if err := json.Unmarshal([]byte(text(t, res)), &doc); err != nil || res.StatusCode != 200 {
		t.Fatal(err, res.StatusCode)
	}
	segment := doc.Integrations["Segment.io"]
	if len(doc.Integrations) != 1 || segment["apiKey"] != "demo" || segment["apiHost"] != "hito.example/v1" || segment["protocol"] != "https" || doc.Plan["track"] == nil {
		t.Errorf("%+v", doc)
	}
	// A proxy that has to send another Host says which one it was asked for, and
	// only one that is trusted is believed.
	for trusted, want := range []string{"fn.example/v1", "hito.example/v1"} {
		h.TrustedProxies = trusted
		got := text(t, do(h, "GET", "http://fn.example/v1/projects/demo/settings", "", "X-Forwarded-Host", "hito.example"))
		if !strings.Contains(got, `"apiHost":"`+want+`"`) {
			t.Errorf("with %d trusted proxies the settings are %s, want %s", trusted, got, want)
		}
	}
	if res := do(h, "GET", "/v1/projects/other/settings", ""); res.StatusCode != 401 {
		t.Error(res.StatusCode)
	}
}

func TestPixel(t *testing.T) {
	data := func(json string) string {
		return "?data=" + url.QueryEscape(base64.StdEncoding.EncodeToString([]byte(json)))
	}
	for _, c := range []struct {
		path   string
		status int
		reason string
		events int
	}{
		{"/v1/pixel/track" + data(`{"writeKey":"demo","event":"Email Opened","userId":"u"}`), 200, "", 1},
		{"/v1/pixel/page" + data(`{"anonymousId":"a"}`) + "&writeKey=demo", 200, "", 1},
		{"/v1/pixel/track" + data(`{"writeKey":"demo","userId":"u"}`), 200, "missing_event_name", 0},
		{"/v1/pixel/track" + data(`{"writeKey":"other","event":"e","userId":"u"}`), 401, "unknown_key", 0},
		{"/v1/pixel/track?data=%25%25", 400, "bad_json", 0},
		{"/v1/pixel/track", 400, "bad_json", 0},
	} {
		cap := new(capture)
		res := do(cap.handler(), "GET", c.path, "")
		if got := text(t, res); res.StatusCode != c.status || res.Header.Get("Hito-Reason") != c.reason || got != gif || res.Header.Get("Content-Type") != "image/gif" || res.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d %v", c.path, res.StatusCode, res.Header)
		}
		if n := len(cap.events(t)); n != c.events {
			t.Errorf("%s: %d events", c.path, n)
		}
	}
	if http.DetectContentType([]byte(gif)) != "image/gif" || len(gif) != 43 {
		t.Error("the pixel is no GIF")
	}
}
