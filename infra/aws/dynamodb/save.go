package dynamodb

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/hitolayer/hito/shared/profile"
)

// writerAttrs are where a version's writer leaves its token: each version has
// the next. A write whose answer was lost is found in the item by it, even
// when others have written since, up to three times.
var writerAttrs = [4]string{"a", "b", "c", "d"}

// tokenSize is how many random bytes tell a writer from those it raced with.
const tokenSize = 5

// Save implements profile.Store.
func (s *Store) Save(ctx context.Context, fragments []*profile.Fragment) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("save %d fragments: %w", len(fragments), context.Cause(ctx))
	}
	t := s.table()
	states := make([][]byte, len(fragments))
	for i, f := range fragments {
		var err error
		if states[i], err = f.Encode(); err != nil {
			return fmt.Errorf("save: %w", err)
		}
	}
	conflicts := make([]bool, len(fragments))
	err := parallel(len(fragments), t.workers, func(i int) error {
		f := fragments[i]
		saved, err := s.save(ctx, t, f, states[i])
		if err != nil {
			return fmt.Errorf("save fragment %s: %w", f.Key, err)
		}
		if conflicts[i] = !saved; saved {
			f.Version++
		}
		return nil
	})
	if err != nil {
		return err
	}
	var lost []int
	for i, c := range conflicts {
		if c {
			lost = append(lost, i)
		}
	}
	if lost != nil {
		return &profile.ConflictError{Index: lost}
	}
	return nil
}

// save writes one fragment, false when its stored version is another.
func (s *Store) save(ctx context.Context, t *table, f *profile.Fragment, state []byte) (bool, error) {
	w := write{t: t, version: f.Version, token: make([]byte, tokenSize)}
	rand.Read(w.token)
	var hashed bool
	if w.pk, hashed = fragmentKey(f.Key); hashed {
		w.names = appendNames(f.Key.Project, f.Key.Visitor)
	}
	if s.Keep > 0 {
		w.ttl = t.now().Add(s.Keep).Unix()
	}
	var err error
	if w.packed, err = encodeValue(state, w.overhead()); err != nil {
		return false, err
	}
	if len(w.packed) <= maxInline {
		return w.head(ctx)
	}
	w.parts.count = (len(w.packed) + partSize - 1) / partSize
	rand.Read(w.parts.generation[:])
	loose := t.now().Add(looseFor + s.Keep)
	if err := t.putParts(ctx, w.pk, w.parts, w.packed, loose); err != nil {
		return false, err
	}
	saved, err := w.head(ctx)
	switch {
	case err != nil:
		return false, err // the head may refer to them
	case !saved:
		return false, t.deleteParts(ctx, w.pk, w.parts)
	}
	return true, t.holdParts(ctx, w.parts.keys(w.pk), w.ttl)
}

// write is the write of one version.
type write struct {
	t       *table
	pk      string
	names   []byte
	version uint64 // that it replaces
	token   []byte
	ttl     int64
	packed  []byte
	parts   parts // that hold packed, if any
}

// overhead is about what the item has beside its value, in bytes.
func (w *write) overhead() int {
	n := len(pkAttr) + len(w.pk) + len(versionAttr) + 6 + len(valueAttr) + len(writerAttrs)*(1+tokenSize) + len(w.names)
	if w.ttl > 0 {
		n += len(ttlAttr) + 6
	}
	return n
}

// head writes the fragment's item, false when its version is another.
func (w *write) head(ctx context.Context) (bool, error) {
	was, err := w.put(ctx, parts{}, false)
	if err != nil || was == nil {
		return err == nil, err
	}
	if w.mine(was) {
		return true, nil
	}
	version, err := numberOf(was, versionAttr)
	if err != nil {
		return false, err
	}
	if uint64(version) != w.version || w.version == 0 {
		return false, nil
	}
	// What it replaces is in parts, or has left some behind.
	old, err := readParts(bytesOf(was, partsAttr))
	if err != nil {
		return false, err
	}
	older, err := readParts(bytesOf(was, replacedAttr))
	if err != nil {
		return false, err
	}
	if err := w.t.deleteParts(ctx, w.pk, older); err != nil {
		return false, err
	}
	if was, err = w.put(ctx, old, true); err != nil || was != nil && !w.mine(was) {
		return false, err
	}
	if w.t.deleteParts(ctx, w.pk, old) != nil {
		return true, nil // the head names them: the next save removes them
	}
	return true, nil
}

// put writes the item on the condition that it is as expected: of the version,
// and without parts unless replacing says that it may have them, namely old. It
// returns what the item was instead, never nil then.
func (w *write) put(ctx context.Context, old parts, replacing bool) (was item, err error) {
	names := map[string]string{
		"#v": versionAttr, "#w": writerAttrs[(w.version+1)%uint64(len(writerAttrs))], "#s": valueAttr, "#g": partsAttr, "#o": replacedAttr,
	}
	values := item{":v": number(w.version + 1), ":w": binaryValue(w.token)}
	set, remove := "SET #v = :v, #w = :w", ""
	if w.parts.count > 0 {
		values[":g"] = binaryValue(w.parts.encode())
		set += ", #g = :g"
		remove += ", #s"
	} else {
		values[":s"] = binaryValue(w.packed)
		set += ", #s = :s"
		remove += ", #g"
	}
	if old.count > 0 {
		values[":o"] = binaryValue(old.encode())
		set += ", #o = :o"
	} else {
		remove += ", #o"
	}
	if w.ttl > 0 {
		names["#t"], values[":t"] = ttlAttr, number(w.ttl)
		set += ", #t = :t"
	}
	if w.names != nil {
		names["#k"], values[":k"] = nameAttr, binaryValue(w.names)
		set += ", #k = :k"
	}
	condition := "#v = :was"
	if w.version == 0 {
		condition = "attribute_not_exists(#v)"
	} else {
		values[":was"] = number(w.version)
		if !replacing {
			condition += " AND attribute_not_exists(#g) AND attribute_not_exists(#o)"
		}
	}
	in := &dynamodb.UpdateItemInput{
		TableName: &w.t.name, Key: w.t.key(w.pk),
		UpdateExpression: new(set + " REMOVE " + remove[2:]), ConditionExpression: &condition,
		ExpressionAttributeNames: names, ExpressionAttributeValues: values,
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	}
	err = w.t.do(ctx, func(ctx context.Context) error {
		_, err := w.t.api.UpdateItem(ctx, in)
		return err
	})
	failed, ok := errors.AsType[*types.ConditionalCheckFailedException](err)
	if !ok {
		return nil, err
	}
	if failed.Item != nil {
		return failed.Item, nil
	}
	items, err := w.t.get(ctx, []string{w.pk})
	if err != nil {
		return nil, err
	}
	if was = items[w.pk]; was == nil {
		was = item{} // gone
	}
	return was, nil
}

// mine reports whether the item has this write in it, which took effect though
// its answer was lost.
func (w *write) mine(it item) bool {
	version, err := numberOf(it, versionAttr)
	ago := uint64(version) - (w.version + 1)
	return err == nil && uint64(version) > w.version && ago < uint64(len(writerAttrs)) &&
		bytes.Equal(bytesOf(it, writerAttrs[(w.version+1)%uint64(len(writerAttrs))]), w.token)
}
