package fault

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
)

// fields is a JSON object of which only some parts matter.
type fields map[string]json.RawMessage

// batch splits a batch and puts its answer together.
type batch interface {
	// split returns the call's body without the entries withheld.
	split(body []byte, withhold []bool) (rest []byte, err error)
	// join returns the answer of a whole batch: of the rest's answer, and the
	// entries withheld.
	join(answer []byte) ([]byte, error)
	// refused returns whether the service refuses a batch none of whose entries
	// it can take, rather than answer for each.
	refused() bool
}

// batch returns nil when the call is not one, or its body cannot be taken apart.
func (c *request) batch() batch {
	if c.Entries == 0 || !json.Valid(c.body) {
		return nil
	}
	switch c.Service + ":" + c.Action {
	case "kinesis:PutRecords":
		return &putRecords{}
	case "dynamodb:BatchGetItem":
		return &batchItems{unprocessed: "UnprocessedKeys", keys: true}
	case "dynamodb:BatchWriteItem":
		return &batchItems{unprocessed: "UnprocessedItems"}
	case "sqs:SendMessageBatch", "sqs:DeleteMessageBatch", "sqs:ChangeMessageVisibilityBatch":
		return &queueBatch{}
	}
	return nil
}

// partial passes a part of a batch on.
func (p *Proxy) partial(c *request, withhold []bool) *answer {
	b := c.batch()
	rest, err := b.split(c.body, withhold)
	if err != nil {
		return failure(http.StatusBadGateway, err)
	}
	a := &answer{http.StatusOK, http.Header{"Content-Type": c.http.Header["Content-Type"]}, []byte("{}")}
	switch {
	case slices.Contains(withhold, false):
		a = p.forward(c, rest)
	case b.refused():
		return throttled(c, "")
	}
	if a.status != http.StatusOK {
		return a
	}
	whole, err := b.join(a.body)
	if err != nil {
		return failure(http.StatusBadGateway, err)
	}
	a.setBody(whole)
	return a
}

// errEntries is of a body that can be read in two ways.
var errEntries = errors.New("the batch has not as many entries as were counted")

// part returns the entries that are withheld, or those that are not; there are as
// many as marks.
func part[E any](entries []E, withhold []bool, withheld bool) []E {
	var out []E
	for i, entry := range entries {
		if withhold[i] == withheld {
			out = append(out, entry)
		}
	}
	return out
}

// putRecords answers for each record in its place, with a sequence number or an
// error code.
// https://docs.aws.amazon.com/kinesis/latest/APIReference/API_PutRecords.html
type putRecords struct {
	withhold []bool
	stream   string
}

func (b *putRecords) refused() bool { return false }

func (b *putRecords) split(body []byte, withhold []bool) ([]byte, error) {
	var f fields
	if err := json.Unmarshal(body, &f); err != nil {
		return nil, err
	}
	var records []json.RawMessage
	if err := json.Unmarshal(f["Records"], &records); err != nil {
		return nil, err
	}
	if len(records) != len(withhold) {
		return nil, errEntries
	}
	_ = json.Unmarshal(f["StreamName"], &b.stream) // for a message alone
	b.withhold = withhold
	var err error
	if f["Records"], err = json.Marshal(part(records, withhold, false)); err != nil {
		return nil, err
	}
	return json.Marshal(f)
}

func (b *putRecords) join(answer []byte) ([]byte, error) {
	var f fields
	if err := json.Unmarshal(answer, &f); err != nil {
		return nil, err
	}
	var passed []json.RawMessage
	if f["Records"] != nil {
		if err := json.Unmarshal(f["Records"], &passed); err != nil {
			return nil, err
		}
	}
	failed := 0
	if f["FailedRecordCount"] != nil {
		if err := json.Unmarshal(f["FailedRecordCount"], &failed); err != nil {
			return nil, err
		}
	}
	type record struct{ ErrorCode, ErrorMessage string }
	throttled := record{"ProvisionedThroughputExceededException", fmt.Sprintf("Rate exceeded for shard shardId-000000000000 in stream %s under account 000000000000.", b.stream)}
	broken := record{"InternalFailure", "Internal Service Failure"}
	whole := make([]any, len(b.withhold))
	for i, withheld := range b.withhold {
		switch {
		case !withheld && len(passed) > 0:
			whole[i], passed = passed[0], passed[1:]
		case !withheld:
			return nil, fmt.Errorf("the endpoint answers for too few records: %s", answer)
		case failed%2 == 0:
			whole[i], failed = throttled, failed+1
		default:
			whole[i], failed = broken, failed+1
		}
	}
	var err error
	if f["Records"], err = json.Marshal(whole); err != nil {
		return nil, err
	}
	if f["FailedRecordCount"], err = json.Marshal(failed); err != nil {
		return nil, err
	}
	return json.Marshal(f)
}

// batchItems gives back what was not processed in the form of a request. A batch
// of which nothing could be processed is throttled.
// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html
type batchItems struct {
	unprocessed string
	keys        bool // a table has an object with Keys, not a list of writes
	withheld    fields
}

func (b *batchItems) refused() bool { return true }

func (b *batchItems) split(body []byte, withhold []bool) ([]byte, error) {
	var f, tables fields
	if err := json.Unmarshal(body, &f); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(f["RequestItems"], &tables); err != nil {
		return nil, err
	}
	b.withheld = fields{}
	for _, table := range slices.Sorted(maps.Keys(tables)) {
		entries, with, err := b.entries(tables[table])
		if err != nil {
			return nil, err
		}
		if len(entries) > len(withhold) {
			return nil, errEntries
		}
		these := withhold[:len(entries)]
		withhold = withhold[len(entries):]
		for _, half := range []struct {
			of       fields
			withheld bool
		}{{tables, false}, {b.withheld, true}} {
			delete(half.of, table)
			if kept := part(entries, these, half.withheld); len(kept) > 0 {
				if half.of[table], err = with(kept); err != nil {
					return nil, err
				}
			}
		}
	}
	var err error
	if f["RequestItems"], err = json.Marshal(tables); err != nil {
		return nil, err
	}
	return json.Marshal(f)
}

// entries returns what is asked of a table, and how to ask for other entries in
// the same way.
func (b *batchItems) entries(table json.RawMessage) ([]json.RawMessage, func([]json.RawMessage) (json.RawMessage, error), error) {
	var entries []json.RawMessage
	if !b.keys {
		err := json.Unmarshal(table, &entries)
		return entries, func(e []json.RawMessage) (json.RawMessage, error) { return json.Marshal(e) }, err
	}
	var f fields
	if err := json.Unmarshal(table, &f); err != nil {
		return nil, nil, err
	}
	err := json.Unmarshal(f["Keys"], &entries)
	return entries, func(e []json.RawMessage) (json.RawMessage, error) {
		keys, err := json.Marshal(e)
		if err != nil {
			return nil, err
		}
		with := maps.Clone(f)
		with["Keys"] = keys
		return json.Marshal(with)
	}, err
}

func (b *batchItems) join(answer []byte) ([]byte, error) {
	var f, tables fields
	if err := json.Unmarshal(answer, &f); err != nil {
		return nil, err
	}
	if f[b.unprocessed] != nil {
		if err := json.Unmarshal(f[b.unprocessed], &tables); err != nil {
			return nil, err
		}
	}
	if tables == nil {
		tables = fields{}
	}
	for table, withheld := range b.withheld {
		mine, with, err := b.entries(withheld)
		if err != nil {
			return nil, err
		}
		if tables[table] != nil {
			theirs, _, err := b.entries(tables[table])
			if err != nil {
				return nil, err
			}
			mine = append(mine, theirs...)
		}
		if tables[table], err = with(mine); err != nil {
			return nil, err
		}
	}
	var err error
	if f[b.unprocessed], err = json.Marshal(tables); err != nil {
		return nil, err
	}
	return json.Marshal(f)
}

// queueBatch lists the entries that failed by their ids.
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html
type queueBatch struct{ withheld []json.RawMessage }

func (b *queueBatch) refused() bool { return false }

func (b *queueBatch) split(body []byte, withhold []bool) ([]byte, error) {
	var f fields
	if err := json.Unmarshal(body, &f); err != nil {
		return nil, err
	}
	var entries []json.RawMessage
	if err := json.Unmarshal(f["Entries"], &entries); err != nil {
		return nil, err
	}
	if len(entries) != len(withhold) {
		return nil, errEntries
	}
	b.withheld = part(entries, withhold, true)
	var err error
	if f["Entries"], err = json.Marshal(part(entries, withhold, false)); err != nil {
		return nil, err
	}
	return json.Marshal(f)
}

func (b *queueBatch) join(answer []byte) ([]byte, error) {
	var f fields
	if err := json.Unmarshal(answer, &f); err != nil {
		return nil, err
	}
	var failed []any
	if f["Failed"] != nil {
		if err := json.Unmarshal(f["Failed"], &failed); err != nil {
			return nil, err
		}
	}
	for _, entry := range b.withheld {
		var named struct{ Id string }
		if err := json.Unmarshal(entry, &named); err != nil {
			return nil, err
		}
		failed = append(failed, struct {
			Id          string
			SenderFault bool
			Code        string
			Message     string
		}{named.Id, false, "InternalError", "We encountered an internal error. Please try again."})
	}
	var err error
	if f["Failed"], err = json.Marshal(failed); err != nil {
		return nil, err
	}
	return json.Marshal(f)
}
