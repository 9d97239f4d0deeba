package event

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/hitolayer/hito/shared/project"
)

const receivedAt = 1772366400000 // 2026-03-01T12:00:00Z

func terms() Terms {
	n := 0
	return Terms{
		ReceivedAt: receivedAt, IP: "203.0.113.77:4242", UserAgent: "curl/8", Address: project.Keep,
		NewID: func() string { n++; return fmt.Sprintf("minted-%d", n) },
	}
}

func decode(t testing.TB, body string, typ Type) *Batch {
	t.Helper()
	b := new(Batch)
	if err := Segment(b, []byte(body), typ); err != nil {
		t.Fatalf("%.80s: %v", body, err)
	}
	b.Check(terms())
	return b
}

func one(t testing.TB, body string, typ Type) *Item {
	t.Helper()
	if typ == 0 {
		body = `{"batch":[` + body + `]}`
	}
	b := decode(t, body, typ)
	if len(b.Items) != 1 {
		t.Fatalf("%d items of %.80s", len(b.Items), body)
	}
	return &b.Items[0]
}

func TestSegmentFields(t *testing.T) {
	it := one(t, `{"type":"track","messageId":"m1","userId":"u1","anonymousId":"a1","event":"Order \u0022X\u0022",
		"timestamp":"2026-03-01T11:00:00Z","sentAt":"2026-03-01T11:30:00Z","properties":{"price": 1.50},"integrations":{"All":true},"category":"c",
		"context":{"ip":"198.51.100.9","userAgent":"Mozilla/5.0","traits":{"plan":"pro"},"page":{"url":"https://x/"}},"_metadata":{"bundled":[]},"writeKey":"k"}`, 0)
	e := it.Event
	if it.Reason != "" {
		t.Fatal(it.Reason, it.Detail)
	}
	for _, c := range []struct{ name, got, want string }{
		{"type", e.Type.Word(), "track"}, {"messageId", e.MessageId, "m1"}, {"userId", e.UserId, "u1"}, {"anonymousId", e.AnonymousId, "a1"},
		{"name", e.Name, `Order "X"`}, {"category", e.Category, "c"}, {"properties", string(e.Properties), `{"price": 1.50}`},
		{"integrations", string(e.Integrations), `{"All":true}`}, {"ip", e.Ip, "198.51.100.9"}, {"userAgent", e.UserAgent, "Mozilla/5.0"},
		{"context", string(e.Context), `{"userAgent":"Mozilla/5.0","page":{"url":"https://x/"}}`}, {"traits", string(e.Traits), `{"plan":"pro"}`},
		{"times", fmt.Sprint(e.Timestamp, e.OriginalTimestamp, e.SentAt), fmt.Sprint(receivedAt-30*60*1000, receivedAt-60*60*1000, receivedAt-30*60*1000)},
	} {
		if c.got != c.want {
			t.Errorf("%s = %q, want %q", c.name, c.got, c.want)
		}
	}
}

// Every type, with what it may and may not lack.
func TestSegmentReasons(t *testing.T) {
	long := strings.Repeat("x", MaxID+1)
	deep := strings.Repeat(`{"a":`, MaxDepth) + "1" + strings.Repeat("}", MaxDepth)
	for _, c := range []struct {
		body string
		want Reason
	}{
		{`{"type":"track","event":"e","userId":"u"}`, ""},
		{`{"type":"Track","event":"e","userId":"u"}`, ""},
		{`{"type":"page","anonymousId":"a"}`, ""},
		{`{"type":"screen","anonymousId":"a","name":null}`, ""},
		{`{"type":"identify","userId":42}`, ""},
		{`{"type":"group","userId":"u","groupId":7}`, ""},
		{`{"type":"alias","userId":"u","previousId":"a"}`, ""},
		{`{"type":"alias","userId":"u","anonymousId":"a"}`, ""},
		{`{"type":"track","event":"e","userId":"u","properties":[]}`, ""},
		{`{"type":"track","event":"e","userId":"u","properties":null,"context":null,"traits":null,"integrations":null,"timestamp":null,"sentAt":null,"messageId":null}`, ""},
		{`{"type":"track","event":"e","userId":"u","integrations":true,"timestamp":{},"sentAt":[],"originalTimestamp":false}`, ""},
		{`{"type":"track","event":42,"userId":"u"}`, ""},
		{`{"type":"page","userId":"undefined","anonymousId":"a"}`, ""},
		{`{"type":"page","userId":"u","anonymousId":"[object Object]"}`, ""},
		{`{"type":"page","userId":true,"anonymousId":"a"}`, ""},

		{`[]`, NotAnObject}, {`"x"`, NotAnObject}, {`null`, NotAnObject}, {`1e999`, NotAnObject},
		{`{}`, UnknownType}, {`{"type":"merge","userId":"u"}`, UnknownType}, {`{"type":1,"userId":"u"}`, UnknownType}, {`{"type":null}`, UnknownType},
		{`{"type":"page"}`, MissingID}, {`{"type":"page","userId":null,"anonymousId":""}`, MissingID},
		{`{"type":"alias","userId":"u"}`, MissingID}, {`{"type":"alias","anonymousId":"a","previousId":"p"}`, MissingID},
		{`{"type":"group","userId":"u"}`, MissingID},
		{`{"type":"page","userId":"null"}`, JunkID}, {`{"type":"page","anonymousId":" Undefined "}`, JunkID}, {`{"type":"page","userId":0}`, JunkID},
		{`{"type":"page","userId":0.0}`, JunkID}, {`{"type":"page","userId":-0}`, JunkID}, {`{"type":"page","anonymousId":0e5}`, JunkID}, {`{"type":"page","userId":-0.00E+7}`, JunkID},
		{`{"type":"page","userId":0.01e2}`, ""}, {`{"type":"page","userId":"0e5"}`, ""},
		{`{"type":"page","userId":false}`, JunkID}, {`{"type":"page","userId":"   "}`, JunkID},
		{`{"type":"page","anonymousId":"00000000-0000-0000-0000-000000000000"}`, JunkID},
		{`{"type":"alias","userId":"u","previousId":"null"}`, JunkID}, {`{"type":"group","userId":"u","groupId":"NaN"}`, JunkID},
		{`{"type":"page","userId":"` + long + `"}`, InvalidID}, {`{"type":"page","userId":"u","messageId":"` + long + `"}`, InvalidID},
		{`{"type":"page","userId":"a\u0000b"}`, InvalidID}, {`{"type":"page","userId":"a\ud800"}`, InvalidID}, {"{\"type\":\"page\",\"userId\":\"a\xff\"}", InvalidID},
		{"{\"type\":\"page\",\"userId\":\"a\x00\"}", InvalidID},
		{`{"type":"track","userId":"u"}`, MissingEventName}, {`{"type":"track","userId":"u","event":" "}`, MissingEventName}, {`{"type":"track","userId":"u","event":null}`, MissingEventName},
		{`{"type":"track","userId":"u","event":"` + strings.Repeat("e", MaxName+1) + `"}`, InvalidName},
		{`{"type":"track","event":{},"userId":"u"}`, BadType}, {`{"type":"page","name":[],"userId":"u"}`, BadType}, {`{"type":"page","category":{},"userId":"u"}`, BadType},
		{`{"type":"page","userId":{}}`, BadType}, {`{"type":"page","userId":"u","anonymousId":[1]}`, BadType}, {`{"type":"page","userId":"u","messageId":{}}`, BadType},
		{`{"type":"page","userId":"u","properties":"x"}`, BadType}, {`{"type":"page","userId":"u","properties":[1]}`, BadType},
		{`{"type":"identify","userId":"u","traits":1}`, BadType}, {`{"type":"identify","userId":"u","context":"c"}`, BadType}, {`{"type":"identify","userId":"u","context":[[]]}`, BadType},
		{`{"type":"track","userId":"u","event":"e","properties":` + deep + `}`, TooDeep},
		{`{"type":"track","userId":"u","event":"e","properties":{"x":"` + strings.Repeat("x", MaxSize) + `"}}`, TooLarge},
	} {
		b := decode(t, `{"batch":[{"type":"page","anonymousId":"before"},`+c.body+`,{"type":"page","anonymousId":"after"}]}`, 0)
		if len(b.Items) != 3 || b.Items[0].Reason != "" || b.Items[2].Reason != "" {
			t.Errorf("%.80s: its neighbours suffer: %+v", c.body, b.Items)
			continue
		}
		it := b.Items[1]
		if it.Reason != c.want || (it.Reason == "") != (it.Detail == "") {
			t.Errorf("%.80s: reason %q (%s), want %q", c.body, it.Reason, it.Detail, c.want)
		}
		if it.Event.MessageId == "" {
			t.Errorf("%.80s: no message id", c.body)
		}
		body := it.Body()
		if !json.Valid(body) {
			t.Errorf("%.80s: quarantined as %.200s, which is not JSON", c.body, body)
		}
		if again := one(t, string(body), 0); again.Reason != c.want {
			t.Errorf("%.80s: sent again from quarantine, its reason is %q, want %q", c.body, again.Reason, c.want)
		}
	}
}

// What is nested however deeply costs its own event only.
func TestSegmentDeepEventAlone(t *testing.T) {
	for _, c := range []struct{ open, close string }{{"[", "]"}, {`{"a":`, "}"}} {
		deep := strings.Repeat(c.open, 70_000) + "1" + strings.Repeat(c.close, 70_000)
		for _, event := range []string{deep, `{"type":"page","userId":"u","properties":{"x":` + deep + `}}`, `{"type":"page","userId":"u","context":{"x":` + deep + `,"ip":"133.11.93.88"}}`} {
			b := decode(t, `{"batch":[{"type":"page","userId":"before"},`+event+`,{"type":"page","userId":"after"}]}`, 0)
			if len(b.Items) != 3 || b.Items[0].Reason != "" || b.Items[1].Reason == "" || b.Items[2].Reason != "" {
				t.Fatalf("%.60s: %d items, %s %s %s", event, len(b.Items), b.Items[0].Reason, b.Items[1].Reason, b.Items[2].Reason)
			}
			if body := b.Items[1].Body(); len(body) < len(deep) {
				t.Errorf("%.60s: %d bytes are kept", event, len(body))
			}
		}
		b := decode(t, `{"batch":[{"type":"page","userId":"u"}],"context":{"x":`+deep+`}}`, 0)
		if b.Items[0].Reason != TooDeep {
			t.Errorf("with the batch's context: %q", b.Items[0].Reason)
		}
	}
}

func TestSegmentJunkIsAbsent(t *testing.T) {
	e := one(t, `{"type":"track","event":"e","userId":"NULL","anonymousId":"a1","messageId":"undefined"}`, 0).Event
	if e.VisitorKey() != "a:a1" || e.MessageId != "minted-1" {
		t.Errorf("key %s, message id %s", e.VisitorKey(), e.MessageId)
	}
	e = one(t, `{"type":"track","event":"e","userId":"u1","anonymousId":"null"}`, 0).Event
	if a, claims := e.Claim(); e.VisitorKey() != "u:u1" || claims {
		t.Errorf("key %s claims %q", e.VisitorKey(), a)
	}
}

func TestSegmentNumbersAreText(t *testing.T) {
	e := one(t, `{"type":"group","userId":12345678901234567890,"anonymousId":1.50,"messageId":7,"groupId":-3}`, 0).Event
	if got := fmt.Sprint(e.UserId, e.AnonymousId, e.MessageId, e.GroupId); got != fmt.Sprint("12345678901234567890", "1.50", "7", "-3") {
		t.Error(got)
	}
}

func TestSegmentPathTypeWins(t *testing.T) {
	it := one(t, `{"type":"track","name":"Home","category":"c","userId":"u"}`, Type_TYPE_PAGE)
	if it.Event.Type != Type_TYPE_PAGE || it.Event.Name != "Home" {
		t.Error(it.Event)
	}
}

func TestSegmentBatchOnTheWrongPath(t *testing.T) {
	b := decode(t, `{"batch":[{"type":"page","userId":"u"},{"type":"track","userId":"u","event":"e","batch":[1]}],"writeKey":"k"}`, Type_TYPE_TRACK)
	if len(b.Items) != 2 || b.Items[0].Event.Type != Type_TYPE_PAGE || b.Items[1].Reason != "" || b.WriteKey != "k" {
		t.Errorf("%+v", b.Items)
	}
	if it := one(t, `{"batch":"x","userId":"u"}`, Type_TYPE_PAGE); it.Reason != "" {
		t.Error(it.Reason)
	}
}

// The SDK's note of the time yields to the one its caller gave.
func TestSegmentTimestampBeforeOriginal(t *testing.T) {
	for _, order := range []string{`"timestamp":"2026-03-01T10:00:00Z","originalTimestamp":"2026-03-01T11:00:00Z"`, `"originalTimestamp":"2026-03-01T11:00:00Z","timestamp":"2026-03-01T10:00:00Z"`} {
		e := one(t, `{"userId":"u",`+order+`}`, Type_TYPE_PAGE).Event
		if e.Timestamp != receivedAt-2*60*60*1000 {
			t.Error(e.Time().UTC())
		}
	}
	e := one(t, `{"userId":"u","originalTimestamp":1772362800}`, Type_TYPE_PAGE).Event
	if e.Timestamp != receivedAt-60*60*1000 {
		t.Error(e.Time().UTC())
	}
}

func TestSegmentSharedFields(t *testing.T) {
	const own = `{"type":"page","userId":"u","context":{"ip":"198.51.100.1","a":"own","\u0062":"own"},"sentAt":"2026-03-01T11:59:00Z","timestamp":"2026-03-01T11:58:00Z","integrations":{"X":false}}`
	const none = `{"type":"page","userId":"u","timestamp":"2026-03-01T11:58:00Z"}`
	const shared = `"writeKey":"demo","sentAt":"2026-03-01T11:58:30Z","integrations":{"All":true},"context":{"a":"shared","ip":"198.51.100.2","b":"shared","c":{"d":1},"userAgent":"UA"}`
	for _, body := range []string{`{"batch":[` + own + `,` + none + `],` + shared + `}`, `{` + shared + `,"batch":[` + own + `,` + none + `]}`} {
		b := decode(t, body, 0)
		if b.WriteKey != "demo" {
			t.Error(b.WriteKey)
		}
		for i, want := range []struct {
			ip, context, integrations string
			ago                       int64
		}{
			{"198.51.100.1", `{"a":"own","\u0062":"own","c":{"d":1},"userAgent":"UA"}`, `{"X":false}`, 60_000},
			{"198.51.100.2", `{"a":"shared","b":"shared","c":{"d":1},"userAgent":"UA"}`, `{"All":true}`, 30_000},
		} {
			e := b.Items[i].Event
			if e.Ip != want.ip || string(e.Context) != want.context || string(e.Integrations) != want.integrations || e.Timestamp != receivedAt-want.ago || e.UserAgent != "UA" {
				t.Errorf("event %d: %v", i, e)
			}
			body := b.Items[i].Body()
			again := one(t, string(body), 0).Event
			if again.Ip != e.Ip || string(again.Context) != string(e.Context) || again.Timestamp != e.Timestamp {
				t.Errorf("event %d: %s says %v, want %v", i, body, again, e)
			}
		}
	}
}

func TestSegmentRequestErrors(t *testing.T) {
	big := `{"type":"page","userId":"u"}`
	for _, c := range []struct {
		body string
		want Reason
	}{
		{``, BadJSON}, {`{`, BadJSON}, {`{"batch":[{]}`, BadJSON}, {`{"batch":[{}]} x`, BadJSON}, {`hello`, BadJSON}, {`{"batch":[{"a":01}]}`, BadJSON},
		{strings.Repeat("[", 100_000), BadJSON}, {`{"batch":` + strings.Repeat("[", 100_000), BadJSON},
		{`[]`, BadShape}, {`1`, BadShape}, {`{}`, BadShape}, {`{"batch":{}}`, BadShape}, {`{"batch":null}`, BadShape}, {`{"type":"page","userId":"u"}`, BadShape},
		{`{"batch":[` + big + strings.Repeat(","+big, MaxEvents) + `]}`, TooManyEvents},
		{`{"context":{"x":"` + strings.Repeat("x", 100_000) + `"},"batch":[` + big + strings.Repeat(","+big, 999) + `]}`, TooLarge},
	} {
		err := Segment(new(Batch), []byte(c.body), 0)
		if e, ok := errors.AsType[*Error](err); !ok || e.Reason != c.want {
			t.Errorf("%.60s: %v, want %s", c.body, err, c.want)
		}
	}
	if b := decode(t, `{"batch":[`+big+strings.Repeat(","+big, MaxEvents-1)+`]}`, 0); len(b.Items) != MaxEvents {
		t.Error(len(b.Items))
	}
	if b := decode(t, `{"batch":[]}`, 0); len(b.Items) != 0 {
		t.Error(len(b.Items))
	}
}

func TestSegmentBytesThatAreNotText(t *testing.T) {
	b := decode(t, "\xEF\xBB\xBF{\"batch\":[{\"type\":\"track\",\"event\":\"a\x00b\xff\",\"userId\":\"u\",\"properties\":{\"x\":\"\xc3\x28\x01\"}},{\"type\":\"page\",\"userId\":\"v\"}]}", 0)
	if len(b.Items) != 2 || b.Items[0].Reason != "" || b.Items[1].Reason != "" {
		t.Fatalf("%+v", b.Items)
	}
	e := b.Items[0].Event
	if e.Name != "a\uFFFDb\uFFFD" || string(e.Properties) != `{"x":"`+"\uFFFD"+`(\u0001"}` {
		t.Errorf("%q %q", e.Name, e.Properties)
	}
}

func TestSegmentRepeatedKeys(t *testing.T) {
	it := one(t, `{"type":"page","type":"track","event":"x","event":"y","userId":"a","userId":"b","context":{"ip":"198.51.100.1","n":1},"context":{"ip":"1.1.1.1","ip":"198.51.100.2","\u0069p":"198.51.100.3"}}`, 0)
	e := it.Event
	if it.Reason != "" || e.Name != "y" || e.UserId != "b" || e.Ip != "198.51.100.3" || e.Context != nil {
		t.Errorf("%s %v", it.Reason, e)
	}
	if body := string(it.Body()); strings.Contains(body, "198.51.100.1") || strings.Contains(body, "1.1.1.1") || !json.Valid([]byte(body)) {
		t.Error(body)
	}
}

// An SDK on a server sends for visitors elsewhere.
func TestSegmentServerLibrary(t *testing.T) {
	for context, want := range map[string]string{
		`{"library":{"name":"analytics.js","version":"2"}}`:                 "203.0.113.77 curl/8",
		`{"library":{"version":"2","name":"@segment/analytics-node"}}`:      " ",
		`{"library":{"name":"analytics-node"},"ip":"::1","userAgent":"UA"}`: "::1 UA",
		`{"library":"analytics-node"}`:                                      "203.0.113.77 curl/8",
		`{"ip":"garbage","userAgent":7}`:                                    "203.0.113.77 curl/8",
		`{"ip":"198.51.100.4, 10.0.0.1"}`:                                   "198.51.100.4 curl/8",
		`{"ip":7}`:                                                          "203.0.113.77 curl/8",
		`{"ip":"0.0.0.0"}`:                                                  "0.0.0.0 curl/8",
		`{"userAgent":"` + strings.Repeat("é", MaxUserAgent) + `"}`:         "203.0.113.77 " + strings.Repeat("é", MaxUserAgent/2),
	} {
		e := one(t, `{"userId":"u","context":`+context+`}`, Type_TYPE_PAGE).Event
		if got := e.Ip + " " + e.UserAgent; got != want {
			t.Errorf("%.80s: %.80q, want %.80q", context, got, want)
		}
	}
}

func TestJunkList(t *testing.T) {
	if !(Junk)(nil).Has("[OBJECT Object]") || (Junk)(nil).Has("u1") || !(Junk{}).Has(" ") || (Junk{}).Has("null") || !(Junk{"root"}).Has("Root") {
		t.Error("junk is not what the list says")
	}
}

func TestAddress(t *testing.T) {
	for _, c := range []struct {
		policy   project.AddressPolicy
		in, want string
	}{
		{"", "203.0.113.77", "203.0.113.0"}, {project.Truncate, "2001:db8:1:2:3:4:5:6", "2001:db8:1::"}, {project.Truncate, "::ffff:203.0.113.77", "203.0.113.0"},
		{project.Keep, "203.0.113.77:80", "203.0.113.77"}, {project.Keep, "[2001:db8::1%eth0]:80", "2001:db8::1"}, {project.Keep, " 203.0.113.77 , 10.0.0.1", "203.0.113.77"},
		{project.Drop, "203.0.113.77", ""}, {project.Keep, "unknown", ""}, {"", "", ""}, {"", "fe80::1%en0", "fe80::"}, {project.Keep, "1.2.3.4.5", ""}, {"", "[::1]:80", "::"},
	} {
		if got := Address(c.policy, c.in); got != c.want {
			t.Errorf("Address(%q, %q) = %q, want %q", c.policy, c.in, got, c.want)
		}
	}
}

// Whole addresses once stayed in what was no object, or had a context that was none.
func TestQuarantineKeepsNoMoreOfAddresses(t *testing.T) {
	const body = `{"batch":[
		[{"context":{"ip":"133.11.93.88"}}],
		{"type":"page","messageId":"esc2","context":[{"ip":"133.11.93.99"}]},
		{"type":"page","context":{"ip":"133.11.93.77","device":{"\u0069p" : "133.11.93.66"}},"properties":{"a\"b":[{"ip":["133.11.93.55"]},{"ip":2232114520},{"ip":null,"x":"ip"}]}},
		{"type":"page","ip":"133.11.93.44, 10.0.0.1","event":{"ip":"say \"133.11.93.33\""}}]}`
	for policy, want := range map[project.AddressPolicy]int{project.Truncate: 5, "": 5, project.Drop: 0} {
		b := new(Batch)
		if err := Segment(b, []byte(body), 0); err != nil {
			t.Fatal(err)
		}
		tm := terms()
		tm.Address, tm.IP = policy, ""
		b.Check(tm)
		var all []byte
		for i := range b.Items {
			out := b.Items[i].Body()
			if b.Items[i].Reason == "" || !json.Valid(out) {
				t.Errorf("%q: %q %s", policy, b.Items[i].Reason, out)
			}
			all = append(all, out...)
		}
		for _, whole := range []string{"133.11.93.3", "133.11.93.4", "133.11.93.5", "133.11.93.6", "133.11.93.7", "133.11.93.8", "133.11.93.9", "2232114520"} {
			if bytes.Contains(all, []byte(whole)) {
				t.Errorf("%q: %s", policy, all)
			}
		}
		if n := bytes.Count(all, []byte("133.11.93.0")); n != want || !bytes.Contains(all, []byte(`"ip":null,"x":"ip"`)) {
			t.Errorf("%q: %d addresses, want %d: %s", policy, n, want, all)
		}
	}
	b := decode(t, body, 0) // keep
	if out := string(b.Items[0].Body()); out != `[{"context":{"ip":"133.11.93.88"}}]` {
		t.Error(out)
	}
}

// context.traits are moved, so that nobody has to look for them later.
func TestSegmentMovesContextTraits(t *testing.T) {
	for _, c := range []struct{ event, shared, traits, context string }{
		{`"type":"page","context":{"traits":{"a":1},"x":1}`, ``, `{"a":1}`, `{"x":1}`},
		{`"context":{"\u0074raits":{"a":1}},"type":"page"`, ``, `{"a":1}`, ``},
		{`"type":"page","context":{"traits":{},"x":1}`, ``, ``, `{"traits":{},"x":1}`},
		{`"type":"page","context":{"traits":"x"}`, ``, ``, `{"traits":"x"}`},
		{`"type":"page","context":{"traits":{"a":1},"traits":{"b":2}}`, ``, `{"b":2}`, ``},
		{`"type":"identify","traits":{"a":1,"b":{}},"context":{"traits":{"\u0061":2,"c":[3]}}`, ``, `{"a":1,"b":{},"c":[3]}`, ``},
		{`"type":"identify","traits":{ },"context":{"traits":{"a":2}}`, ``, `{"a":2}`, ``},
		{`"type":"group","groupId":"g","traits":{"a":1},"context":{"traits":{"c":3}}`, ``, `{"a":1}`, `{"traits":{"c":3}}`},
		{`"type":"page"`, `{"ip":"1.2.3.4","traits":{"s":1},"y":2}`, `{"s":1}`, `{"y":2}`},
		{`"type":"page","context":{"x":1}`, `{"traits":{"s":1},"y":2}`, `{"s":1}`, `{"x":1,"y":2}`},
		{`"type":"page","context":{"traits":{"a":1}}`, `{"traits":{"s":1},"y":2}`, `{"a":1}`, `{"y":2}`},
		{`"type":"page","context":{"traits":null}`, `{"traits":{"s":1},"y":2}`, ``, `{"traits":null,"y":2}`},
		{`"type":"group","groupId":"g"`, `{"traits":{"s":1},"y":2}`, ``, `{"traits":{"s":1},"y":2}`},
		{`"type":"group","groupId":"g","context":{"x":1}`, `{"traits":{"s":1},"y":2}`, ``, `{"x":1,"traits":{"s":1},"y":2}`},
	} {
		shared := ""
		if c.shared != "" {
			shared = `,"context":` + c.shared
		}
		it := &decode(t, `{"batch":[{"userId":"u",`+c.event+`}]`+shared+`}`, 0).Items[0]
		e := it.Event
		if it.Reason != "" || string(e.Traits) != c.traits || string(e.Context) != c.context {
			t.Errorf("%s: %s traits %s, context %s", c.event, it.Reason, e.Traits, e.Context)
		}
		// In quarantine they are where they were, and found again.
		body := it.Body()
		if again := one(t, string(body), 0); !json.Valid(body) || string(again.Event.Traits) != c.traits {
			t.Errorf("%s: %s has the traits %s", c.event, body, again.Event.Traits)
		}
	}
}

// An empty object with space inside once made a body that was no JSON.
func TestBodyOfEmptyObjectsWithSpace(t *testing.T) {
	for _, event := range []string{`{ }`, `{"type":"page","context":{ }}`, `{"type":"page","context":{ }, "traits":{
}}`} {
		it := one(t, event, 0)
		if body := it.Body(); it.Reason == "" || !json.Valid(body) {
			t.Errorf("%s: %s %s", event, it.Reason, body)
		}
	}
	if body := one(t, `{ }`, Type_TYPE_PAGE).Body(); !json.Valid(body) {
		t.Errorf("%s", body)
	}
}

func TestPixelData(t *testing.T) {
	const want = `{"userId":"u>>>???","x":"é"}`
	for _, in := range []string{
		"eyJ1c2VySWQiOiJ1Pj4+Pz8/IiwieCI6IsOpIn0=", "eyJ1c2VySWQiOiJ1Pj4-Pz8_IiwieCI6IsOpIn0", "eyJ1c2VySWQiOiJ1Pj4 Pz8/IiwieCI6IsOpIn0=", want,
	} {
		if got, err := PixelData(in); err != nil || string(got) != want {
			t.Errorf("%s: %s, %v", in, got, err)
		}
	}
	if _, err := PixelData("%%%"); err == nil {
		t.Error("garbage was accepted")
	}
}

// What a batch leaves behind must not show in the next one.
func TestBatchReuse(t *testing.T) {
	b := new(Batch)
	full := `{"batch":[{"type":"track","messageId":"m","event":"e","userId":"u","anonymousId":"a","properties":{"a":1},"traits":{"a":1},"context":{"ip":"1.2.3.4","a":1},"sentAt":1772366400,"timestamp":1772366400,"category":"c"}],"context":{"b":1},"sentAt":1772366400,"writeKey":"k"}`
	for range 3 {
		if err := Segment(b, []byte(full), 0); err != nil {
			t.Fatal(err)
		}
		b.Reset()
		if err := Segment(b, []byte(`{"batch":[{"type":"page","userId":"v"}]}`), 0); err != nil {
			t.Fatal(err)
		}
		b.Check(terms())
		if got, want := b.Items[0].Event.String(), one(t, `{"type":"page","userId":"v"}`, 0).Event.String(); got != want || b.WriteKey != "" {
			t.Errorf("%s, want %s", got, want)
		}
		b.Reset()
	}
}

func FuzzSegment(f *testing.F) {
	f.Add([]byte(`{"type":"track","event":"e","userId":"u","properties":{"a":[1,2]},"context":{"ip":"1.2.3.4","a":{"ip":1}}}`), int32(0))
	f.Add([]byte(`{"batch":[{"type":"track","event":"e","userId":"u","context":{"ip":"1.2.3.4"}},[],{"type":"page"}],"context":{"a":1,"ip":"::1"},"sentAt":"2026-03-01T12:00:00Z"}`), int32(0))
	f.Add([]byte(`{"userId":1,"context":{},"context":{"x":"\u0000"},"traits":{}}`), int32(4))
	f.Add([]byte("{\"userId\":\"\xff\x00\",\"name\":\"a\\ud800\"}"), int32(2))
	f.Add([]byte(`{"batch":[{}],"batch":[{"type":"alias","userId":"u","previousId":0}]}`), int32(0))
	f.Fuzz(func(t *testing.T, body []byte, typ int32) {
		if typ < 0 || typ > 6 {
			return
		}
		b := new(Batch)
		if err := Segment(b, bytes.Clone(body), Type(typ)); err != nil {
			if _, ok := errors.AsType[*Error](err); !ok || err.Error() == "" {
				t.Fatalf("error %v is not typed", err)
			}
			return
		}
		tm := terms()
		tm.Address = project.Drop
		b.Check(tm)
		for i := range b.Items {
			it := &b.Items[i]
			e := it.Event
			if (it.Reason == "") != (it.Detail == "") || e.MessageId == "" {
				t.Fatalf("reason %q, detail %q, message id %q", it.Reason, it.Detail, e.MessageId)
			}
			if out := it.Body(); !json.Valid(out) || !utf8.Valid(out) {
				t.Fatalf("quarantined as %q", out)
			}
			if it.Reason != "" {
				continue
			}
			for _, o := range [][]byte{e.Properties, e.Traits, e.Context, e.Integrations} {
				if len(o) > 0 && (o[0] != '{' || !json.Valid(o) || !utf8.Valid(o)) {
					t.Fatalf("object %q", o)
				}
			}
			var context map[string]any
			if len(e.Context) > 0 {
				if err := json.Unmarshal(e.Context, &context); err != nil {
					t.Fatal(err)
				}
			}
			if _, has := context["ip"]; has || e.Ip != "" {
				t.Fatalf("the address is still there: %s %s", e.Ip, e.Context)
			}
			for _, s := range []string{e.MessageId, e.UserId, e.AnonymousId, e.GroupId, e.PreviousId} {
				if !validID(s) || !utf8.ValidString(s) {
					t.Fatalf("id %q", s)
				}
			}
			if len(e.VisitorKey()) < 3 || e.Timestamp < plausible || e.Timestamp > receivedAt || !utf8.ValidString(e.Name) {
				t.Fatalf("event %v", e)
			}
			data, err := Encode(&Record{Project: "p", Key: e.VisitorKey(), Events: []*Event{e}})
			if err != nil {
				t.Fatal(err)
			}
			if back, err := Decode(data); err != nil || back.Events[0].String() != e.String() {
				t.Fatalf("%v reads back as %v, %v", e, back, err)
			}
		}
	})
}

func FuzzPixelData(f *testing.F) {
	f.Add("eyJ1c2VySWQiOiJ1In0=")
	f.Add(`{"userId":"u"}`)
	f.Add("%%%=")
	f.Fuzz(func(t *testing.T, data string) {
		body, err := PixelData(data)
		if err != nil {
			return
		}
		b := new(Batch)
		if err := Segment(b, body, Type_TYPE_PAGE); err == nil {
			b.Check(terms())
		}
	})
}
