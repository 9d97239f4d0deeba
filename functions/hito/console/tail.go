package console

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/hitolayer/hito/functions/profile"
	"github.com/hitolayer/hito/shared/event"
	"github.com/hitolayer/hito/shared/project"
)

const (
	heartbeat = 5 // seconds of silence
	// A reader that takes nothing for so long is gone.
	writeWait = 30 * time.Second
	maxRate   = 100_000
)

// Tail answers GET /v1/tail: a project's enriched events as they are scored,
// one JSON object per line, until the client leaves or the server stops.
//
//   - ?type=, ?event= and ?user= let through only events with that type, that
//     event or page name, that user or anonymous id;
//   - ?last=n begins with up to n of the latest records;
//   - ?rate=n lets through about n events per second.
//
// An empty line is a heartbeat. {"dropped":n}, at most once a second, says how
// many events were left out since the last such line, because of rate or because the reader was slow:
// the pipeline never waits for a reader.
type Tail struct {
	Projects project.Directory
	Hub      *Hub
	// Now is the clock, time.Now when nil.
	Now func() time.Time
}

type filter struct {
	kind event.Type
	name string
	user string
}

func (f *filter) matches(e *event.Event) bool {
	return (f.kind == 0 || e.Type == f.kind) && (f.name == "" || e.Name == f.name) &&
		(f.user == "" || e.UserId == f.user || e.AnonymousId == f.user)
}

// ServeHTTP streams to one reader.
func (t *Tail) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !profile.Allow(w, r, "GET") {
		return
	}
	p, ok := profile.Authenticate(w, r, t.Projects)
	if !ok {
		return
	}
	query := r.URL.Query()
	only := filter{name: query.Get("event"), user: query.Get("user")}
	if word := query.Get("type"); word != "" {
		if only.kind, ok = event.ParseType(word); !ok {
			profile.Refuse(w, http.StatusBadRequest, "invalid_type", "type must be track, page, screen, identify, group or alias")
			return
		}
	}
	last, ok := number(w, query.Get("last"), "last", keepRecords)
	if !ok {
		return
	}
	rate, ok := number(w, query.Get("rate"), "rate", maxRate)
	if !ok {
		return
	}
	var allow, early *allowance
	if rate > 0 {
		allow = &allowance{rate: float64(rate), now: t.Now}
		if t.Now == nil {
			allow.now = time.Now
		}
		if only == (filter{}) {
			allow, early = nil, allow
		}
	}
	reader := t.Hub.subscribe(p.Name, last, early)
	if reader == nil {
		w.Header().Set("Retry-After", "10")
		profile.Refuse(w, http.StatusServiceUnavailable, "too_many_readers", fmt.Sprintf("too many requests read the tail already, of at most %d per project; end one of them", maxProjectReaders))
		return
	}
	defer t.Hub.unsubscribe(reader)
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("X-Accel-Buffering", "no") // nginx and those who follow it
	w.WriteHeader(http.StatusOK)
	(&line{w: w, control: http.NewResponseController(w), only: only, allow: allow}).run(r, reader)
}

func number(w http.ResponseWriter, text, name string, limit int) (n int, ok bool) {
	if text == "" {
		return 0, true
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > limit {
		profile.Refuse(w, http.StatusBadRequest, "invalid_"+name, fmt.Sprintf("%s must be a number from 1 to %d", name, limit))
		return 0, false
	}
	return n, true
}

// line is the way to one client.
type line struct {
	w       http.ResponseWriter
	control *http.ResponseController
	only    filter
	allow   *allowance
	buffer  bytes.Buffer
	encoder *json.Encoder // to buffer
	dropped int
}

func (l *line) run(r *http.Request, from *reader) {
	l.encoder = json.NewEncoder(&l.buffer)
	l.encoder.SetEscapeHTML(false)
	beat := time.NewTicker(time.Second)
	defer beat.Stop()
	l.buffer.WriteByte('\n')
	for silent := 0; ; {
		if l.flush() != nil {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-from.ready:
		case <-beat.C:
			if silent++; silent == heartbeat {
				l.buffer.WriteByte('\n')
			}
			if l.dropped > 0 {
				fmt.Fprintf(&l.buffer, "{\"dropped\":%d}\n", l.dropped)
				l.dropped = 0
			}
		}
		records, dropped := from.drain()
		l.dropped += dropped
		for _, data := range records {
			l.add(data)
		}
		if l.buffer.Len() > 0 {
			silent = 0
		}
	}
}

// add appends the record's events that the client asked for.
func (l *line) add(data []byte) {
	record, err := event.Decode(data)
	if err != nil {
		l.dropped++ // written by a newer build
		return
	}
	for _, e := range record.Events {
		if !l.only.matches(e) {
			continue
		}
		if l.allow != nil && !l.allow.take(1) {
			l.dropped++
			continue
		}
		if l.encoder.Encode(render(e, record.ReceivedAt)) != nil {
			l.dropped++
		}
	}
}

func (l *line) flush() error {
	if l.buffer.Len() == 0 {
		return nil
	}
	// Not every ResponseWriter can; then the server's own deadline stands.
	_ = l.control.SetWriteDeadline(time.Now().Add(writeWait))
	if _, err := l.buffer.WriteTo(l.w); err != nil {
		return err
	}
	return l.control.Flush()
}
