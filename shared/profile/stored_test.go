package profile

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/hitolayer/hito/shared/event"
)

var update = flag.Bool("update", false, "write the golden file of the present stored form")

func goldenFragment() *Fragment {
	f := newTestFragment()
	at := int64(lawEpoch)
	fold(f, &event.Record{ReceivedAt: at, Events: []*event.Event{
		{MessageId: "m1", Type: event.Type_TYPE_IDENTIFY, UserId: "u", AnonymousId: "a", Timestamp: at - 10, Traits: []byte(`{"plan":"pro"}`)},
		{MessageId: "m2", Type: event.Type_TYPE_TRACK, UserId: "u", Name: "Order Completed", Timestamp: at - 5, Enriched: &event.Enriched{
			Agent: &event.Agent{Browser: "Firefox"}, Geo: &event.Geo{Country: "JP"},
			Referrer: &event.Referrer{Medium: "search", Source: "Google"}, Page: &event.Page{Path: "/thanks"},
		}},
		{MessageId: "m3", Type: event.Type_TYPE_GROUP, UserId: "u", GroupId: "g", Timestamp: at - 1},
	}})
	NewPerson(f, nil).Decide([]Standing{{Segment: "buyers", In: true}}, time.UnixMilli(at), 0)
	return f
}

// TestStoredFormIsGolden: what this build writes is what the golden file of its
// form says, byte for byte; and it reads every form it must.
func TestStoredFormIsGolden(t *testing.T) {
	data, err := goldenFragment().Encode()
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join("testdata", "fragment-form-1.golden")
	if *update {
		if err := os.WriteFile(name, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(data, want) {
		t.Fatalf("the stored form changed (%d bytes, golden %d): count Form up and keep the old golden file readable", len(data), len(want))
	}
	f, err := Decode(newTestFragment().Key, 7, want)
	if err != nil {
		t.Fatal(err)
	}
	if a, b := observed(goldenFragment()), observed(f); a != b || f.Version != 7 {
		t.Fatalf("read %s, want %s", b, a)
	}
}

// TestUnknownFieldsAreCarriedAlong: a fragment that a newer build has written
// to keeps what this build does not know.
func TestUnknownFieldsAreCarriedAlong(t *testing.T) {
	data, err := goldenFragment().Encode()
	if err != nil {
		t.Fatal(err)
	}
	newer := append(data, 0xfa, 0x06, 3, 'n', 'e', 'w') // field 111, three bytes
	f, err := Decode(newTestFragment().Key, 1, newer)
	if err != nil {
		t.Fatal(err)
	}
	fold(f, many("x", 1, lawEpoch))
	again, err := f.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(again, []byte("new")) {
		t.Fatal("lost")
	}
}

func TestDecodeRefusesWhatItCannotRead(t *testing.T) {
	for name, s := range map[string]*State{
		"form 0":                             {},
		"form 2":                             {Form: Form + 1},
		"has 19 bytes":                       {Form: Form, Seen: [][]byte{make([]byte, 19)}},
		"1 of the dedupe window has 7 bytes": {Form: Form, Seen: [][]byte{make([]byte, 20), make([]byte, 7)}},
		"has 1000 blocks":                    {Form: Form, Seen: make([][]byte, 1000)},
		"reads up to ":                       {Form: 99},
	} {
		data, err := s.MarshalVT()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Decode(Key{"p", "u:u"}, 1, data); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestTypicalFragmentIsSmall: DynamoDB bills by the KB. A visitor with 24
// events in three visits over three days, eight metrics, ten traits.
func TestTypicalFragmentIsSmall(t *testing.T) {
	f := newTestFragment()
	for i := range 24 {
		at := lawEpoch + int64(i/8)*120_000_000 + int64(i%8)*60_000
		e := &event.Event{
			MessageId: "ajs-next-" + strings.Repeat("0123456789abcdef", 2) + string(rune('a'+i)), Type: event.Type_TYPE_TRACK,
			Name: []string{"Product Viewed", "Product Added", "Order Completed"}[i%3], UserId: "u", AnonymousId: "a", Timestamp: at,
			Enriched: &event.Enriched{Agent: &event.Agent{Browser: "Mobile Safari", BrowserVersion: "18.1", Os: "iOS", OsVersion: "18.1", Device: "iPhone", Brand: "Apple", Model: "iPhone", Kind: "mobile"}, Geo: &event.Geo{Country: "JP"}, Page: &event.Page{Path: "/products/a-typical-path"}},
		}
		if i == 0 {
			e.Type, e.Traits = event.Type_TYPE_IDENTIFY, []byte(`{"email":"someone@example.com","name":"Some One","plan":"pro","age":42,"city":"Tokyo","newsletter":true,"created":"2024-01-01","tier":"gold","locale":"ja-JP","phone":"+81"}`)
		}
		fo := Folder{Metrics: shopLike{}}
		fo.Fold(f, &event.Record{ReceivedAt: at, Events: []*event.Event{e}})
	}
	data, err := f.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if len(data) > 2048 {
		t.Fatalf("%d bytes", len(data))
	}
	t.Logf("%d bytes", len(data))
}

// shopLike contributes to eight metrics as a shop's rules would.
type shopLike struct{}

var shopMetrics = []*Metric{
	{ID: 1 << 60, Kind: Count}, {ID: 2 << 60, Kind: Sum, Window: 30 * 24 * time.Hour, Bucket: 24 * time.Hour},
	{ID: 3 << 60, Kind: Decayed, HalfLife: 7 * 24 * time.Hour, Bucket: 24 * time.Hour}, {ID: 4 << 60, Kind: Max},
	{ID: 5 << 60, Kind: Last}, {ID: 6 << 60, Kind: Distinct}, {ID: 7 << 60, Kind: Count, Window: time.Hour, Bucket: time.Minute},
	{ID: 8 << 60, Kind: Sum},
}

func (shopLike) Extract(e *event.Event, into []Contribution) []Contribution {
	for i, m := range shopMetrics {
		v := Number(contributeEverything{}.number(i))
		if m.Kind == Distinct {
			v = Text(e.Name)
		}
		into = append(into, Contribution{m, v})
	}
	return into
}

func FuzzDecode(f *testing.F) {
	data, err := goldenFragment().Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte{8, 1})
	f.Fuzz(func(t *testing.T, data []byte) {
		fragment, err := Decode(Key{"p", "u:u"}, 1, data)
		if err != nil {
			return
		}
		fold(fragment, many("x", 3, lawEpoch))
		p := NewPerson(fragment, nil)
		p.Decide([]Standing{{Segment: "s", In: true}}, time.UnixMilli(lawEpoch), 0)
		for _, m := range everyMetric {
			p.Metric(m, time.UnixMilli(lawEpoch))
			p.MetricFloat(m, time.UnixMilli(lawEpoch))
		}
		p.Sessions()
		p.AnonymousIDs()
		newTestFragment().State.Merge(fragment.State)
	})
}

// TestUnmarshalReadsWhatGeneratedCodeReads, on folds of every kind and on
// arbitrary bytes, in any order of fields.
func TestUnmarshalReadsWhatGeneratedCodeReads(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := newTestFragment()
		fold(f, drawRecords(t)...)
		data, err := f.Encode()
		if err != nil {
			t.Fatal(err)
		}
		// Fields may stand in any order, and be unknown.
		var fields [][]byte
		for rest := data; len(rest) > 0; {
			_, n, _, err := nextField(rest)
			if err != nil {
				t.Fatal(err)
			}
			fields, rest = append(fields, rest[:n]), rest[n:]
		}
		fields = append(fields, []byte{0xfa, 0x06, 3, 'n', 'e', 'w'})
		if rapid.Bool().Draw(t, "turn") {
			slices.Reverse(fields)
		}
		data = slices.Concat(fields...)
		if cut := rapid.IntRange(0, 3*len(data)).Draw(t, "cut"); cut < len(data) {
			data[cut] ^= byte(rapid.IntRange(1, 255).Draw(t, "flip"))
		}
		var want, got State
		errWant, errGot := want.UnmarshalVT(data), got.unmarshal(data)
		if errGot != nil && strings.Contains(errGot.Error(), "invalid field number") {
			return // beyond the 2^29-1 that protobuf has; generated code does not look
		}
		if (errWant == nil) != (errGot == nil) {
			t.Fatalf("error %v, generated code says %v", errGot, errWant)
		}
		if errWant == nil && !proto.Equal(&want, &got) {
			t.Fatalf("read\n%v\nwant\n%v", &got, &want)
		}
	})
}

// TestFieldOfAnotherWireTypeIsRefused: field 7, once read as an empty message.
func TestFieldOfAnotherWireTypeIsRefused(t *testing.T) {
	if _, err := Decode(Key{"p", "u:u"}, 1, []byte{8, 1, 7 << 3, 1}); err == nil {
		t.Fatal("read")
	}
}
