package message

import (
	"errors"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/hitolayer/hito/shared/stream"
	"github.com/hitolayer/hito/shared/stream/pack"
)

var some = []stream.Record{
	{Project: "shop", Key: "u:日本", Events: 2, Time: 1_700_000_000_000, Data: []byte{0, 255, '\n'}},
	{Project: "shop", Key: "a:1", Events: 1, Time: 1_700_000_000_001, Data: []byte(strings.Repeat("entered ", 200))},
}

func encode(t testing.TB, records []stream.Record) ([]byte, map[string]string) {
	t.Helper()
	data, attributes, err := Encode("gcp", records)
	if err != nil {
		t.Fatal(err)
	}
	return data, attributes
}

func TestRoundTrip(t *testing.T) {
	data, attributes := encode(t, some)
	if attributes[Origin] != "gcp" || len(attributes[ID]) != 32 || len(attributes[Key]) != 3 || attributes[Schema] != "1" {
		t.Errorf("attributes %v", attributes)
	}
	got, err := Open(data, attributes, "17")
	if err != nil {
		t.Fatal(err)
	}
	want := slices.Clone(some)
	want[0].ID, want[1].ID = attributes[ID]+".0", attributes[ID]+".1"
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v came back as %+v", want, got)
	}
}

// TestIdentity: what is published again is the same message, and what differs is another.
func TestIdentity(t *testing.T) {
	data, attributes := encode(t, some)
	again, same := encode(t, some)
	if Identity(data, attributes, "1") != Identity(again, same, "2") {
		t.Error("published again, it is another message")
	}
	other, differs := encode(t, some[:1])
	if Identity(data, attributes, "1") == Identity(other, differs, "1") {
		t.Error("two messages are one")
	}
	if got := Identity(data, nil, "17"); got != "17" {
		t.Errorf("without the attribute it is %q, want Pub/Sub's id", got)
	}
	if Identity(data, attributes, "1") == Identity(other, attributes, "1") {
		t.Error("a forged attribute makes two messages one")
	}
}

func TestOpenRefuses(t *testing.T) {
	data, attributes := encode(t, some)
	for name, data := range map[string][]byte{
		"empty": nil, "text": []byte("hello, world"), "cut": data[:len(data)-8], "twice": append(slices.Clone(data), data...),
	} {
		if records, err := Open(data, attributes, "17"); err == nil || errors.Is(err, pack.ErrForm) || !strings.Contains(err.Error(), "message 17") {
			t.Errorf("%s: %d records, %v", name, len(records), err)
		}
	}
	later := slices.Clone(data)
	later[2]++
	if _, err := Open(later, attributes, "17"); !errors.Is(err, pack.ErrForm) {
		t.Errorf("a pack of a later form gives %v", err)
	}
	said := maps.Clone(attributes)
	said[Schema] = "2"
	if _, err := Open(data, said, "17"); !errors.Is(err, pack.ErrForm) {
		t.Errorf("a later schema gives %v", err)
	}
	if _, _, err := Encode("gcp", []stream.Record{{Data: make([]byte, pack.MaxRaw)}}); err == nil {
		t.Error("more than a pack takes was taken")
	}
}

func FuzzOpen(f *testing.F) {
	data, _ := encode(f, some)
	f.Add(data, "1", "1")
	f.Add([]byte{}, "2", "")
	f.Fuzz(func(t *testing.T, data []byte, schema, id string) {
		records, err := Open(data, map[string]string{Schema: schema, ID: id}, "17")
		if err != nil || len(records) == 0 {
			return
		}
		again, attributes := encode(t, records)
		if got, err := Open(again, attributes, "18"); err != nil || len(got) != len(records) {
			t.Fatalf("%d records of %d, %v", len(got), len(records), err)
		}
	})
}
