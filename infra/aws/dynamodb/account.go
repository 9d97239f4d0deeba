package dynamodb

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/hitolayer/hito/shared/ledger"
)

// An account is what one log has booked of a project: its totals, or the counts
// of one hour. It holds the sequence up to which the log is booked in it, so that
// adding and remembering are one conditional write, without a read before.
type account struct {
	place
	postings []posting        // by sequence
	loose    map[string]int64 // what has no position
}

// posting is what one position adds to an account.
type posting struct {
	sequence []byte
	numbers  map[string]int64
}

// The attributes of an account beside its numbers.
const (
	bookedAttr = "n" // the sequence up to which it is booked
	byAttr     = "w" // who wrote it last: a random token
)

// logsAttr is on a project's list of logs: their names, escaped, each behind a mark.
const logsAttr = "logs"

// Commit implements ledger.Committer. Each account is a write of its own: those
// of a call that failed are completed by the next, and what was booked is left out.
// A log is committed to by one caller at a time, in the order of its sequences.
func (l *Ledger) Commit(ctx context.Context, log string, bookings []ledger.Booking) error {
	if err := l.commit(ctx, log, bookings); err != nil {
		return fmt.Errorf("commit %d bookings of log %s: %w", len(bookings), log, err)
	}
	return nil
}

func (l *Ledger) commit(ctx context.Context, log string, bookings []ledger.Booking) error {
	accounts := make(map[place]*account)
	for _, b := range bookings {
		seq, err := sequence(b.Sequence)
		if err != nil {
			return err
		}
		total := sumsOf(b.Deltas)
		if seq != nil && total.most() > maxAdds {
			// More than a write takes. It is remembered by its own name instead.
			if err := l.CommitOnce(ctx, log+"/"+b.Sequence, b.Deltas); err != nil {
				return err
			}
			continue
		}
		for p, numbers := range total {
			if accounts[p] == nil {
				accounts[p] = &account{place: p, loose: make(map[string]int64)}
			}
			accounts[p].add(seq, numbers)
		}
	}
	t := l.table()
	list := slices.SortedFunc(maps.Values(accounts), func(a, b *account) int { return a.compare(b.place) })
	for i, a := range list {
		if i == 0 || list[i-1].project != a.project {
			if err := l.register(ctx, t, a.project, log); err != nil {
				return err
			}
		}
	}
	return parallel(len(list), t.workers, func(i int) error { return t.post(ctx, log, list[i]) })
}

// most returns how many numbers the place with the most has.
func (s sums) most() (n int) {
	for _, numbers := range s {
		n = max(n, len(numbers))
	}
	return n
}

func (a *account) add(seq []byte, numbers map[string]int64) {
	if seq != nil {
		a.postings = append(a.postings, posting{seq, numbers})
		return
	}
	for attr, n := range numbers {
		a.loose[attr] += n
	}
}

// sequenceBytes is the width of a sequence as it is stored: Kinesis' have 56
// decimal digits, which are 24 bytes.
const sequenceBytes = 32

// sequence returns a decimal number as bytes that compare like it, nil for none.
func sequence(decimal string) ([]byte, error) {
	if decimal == "" {
		return nil, nil
	}
	n, ok := new(big.Int).SetString(decimal, 10)
	if !ok || n.Sign() < 0 || n.BitLen() > 8*sequenceBytes || strings.ContainsAny(decimal, "+_") {
		return nil, fmt.Errorf("dynamodb: sequence %q is no decimal number of up to %d bytes", decimal, sequenceBytes)
	}
	return n.FillBytes(make([]byte, sequenceBytes)), nil
}

// accountKey returns the key of a log's account.
func accountKey(log string, p place) string {
	names := []string{p.project, log}
	if p.isHour {
		names = append(names, fmt.Sprint(p.hour))
	}
	pk, _ := key("l/a", names...)
	return pk
}

// logsKey returns the key of the list of logs that have accounts of a project.
func logsKey(project string) string {
	pk, _ := key("l/l", project)
	return pk
}

// register makes sure that readers find the log's accounts of a project, before
// there are any.
func (l *Ledger) register(ctx context.Context, t *table, project, log string) error {
	name := string(appendNames(project, log))
	if _, known := l.registered.Load(name); known {
		return nil
	}
	err := t.do(ctx, func(ctx context.Context) error {
		_, err := t.api.UpdateItem(ctx, &dynamodb.UpdateItemInput{
			TableName: &t.name, Key: t.key(logsKey(project)), UpdateExpression: new("ADD #l :l"),
			ExpressionAttributeNames:  map[string]string{"#l": logsAttr},
			ExpressionAttributeValues: item{":l": &types.AttributeValueMemberSS{Value: []string{string(appendEscaped([]byte{mark}, log))}}},
		})
		return err
	})
	if err != nil {
		return fmt.Errorf("register the log with project %s: %w", project, err)
	}
	l.registered.Store(name, true)
	return nil
}

// logsOf returns the names in a list of logs.
func logsOf(it item) ([]string, error) {
	set, _ := it[logsAttr].(*types.AttributeValueMemberSS)
	if set == nil {
		return nil, nil
	}
	names := make([]string, 0, len(set.Value))
	for _, escaped := range set.Value {
		name, err := unescape(strings.TrimPrefix(escaped, string(mark)))
		if err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	slices.Sort(names)
	return names, nil
}

// post adds to an account what it does not have yet.
func (t *table) post(ctx context.Context, log string, a *account) error {
	slices.SortStableFunc(a.postings, func(x, y posting) int { return bytes.Compare(x.sequence, y.sequence) })
	pk, loose := accountKey(log, a.place), slices.Sorted(maps.Keys(a.loose))
	loose = slices.DeleteFunc(loose, func(attr string) bool { return a.loose[attr] == 0 })
	for len(a.postings) > 0 || len(loose) > 0 {
		numbers, taken := a.take()
		left := loose
		for len(left) > 0 && taken == len(a.postings) && len(numbers) < maxAdds {
			numbers[left[0]] += a.loose[left[0]]
			left = left[1:]
		}
		token := make([]byte, tokenSize)
		rand.Read(token)
		was, err := t.increase(ctx, pk, a.place, numbers, a.postings[:taken], token)
		if err != nil {
			return err
		}
		if was == nil || bytes.Equal(bytesOf(was, byAttr), token) { // the answer was lost, not the write
			a.postings, loose = a.postings[taken:], left
			continue
		}
		n := len(a.postings)
		a.postings = slices.DeleteFunc(a.postings, func(p posting) bool { return bytes.Compare(p.sequence, bytesOf(was, bookedAttr)) <= 0 })
		if len(a.postings) == n {
			return fmt.Errorf("dynamodb: %s refuses what comes after its own sequence", pk)
		}
	}
	return nil
}

// take returns the sum of the first postings, so many as one write takes: all of
// one sequence, or none.
func (a *account) take() (numbers map[string]int64, taken int) {
	numbers = make(map[string]int64)
	for taken < len(a.postings) {
		end := taken + 1
		for end < len(a.postings) && bytes.Equal(a.postings[end].sequence, a.postings[taken].sequence) {
			end++
		}
		more := maps.Clone(numbers)
		for _, p := range a.postings[taken:end] {
			for attr, n := range p.numbers {
				more[attr] += n
			}
		}
		if taken > 0 && len(more) > maxAdds {
			break
		}
		numbers, taken = more, end
	}
	return numbers, taken
}

// increase adds numbers to an account and moves it past the postings, on the
// condition that it is before them. It returns what the account was instead.
func (t *table) increase(ctx context.Context, pk string, p place, numbers map[string]int64, postings []posting, token []byte) (was item, err error) {
	attrs := slices.DeleteFunc(slices.Sorted(maps.Keys(numbers)), func(attr string) bool { return numbers[attr] == 0 })
	u := t.adds(pk, p, attrs, numbers)
	set := "#w = :w"
	condition := "(attribute_not_exists(#w) OR #w <> :w)" // else an attempt of this write took effect
	u.ExpressionAttributeNames["#w"], u.ExpressionAttributeValues[":w"] = byAttr, binaryValue(token)
	if len(postings) > 0 {
		set += ", #n = :n"
		condition += " AND (attribute_not_exists(#n) OR #n < :first)"
		u.ExpressionAttributeNames["#n"] = bookedAttr
		u.ExpressionAttributeValues[":n"] = binaryValue(postings[len(postings)-1].sequence)
		u.ExpressionAttributeValues[":first"] = binaryValue(postings[0].sequence)
	}
	expression := aws.ToString(u.UpdateExpression)
	if before, after, ok := strings.Cut(expression, " SET "); ok {
		expression = before + " SET " + set + ", " + after
	} else {
		expression = strings.TrimSpace(expression + " SET " + set)
	}
	err = t.do(ctx, func(ctx context.Context) error {
		_, err := t.api.UpdateItem(ctx, &dynamodb.UpdateItemInput{
			TableName: u.TableName, Key: u.Key, UpdateExpression: &expression, ConditionExpression: &condition,
			ExpressionAttributeNames: u.ExpressionAttributeNames, ExpressionAttributeValues: u.ExpressionAttributeValues,
			ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
		})
		return err
	})
	if failed, ok := errors.AsType[*types.ConditionalCheckFailedException](err); ok {
		if failed.Item == nil {
			return nil, fmt.Errorf("dynamodb: %s: a condition failed, and what the item is was not told: %w", pk, err)
		}
		return failed.Item, nil
	}
	return nil, err
}
