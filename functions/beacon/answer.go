package beacon

import (
	"net/http"
	"slices"
	"strings"
)

const success = `{"success":true}`

// answer tells the client that its events are durable, and if it wants so what
// became of each.
func (rq *request) answer(w http.ResponseWriter, receipts bool) {
	if reasons := rq.reasons(); reasons != "" {
		w.Header()["Hito-Reason"] = []string{reasons}
	}
	if !receipts {
		writeJSON(w, http.StatusOK, []byte(success))
		return
	}
	b := append(rq.reply[:0], `{"success":true,"receipts":[`...)
	for i := range rq.batch.Items {
		it := &rq.batch.Items[i]
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"message_id":`...)
		b = appendString(b, it.Event.MessageId)
		switch {
		case it.Reason != "":
			b = append(b, `,"status":"quarantined","reason":`...)
			b = appendString(b, string(it.Reason))
		case rq.slots[i].duplicate:
			b = append(b, `,"status":"duplicate"`...)
		default:
			b = append(b, `,"status":"accepted"`...)
		}
		b = append(b, '}')
	}
	rq.reply = append(b, `]}`...)
	writeJSON(w, http.StatusOK, rq.reply)
}

// reasons lists why events were not accepted, each once.
func (rq *request) reasons() string {
	if len(rq.unfit) == 0 && rq.repeated == 0 {
		return ""
	}
	var reasons []string
	for i := range rq.unfit {
		if reason := rq.unfit[i].Reason; !slices.Contains(reasons, reason) {
			reasons = append(reasons, reason)
		}
	}
	if rq.repeated > 0 {
		reasons = append(reasons, string(duplicate))
	}
	return strings.Join(reasons, ", ")
}

// refuse answers a request of which nothing was accepted.
func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, why *refusal) {
	drain(w, r)
	head(w, why)
	b := append([]byte(nil), `{"success":false,"error":{"code":`...)
	b = appendString(b, string(why.code))
	b = append(b, `,"message":`...)
	b = appendString(b, why.message)
	writeJSON(w, why.status, append(b, `}}`...))
}

// head sets the headers of a refusal.
func head(w http.ResponseWriter, why *refusal) {
	w.Header().Set("Hito-Reason", string(why.code))
	if why.status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "5")
	}
}

var (
	jsonType = []string{"application/json"}
	noSniff  = []string{"nosniff"}
)

func writeJSON(w http.ResponseWriter, status int, body []byte) {
	w.Header()["Content-Type"] = jsonType
	w.Header()["X-Content-Type-Options"] = noSniff
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that is gone learns nothing
}

// appendString appends s, which is UTF-8, as a JSON string.
func appendString(b []byte, s string) []byte {
	const digits = "0123456789abcdef"
	b = append(b, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c < ' ':
			b = append(b, '\\', 'u', '0', '0', digits[c>>4], digits[c&15])
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
}
