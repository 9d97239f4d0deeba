// Package bigquery gives a copy of what is published to BigQuery: a row for every
// event, as a message of a topic with a BigQuery subscription that uses the
// table's schema. Nothing of BigQuery is linked: Pub/Sub writes the rows.
//
// A row may come twice, as Pub/Sub delivers at least once, and a record may be
// published twice: tell events apart by project and message_id.
//
// https://cloud.google.com/pubsub/docs/bigquery
package bigquery

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/hitolayer/hito/shared/event"
	"github.com/hitolayer/hito/shared/stream"
)

// Row is an event as the table has it: its members are the columns. What the
// client sent as objects, and what enrichment found, is JSON in a string: the
// functions JSON_VALUE and JSON_QUERY read it.
type Row struct {
	Project     string `json:"project"`
	MessageID   string `json:"message_id"`
	Type        string `json:"type"`
	Name        string `json:"name,omitempty"`
	UserID      string `json:"user_id,omitempty"`
	AnonymousID string `json:"anonymous_id,omitempty"`
	GroupID     string `json:"group_id,omitempty"`
	// Timestamp and ReceivedAt are RFC 3339, in UTC, to the millisecond.
	Timestamp  string `json:"timestamp"`
	ReceivedAt string `json:"received_at"`
	Origin     string `json:"origin"`
	Properties string `json:"properties,omitempty"`
	Traits     string `json:"traits,omitempty"`
	Context    string `json:"context,omitempty"`
	Enriched   string `json:"enriched,omitempty"`
}

// Copied is a Publisher of event records of which the rows' topic gets a copy.
type Copied struct {
	stream.Publisher
	Rows interface {
		Publish(ctx context.Context, rows [][]byte) error
	}
}

// Publish publishes the records and their rows. It fails when either does: then
// all come again, and rows may be there already.
func (c Copied) Publish(ctx context.Context, records []stream.Record) error {
	rows, err := Rows(records)
	if err != nil {
		return err
	}
	copied := make(chan error, 1)
	go func() {
		if len(rows) == 0 {
			copied <- nil
			return
		}
		copied <- c.Rows.Publish(ctx, rows)
	}()
	err = c.Publisher.Publish(ctx, records)
	if failed := <-copied; failed != nil {
		// Not wrapped: positions among rows are not those of records.
		return fmt.Errorf("publish %d rows: %v; their records: %v", len(rows), failed, err)
	}
	return err
}

// Rows returns a JSON row for every event of the records. An erasure has none.
func Rows(records []stream.Record) ([][]byte, error) {
	var rows [][]byte
	for i := range records {
		r, err := event.Decode(records[i].Data)
		if err != nil {
			return nil, fmt.Errorf("row of record %d, of %s/%s: %w", i, records[i].Project, records[i].Key, err)
		}
		if r.Erase {
			continue
		}
		for _, e := range r.Events {
			row := Row{
				Project: r.Project, MessageID: e.MessageId, Type: e.Type.Word(), Name: e.Name,
				UserID: e.UserId, AnonymousID: e.AnonymousId, GroupID: e.GroupId,
				Timestamp: moment(e.Timestamp), ReceivedAt: moment(r.ReceivedAt), Origin: r.Origin,
				Properties: string(e.Properties), Traits: string(e.Traits), Context: string(e.Context),
			}
			if e.Enriched != nil {
				found, err := json.Marshal(e.Enriched)
				if err != nil {
					return nil, fmt.Errorf("row of event %s: %w", e.MessageId, err)
				}
				row.Enriched = string(found)
			}
			data, err := json.Marshal(row)
			if err != nil {
				return nil, fmt.Errorf("row of event %s: %w", e.MessageId, err)
			}
			rows = append(rows, data)
		}
	}
	return rows, nil
}

// moment is a time in Unix milliseconds as BigQuery reads it.
func moment(millis int64) string {
	return time.UnixMilli(millis).UTC().Format("2006-01-02T15:04:05.000Z")
}
