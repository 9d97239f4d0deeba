package message

import (
	"encoding/base64"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/hitolayer/hito/shared/stream"
	"github.com/hitolayer/hito/shared/stream/pack"
)

var some = []stream.Record{
	{Project: "shop", Key: "u:日本", Events: 2, Time: 1_700_000_000_000, Data: []byte{0, 255, '\n'}},
	{Project: "shop", Key: "a:1", Events: 1, Time: 1_700_000_000_001, Data: []byte(strings.Repeat("entered ", 200))},
}

func TestRoundTrip(t *testing.T) {
	body, err := Append([]byte("before"), some)
	if err != nil {
		t.Fatal(err)
	}
	text, ok := strings.CutPrefix(string(body), "before")
	if !ok {
		t.Fatalf("what was in dst is gone: %q", body)
	}
	got, err := Decode(text)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, some) {
		t.Errorf("%+v came back as %+v", some, got)
	}
}

func TestDecodeRefuses(t *testing.T) {
	body, err := Append(nil, some)
	if err != nil {
		t.Fatal(err)
	}
	later, err := base64.StdEncoding.DecodeString(string(body))
	if err != nil {
		t.Fatal(err)
	}
	later[2]++
	for name, body := range map[string]string{
		"empty": "", "text": "hello, world", "cut": string(body[:len(body)-8]), "twice": string(body) + string(body),
		"not a pack": base64.StdEncoding.EncodeToString([]byte("hello")),
	} {
		if records, err := Decode(body); err == nil || errors.Is(err, pack.ErrForm) {
			t.Errorf("%s: %d records, %v", name, len(records), err)
		}
	}
	if _, err := Decode(base64.StdEncoding.EncodeToString(later)); !errors.Is(err, pack.ErrForm) {
		t.Errorf("a later form gives %v", err)
	}
	if _, err := Append(nil, []stream.Record{{Data: make([]byte, pack.MaxRaw)}}); err == nil {
		t.Error("more than a pack takes was taken")
	}
}

func FuzzDecode(f *testing.F) {
	body, err := Append(nil, some)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(body))
	f.Add("aNEBAA==")
	f.Fuzz(func(t *testing.T, body string) {
		records, err := Decode(body)
		if err != nil {
			return
		}
		again, err := Append(nil, records)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := Decode(string(again)); err != nil || len(got) != len(records) {
			t.Fatalf("%d records of %d, %v", len(got), len(records), err)
		}
	})
}
