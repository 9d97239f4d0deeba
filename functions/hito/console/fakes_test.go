package console

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/hitolayer/hito/functions/profile"
	"github.com/hitolayer/hito/shared/event"
	"github.com/hitolayer/hito/shared/ledger"
	domain "github.com/hitolayer/hito/shared/profile"
	"github.com/hitolayer/hito/shared/project"
	"github.com/hitolayer/hito/shared/quarantine"
	"github.com/hitolayer/hito/shared/stream"
)

// site is a process with the projects shop and bank: what is given to it is
// folded, counted and shown.
type site struct {
	hub   *Hub
	stats *Stats
	url   string
	// cut breaks every connection.
	cut func()

	mu        sync.Mutex
	fragments map[domain.Key]*domain.Fragment
	totals    map[string]ledger.Totals
	minutes   map[string][]ledger.Minute
	entries   []quarantine.Entry
}

func startSite(t *testing.T) *site {
	t.Helper()
	s := &site{
		hub: new(Hub), fragments: map[domain.Key]*domain.Fragment{},
		totals: map[string]ledger.Totals{}, minutes: map[string][]ledger.Minute{},
	}
	s.stats = &Stats{Projects: s, Ledger: s}
	mux := http.NewServeMux()
	read := &profile.Handler{Projects: s, Store: s, Ledger: s, Quarantine: s}
	mux.Handle("/v1/profiles/", read)
	mux.Handle("/v1/ledger", read)
	mux.Handle("/v1/quarantine", read)
	mux.Handle("/v1/tail", &Tail{Projects: s, Hub: s.hub})
	mux.Handle("/v1/stats", s.stats)
	mux.Handle("/healthz", Health{})
	mux.Handle("/", Page{})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	t.Cleanup(server.CloseClientConnections)
	s.url, s.cut = server.URL, server.CloseClientConnections
	return s
}

// give takes a visitor's events through the whole pipeline at once.
func (s *site) give(t *testing.T, project string, receivedAt int64, events ...*event.Event) {
	t.Helper()
	r := &event.Record{Project: project, Key: events[0].VisitorKey(), ReceivedAt: receivedAt, Events: events}
	data, err := event.Encode(r)
	if err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	key := domain.Key{Project: project, Visitor: r.Key}
	if s.fragments[key] == nil {
		s.fragments[key] = domain.NewFragment(key)
	}
	new(domain.Folder).Fold(s.fragments[key], r)
	n := int64(len(events))
	totals := s.totals[project]
	totals.Add(ledger.Delta{Counts: ledger.Counts{Accepted: n, Scored: n}})
	totals.People = int64(len(s.fragments))
	s.totals[project] = totals
	s.mu.Unlock()
	records := []stream.Record{{Project: project, Key: r.Key, Events: len(events), Time: receivedAt, Data: data}}
	s.stats.Observe(records)
	s.hub.Observe(records)
	for i := range data { // nobody may have kept it
		data[i] = 0xff
	}
}

func (s *site) ByWriteKey(key string) (*project.Project, bool) {
	return &project.Project{Name: "shop"}, key == "shop-write"
}

func (s *site) BySecretKey(key string) (*project.Project, bool) {
	switch key {
	case "shop-secret":
		return &project.Project{Name: "shop"}, true
	case "bank-secret":
		return &project.Project{Name: "bank"}, true
	}
	return nil, false
}

func (s *site) Load(_ context.Context, keys []domain.Key) ([]*domain.Fragment, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]*domain.Fragment, len(keys))
	for i, key := range keys {
		out[i] = domain.NewFragment(key)
		if f := s.fragments[key]; f != nil {
			out[i].State = f.State.CloneVT()
		}
	}
	return out, nil
}

func (s *site) Save(context.Context, []*domain.Fragment) error { return errors.ErrUnsupported }

func (s *site) Totals(_ context.Context, project string) (ledger.Totals, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.totals[project], nil
}

func (s *site) Minutes(_ context.Context, project string, first, last int64) (in []ledger.Minute, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.minutes[project] {
		if m.Minute >= first && m.Minute <= last {
			in = append(in, m)
		}
	}
	return in, nil
}

func (s *site) List(_ context.Context, project, cursor string, limit int) (page []quarantine.Entry, next string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	begin := len(cursor)
	for _, e := range s.entries[min(begin, len(s.entries)):] {
		if len(page) == limit {
			return page, string(make([]byte, begin+limit)), nil
		}
		page = append(page, e)
	}
	return page, "", nil
}
