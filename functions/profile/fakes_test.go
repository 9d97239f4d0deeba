package profile

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hitolayer/hito/shared/event"
	"github.com/hitolayer/hito/shared/ledger"
	"github.com/hitolayer/hito/shared/profile"
	"github.com/hitolayer/hito/shared/project"
	"github.com/hitolayer/hito/shared/quarantine"
	"github.com/hitolayer/hito/shared/stream"
)

// store is a Store in memory, and folds records as the score function does.
type store struct {
	mu        sync.Mutex
	fragments map[profile.Key]*profile.Fragment
	metrics   profile.Extractor
	loads     int
	err       error
}

func (s *store) Load(ctx context.Context, keys []profile.Key) ([]*profile.Fragment, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.loads++
	if s.err != nil {
		return nil, s.err
	}
	out := make([]*profile.Fragment, len(keys))
	for i, key := range keys {
		out[i] = profile.NewFragment(key)
		if f, ok := s.fragments[key]; ok {
			out[i].State, out[i].Version = f.State.CloneVT(), f.Version
		}
	}
	return out, nil
}

func (s *store) Save(context.Context, []*profile.Fragment) error { return errors.ErrUnsupported }

func (s *store) fold(r *event.Record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fragment := func(visitor string) *profile.Fragment {
		key := profile.Key{Project: r.Project, Visitor: visitor}
		if s.fragments[key] == nil {
			s.fragments[key] = profile.NewFragment(key)
		}
		return s.fragments[key]
	}
	for _, e := range r.Events {
		if id, ok := e.Claim(); ok {
			fragment(event.AnonymousPrefix+id).Claim(e.UserId, &profile.Stamp{Time: e.Timestamp, Id: 1}, r.ReceivedAt)
		}
	}
	folder := &profile.Folder{Metrics: s.metrics}
	if f := fragment(r.Key); r.Erase {
		for _, key := range f.ClaimKeys() {
			folder.Fold(fragment(key.Visitor), r)
		}
	}
	folder.Fold(fragment(r.Key), r)
}

// add folds events in, received when they happened.
func (s *store) add(project string, events ...*event.Event) {
	for _, e := range events {
		s.fold(&event.Record{Project: project, Key: e.VisitorKey(), ReceivedAt: e.Timestamp, Events: []*event.Event{e}})
	}
}

// raw is a raw stream that is folded after a while.
type raw struct {
	store   *store
	delay   time.Duration
	err     error
	mu      sync.Mutex
	records []*event.Record
}

func (p *raw) Publish(_ context.Context, records []stream.Record) error {
	if p.err != nil {
		return p.err
	}
	for _, r := range records {
		record, err := event.Decode(append([]byte(nil), r.Data...))
		if err != nil {
			return err
		}
		if record.Project != r.Project || record.Key != r.Key || record.ReceivedAt != r.Time {
			return errors.New("the record and its envelope differ")
		}
		p.mu.Lock()
		p.records = append(p.records, record)
		p.mu.Unlock()
		if p.delay == 0 {
			p.store.fold(record)
		} else {
			time.AfterFunc(p.delay, func() { p.store.fold(record) })
		}
	}
	return nil
}

type directory struct{}

func (directory) ByWriteKey(key string) (*project.Project, bool) {
	if key == "shop-write" {
		return &project.Project{Name: "shop"}, true
	}
	return nil, false
}

func (directory) BySecretKey(key string) (*project.Project, bool) {
	switch key {
	case "shop-secret":
		return &project.Project{Name: "shop"}, true
	case "bank-secret":
		return &project.Project{Name: "bank"}, true
	}
	return nil, false
}

type book struct {
	totals      ledger.Totals
	minutes     []ledger.Minute
	first, last int64
	err         error
}

func (b *book) Totals(context.Context, string) (ledger.Totals, error) { return b.totals, b.err }

func (b *book) Minutes(_ context.Context, _ string, first, last int64) ([]ledger.Minute, error) {
	b.first, b.last = first, last
	return b.minutes, b.err
}

// drawer lists entries by position: the cursor is how many came before.
type drawer struct {
	entries []quarantine.Entry
	err     error
}

func (d *drawer) List(_ context.Context, project, cursor string, limit int) (page []quarantine.Entry, next string, err error) {
	if strings.Trim(cursor, "x") != "" {
		return nil, "", quarantine.ErrCursor
	}
	begin := len(cursor)
	for _, e := range d.entries[min(begin, len(d.entries)):] {
		if len(page) == limit {
			return page, strings.Repeat("x", begin+limit), d.err
		}
		page = append(page, e)
	}
	return page, "", d.err
}

var clock = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

// newHandler returns a handler of the projects shop and bank at clock.
func newHandler() (*Handler, *store) {
	s := &store{fragments: map[profile.Key]*profile.Fragment{}}
	return &Handler{
		Projects: directory{}, Store: s, Raw: &raw{store: s}, Ledger: new(book), Quarantine: new(drawer),
		Origin: "local", Now: func() time.Time { return clock },
	}, s
}

// ask sends one request with the shop's secret key.
func ask(t *testing.T, h http.Handler, method, target string) *httptest.ResponseRecorder {
	t.Helper()
	return askWith(t, h, method, target, "Bearer shop-secret")
}

func askWith(t *testing.T, h http.Handler, method, target, authorization string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, target, nil)
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	body := w.Body.String()
	if !json.Valid(w.Body.Bytes()) || strings.Count(body, "\n") != 1 || !strings.HasSuffix(body, "\n") {
		t.Errorf("%s %s: not one line of JSON: %q", method, target, body)
	}
	for _, key := range []string{"shop-secret", "bank-secret", "shop-write", "wrong-key"} {
		if strings.Contains(body, key) {
			t.Errorf("%s %s: the answer holds a key: %s", method, target, body)
		}
	}
	return w
}

// failure returns the code of a JSON error.
func failure(t *testing.T, w *httptest.ResponseRecorder) string {
	t.Helper()
	var doc struct {
		Success *bool
		Error   struct{ Code, Message string }
	}
	if err := json.Unmarshal(w.Body.Bytes(), &doc); err != nil || doc.Success == nil || *doc.Success || doc.Error.Message == "" {
		t.Errorf("not a JSON error: %s", w.Body)
	}
	return doc.Error.Code
}

// track is a track event of a user at clock minus ago.
func track(user, anonymous, id, name string, ago time.Duration) *event.Event {
	return &event.Event{
		MessageId: id, Type: event.Type_TYPE_TRACK, Name: name, UserId: user, AnonymousId: anonymous,
		Timestamp: clock.Add(-ago).UnixMilli(),
	}
}
