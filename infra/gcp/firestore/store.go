package firestore

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path"
	"strconv"
	"sync"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/hitolayer/hito/shared/profile"
)

// Store keeps fragments, each in one document. It must not be copied after its
// first use.
type Store struct {
	Database *Database

	mu sync.Mutex
	// times is when versions that were loaded here or saved were written: a write
	// can depend on that alone. Who is not in it is read once more.
	times map[string]written
}

type written struct {
	version uint64
	at      *timestamppb.Timestamp
}

// maxTimes is how many fragments are in Store.times.
const maxTimes = 10_000

var _ profile.Store = (*Store)(nil)

// fragments is the collection of fragments.
const fragments = "fragments"

// The fields of a fragment.
const (
	versionField = "v"
	stateField   = "s" // as profile.Fragment encodes it
	// writerFields is where a version's writer leaves its token, each version in
	// the next: a write whose answer was lost is found by it, though others wrote since.
	writerFields = "w"
	writers      = 32
)

func writerField(version uint64) string {
	return writerFields + strconv.FormatUint(version%writers, 10)
}

// errLost says that too many wrote since to tell.
var errLost = errors.New("firestore: it cannot be told whether it was written: load it again")

// Load implements profile.Store. A key may be asked for more than once.
func (s *Store) Load(ctx context.Context, keys []profile.Key) ([]*profile.Fragment, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("load %d fragments: %w", len(keys), context.Cause(ctx))
	}
	names := make([]string, len(keys))
	for i, k := range keys {
		id, err := fragmentID(k)
		if err != nil {
			return nil, err
		}
		names[i] = s.Database.document(fragments, id)
	}
	docs, err := s.Database.get(ctx, names, versionField, stateField)
	if err != nil {
		return nil, fmt.Errorf("load %d fragments: %w", len(keys), err)
	}
	out := make([]*profile.Fragment, len(keys))
	for i, k := range keys {
		if out[i], err = fragment(k, docs[names[i]]); err != nil {
			return nil, fmt.Errorf("load fragment %s: %w", k, err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, f := range out {
		if f.Version > 0 {
			s.keep(names[i], f.Version, docs[names[i]].UpdateTime)
		}
	}
	return out, nil
}

// keep keeps when a version was written. It is called with the lock.
func (s *Store) keep(name string, version uint64, at *timestamppb.Timestamp) {
	if s.times == nil || len(s.times) >= maxTimes {
		s.times = map[string]written{}
	}
	s.times[name] = written{version, at}
}

// fragment returns the fragment that a document holds; nil is an empty one's.
func fragment(k profile.Key, doc *pb.Document) (*profile.Fragment, error) {
	if doc == nil {
		return profile.NewFragment(k), nil
	}
	version := versionOf(doc)
	if version == 0 {
		return nil, fmt.Errorf("firestore: the document %s has no version", path.Base(doc.Name))
	}
	return profile.Decode(k, version, doc.Fields[stateField].GetBytesValue())
}

// versionOf returns a document's version, 0 if there is none.
func versionOf(doc *pb.Document) uint64 {
	return uint64(doc.GetFields()[versionField].GetIntegerValue())
}

// saving is a fragment on its way.
type saving struct {
	*profile.Fragment
	name  string
	write *pb.Write
	token int64
	// doubt is that an attempt may have been done whose answer was lost.
	doubt          bool
	done, conflict bool
	err            error
}

// Save implements profile.Store. A state of more than a document can hold, some
// 1,040,000 bytes, is an error.
func (s *Store) Save(ctx context.Context, all []*profile.Fragment) error {
	every := make([]*saving, len(all))
	var batches [][]*saving
	bytes, rest := 0, []*saving(nil)
	for i, f := range all {
		w := s.saving(f)
		if every[i] = w; w.err != nil {
			continue
		}
		size := proto.Size(w.write)
		if len(rest) == maxWrites || len(rest) > 0 && bytes+size > maxBytes {
			batches, rest, bytes = append(batches, rest), nil, 0
		}
		rest, bytes = append(rest, w), bytes+size
	}
	if len(rest) > 0 {
		batches = append(batches, rest)
	}
	var wg sync.WaitGroup
	for _, batch := range batches {
		wg.Go(func() { s.save(ctx, batch) })
	}
	wg.Wait()
	var conflicts []int
	var errs []error
	for i, w := range every {
		switch {
		case w.done:
			all[i].Version++
		case w.conflict:
			conflicts = append(conflicts, i)
		default:
			errs = append(errs, fmt.Errorf("save fragment %s: %w", w.Key, w.err))
		}
	}
	if len(errs) > 0 {
		return errors.Join(errs...)
	}
	if conflicts != nil {
		return &profile.ConflictError{Index: conflicts}
	}
	return nil
}

// saving returns what writes f, on the condition that its version is stored.
func (s *Store) saving(f *profile.Fragment) *saving {
	w := &saving{Fragment: f, token: rand.Int64()}
	id, err := fragmentID(f.Key)
	if err != nil {
		w.err = err
		return w
	}
	state, err := f.Encode()
	if err == nil && len(state) > maxValue {
		err = fmt.Errorf("firestore: its state has %d bytes, and may have %d", len(state), maxValue)
	}
	if err != nil {
		w.err = err
		return w
	}
	w.name = s.Database.document(fragments, id)
	writer := writerField(f.Version + 1)
	w.write = &pb.Write{
		Operation: &pb.Write_Update{Update: &pb.Document{Name: w.name, Fields: map[string]*pb.Value{
			versionField: number(int64(f.Version + 1)), stateField: blob(state), writer: number(w.token),
		}}},
		UpdateMask: &pb.DocumentMask{FieldPaths: []string{versionField, stateField, writer}},
	}
	if f.Version == 0 {
		w.write.CurrentDocument = &pb.Precondition{ConditionType: &pb.Precondition_Exists{Exists: false}}
		return w
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if known := s.times[w.name]; known.version == f.Version {
		w.after(known.at)
	}
	return w
}

// after makes the write depend on when the stored version was written.
func (w *saving) after(at *timestamppb.Timestamp) {
	w.write.CurrentDocument = &pb.Precondition{ConditionType: &pb.Precondition_UpdateTime{UpdateTime: at}}
}

// save writes until it is known of each whether it is written.
func (s *Store) save(ctx context.Context, left []*saving) {
	end := func(err error) {
		for _, w := range left {
			w.err = err
		}
	}
	for failed := 0; ; failed++ {
		if ctx.Err() != nil {
			end(context.Cause(ctx))
			return
		}
		// What is in doubt is read at once, before too many others write.
		if err := s.ask(ctx, left); err != nil {
			end(err)
			return
		}
		if left = unsettled(left); len(left) == 0 {
			return
		}
		if failed > 1 { // what broke at first was most likely a connection, and others write meanwhile
			if err := between.Wait(ctx, failed-1); err != nil {
				end(fmt.Errorf("after %d attempts: %w", failed, err))
				return
			}
		}
		if err := s.attempt(ctx, left); err != nil {
			end(err)
			return
		}
		if left = unsettled(left); len(left) == 0 {
			return
		}
	}
}

func unsettled(all []*saving) (left []*saving) {
	for _, w := range all {
		if !w.done && !w.conflict && w.err == nil {
			left = append(left, w)
		}
	}
	return left
}

// ask reads what is stored where it is not known.
func (s *Store) ask(ctx context.Context, all []*saving) error {
	var names []string
	mask := []string{versionField}
	for i := range uint64(writers) {
		mask = append(mask, writerField(i))
	}
	for _, w := range all {
		if w.doubt || w.write.CurrentDocument == nil {
			names = append(names, w.name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	docs, err := s.Database.get(ctx, names, mask...)
	if err != nil {
		return err
	}
	for _, w := range all {
		if !w.doubt && w.write.CurrentDocument != nil {
			continue
		}
		doc := docs[w.name]
		now := versionOf(doc)
		switch {
		case now == w.Version:
			if doc != nil {
				w.after(doc.UpdateTime)
			}
		case !w.doubt || now < w.Version:
			w.conflict = true
		case now > w.Version+writers:
			w.err = errLost
		default:
			w.done = doc.Fields[writerField(w.Version+1)].GetIntegerValue() == w.token
			w.conflict = !w.done
		}
	}
	return nil
}

// attempt writes all once. Its error says that no other attempt will do.
func (s *Store) attempt(ctx context.Context, all []*saving) error {
	req := &pb.BatchWriteRequest{Database: s.Database.name}
	for _, w := range all {
		req.Writes = append(req.Writes, w.write)
	}
	attempt, cancel := context.WithTimeout(s.Database.headers(ctx), attemptTime)
	answer, err := s.Database.client.BatchWrite(attempt, req)
	cancel()
	if err == nil && (len(answer.Status) != len(all) || len(answer.WriteResults) != len(all)) {
		err = fmt.Errorf("firestore: %d writes have %d answers", len(all), len(answer.Status))
	}
	if err != nil {
		if !again(err) || ctx.Err() != nil {
			return err
		}
		for _, w := range all {
			w.doubt = true
		}
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, w := range all {
		err := status.ErrorProto(answer.Status[i])
		switch code := status.Code(err); {
		case err == nil:
			w.done = true
			s.keep(w.name, w.Version+1, answer.WriteResults[i].UpdateTime)
		case code == codes.FailedPrecondition || code == codes.AlreadyExists || code == codes.NotFound:
			// Unless an earlier attempt did it.
			w.conflict = !w.doubt
		case again(err):
			w.doubt = true
		default:
			w.err = err
		}
	}
	return nil
}
