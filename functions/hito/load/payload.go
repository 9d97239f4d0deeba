package load

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"
)

// EventBytes is the size of each event's JSON.
const EventBytes = 661

// Widths of what differs from event to event.
const (
	visitorDigits = 9
	numberDigits  = 12
	timeLayout    = "2006-01-02T15:04:05.000Z"
	padding       = "PADDING"
)

// template is an event's JSON with places for its ids and time.
type template struct {
	json                   []byte
	message, visitor, time int // offsets of digits
}

var agents = []string{
	"Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Safari/604.1",
	"Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Mobile Safari/537.36",
	"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36",
	"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Safari/605.1.15",
	"Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0",
}

var names = []string{"Product Viewed", "Product Viewed", "Product Viewed", "Product List Viewed", "Product Added", "Cart Viewed", "Checkout Started", "Order Completed"}

var networks = []string{"126.72", "73.202", "84.135", "86.140", "90.20", "177.32"}

// templates returns tracked events of a shop, EventBytes each.
func templates(run, visitorPrefix string, rng *rand.Rand) []template {
	all := make([]template, 64)
	for i := range all {
		price := strconv.FormatFloat(float64(100+rng.IntN(20000))/100, 'f', 2, 64)
		product := strconv.Itoa(1000 + rng.IntN(9000))
		json := `{"type":"track","messageId":"` + run + strings.Repeat("0", numberDigits) +
			`","anonymousId":"` + visitorPrefix + strings.Repeat("0", visitorDigits) +
			`","timestamp":"` + timeLayout + `","event":"` + names[i%len(names)] +
			`","properties":{"product_id":"p-` + product + `","category":"kitchen","price":` + price +
			`,"total":` + price + `,"quantity":1,"currency":"USD","description":"` + padding + `"},"context":{"ip":"` +
			networks[i%len(networks)] + fmt.Sprintf(".%d.%d", rng.IntN(256), rng.IntN(256)) +
			`","userAgent":"` + agents[i%len(agents)] +
			`","locale":"en-US","library":{"name":"analytics.js","version":"2.11.1"},` +
			`"page":{"url":"https://shop.example.com/p/` + product + `","path":"/p/` + product + `","title":"Product"}}}`
		json = strings.Replace(json, padding, strings.Repeat("x", max(EventBytes+len(padding)-len(json), 0)), 1)
		if len(json) != EventBytes {
			panic(fmt.Sprintf("load: an event of %d bytes", len(json))) // a longer text above, or a longer prefix
		}
		all[i] = template{
			json:    []byte(json),
			message: strings.Index(json, run) + len(run),
			visitor: strings.Index(json, visitorPrefix) + len(visitorPrefix),
			time:    strings.Index(json, timeLayout),
		}
	}
	return all
}

// request is a whole HTTP request for a batch of events, whose ids and times are filled in place.
type request struct {
	text   []byte
	events [][]byte // in text
	shapes []template
}

func newRequest(host, path, writeKey string, shapes []template, rng *rand.Rand, events int) *request {
	body := []byte(`{"batch":[`)
	r := &request{}
	offsets := make([]int, events)
	for i := range events {
		if i > 0 {
			body = append(body, ',')
		}
		t := shapes[rng.IntN(len(shapes))]
		offsets[i] = len(body)
		r.shapes = append(r.shapes, t)
		body = append(body, t.json...)
	}
	body = append(body, "]}"...)
	var head bytes.Buffer
	fmt.Fprintf(&head, "POST %s HTTP/1.1\r\nHost: %s\r\nAuthorization: Basic %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n",
		path, host, base64.StdEncoding.EncodeToString([]byte(writeKey+":")), len(body))
	start := head.Len()
	r.text = append(head.Bytes(), body...)
	for _, o := range offsets {
		r.events = append(r.events, r.text[start+o:start+o+EventBytes])
	}
	return r
}

// stamp sets the time of all events.
func (r *request) stamp(now time.Time) {
	var buf [2 * len(timeLayout)]byte
	text := now.UTC().AppendFormat(buf[:0], timeLayout)
	for i, e := range r.events {
		copy(e[r.shapes[i].time:], text)
	}
}

// fill sets one event's ids.
func (r *request) fill(i int, visitor, number int64) {
	e, t := r.events[i], &r.shapes[i]
	digits(e[t.visitor:t.visitor+visitorDigits], visitor)
	digits(e[t.message:t.message+numberDigits], number)
}

// messageID returns one event's message id.
func (r *request) messageID(i int, run string) string {
	t := &r.shapes[i]
	return string(r.events[i][t.message-len(run) : t.message+numberDigits])
}

func digits(into []byte, n int64) {
	for i := len(into) - 1; i >= 0; i-- {
		into[i] = byte('0' + n%10)
		n /= 10
	}
}
