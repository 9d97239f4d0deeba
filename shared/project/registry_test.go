package project

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// page is a Source in memory.
type page struct {
	mu      sync.Mutex
	version int
	text    string
	err     error
	fetches int
}

func (p *page) set(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.version++
	p.text, p.err = text, nil
}

func (p *page) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.err = err
}

func (p *page) Fetch(_ context.Context, tag string) ([]byte, string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fetches++
	if p.err != nil {
		return nil, "", p.err
	}
	if v := strconv.Itoa(p.version); v != tag {
		return []byte(p.text), v, nil
	}
	return nil, tag, nil
}

// pages is a keys document and two projects' files.
func pages() (r *Registry, keys, a, b *page) {
	keys, a, b = &page{}, &page{}, &page{}
	keys.set("a: {write: [wa, wa2], secret: [sa]}\nb: {write: [wb], secret: [sb]}")
	a.set("settings: {ip: keep}")
	b.set("settings: {ip: drop}\nmetrics: {whatever: 1}")
	files := map[string]Source{"a": a, "b": b}
	return &Registry{Keys: keys, File: func(name string) Source {
		if s := files[name]; s != nil {
			return s
		}
		return &page{err: errors.New("no such file")}
	}}, keys, a, b
}

func TestRegistryFindsProjectsByKey(t *testing.T) {
	r, _, _, _ := pages()
	if _, ok := r.ByWriteKey("wa"); ok {
		t.Error("found a project before the first round")
	}
	if err := r.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{"wa": "a", "wa2": "a", "wb": "b", "sa": "", "": "", "w": "", "wa ": ""} {
		p, ok := r.ByWriteKey(key)
		if ok != (want != "") || ok && p.Name != want {
			t.Errorf("write key %q is of %v, want %q", key, p, want)
		}
	}
	for key, want := range map[string]string{"sa": "a", "sb": "b", "wa": "", "": ""} {
		p, ok := r.BySecretKey(key)
		if ok != (want != "") || ok && p.Name != want {
			t.Errorf("secret key %q is of %v, want %q", key, p, want)
		}
	}
	if p, ok := r.ByName("b"); !ok || p.Settings.IP != Drop {
		t.Errorf("project b is %+v", p)
	}
	if got := r.Names(); fmt.Sprint(got) != "[a b]" {
		t.Errorf("names are %v", got)
	}
}

func TestRegistryKeepsThePreviousFile(t *testing.T) {
	r, _, a, _ := pages()
	var loaded []string
	r.OnFile = func(name string, data []byte) (func(), error) {
		if strings.Contains(string(data), "bad rule") {
			return nil, errors.New("bad rule")
		}
		return func() { loaded = append(loaded, name) }, nil
	}
	if err := r.Refresh(t.Context()); err != nil || len(loaded) != 2 {
		t.Fatalf("loaded %v, error %v", loaded, err)
	}
	ip := func() AddressPolicy { p, _ := r.ByWriteKey("wa"); return p.Settings.IP }
	for _, bad := range []string{"settings: {ip: maybe}", "settings: {nonsense: 1}", "\t", "segments: bad rule"} {
		a.set(bad)
		if err := r.Refresh(t.Context()); err == nil || !strings.Contains(err.Error(), "project a") {
			t.Errorf("%q: error %v", bad, err)
		}
		if err := r.Refresh(t.Context()); err != nil {
			t.Errorf("%q is reported twice: %v", bad, err)
		}
		if ip() != Keep {
			t.Errorf("%q was put in service", bad)
		}
	}
	a.set("settings: {ip: truncate}")
	if err := r.Refresh(t.Context()); err != nil || ip() != Truncate {
		t.Errorf("a good file was not put in service: ip %s, error %v", ip(), err)
	}
}

// A file whose settings are bad must not have its rules put in service.
func TestRegistryRejectsTheWholeFile(t *testing.T) {
	r, _, a, _ := pages()
	calls := 0
	r.OnFile = func(name string, data []byte) (func(), error) { return func() { calls++ }, nil }
	if err := r.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	calls = 0
	a.set("settings: {ip: maybe}")
	if err := r.Refresh(t.Context()); err == nil {
		t.Error("no error")
	}
	if calls != 0 {
		t.Error("rules of a file with bad settings were put in service")
	}
}

func TestRegistryFollowsTheKeys(t *testing.T) {
	r, keys, _, b := pages()
	if err := r.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	keys.set("a: {write: [wa], secret: [new]}")
	if err := r.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, old := r.BySecretKey("sa")
	_, removed := r.ByWriteKey("wb")
	_, added := r.BySecretKey("new")
	if old || removed || !added {
		t.Errorf("old key %v, removed project %v, new key %v", old, removed, added)
	}
	fetches := b.fetches
	if err := r.Refresh(t.Context()); err != nil || b.fetches != fetches {
		t.Error("the file of a removed project is still fetched")
	}
	keys.set("a: {write: [wa]}\nb: {write: [wb]}\nc: {write: [wc]}")
	if err := r.Refresh(t.Context()); err == nil || !strings.Contains(err.Error(), "project c: fetch: no such file") {
		t.Errorf("error %v", err)
	}
	if p, ok := r.ByWriteKey("wb"); !ok || p.Settings.IP != Drop {
		t.Error("a project that came back is not in service")
	}
	if _, ok := r.ByWriteKey("wc"); ok {
		t.Error("a project without a file is in service")
	}
}

func TestRegistryReportsAnOutageOnce(t *testing.T) {
	r, keys, _, _ := pages()
	if err := r.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	keys.fail(errors.New("store is down"))
	if err := r.Refresh(t.Context()); err == nil {
		t.Error("an outage is not reported")
	}
	if err := r.Refresh(t.Context()); err != nil {
		t.Errorf("reported twice: %v", err)
	}
	if _, ok := r.ByWriteKey("wa"); !ok {
		t.Error("an outage took a project out of service")
	}
	keys.set("a: {write: [wa]}")
	if err := r.Refresh(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestRunLogsWithoutKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, keys, _, _ := pages()
		var log bytes.Buffer
		r.Log = slog.New(slog.NewTextHandler(&log, nil))
		r.Interval = time.Second
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); r.Run(ctx) }()
		synctest.Wait()
		keys.set("a: {write: [topsecret]}\nb: {secret: [topsecret, topsecret]}")
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if n := strings.Count(log.String(), "level=ERROR"); n != 1 {
			t.Errorf("%d log lines, want 1:\n%s", n, log.String())
		}
		if strings.Contains(log.String(), "topsecret") {
			t.Errorf("a key is logged: %s", log.String())
		}
		keys.set("a: {write: [fresh]}")
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if _, ok := r.ByWriteKey("fresh"); !ok {
			t.Error("new keys take no effect")
		}
		cancel()
		<-done
	})
}

func TestParseKeys(t *testing.T) {
	keys, err := ParseKeys("keys", []byte(`{"shop":{"write":["w1","w2"],"secret":["s"]},"empty":{}}`))
	if err != nil || len(keys) != 2 || len(keys["shop"].Write) != 2 || keys["shop"].Secret[0] != "s" {
		t.Fatalf("keys %v, error %v", keys, err)
	}
	for doc, want := range map[string]string{
		"a: {write: [hush]}\nb: {write: [hush]}": `keys:2:13: the same key is on line 1: every key must be used once`,
		"a: {write: [hush], secret: [hush]}":     `keys:1:29: the same key is on line 1: every key must be used once`,
		"a: {write: [hush, hush]}":               `keys:1:19: the same key is on line 1: every key must be used once`,
		"a: {writes: [hush]}":                    `keys:1:5: unknown key in a project's keys, which has secret, write`,
		"a: {hush: [w]}":                         `keys:1:5: unknown key in a project's keys, which has secret, write`,
		"a: {hush: 1, hush: 2}":                  `keys:1:5: unknown key in a project's keys, which has secret, write`,
		"hush: {}\nhush: {}":                     `keys:2:1: this key is already on line 1`,
		"a: {write: [\"\"]}":                     `keys:1:13: an entry of write is empty`,
		"A hush: {write: [w]}":                   `keys:1:1: this cannot be a project's name: use up to 63 small letters, digits, - and _, beginning with a letter or digit, and not "keys"`,
		"keys: {write: [w]}":                     `keys:1:1: this cannot be a project's name`,
		"a: hush":                                `keys:1:4: a project's keys must be a mapping ("key: value" lines)`,
		"hush: [hush]":                           `keys:1:7: a project's keys must be a mapping ("key: value" lines)`,
		"- hush":                                 `keys:1:1: the keys document must be a mapping ("key: value" lines)`,
		"a: {write: [&x hush], secret: [*x]}":    `keys:1:13: anchors (&) and aliases (*) are not supported: write it out, or put a text that begins so in quotes`,
		"a: {write: *hush}":                      `keys: not YAML: look for brackets, quotes and indentation that do not match`,
		"a: {write: [&hush x, &hush y]}":         `keys:1:13: anchors (&)`,
		"a: {write: [!hush x]}":                  `keys:1:13: tags (!)`,
		"a:\n  write: [\"\\hush\"]":              `keys:`,
		"a:\n  write: [hush\n  secret: x":        `keys:1:1: not YAML: look for brackets`,
	} {
		_, err := ParseKeys("keys", []byte(doc))
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s gives\n\t%v, want\n\t%s", doc, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "hush") {
			t.Errorf("a key is told: %v", err)
		}
	}
}

// kept is a LastGood in memory.
type kept struct {
	documents map[string]string
	stores    int
	err       error
}

func (k *kept) Load(_ context.Context, name string) ([]byte, error) {
	if text, ok := k.documents[name]; ok {
		return []byte(text), nil
	}
	return nil, nil
}

func (k *kept) Store(_ context.Context, name string, data []byte) error {
	if k.err != nil {
		return k.err
	}
	k.stores++
	k.documents[name] = string(data)
	return nil
}

// A restart while a file is bad or missing must not take the project out of
// service: the last good file serves, until there is a good one again.
func TestRegistryServesTheLastGoodAfterARestart(t *testing.T) {
	last := &kept{documents: map[string]string{}}
	r, _, _, _ := pages()
	r.LastGood = last
	if err := r.Refresh(t.Context()); err != nil || len(last.documents) != 3 {
		t.Fatalf("kept %v, error %v", last.documents, err)
	}
	r, keys, a, b := pages() // a restart
	r.LastGood = last
	keys.set("a: {write: wa")
	a.set("settings: {ip: maybe}")
	b.fail(errors.New("no such file"))
	err := r.Refresh(t.Context())
	for _, want := range []string{"keys: the last good one serves instead: ", "project a: the last good one serves", "project b: the last good one serves", "no such file"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %s", err, want)
		}
	}
	if err := r.Refresh(t.Context()); err != nil {
		t.Errorf("told again: %v", err)
	}
	for key, want := range map[string]AddressPolicy{"wa": Keep, "wb": Drop} {
		if p, ok := r.ByWriteKey(key); !ok || p.Settings.IP != want {
			t.Errorf("%s is of %+v", key, p)
		}
	}
	if last.stores != 3 {
		t.Errorf("stored %d times, want only what changed", last.stores)
	}
	a.set("settings: {ip: truncate}")
	keys.set("a: {write: [wa]}")
	if err := r.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if p, _ := r.ByWriteKey("wa"); p.Settings.IP != Truncate || last.documents["a"] != "settings: {ip: truncate}" {
		t.Errorf("a good file was not put in service: %+v, kept %v", p, last.documents)
	}
}

// What cannot be kept is not put in service, is told once, and tried again.
func TestRegistryKeepsBeforeItServes(t *testing.T) {
	last := &kept{documents: map[string]string{}}
	r, _, a, _ := pages()
	r.LastGood = last
	if err := r.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	last.err = errors.New("disk full")
	a.set("settings: {ip: drop}")
	if err := r.Refresh(t.Context()); err == nil || !strings.Contains(err.Error(), "disk full") {
		t.Errorf("error %v", err)
	}
	if err := r.Refresh(t.Context()); err != nil {
		t.Errorf("told twice: %v", err)
	}
	if p, _ := r.ByWriteKey("wa"); p.Settings.IP != Keep {
		t.Error("what was not kept is in service")
	}
	last.err = nil
	if err := r.Refresh(t.Context()); err != nil {
		t.Error(err)
	}
	if p, _ := r.ByWriteKey("wa"); p.Settings.IP != Drop {
		t.Error("not tried again")
	}
}

// TestFreshMakesARoundNowAndThen: many requests at once make one round, and
// none while the last is young.
func TestFreshMakesARoundNowAndThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, keys, _, _ := pages()
		r.Interval = time.Minute
		for want := 1; want <= 3; want++ {
			var wg sync.WaitGroup
			for range 8 {
				wg.Go(func() { r.Fresh(t.Context()) })
			}
			wg.Wait()
			if keys.fetches != want {
				t.Fatalf("%d rounds, want %d", keys.fetches, want)
			}
			time.Sleep(time.Minute)
		}
		if _, ok := r.ByWriteKey("wa"); !ok {
			t.Error("nothing is in service")
		}
	})
}
