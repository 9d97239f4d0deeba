package beacon

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/hitolayer/hito/shared/event"
)

// stalled is a body that sends a part, says so, and waits to be released.
type stalled struct {
	part    io.Reader
	sent    *sync.WaitGroup
	release chan struct{}
	once    sync.Once
}

func (s *stalled) Read(p []byte) (int, error) {
	if n, _ := s.part.Read(p); n > 0 {
		return n, nil
	}
	s.once.Do(s.sent.Done)
	<-s.release
	return 0, io.ErrUnexpectedEOF
}

func (s *stalled) Close() error { return nil }

// stall starts n requests that announce much and send size bytes. It returns
// when all wait; end ends them and returns their statuses.
func stall(h http.Handler, n, size int) (end func() map[int]int) {
	var sent, done sync.WaitGroup
	var mu sync.Mutex
	statuses := map[int]int{}
	release := make(chan struct{})
	sent.Add(n)
	for range n {
		r := httptest.NewRequest("POST", "/v1/batch", nil)
		r.ContentLength = event.MaxBatchSize
		r.Body = &stalled{part: strings.NewReader(strings.Repeat(" ", size)), sent: &sent, release: release}
		done.Go(func() {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			mu.Lock()
			statuses[w.Code]++
			mu.Unlock()
		})
	}
	sent.Wait()
	return func() map[int]int {
		close(release)
		done.Wait()
		return statuses
	}
}

// 1,800 connections that announced 480 KB each once took a gigabyte.
func TestSlowBodiesTakeLittleMemory(t *testing.T) {
	h := new(capture).handler()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	end := stall(h, 1800, 100)
	runtime.GC()
	runtime.ReadMemStats(&after)
	if took := int64(after.HeapAlloc) - int64(before.HeapAlloc); took > 32<<20 {
		t.Errorf("%d bytes are held", took)
	}
	if res := do(h, "POST", "/v1/page", `{"userId":"u","writeKey":"demo"}`); res.StatusCode != 200 {
		t.Errorf("another client gets %d", res.StatusCode)
	}
	if statuses := end(); statuses[400] != 1800 {
		t.Error(statuses)
	}
	if n := h.buffers.lent.Load(); n != 0 {
		t.Errorf("%d bytes were not given back", n)
	}
}

// Whoever really sends much is bounded by the budget of all together.
func TestBodiesHaveABudget(t *testing.T) {
	h := new(capture).handler()
	h.MaxBodies = 2 << 20
	end := stall(h, 20, 200<<10)
	if n := h.buffers.lent.Load(); n > h.MaxBodies {
		t.Errorf("%d bytes are lent", n)
	}
	big := `{"writeKey":"demo","batch":[{"type":"page","userId":"u"}` + strings.Repeat(" ", 450<<10) + `]}`
	res := do(h, "POST", "/v1/batch", big)
	if res.StatusCode != 503 || res.Header.Get("Retry-After") == "" || res.Header.Get("Hito-Reason") != "unavailable" {
		t.Errorf("%d %v", res.StatusCode, res.Header)
	}
	checkError(t, text(t, res), "unavailable")
	if statuses := end(); statuses[503] == 0 || statuses[503]+statuses[400] != 20 {
		t.Error(statuses)
	}
	for _, body := range []string{big, zip(t, big)} {
		if res := do(h, "POST", "/v1/batch", body); res.StatusCode != 200 {
			t.Errorf("when the slow are gone: %d", res.StatusCode)
		}
	}
	h.MaxBodies = 256 << 10 // Inflated bytes count too.
	if res := do(h, "POST", "/v1/batch", zip(t, big)); res.StatusCode != 503 {
		t.Errorf("inflated beyond the budget: %d", res.StatusCode)
	}
	if n := h.buffers.lent.Load(); n != 0 {
		t.Errorf("%d bytes were not given back", n)
	}
}

// unread is a body that nobody may read before the answer is decided.
type unread struct{ h *Handler }

func (u unread) Read([]byte) (int, error) {
	if u.h.buffers.lent.Load() != 0 {
		return 0, fmt.Errorf("memory was taken for it")
	}
	return 0, io.EOF
}

func TestUnknownKeyIsRefusedBeforeReading(t *testing.T) {
	for _, c := range []struct{ query, header, value string }{
		{"", "Authorization", "Basic eDo="}, {"", "X-Write-Key", "x"}, {"?writeKey=x", "", ""},
	} {
		h := new(capture).handler()
		r := httptest.NewRequest("POST", "/v1/batch"+c.query, unread{h})
		if c.header != "" {
			r.Header.Set(c.header, c.value)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != 401 || w.Header().Get("Connection") == "close" {
			t.Errorf("%v: %d %v", c, w.Code, w.Header())
		}
	}
}

// A request's records share one receipt, and no other request's have it.
func TestReceiptsTellAcceptancesApart(t *testing.T) {
	c := new(capture)
	h := c.handler()
	seen := map[uint32]bool{}
	for range 3 {
		c.records = nil
		do(h, "POST", "/v1/batch", `{"batch":[{"type":"page","messageId":"m","userId":"u"},{"type":"page","messageId":"n","userId":"v"}]}`, "Authorization", basic)
		var receipts []uint32
		for _, r := range c.records {
			record, err := event.Decode(r.Data)
			if err != nil {
				t.Fatal(err)
			}
			receipts = append(receipts, record.Receipt)
		}
		if len(receipts) != 2 || receipts[0] != receipts[1] || receipts[0] == 0 || seen[receipts[0]] {
			t.Errorf("receipts %v after %v", receipts, seen)
		}
		seen[receipts[0]] = true
	}
}
