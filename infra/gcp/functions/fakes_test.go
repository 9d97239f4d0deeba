package functions

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/hitolayer/hito/infra/gcp/pubsub/message"
	"github.com/hitolayer/hito/shared/ledger"
	"github.com/hitolayer/hito/shared/quarantine"
	"github.com/hitolayer/hito/shared/stream"
	"github.com/hitolayer/hito/shared/telemetry"
)

const (
	minute   = 28_333_333
	accepted = minute * 60_000 // Unix milliseconds
)

var quiet = slog.New(slog.DiscardHandler)

// testRecord is a record of two events named so.
func testRecord(name string) stream.Record {
	return stream.Record{Project: "shop", Key: "u:" + name, Events: 2, Time: accepted, Data: []byte(name)}
}

// packed is a message with records named so, as it is delivered first.
func packed(t testing.TB, names ...string) *Message {
	t.Helper()
	records := make([]stream.Record, len(names))
	for i, name := range names {
		records[i] = testRecord(name)
	}
	data, attributes, err := message.Encode("gcp", records)
	if err != nil {
		t.Fatal(err)
	}
	return &Message{ID: "2070443601311540", Data: data, Attributes: attributes, Attempt: 1, Published: time.UnixMilli(accepted + 5)}
}

// dead is a message as a dead letter, which has another id by Pub/Sub.
func dead(m *Message, attempt int) *Message {
	d := *m
	d.ID, d.Attempt, d.Final = m.ID+"d", attempt, true
	return &d
}

// names are the records' data, which a handler may not keep.
func names(records []stream.Record) []string {
	out := make([]string, len(records))
	for i := range records {
		out[i] = string(records[i].Data)
	}
	return out
}

// book records that each of the records' events was accepted and scored.
func book(ctx context.Context, records ...stream.Record) error {
	var deltas []ledger.Delta
	for i := range records {
		r := &records[i]
		n := int64(r.Events)
		deltas = append(deltas, ledger.Delta{Project: r.Project, Source: r.ID, Minute: r.Time / 60_000, Counts: ledger.Counts{Accepted: n, Scored: n}})
	}
	return ledger.Book{}.Record(ctx, deltas)
}

// shelf is a quarantine in memory, which books what it takes as it must.
type shelf struct {
	mu      sync.Mutex
	entries []quarantine.Entry
	books   *books
	fail    func() error // before any effect; nil never
}

func (s *shelf) Put(ctx context.Context, entries []quarantine.Entry) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		if err := s.fail(); err != nil {
			return err
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	for _, e := range entries {
		if slices.ContainsFunc(s.entries, func(had quarantine.Entry) bool { return had.ID == e.ID }) {
			continue
		}
		e.Body = bytes.Clone(e.Body)
		s.entries = append(s.entries, e)
		s.books.quarantined(e)
	}
	return nil
}

func (s *shelf) all() []quarantine.Entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.entries)
}

// kept are the bodies of the entries, and why they are there.
func (s *shelf) kept() map[string]quarantine.Reason {
	kept := map[string]quarantine.Reason{}
	for _, e := range s.all() {
		kept[string(e.Body)] = quarantine.Reason(e.Reason)
	}
	return kept
}

// books is a ledger in memory, as its contract says: an id is booked once for
// each project and hour, as in Bigtable's.
type books struct {
	mu      sync.Mutex
	once    map[string]bool
	counts  map[string]ledger.Counts // by source
	total   ledger.Counts
	people  int64
	commits int // calls of CommitOnce
	ids     map[string]bool
	// failRecord and failCommit fail a call before any effect; nil never.
	failRecord, failCommit func() error
}

func newBooks() *books {
	return &books{once: map[string]bool{}, counts: map[string]ledger.Counts{}, ids: map[string]bool{}}
}

func (l *books) add(d ledger.Delta) {
	if d.Again != (ledger.Counts{}) {
		panic("a delta that is not whole")
	}
	l.people += d.People
	l.total = l.total.Plus(d.Counts)
	if d.Source != "" {
		l.counts[d.Source] = l.counts[d.Source].Plus(d.Counts)
	}
}

func (l *books) Record(ctx context.Context, deltas []ledger.Delta) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failRecord != nil {
		if err := l.failRecord(); err != nil {
			return err
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	for _, d := range deltas {
		if d.Source != "" {
			panic("what comes from a record is booked without its message")
		}
		l.add(d)
	}
	return nil
}

func (l *books) CommitOnce(ctx context.Context, id string, deltas []ledger.Delta) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.commits++
	if l.failCommit != nil {
		if err := l.failCommit(); err != nil {
			return err
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	l.ids[id] = true
	rows := map[string]bool{}
	for _, d := range deltas {
		row := fmt.Sprintf("%s/%s/%d", id, d.Project, d.Minute/60)
		if !l.once[row] {
			rows[row] = true
			l.add(d)
		}
	}
	for row := range rows {
		l.once[row] = true
	}
	return nil
}

func (l *books) quarantined(e quarantine.Entry) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.total.Quarantined += int64(e.Events)
}

type metrics struct {
	mu     sync.Mutex
	values []telemetry.Value
}

func (m *metrics) Emit(_ context.Context, function string, values ...telemetry.Value) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if function != "score" {
		panic(function)
	}
	m.values = append(m.values, values...)
}

func (m *metrics) sum(name string) (n float64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, v := range m.values {
		if v.Name == name {
			n += v.V
		}
	}
	return n
}

// written is a log that several write to.
type written struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (w *written) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.Write(p)
}

func (w *written) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.String()
}

// under is a settler under test and what it reaches.
type under struct {
	Settler
	shelf *shelf
	books *books
	log   written
	spent metrics
}

func newSettler(h stream.Handler) *under {
	u := &under{books: newBooks()}
	u.shelf = &shelf{books: u.books}
	u.Settler = Settler{Handler: h, Group: "score", Stage: quarantine.Score, Quarantine: u.shelf, Ledger: u.books, Telemetry: &u.spent}
	u.Log = slog.New(slog.NewJSONHandler(&u.log, nil))
	return u
}
