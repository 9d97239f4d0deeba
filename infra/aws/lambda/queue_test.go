package lambda

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/hitolayer/hito/infra/aws/sqs/message"
	"github.com/hitolayer/hito/shared/quarantine"
	"github.com/hitolayer/hito/shared/stream"
)

// queueEvent delivers messages, each a pack of records named so; one named
// "raw:…" has just that for a body.
func queueEvent(t testing.TB, messages ...[]string) []byte {
	t.Helper()
	var members []json.RawMessage
	for n, m := range messages {
		body, raw := strings.CutPrefix(m[0], "raw:")
		if !raw {
			var rs []stream.Record
			for _, name := range m {
				rs = append(rs, testRecord(name))
			}
			b, err := message.Append(nil, rs)
			if err != nil {
				t.Fatal(err)
			}
			body = string(b)
		}
		one := sqsEvent(t, "m"+string(rune('0'+n)), body, n+1)
		members = append(members, bytes.TrimSuffix(bytes.TrimPrefix(one, []byte(`{"Records":[`)), []byte("]}")))
	}
	return encode(t, map[string]any{"Records": members})
}

func TestQueue(t *testing.T) {
	type seen struct {
		id      string
		attempt int
	}
	for name, c := range map[string]struct {
		shelf   *shelf
		handler func(names []string) error
		events  [][]string
		want    []string // messages that come again
		kept    []string // in quarantine
	}{
		"all good": {&shelf{}, func([]string) error { return nil }, [][]string{{"a"}, {"b", "c"}}, nil, nil},
		"one fails": {&shelf{}, func(n []string) error {
			return stream.Failures{{Index: slices.Index(n, "c"), Err: errors.New("not yet")}}
		}, [][]string{{"a"}, {"b", "c"}, {"d"}}, []string{"m1"}, nil},
		"as a whole": {&shelf{}, func([]string) error { return errors.New("away") }, [][]string{{"a"}, {"b"}}, []string{"m0", "m1"}, nil},
		"a panic": {&shelf{}, func(n []string) error {
			if slices.Contains(n, "c") {
				panic("poison")
			}
			return nil
		}, [][]string{{"a"}, {"b", "c"}, {"d"}}, []string{"m1"}, nil},
		"for good": {&shelf{}, func(n []string) error {
			return stream.Failures{{Index: slices.Index(n, "c"), Err: stream.Permanent(errors.New("unfit"))}}
		}, [][]string{{"a"}, {"b", "c"}}, nil, []string{"c"}},
		"for good, without quarantine": {nil, func(n []string) error {
			return stream.Failures{{Index: slices.Index(n, "c"), Err: stream.Permanent(errors.New("unfit"))}}
		}, [][]string{{"a"}, {"b", "c"}}, []string{"m1"}, nil},
		"quarantine away": {&shelf{fail: func() error { return errors.New("away") }}, func(n []string) error {
			return stream.Failures{{Index: slices.Index(n, "c"), Err: stream.Permanent(errors.New("unfit"))}}
		}, [][]string{{"a"}, {"b", "c"}}, []string{"m1"}, nil},
		"unreadable":                     {&shelf{}, func([]string) error { return nil }, [][]string{{"raw:no pack"}, {"b"}}, nil, []string{"no pack"}},
		"unreadable, without quarantine": {nil, func([]string) error { return nil }, [][]string{{"raw:no pack"}, {"b"}}, []string{"m0"}, nil},
		"a position there is not":        {&shelf{}, func([]string) error { return stream.Failures{{Index: 7}} }, [][]string{{"a"}, {"b"}}, []string{"m0", "m1"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			var got []seen
			before := 0
			var log bytes.Buffer
			q := &Queue{Stage: quarantine.Score, Log: slog.New(slog.NewJSONHandler(&log, nil)), Before: func(context.Context) { before++ },
				Handler: func(ctx context.Context, rs []stream.Record) error {
					for i := range rs {
						if s := (seen{rs[i].ID, rs[i].Attempt}); !slices.Contains(got, s) {
							got = append(got, s)
						}
					}
					if n := names(rs); len(n) > 1 || slices.Contains(n, "c") {
						return c.handler(n)
					}
					return nil
				}}
			if c.shelf != nil {
				q.Quarantine = c.shelf
			}
			out, err := q.Invoke(t.Context(), queueEvent(t, c.events...))
			if err != nil {
				t.Fatal(err)
			}
			if ids := reported(t, out); !slices.Equal(ids, c.want) {
				t.Errorf("reported %q, want %q", ids, c.want)
			}
			var kept []string
			if c.shelf != nil {
				for _, e := range c.shelf.all() {
					kept = append(kept, string(e.Body))
				}
			}
			if !slices.Equal(kept, c.kept) {
				t.Errorf("quarantine has %q, want %q", kept, c.kept)
			}
			if before != 1 {
				t.Errorf("Before was called %d times", before)
			}
			if name == "all good" && !slices.Equal(got, []seen{{"m0.0", 1}, {"m1.0", 2}, {"m1.1", 2}}) {
				t.Errorf("delivered %v", got)
			}
			if (len(c.want) > 0) != strings.Contains(log.String(), "comes again") {
				t.Errorf("log: %s", log.String())
			}
		})
	}
}

func TestReadSQSEvent(t *testing.T) {
	messages, err := readRecords(nil, golden(t, "sqs.json"))
	if err != nil || len(messages) != 2 {
		t.Fatal(len(messages), err)
	}
	if m := &messages[0]; string(m.messageID) != "059f36b4-87a3-44ab-83d2-661975830a7d" || string(m.body) != `Test "message".` || m.deliveries() != 3 {
		t.Errorf("%q %q %d", m.messageID, m.body, m.deliveries())
	}
	q := &Queue{Log: quiet, Handler: func(context.Context, []stream.Record) error { t.Error("called"); return nil }}
	out, err := q.Invoke(t.Context(), golden(t, "sqs.json"))
	if err != nil || !slices.Equal(reported(t, out), []string{"059f36b4-87a3-44ab-83d2-661975830a7d", "2e1424d4-f796-459a-8184-9c92662be6da"}) {
		t.Errorf("%s, %v", out, err)
	}
	for _, payload := range []string{"", `{"Records":[{}]}`, string(golden(t, "kinesis.json"))} {
		if out, err := q.Invoke(t.Context(), []byte(payload)); err == nil {
			t.Errorf("%.30s was answered with %s", payload, out)
		}
	}
}
