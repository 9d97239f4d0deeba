package firestore

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"net/url"
	"path"
	"strings"
	"time"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"golang.org/x/sync/errgroup"

	"github.com/hitolayer/hito/shared/ledger"
	"github.com/hitolayer/hito/shared/quarantine"
)

// Quarantine keeps entries for 30 days, each in a document whose id orders it by
// time. An entry books its events as quarantined in the ledger, in the write that
// keeps it, and those that the beacon refused as accepted too, since they never
// reach the raw stream.
type Quarantine struct {
	Database *Database
}

var (
	_ quarantine.Sink   = (*Quarantine)(nil)
	_ quarantine.Reader = (*Quarantine)(nil)
)

const (
	// entries is the collection of entries, and bodies that of the parts of large ones.
	entries, bodies = "quarantine", "bodies"
	entriesAge      = 30 * 24 * time.Hour

	// The fields of an entry, and of a part.
	entryField, bodyField, partsField = "e", "b", "n"

	// maxBody bounds an entry's body, in bytes: a Pub/Sub message has at most 10 MB.
	maxBody = 16 << 20
	// maxInline is how large a body may be in its entry's document.
	maxInline = 256 << 10
	// maxListed is how many entries are read at a time.
	maxListed = 300
)

// listID is what the ids of a project's entries begin with. What follows ascends
// as time descends.
func listID(project string) string { return id(project) + "|" }

func listed(e *quarantine.Entry) string {
	return fmt.Sprintf("%016x|%s", uint64(math.MaxInt64)-uint64(e.Time), url.PathEscape(e.ID))
}

// partID returns the id of a part of an entry's body.
func partID(project, id string, part int) string {
	h := sha256.Sum256(fmt.Appendf(nil, "%d/%s/%s", len(project), project, id))
	return fmt.Sprintf("%s|%d", hex.EncodeToString(h[:16]), part)
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

// put keeps the entry and books it, unless its ID was put before.
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
	fields := map[string]*pb.Value{entryField: blob(text), expiresField: moment(time.Now().Add(entriesAge))}
	if len(e.Body) <= maxInline {
		fields[bodyField] = blob(e.Body)
	} else {
		// Before the entry: parts without it go by themselves.
		n, err := q.putParts(ctx, e)
		if err != nil {
			return err
		}
		fields[partsField] = number(int64(n))
	}
	s, d := sums{}, ledger.Delta{Project: e.Project, Minute: int64(math.Floor(float64(e.Time) / 60_000)), Counts: ledger.Counts{Quarantined: int64(e.Events)}}
	if e.Stage == quarantine.Beacon {
		d.Counts.Accepted = int64(e.Events)
	}
	s.book(d)
	name := q.Database.document(entries, listID(e.Project)+listed(e))
	return q.Database.once(ctx, "quarantine/"+url.PathEscape(e.Project)+"/"+e.ID, []*pb.Write{
		{Operation: &pb.Write_Update{Update: &pb.Document{Name: name, Fields: fields}}},
	}, s)
}

// putParts keeps a body in parts, which are the same each time.
func (q *Quarantine) putParts(ctx context.Context, e *quarantine.Entry) (n int, err error) {
	for from := 0; from < len(e.Body); from += maxValue {
		part := &pb.Document{
			Name: q.Database.document(bodies, partID(e.Project, e.ID, n)),
			Fields: map[string]*pb.Value{
				bodyField:    blob(e.Body[from:min(len(e.Body), from+maxValue)]),
				expiresField: moment(time.Now().Add(entriesAge)),
			},
		}
		req := &pb.CommitRequest{Database: q.Database.name, Writes: []*pb.Write{{Operation: &pb.Write_Update{Update: part}}}}
		if err := q.Database.do(ctx, func(ctx context.Context) error {
			_, err := q.Database.client.Commit(ctx, req)
			return err
		}); err != nil {
			return 0, err
		}
		n++
	}
	return n, nil
}

// readEntry returns the entry of a document; false when a part of its body is gone.
func (q *Quarantine) readEntry(ctx context.Context, project string, doc *pb.Document) (e quarantine.Entry, ok bool, err error) {
	if err := json.Unmarshal(doc.Fields[entryField].GetBytesValue(), &struct {
		*quarantine.Entry
		Body *json.RawMessage `json:"body"`
	}{Entry: &e}); err != nil {
		return e, false, fmt.Errorf("firestore: the document %s: %w", path.Base(doc.Name), err)
	}
	e.Body = doc.Fields[bodyField].GetBytesValue()
	n := int(doc.Fields[partsField].GetIntegerValue())
	var names []string
	for part := range n {
		names = append(names, q.Database.document(bodies, partID(project, e.ID, part)))
	}
	docs, err := q.Database.get(ctx, names)
	for _, name := range names {
		if docs[name] == nil {
			return e, false, err
		}
		e.Body = append(e.Body, docs[name].Fields[bodyField].GetBytesValue()...)
	}
	return e, true, err
}

// List implements quarantine.Reader.
func (q *Quarantine) List(ctx context.Context, project, cursor string, limit int) ([]quarantine.Entry, string, error) {
	begin := listID(project)
	after := begin
	if cursor != "" {
		last, err := base64.RawURLEncoding.DecodeString(cursor)
		if err != nil || len(last) < 17 || last[16] != '|' || strings.ContainsRune(string(last), '/') {
			return nil, "", fmt.Errorf("list the quarantine of %s from %q: %w", project, cursor, quarantine.ErrCursor)
		}
		after += string(last)
	}
	limit = min(max(limit, 1), maxListed)
	docs, err := q.Database.list(ctx, entries, after, begin+"}", limit)
	if err != nil {
		return nil, "", fmt.Errorf("list the quarantine of %s: %w", project, err)
	}
	page := make([]quarantine.Entry, 0, len(docs))
	for _, doc := range docs {
		e, ok, err := q.readEntry(ctx, project, doc)
		if err != nil {
			return nil, "", fmt.Errorf("list the quarantine of %s: %w", project, err)
		}
		if ok { // else its time is over
			page = append(page, e)
		}
	}
	if len(docs) < limit {
		return page, "", nil
	}
	return page, base64.RawURLEncoding.EncodeToString([]byte(strings.TrimPrefix(path.Base(docs[len(docs)-1].Name), begin))), nil
}
