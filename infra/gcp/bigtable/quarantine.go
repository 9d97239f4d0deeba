package bigtable

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"cloud.google.com/go/bigtable"
	"github.com/cespare/xxhash/v2"
	"golang.org/x/sync/errgroup"

	"github.com/hitolayer/hito/shared/ledger"
	"github.com/hitolayer/hito/shared/quarantine"
)

// Quarantine keeps entries for 30 days, each in a row of its own, and in another
// that lists it by time. An entry books its events as quarantined in the ledger
// once, and those that the beacon refused as accepted too, since they never
// reach the raw stream.
type Quarantine struct {
	Table *bigtable.Table
}

var (
	_ quarantine.Sink   = (*Quarantine)(nil)
	_ quarantine.Reader = (*Quarantine)(nil)
)

const (
	// entries is the family of both rows.
	entries    = "q"
	entriesAge = 30 * 24 * time.Hour
	kindEntry  = "q/"
	kindListed = "t/"

	// The columns of an entry's row, and of that which lists it.
	entryColumn, bodyColumn = "e", "b"
	idColumn                = "i"

	// maxBody bounds an entry's body, in bytes: a cell may have 100 MB.
	maxBody = 64 << 20
)

func entryKey(project, id string) string {
	name := strconv.Itoa(len(project)) + "/" + project + "/" + id
	return fmt.Sprintf("%04x", xxhash.Sum64String(name)>>48) + kindEntry + name
}

// listKey is what the keys of a project's list begin with. What follows ascends
// as time descends.
func listKey(project string) string {
	name := strconv.Itoa(len(project)) + "/" + project + "/"
	return fmt.Sprintf("%04x", xxhash.Sum64String(name)>>48) + kindListed + name
}

func listed(e *quarantine.Entry) string {
	return fmt.Sprintf("%016x/%s", uint64(math.MaxInt64)-uint64(e.Time), e.ID)
}

// Put implements quarantine.Sink.
func (q *Quarantine) Put(ctx context.Context, all []quarantine.Entry) error {
	// One request may have 2,500 events that are unfit, and somebody who waits for it.
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(64)
	for i := range all {
		g.Go(func() error {
			if err := q.put(ctx, &all[i]); err != nil {
				return fmt.Errorf("put entry %s in quarantine: %w", all[i].ID, err)
			}
			return nil
		})
	}
	return g.Wait()
}

// put keeps the entry unless its ID is there, lists what is there, and books it.
// Each step may be repeated: a crash between them repeats harmlessly.
func (q *Quarantine) put(ctx context.Context, e *quarantine.Entry) error {
	if len(e.Body) > maxBody {
		return fmt.Errorf("its body has %d bytes, and may have %d", len(e.Body), maxBody)
	}
	rest := *e
	rest.Body = nil
	text, err := json.Marshal(rest)
	if err != nil {
		return err
	}
	key, now := entryKey(e.Project, e.ID), bigtable.Now()
	m := bigtable.NewMutation()
	m.Set(entries, entryColumn, now, text)
	m.Set(entries, bodyColumn, now, e.Body)
	var there bool
	is := bigtable.ChainFilters(bigtable.FamilyFilter(entries), bigtable.ColumnFilter(entryColumn))
	if err := apply(ctx, q.Table, key, bigtable.NewCondMutation(is, nil, m), bigtable.GetCondMutationResult(&there)); err != nil {
		return err
	}
	if there {
		// Put before, perhaps at another time: that is the one to list and to book.
		r, err := q.Table.ReadRow(ctx, key, bigtable.RowFilter(bigtable.ChainFilters(is, bigtable.LatestNFilter(1))))
		if err != nil {
			return err
		}
		if e, err = readEntry(r); err != nil {
			return err
		}
	}
	m = bigtable.NewMutation()
	m.Set(entries, idColumn, now, []byte(e.ID))
	if err := apply(ctx, q.Table, listKey(e.Project)+listed(e), m); err != nil {
		return err
	}
	d := ledger.Delta{Project: e.Project, Minute: int64(math.Floor(float64(e.Time) / 60_000)), Counts: ledger.Counts{Quarantined: int64(e.Events)}}
	if e.Stage == quarantine.Beacon {
		d.Counts.Accepted = int64(e.Events)
	}
	return (&Ledger{Table: q.Table}).CommitOnce(ctx, "quarantine/"+e.ID, []ledger.Delta{d})
}

func readEntry(r bigtable.Row) (*quarantine.Entry, error) {
	var e quarantine.Entry
	found := false
	for _, c := range r[entries] {
		switch c.Column {
		case entries + ":" + entryColumn:
			if err := json.Unmarshal(c.Value, &struct {
				*quarantine.Entry
				Body *json.RawMessage `json:"body"`
			}{Entry: &e}); err != nil {
				return nil, fmt.Errorf("bigtable: the row %q: %w", r.Key(), err)
			}
			found = true
		case entries + ":" + bodyColumn:
			e.Body = c.Value
		}
	}
	if !found {
		return nil, fmt.Errorf("bigtable: the row %q is no entry", r.Key())
	}
	return &e, nil
}

// List implements quarantine.Reader.
func (q *Quarantine) List(ctx context.Context, project, cursor string, limit int) ([]quarantine.Entry, string, error) {
	prefix := listKey(project)
	from := prefix
	if cursor != "" {
		after, err := base64.RawURLEncoding.DecodeString(cursor)
		if err != nil || len(after) < 17 || after[16] != '/' {
			return nil, "", fmt.Errorf("list the quarantine of %s from %q: %w", project, cursor, quarantine.ErrCursor)
		}
		from += string(after) + "\x00"
	}
	limit = max(limit, 1)
	var keys bigtable.RowList
	var last string
	latest := bigtable.RowFilter(bigtable.ChainFilters(bigtable.FamilyFilter(entries), bigtable.LatestNFilter(1)))
	err := q.Table.ReadRows(ctx, bigtable.NewRange(from, prefix+"g"), func(r bigtable.Row) bool { // beyond all hexadecimal digits
		last = strings.TrimPrefix(r.Key(), prefix)
		for _, c := range r[entries] {
			keys = append(keys, entryKey(project, string(c.Value)))
		}
		return true
	}, latest, bigtable.LimitRows(int64(limit)))
	if err = errors.Join(err, ctx.Err()); err != nil {
		return nil, "", fmt.Errorf("list the quarantine of %s: %w", project, err)
	}
	if len(keys) == 0 {
		return nil, "", nil
	}
	byKey := make(map[string]quarantine.Entry, len(keys))
	var bad error
	err = q.Table.ReadRows(ctx, keys, func(r bigtable.Row) bool {
		e, err := readEntry(r)
		if err != nil {
			bad = err
			return false
		}
		byKey[r.Key()] = *e
		return true
	}, latest)
	if err = errors.Join(err, bad, ctx.Err()); err != nil {
		return nil, "", fmt.Errorf("list the quarantine of %s: %w", project, err)
	}
	page := make([]quarantine.Entry, 0, len(keys))
	for _, k := range keys {
		if e, ok := byKey[k]; ok { // else its time is over
			page = append(page, e)
		}
	}
	if len(keys) < limit {
		return page, "", nil
	}
	return page, base64.RawURLEncoding.EncodeToString([]byte(last)), nil
}
