package functions

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/hitolayer/hito/infra/gcp/pubsub/message"
)

// golden is a request as Google documents it.
// https://cloud.google.com/pubsub/docs/push#receive_push
// https://cloud.google.com/pubsub/docs/payload-unwrapping
func golden(t testing.TB, name string) *http.Request {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name+".http"))
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(data)))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRead(t *testing.T) {
	ours := map[string]string{message.ID: "0123456789abcdef0123456789abcdef", message.Key: "017", message.Origin: "gcp", message.Schema: "1"}
	dead := maps.Clone(ours)
	dead["CloudPubSubDeadLetterSourceDeliveryCount"] = "30"
	for name, want := range map[string]Message{
		"wrapped": {
			ID: "2070443601311540", Data: []byte("Hello Cloud Pub/Sub! Here is my message!"), Attributes: map[string]string{"key": "value"},
			Attempt: 1, Published: time.Date(2021, 2, 26, 19, 13, 55, 749e6, time.UTC),
		},
		"unwrapped": {
			ID: "2070443601311540", Data: []byte(`{"status": "Hello there"}`), Attributes: ours,
			Attempt: 1, Published: time.Date(2021, 2, 26, 19, 13, 55, 749e6, time.UTC),
		},
		"attempt": {
			ID: "2070443601311541", Data: []byte(`{"status": "Hello there"}`), Attributes: dead,
			Attempt: 5, Published: time.Date(2021, 2, 26, 19, 13, 55, 0, time.UTC),
		},
	} {
		if got, err := read(golden(t, name)); err != nil || !reflect.DeepEqual(*got, want) {
			t.Errorf("%s is %+v, %v, want %+v", name, got, err, want)
		}
	}
}

// wrap is the body of a wrapped push.
func wrap(t testing.TB, m *Message) []byte {
	t.Helper()
	body, err := json.Marshal(map[string]any{"message": map[string]any{
		"data": m.Data, "attributes": m.Attributes, "messageId": m.ID, "message_id": m.ID, "publishTime": m.Published.UTC(), "publish_time": m.Published.UTC(),
	}, "subscription": "projects/p/subscriptions/s", "deliveryAttempt": m.Attempt})
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// request is what carries a message to a path.
func request(t testing.TB, path string, m *Message, unwrap bool) *http.Request {
	t.Helper()
	body := m.Data
	if !unwrap {
		body = wrap(t, m)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer token")
	if unwrap {
		r.Header.Set("x-goog-pubsub-message-id", m.ID)
		r.Header.Set("x-goog-pubsub-subscription-name", "projects/p/subscriptions/s")
		r.Header.Set("x-goog-pubsub-publish-time", m.Published.UTC().Format(time.RFC3339Nano))
		for name, value := range m.Attributes {
			r.Header.Set(name, value)
		}
	}
	return r
}

// TestReadWhatIsNone: neither form.
func TestReadWhatIsNone(t *testing.T) {
	for _, body := range []string{
		"", "null", "[]", "7", "hello", "{}", `{"message":null}`, `{"message":{}}`, `{"message":[]}`, `{"message":{"data":"aGVsbG8="}}`, `{"message":{"messageId":""}}`,
		`{"message":{"messageId":7}}`, `{"message":{"messageId":"7","data":"no base64!"}}`, `{"message":{"messageId":"7","attributes":{"a":1}}}`,
		`{"message":{"messageId":"7","publishTime":"yesterday"}}`, `{"message":{"messageId":"7"}`, `{"message":{"messageId":"7"}}x`, `{"message":{"messageId":"7"},"deliveryAttempt":"1"}`,
	} {
		r := golden(t, "wrapped")
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
		if m, err := read(r); !errors.Is(err, errNoMessage) {
			t.Errorf("%s is %+v, %v", body, m, err)
		}
	}
	// Unwrapped without metadata is not known from anything else.
	r := golden(t, "unwrapped")
	r.Header.Del("x-goog-pubsub-message-id")
	if m, err := read(r); !errors.Is(err, errNoMessage) {
		t.Errorf("%+v, %v", m, err)
	}
	// When it was published may be missing.
	r = golden(t, "unwrapped")
	r.Header.Set("x-goog-pubsub-publish-time", "soon")
	if m, err := read(r); err != nil || !m.Published.IsZero() {
		t.Errorf("%+v, %v", m, err)
	}
}

// counted counts what is read of it.
type counted struct {
	io.Reader
	n int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n += int64(n)
	return n, err
}

func (c *counted) Close() error { return nil }

// endless is a body without an end.
type endless struct{}

func (endless) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// TestReadIsBounded: no more is read than the largest message needs.
func TestReadIsBounded(t *testing.T) {
	largest := &Message{ID: "7", Data: bytes.Repeat([]byte{0xff}, 10_000_000), Attributes: map[string]string{"id": "x"}, Attempt: 1}
	for _, unwrap := range []bool{false, true} {
		if m, err := read(request(t, "/", largest, unwrap)); err != nil || !bytes.Equal(m.Data, largest.Data) {
			t.Errorf("the largest message: %v", err)
		}
		for name, c := range map[string]struct {
			length int64
			body   io.Reader
			read   int64
			want   error
		}{
			"declared too large":        {maxBody + 1, endless{}, 0, errTooLarge},
			"declared far too large":    {1 << 62, endless{}, 0, errTooLarge},
			"not declared, and endless": {-1, endless{}, maxBody + 1, errTooLarge},
			"longer than declared":      {8, endless{}, 8, nil},
			"shorter than declared":     {8, strings.NewReader("1234"), 4, io.ErrUnexpectedEOF},
		} {
			r := request(t, "/", largest, unwrap)
			body := &counted{Reader: c.body}
			r.Body, r.ContentLength = body, c.length
			_, err := read(r)
			if body.n != c.read || c.want != nil && !errors.Is(err, c.want) {
				t.Errorf("%s: %d bytes read, %v", name, body.n, err)
			}
		}
	}
}

// FuzzEnvelope: a body gives a message or an error, and a message of either form
// is read as it was written.
func FuzzEnvelope(f *testing.F) {
	for _, name := range []string{"wrapped", "unwrapped", "attempt"} {
		body, err := io.ReadAll(golden(f, name).Body)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(body, "2070443601311540", "1", 1, int64(1614366835749))
	}
	f.Add([]byte(`{"message":{"messageId":"\ud800","attributes":{"":null},"data":"","publishTime":null},"deliveryAttempt":-1e0}`), "", "\xff", -1, int64(-1))
	f.Fuzz(func(t *testing.T, body []byte, id, schema string, attempt int, published int64) {
		raw := &http.Request{Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(body)), ContentLength: -1}
		if m, err := read(raw); (m == nil) == (err == nil) {
			t.Fatalf("%+v, %v", m, err)
		} else if err == nil && (m.ID == "" || m.Attempt < 1) {
			t.Fatalf("read %+v", m)
		} else if err == nil && (m.Published.Year() < 0 || m.Published.Year() > 9999) {
			t.Fatalf("published in %d", m.Published.Year())
		} else if err == nil {
			again, err := read(request(t, "/", m, false))
			if err != nil || again.ID != m.ID || !bytes.Equal(again.Data, m.Data) || !maps.Equal(again.Attributes, m.Attributes) || !again.Published.Equal(m.Published) || again.Attempt != m.Attempt {
				t.Fatalf("%+v came back as %+v, %v", m, again, err)
			}
		}
		// As a header travels, and as JSON does.
		for _, s := range []string{id, schema} {
			if s == "" || !utf8.ValidString(s) || strings.TrimSpace(s) != s || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r >= 0x7f }) {
				return
			}
		}
		want := &Message{ID: id, Data: body, Attributes: map[string]string{message.Schema: schema}, Attempt: attempt, Published: time.UnixMilli(published % 1e14).UTC()}
		if y := want.Published.Year(); y < 1 || y > 9999 {
			want.Published = time.Time{}
		}
		for _, unwrap := range []bool{false, true} {
			got, err := read(request(t, "/", want, unwrap))
			if err != nil || got.ID != id || !bytes.Equal(got.Data, body) || !maps.Equal(got.Attributes, want.Attributes) || !got.Published.Equal(want.Published) {
				t.Fatalf("%+v came back as %+v, %v", want, got, err)
			}
			if unwrap && got.Attempt != 1 || !unwrap && got.Attempt != max(attempt, 1) {
				t.Fatalf("attempt %d came back as %d", attempt, got.Attempt)
			}
		}
	})
}
