package bigquery

import (
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/hitolayer/hito/shared/event"
	"github.com/hitolayer/hito/shared/stream"
)

func record(t *testing.T, r *event.Record) stream.Record {
	t.Helper()
	data, err := event.Encode(r)
	if err != nil {
		t.Fatal(err)
	}
	return stream.Record{Project: r.Project, Key: r.Key, Events: len(r.Events), Time: r.ReceivedAt, Data: data}
}

// enriched are two records of three events, and an erasure.
func enriched(t *testing.T) []stream.Record {
	return []stream.Record{
		record(t, &event.Record{Project: "shop", Key: "u:u1", ReceivedAt: 1_700_000_000_123, Origin: "gcp", Events: []*event.Event{
			{
				MessageId: "m1", Type: event.Type_TYPE_TRACK, Name: "Order <Completed>", UserId: "u1", AnonymousId: "a1", Timestamp: 1_700_000_000_000,
				Properties: []byte(`{"total":12.5,"note":"\"日本\""}`), Context: []byte(`{"locale":"ja-JP"}`),
				Enriched: &event.Enriched{Agent: &event.Agent{Browser: "Firefox", BrowserVersion: "130"}, Geo: &event.Geo{Country: "JP"}},
			},
			{MessageId: "m2", Type: event.Type_TYPE_IDENTIFY, UserId: "u1", Timestamp: 1_700_000_000_100, Traits: []byte(`{"email":"u1@example.com"}`)},
		}}),
		record(t, &event.Record{Project: "shop", Key: "u:u2", ReceivedAt: 1_700_000_001_000, Origin: "gcp", Erase: true}),
		record(t, &event.Record{Project: "news", Key: "a:a3", ReceivedAt: 1_700_000_002_000, Origin: "aws", Events: []*event.Event{
			{MessageId: "m3", Type: event.Type_TYPE_GROUP, AnonymousId: "a3", GroupId: "g", Timestamp: 1_700_000_001_999},
		}}),
	}
}

func TestRows(t *testing.T) {
	rows, err := Rows(enriched(t))
	if err != nil {
		t.Fatal(err)
	}
	want := []map[string]any{
		{
			"project": "shop", "message_id": "m1", "type": "track", "name": "Order <Completed>", "user_id": "u1", "anonymous_id": "a1",
			"timestamp": "2023-11-14T22:13:20.000Z", "received_at": "2023-11-14T22:13:20.123Z", "origin": "gcp",
			"properties": `{"total":12.5,"note":"\"日本\""}`, "context": `{"locale":"ja-JP"}`,
			"enriched": `{"agent":{"browser":"Firefox","browser_version":"130"},"geo":{"country":"JP"}}`,
		},
		{
			"project": "shop", "message_id": "m2", "type": "identify", "user_id": "u1", "timestamp": "2023-11-14T22:13:20.100Z",
			"received_at": "2023-11-14T22:13:20.123Z", "origin": "gcp", "traits": `{"email":"u1@example.com"}`,
		},
		{
			"project": "news", "message_id": "m3", "type": "group", "anonymous_id": "a3", "group_id": "g", "timestamp": "2023-11-14T22:13:21.999Z",
			"received_at": "2023-11-14T22:13:22.000Z", "origin": "aws",
		},
	}
	if len(rows) != len(want) {
		t.Fatalf("%d rows, want %d", len(rows), len(want))
	}
	for i := range want {
		var got map[string]any
		if err := json.Unmarshal(rows[i], &got); err != nil || !reflect.DeepEqual(got, want[i]) {
			t.Errorf("row %d is %s, %v; want %v", i, rows[i], err, want[i])
		}
	}
	if _, err := Rows([]stream.Record{{Project: "shop", Key: "u:x", Data: []byte("no record")}}); err == nil || !strings.Contains(err.Error(), "shop/u:x") {
		t.Errorf("what is no record: %v", err)
	}
}

type publisher func([]stream.Record) error

func (p publisher) Publish(_ context.Context, records []stream.Record) error { return p(records) }

type topic func([][]byte) error

func (t topic) Publish(_ context.Context, rows [][]byte) error { return t(rows) }

// TestCopied: the records and their rows are published, and neither fails unseen.
func TestCopied(t *testing.T) {
	var published, copied int
	partly := stream.Failures{{Index: 1, Err: errors.New("full")}}
	down := errors.New("down")
	for name, c := range map[string]struct{ records, rows, want error }{
		"both": {nil, nil, nil}, "records fail": {partly, nil, partly}, "rows fail": {nil, down, down}, "both fail": {partly, down, down},
		"rows fail by position": {nil, partly, partly}, "both fail by position": {partly, stream.Failures{{Index: 0, Err: down}}, down},
	} {
		published, copied = 0, 0
		p := Copied{
			Publisher: publisher(func(rs []stream.Record) error { published = len(rs); return c.records }),
			Rows:      topic(func(ms [][]byte) error { copied = len(ms); return c.rows }),
		}
		err := p.Publish(t.Context(), enriched(t))
		if _, named := errors.AsType[stream.Failures](err); named && c.rows != nil {
			t.Errorf("%s: names rows as if they were records: %v", name, err)
		}
		if published != 3 || copied != 3 || (err == nil) != (c.want == nil) || c.want != nil && !strings.Contains(err.Error(), c.want.Error()) {
			t.Errorf("%s: %d records, %d rows, %v; want %v", name, published, copied, err, c.want)
		}
	}
}
