package firestore

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	mathrand "math/rand/v2"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/hitolayer/hito/shared/ledger"
)

// Ledger keeps a project's totals, and the counts of each of its hours, in shares.
// What is booked is added in the write that leaves the id it is booked under.
type Ledger struct {
	Database *Database
}

var (
	_ ledger.Recorder  = (*Ledger)(nil)
	_ ledger.Committer = (*Ledger)(nil)
	_ ledger.Reader    = (*Ledger)(nil)
)

const (
	// books is the collection of totals and hours, and booked that of the ids that
	// are in them.
	books, booked = "ledger", "booked"
	// expiresField is when Firestore may remove a document.
	expiresField = "expires"
	// bookedAge is how long a booked id is known: longer than a message can come
	// again, which Pub/Sub keeps for up to 31 days.
	bookedAge = 40 * 24 * time.Hour
	// hourAge is how long an hour's counts stay: longer than the 7 days that can be
	// asked for.
	hourAge = 8 * 24 * time.Hour
	// shares is over how many documents the totals are spread, and an hour: writes of
	// one wait for each other.
	// https://cloud.google.com/firestore/docs/best-practices
	shares = 32
	// maxSums is to how many fields of one document a commit adds, of 500 allowed.
	maxSums = 400
	// The fields of totals that are no counts: people, and each segment's size.
	peopleField, segmentFields = "people", "segment/"
	// minuteFields begin the fields of an hour, such as "m07a".
	minuteFields = "m"
)

// kinds are what counts are called.
const kinds = "asdqx"

func count(c *ledger.Counts, kind byte) *int64 {
	return map[byte]*int64{'a': &c.Accepted, 's': &c.Scored, 'd': &c.Duplicate, 'q': &c.Quarantined, 'x': &c.Suppressed}[kind]
}

// totalsID is what the ids of a project's totals begin with; a share follows.
func totalsID(project string) string { return id(project) + "|t|" }

// hourID is what the ids of a project's hour begin with; a share follows.
func hourID(project string, hour int64) string { return fmt.Sprintf("%s|h|%010d|", id(project), hour) }

// sums is what deltas add to the documents of a share, by their ids without it.
type sums map[string]map[string]int64

func (s sums) add(document, field string, n int64) {
	if n == 0 {
		return
	}
	if s[document] == nil {
		s[document] = map[string]int64{}
	}
	s[document][field] += n
}

func (s sums) book(d ledger.Delta) {
	totals, at := totalsID(d.Project), max(d.Minute, 0)
	hour, minute := hourID(d.Project, at/60), fmt.Sprintf("%s%02d", minuteFields, at%60)
	for i := range len(kinds) {
		n := *count(&d.Counts, kinds[i])
		s.add(totals, kinds[i:i+1], n)
		s.add(hour, minute+kinds[i:i+1], n)
	}
	s.add(totals, peopleField, d.People)
	for segment, n := range d.Segments {
		s.add(totals, segmentFields+segment, n)
	}
}

// writes returns what adds s to any share: which one is of no matter to who sums
// them up. What is too much for one document goes to the next share.
func (s sums) writes(d *Database) []*pb.Write {
	var out []*pb.Write
	first := mathrand.IntN(shares)
	for _, begin := range slices.Sorted(maps.Keys(s)) {
		fields := slices.DeleteFunc(slices.Sorted(maps.Keys(s[begin])), func(f string) bool { return s[begin][f] == 0 })
		share := first
		for some := range slices.Chunk(fields, maxSums) {
			w := &pb.Write{UpdateMask: &pb.DocumentMask{}}
			doc := &pb.Document{Name: d.document(books, fmt.Sprintf("%s%02d", begin, share%shares))}
			if !strings.HasSuffix(begin, "|t|") {
				doc.Fields = map[string]*pb.Value{expiresField: moment(time.Now().Add(hourAge))}
				w.UpdateMask.FieldPaths = []string{expiresField}
			}
			w.Operation = &pb.Write_Update{Update: doc}
			for _, f := range some {
				w.UpdateTransforms = append(w.UpdateTransforms, &pb.DocumentTransform_FieldTransform{
					FieldPath:     fieldPath(f),
					TransformType: &pb.DocumentTransform_FieldTransform_Increment{Increment: number(s[begin][f])},
				})
			}
			out = append(out, w)
			share++
		}
	}
	return out
}

// fieldPath quotes a field's name.
func fieldPath(name string) string {
	return "`" + strings.NewReplacer(`\`, `\\`, "`", "\\`").Replace(name) + "`"
}

// Record books deltas. Of an error it cannot be told whether they are booked.
func (l *Ledger) Record(ctx context.Context, deltas []ledger.Delta) error {
	s := sums{}
	for _, d := range deltas {
		s.book(d)
	}
	if err := l.Database.once(ctx, rand.Text(), nil, s); err != nil {
		return fmt.Errorf("record %d ledger deltas: %w", len(deltas), err)
	}
	return nil
}

// Commit books every booking once, by the log and the Sequence it has there, in
// any order.
func (l *Ledger) Commit(ctx context.Context, log string, bookings []ledger.Booking) error {
	for _, b := range bookings {
		var err error
		if b.Sequence == "" {
			err = l.Record(ctx, b.Deltas)
		} else {
			err = l.CommitOnce(ctx, log+"/"+b.Sequence, b.Deltas)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// CommitOnce books deltas unless something was booked under the id before, be it
// nothing. It may be repeated with the same deltas after an error.
func (l *Ledger) CommitOnce(ctx context.Context, id string, deltas []ledger.Delta) error {
	s := sums{}
	for _, d := range deltas {
		s.book(d.Whole())
	}
	if err := l.Database.once(ctx, id, nil, s); err != nil {
		return fmt.Errorf("book %s: %w", id, err)
	}
	return nil
}

// once writes, and adds sums, all together and unless that was done under the
// same id. What is too much for one commit is in several, each with an id of its
// own: one that failed between them is completed when it is called again.
func (d *Database) once(ctx context.Context, id string, writes []*pb.Write, s sums) error {
	writes = append(writes, s.writes(d)...)
	for part := 0; part == 0 || len(writes) > 0; part++ {
		some := writes[:min(len(writes), maxWrites)]
		writes = writes[len(some):]
		h := sha256.Sum256([]byte(strconv.Itoa(part) + "/" + id))
		guard := &pb.Write{
			Operation: &pb.Write_Update{Update: &pb.Document{
				Name:   d.document(booked, hex.EncodeToString(h[:16])),
				Fields: map[string]*pb.Value{expiresField: moment(time.Now().Add(bookedAge))},
			}},
			CurrentDocument: &pb.Precondition{ConditionType: &pb.Precondition_Exists{Exists: false}},
		}
		req := &pb.CommitRequest{Database: d.name, Writes: append([]*pb.Write{guard}, some...)}
		if err := d.do(ctx, func(ctx context.Context) error {
			_, err := d.client.Commit(ctx, req)
			if status.Code(err) == codes.AlreadyExists {
				return nil // by another, or by an attempt whose answer was lost
			}
			return err
		}); err != nil {
			return err
		}
	}
	return nil
}

// Totals implements ledger.Reader.
func (l *Ledger) Totals(ctx context.Context, project string) (ledger.Totals, error) {
	t := ledger.Totals{Segments: map[string]int64{}}
	begin := totalsID(project)
	docs, err := l.Database.list(ctx, books, begin, begin+"}", shares)
	if err != nil {
		return ledger.Totals{}, fmt.Errorf("read the ledger of %s: %w", project, err)
	}
	for _, doc := range docs {
		for field, v := range doc.Fields {
			n := v.GetIntegerValue()
			segment, isSegment := strings.CutPrefix(field, segmentFields)
			switch {
			case isSegment:
				t.Segments[segment] += n
			case field == peopleField:
				t.People += n
			case len(field) == 1 && strings.Contains(kinds, field):
				*count(&t.Counts, field[0]) += n
			default:
				return ledger.Totals{}, fmt.Errorf("firestore: the document %s has the field %q", path.Base(doc.Name), field)
			}
		}
	}
	maps.DeleteFunc(t.Segments, func(_ string, n int64) bool { return n == 0 })
	t.InFlight = t.Counts.InFlight()
	return t, nil
}

// maxHours is how many documents of hours are read at a time.
const maxHours = 1000

// Minutes implements ledger.Reader. Minutes of more than 8 days ago are gone.
func (l *Ledger) Minutes(ctx context.Context, project string, first, last int64) ([]ledger.Minute, error) {
	first = max(first, 0)
	if last < first {
		return nil, nil
	}
	minutes := map[int64]*ledger.Minute{}
	after, to := hourID(project, first/60), hourID(project, last/60)+"}"
	for {
		docs, err := l.Database.list(ctx, books, after, to, maxHours)
		if err != nil {
			return nil, fmt.Errorf("read the ledger of %s: %w", project, err)
		}
		for _, doc := range docs {
			after = path.Base(doc.Name)
			hour, err := strconv.ParseInt(strings.Split(after, "|")[3], 10, 64)
			for field, v := range doc.Fields {
				if field == expiresField {
					continue
				}
				of, kind, ok := cutMinute(field)
				if err != nil || !ok {
					return nil, fmt.Errorf("firestore: the document %s has the field %q", after, field)
				}
				at := hour*60 + of
				if at < first || at > last {
					continue
				}
				if minutes[at] == nil {
					minutes[at] = &ledger.Minute{Minute: at}
				}
				*count(&minutes[at].Counts, kind) += v.GetIntegerValue()
			}
		}
		if len(docs) < maxHours {
			break
		}
	}
	out := make([]ledger.Minute, 0, len(minutes))
	for _, at := range slices.Sorted(maps.Keys(minutes)) {
		m := minutes[at]
		if m.Counts == (ledger.Counts{}) {
			continue
		}
		m.InFlight = m.Counts.InFlight()
		out = append(out, *m)
	}
	return out, nil
}

// cutMinute returns which minute of its hour a field counts, and what.
func cutMinute(field string) (of int64, kind byte, ok bool) {
	digits, isMinute := strings.CutPrefix(field, minuteFields)
	if !isMinute || len(digits) != 3 {
		return 0, 0, false
	}
	of, err := strconv.ParseInt(digits[:2], 10, 64)
	return of, digits[2], err == nil && strings.IndexByte(kinds, digits[2]) >= 0
}
