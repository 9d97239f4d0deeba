package dynamodb

import (
	"bytes"
	"cmp"
	"fmt"
	"math/big"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/hitolayer/hito/shared/profile"
	"github.com/hitolayer/hito/shared/quarantine"
)

func TestKeys(t *testing.T) {
	for _, c := range []struct {
		project, visitor, want string
	}{
		{"shop", "u:1", "f/shop/u:1"},
		{"", "", "f//"},
		{"店", "u:é😀\u202e", "f/店/u:é😀\u202e"},
		{"a/b", "u:100%~ \x00\x7f\xff\n", "f/a%2Fb/u:100%25%7E%20%00%7F%FF%0A"},
	} {
		if got, hashed := fragmentKey(profile.Key{Project: c.project, Visitor: c.visitor}); got != c.want || hashed {
			t.Errorf("key of %q and %q is %q, want %q", c.project, c.visitor, got, c.want)
		}
	}
	long := strings.Repeat("é", 3000)
	a, hashed := key("f", "shop", long+"a")
	b, _ := key("f", "shop", long+"b")
	if a == b || !hashed || len(a) > maxKey-partRoom || !strings.HasPrefix(a, "f/shop/éé") || !utf8.ValidString(a) {
		t.Errorf("%d bytes: %s", len(a), a)
	}
}

// FuzzKeys: a key is short and valid, belongs to its names alone, and they can
// be read from it.
func FuzzKeys(f *testing.F) {
	f.Add("shop", "u:1", "shop", "u:2")
	f.Add("shop/u:1", "", "shop", "u:1/")
	f.Add("a\x00%2F~", "\xff\xc3", "a\x00%252F~", "é")
	f.Fuzz(func(t *testing.T, p, v, q, w string) {
		a, hashed := key("f", p, v)
		b, _ := key("f", q, w)
		if (a == b) != (p == q && v == w) {
			t.Errorf("(%q,%q) and (%q,%q) have keys %q and %q", p, v, q, w, a, b)
		}
		if !utf8.ValidString(a) || len(a) > maxKey-partRoom {
			t.Errorf("key %q of %d bytes", a, len(a))
		}
		it := item{pkAttr: text(a)}
		if hashed {
			it[nameAttr] = binaryValue(appendNames(p, v))
		}
		if k, err := keyOf(it); err != nil || k.Project != p || k.Visitor != v {
			t.Errorf("%q is read as %v, %v", a, k, err)
		}
		if at := orderKey(1, v); len(at) > maxOrder || !utf8.ValidString(at) || (at == orderKey(1, w)) != (v == w) {
			t.Errorf("order %q of %d bytes", at, len(at))
		}
	})
}

// FuzzStored: what is read back is what was written, and whatever is in an item
// harms nobody.
func FuzzStored(f *testing.F) {
	f.Add([]byte("x"), "shop", "id", int64(1), 2)
	f.Add(bytes.Repeat([]byte("compresses "), 1000), "\xff", "\x00", int64(-1), -2)
	f.Fuzz(func(t *testing.T, b []byte, project, id string, at int64, events int) {
		packed, err := encodeValue(b, 100)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := decodeValue(packed); err != nil || !bytes.Equal(got, b) {
			t.Errorf("%x came back as %x, %v", b, got, err)
		}
		if units(len(packed)+100) > units(len(b)+101) {
			t.Errorf("%d bytes became %d", len(b), len(packed))
		}
		e := quarantine.Entry{ID: id, Project: project, Stage: quarantine.Score, Reason: id, Detail: project, Time: at, Events: events, Body: b}
		if len(b) == 0 {
			e.Body = nil
		}
		if got, err := decodeEntry(encodeEntry(&e)); err != nil || !reflect.DeepEqual(got, e) {
			t.Errorf("%v came back as %v, %v", e, got, err)
		}
		_, _ = decodeValue(b)
		_, _ = decodeEntry(b)
		_, _ = cutNames(b)
		if p, err := readParts(b); err == nil && b != nil {
			if again, err := readParts(p.encode()); err != nil || again != p {
				t.Errorf("%v came back as %v, %v", p, again, err)
			}
		}
		if seq, err := sequence(string(b)); err == nil && len(b) > 0 && new(big.Int).SetBytes(seq).String() != cmp.Or(strings.TrimLeft(string(b), "0"), "0") {
			t.Errorf("sequence %q is kept as %x", b, seq)
		}
		if after, err := decodeCursor(project, id); err == nil && id != "" && encodeCursor(project, after) != id {
			t.Errorf("cursor %q is taken for %q", id, after)
		}
		if after, err := decodeCursor(project, encodeCursor(project, "0"+id)); err != nil || after != "0"+id {
			t.Errorf("cursor to %q leads to %q, %v", id, after, err)
		}
	})
}

// TestStoredForms: what builds before this one have written is read by it.
func TestStoredForms(t *testing.T) {
	e := quarantine.Entry{ID: "i", Project: "p", Stage: quarantine.Enrich, Reason: "r", Detail: "d", Time: 5, Events: 2, Body: []byte("body")}
	const entry = "\x05\x01i\x01p\x06enrich\x01r\x01d\x0a\x04body"
	if got := encodeEntry(&e); string(got) != entry {
		t.Errorf("an entry is written as %q", got)
	}
	newer := "\x06\x01i\x01p\x06enrich\x01r\x01d\x03new\x0a\x04body"
	if got, err := decodeEntry([]byte(newer)); err != nil || fmt.Sprint(got) != fmt.Sprint(e) {
		t.Errorf("a newer build's entry is read as %v, %v", got, err)
	}
	if got, err := sequence("258"); err != nil || string(got) != strings.Repeat("\x00", 30)+"\x01\x02" {
		t.Errorf("a sequence is written as %q, %v", got, err)
	}
	if got := (parts{[8]byte{1, 2, 3, 4, 5, 6, 7, 8}, 300}).encode(); string(got) != "\x01\x02\x03\x04\x05\x06\x07\x08\xac\x02" {
		t.Errorf("parts are written as %q", got)
	}
	if got, err := encodeValue([]byte("state"), 0); err != nil || string(got) != "\x00state" {
		t.Errorf("a value is written as %q, %v", got, err)
	}
	const frame = "\x01\x28\xb5\x2f\xfd\x20\x05\x29\x00\x00state"
	if got, err := decodeValue([]byte(frame)); err != nil || string(got) != "state" {
		t.Errorf("a compressed value is read as %q, %v", got, err)
	}
	random := make([]byte, 5000)
	for i := range random {
		random[i] = byte(rand.Uint32())
	}
	if got, err := encodeValue(random, 0); err != nil || got[0] != plain {
		t.Errorf("noise is compressed: %v", err)
	}
	for _, bad := range []string{"", "\x02x", "\x01x", "\x7f"} {
		if got, err := decodeValue([]byte(bad)); err == nil {
			t.Errorf("%q is read as %q", bad, got)
		}
	}
}
