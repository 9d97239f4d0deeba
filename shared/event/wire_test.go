package event

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"
)

var update = flag.Bool("update", false, "write the golden file of the current wire form")

// golden is the record in every form's golden file: all fields that form had.
func golden() *Record {
	return &Record{
		Project: "shop", Key: "u:u1", ReceivedAt: receivedAt, Origin: "local", Erase: true,
		Events: []*Event{
			{
				MessageId: "m1", Type: Type_TYPE_TRACK, UserId: "u1", AnonymousId: "a1", PreviousId: "p1", GroupId: "g1",
				Name: "Order Completed", Category: "shop", Timestamp: receivedAt - 1000, OriginalTimestamp: receivedAt - 5000, SentAt: receivedAt - 4000,
				Properties: []byte(`{"revenue":39.9}`), Traits: []byte(`{"plan":"pro"}`), Context: []byte(`{"locale":"de"}`), Integrations: []byte(`{"All":true}`),
				Ip: "203.0.113.0", UserAgent: "Mozilla/5.0",
				Enriched: &Enriched{
					Agent:    &Agent{Browser: "Chrome", BrowserVersion: "126.0", Os: "Linux", OsVersion: "6", Device: "Other", Brand: "b", Model: "m", Kind: "desktop", Bot: true, BotName: "n"},
					Geo:      &Geo{Country: "JP", Region: "13", City: "Tokyo", Asn: 2497, AsOrg: "IIJ"},
					Referrer: &Referrer{Medium: "search", Source: "Google", Term: "tote", Host: "www.google.com"},
					Campaign: &Campaign{Source: "news", Medium: "email", Name: "spring", Term: "t", Content: "c", Id: "i", ClickType: "gclid", ClickId: "x"},
					Page:     &Page{Host: "shop.example", Path: "/p", Query: "q=1", Title: "Shop"},
				},
			},
			{MessageId: "m2", Type: Type_TYPE_ALIAS, UserId: "u1"},
		},
	}
}

// Every form's golden file must be read as long as a build may meet records of
// that form: the current one and the one before.
func TestGolden(t *testing.T) {
	for form := max(1, Form-1); form <= Form; form++ {
		file := filepath.Join("testdata", fmt.Sprintf("record.form%d.golden", form))
		want := golden()
		encoded, err := Encode(want)
		if err != nil {
			t.Fatal(err)
		}
		if *update && form == Form {
			if err := os.WriteFile(file, encoded, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Decode(data)
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		want.Form = uint32(form)
		if !proto.Equal(got, want) {
			t.Errorf("%s holds %v, want %v", file, got, want)
		}
		if form == Form && !bytes.Equal(data, encoded) {
			t.Errorf("the wire form has changed without a new Form: %x, %s holds %x", encoded, file, data)
		}
	}
}

// What a later form adds must survive a pass through this build.
func TestUnknownFieldsAreCarriedAlong(t *testing.T) {
	e, err := golden().Events[1].MarshalVT()
	if err != nil {
		t.Fatal(err)
	}
	e = protowire.AppendString(protowire.AppendTag(e, 1000, protowire.BytesType), "of an event")
	r, err := Encode(&Record{Project: "shop", Key: "u:u1"})
	if err != nil {
		t.Fatal(err)
	}
	r = protowire.AppendBytes(protowire.AppendTag(r, 6, protowire.BytesType), e)
	r = protowire.AppendString(protowire.AppendTag(r, 1001, protowire.BytesType), "of a record")
	record, err := Decode(r)
	if err != nil {
		t.Fatal(err)
	}
	record.Origin = "aws"
	again, err := Append(nil, record)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{"of an event", "of a record"} {
		if !bytes.Contains(again, []byte(s)) {
			t.Errorf("%q is lost", s)
		}
	}
}

func TestDecodeRefusesOtherForms(t *testing.T) {
	for _, form := range []uint32{0, Form + 1} {
		data, err := (&Record{Form: form}).MarshalVT()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Decode(data); err == nil || !strings.Contains(err.Error(), "form") {
			t.Errorf("form %d: %v", form, err)
		}
	}
}

// Append packs records one after the other without harming those before.
func TestAppendIsEncode(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var all []byte
		var parts [][]byte
		var want []*Record
		for range rapid.IntRange(1, 20).Draw(t, "records") {
			r := &Record{Project: rapid.String().Draw(t, "project"), Key: rapid.String().Draw(t, "key"), ReceivedAt: rapid.Int64().Draw(t, "at")}
			for range rapid.IntRange(0, 3).Draw(t, "events") {
				r.Events = append(r.Events, &Event{MessageId: rapid.String().Draw(t, "id"), Properties: rapid.SliceOf(rapid.Byte()).Draw(t, "properties")})
			}
			from := len(all)
			var err error
			if all, err = Append(all, r); err != nil {
				t.Fatal(err)
			}
			parts, want = append(parts, all[from:]), append(want, r)
		}
		for i, part := range parts {
			encoded, err := Encode(want[i])
			if err != nil || !bytes.Equal(part, encoded) {
				t.Fatalf("record %d: %x, want %x (%v)", i, part, encoded, err)
			}
		}
	})
}

func FuzzDecode(f *testing.F) {
	data, err := Encode(golden())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add(data[:len(data)/2])
	f.Add([]byte{8, 1})
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := Decode(data)
		if err != nil {
			return
		}
		if origin, err := Origin(data); err != nil || origin != r.Origin {
			t.Fatalf("%x comes from %q, read alone %q, %v", data, r.Origin, origin, err)
		}
		again, err := Encode(r)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Decode(again); err != nil {
			t.Fatalf("%x reads, %x does not: %v", data, again, err)
		}
		for _, e := range r.Events {
			e.VisitorKey()
			e.Claim()
			_ = e.Type.Word()
		}
	})
}
