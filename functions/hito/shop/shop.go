// Package shop plays an online shop's visitors, so that a demonstration has
// life: they browse, fill carts, log in, buy, or leave their cart behind.
package shop

import (
	"encoding/json"
	"fmt"
	"iter"
	"math/rand/v2"
	"time"
)

// site is the sample project's own.
const site = "https://shop.example"

// Stage is a shop and its shoppers. The same seed plays the same shoppers, with
// other times; each shopper's history, message ids included, depends on nothing
// else. It is for one goroutine.
type Stage struct {
	rng      *rand.Rand // of whoever plays now
	liveRNG  *rand.Rand
	shoppers []*shopper
	// live are visits going on, each the events still to come.
	live [][]step
}

// New returns a stage with n shoppers.
func New(seed uint64, n int) *Stage {
	s := &Stage{liveRNG: rand.New(rand.NewPCG(seed, 0x686974))}
	for i := range n {
		s.rng = rand.New(rand.NewPCG(seed, uint64(i)))
		s.shoppers = append(s.shoppers, s.newShopper(seed, i))
	}
	return s
}

type shopper struct {
	rng                                   *rand.Rand
	anonymousID, userID, email, firstName string
	agent, address, locale                string
	category                              string
	// keen is how likely a next step towards buying is, from 0 to 1.
	keen   float64
	bot    bool
	known  bool // has logged in on this device
	orders int
}

var firstNames = []string{"Aiko", "Ben", "Chloé", "Daniel", "Emma", "Felix", "Grace", "Haruto", "Ines", "Jonas", "Kenji", "Lena", "Mateus", "Nina", "Omar", "Yui"}

func (s *Stage) newShopper(seed uint64, i int) *shopper {
	where := pick(s.rng, places, func(p place) int { return p.weight })
	p := &shopper{
		rng:         s.rng,
		anonymousID: fmt.Sprintf("demo-%d-a%05d", seed, i),
		agent:       agents[s.rng.IntN(len(agents))],
		address:     fmt.Sprintf("%s.%d.%d", where.network, s.rng.IntN(256), 1+s.rng.IntN(254)),
		locale:      where.locale,
		category:    products[s.rng.IntN(len(products))].category,
		keen:        0.15 + 0.75*s.rng.Float64(),
	}
	if s.rng.IntN(25) == 0 {
		p.bot, p.agent, p.address, p.keen = true, crawler, "66.249.66.1", 0
	}
	if s.rng.IntN(10) < 6 && !p.bot {
		p.firstName = firstNames[s.rng.IntN(len(firstNames))]
		p.userID = fmt.Sprintf("demo-%d-u%05d", seed, i)
		p.email = fmt.Sprintf("shopper%05d@example.com", i)
	}
	return p
}

// History returns, shopper by shopper, what happened in the week before now:
// one to six visits each, as Segment events in JSON.
func (s *Stage) History(now time.Time) iter.Seq[[][]byte] {
	return func(yield func([][]byte) bool) {
		for _, p := range s.shoppers {
			var events [][]byte
			s.rng = p.rng
			visits := 1 + s.rng.IntN(6)
			for v := visits; v > 0; v-- {
				at := now.Add(-time.Duration(v)*7*24*time.Hour/time.Duration(visits) + s.within(12*time.Hour))
				for _, step := range s.visit(p) {
					at = at.Add(step.after)
					if at.After(now) {
						break
					}
					events = append(events, step.encode(fmt.Sprintf("%s-%04d", p.anonymousID, len(events)), at))
				}
			}
			if !yield(events) {
				return
			}
		}
	}
}

// Live returns the next event of a shopper who is in the shop now.
func (s *Stage) Live(now time.Time) []byte {
	s.rng = s.liveRNG
	for len(s.live) < 1+len(s.shoppers)/10 {
		s.live = append(s.live, s.visit(s.shoppers[s.rng.IntN(len(s.shoppers))]))
	}
	i := s.rng.IntN(len(s.live))
	next := s.live[i][0]
	if s.live[i] = s.live[i][1:]; len(s.live[i]) == 0 {
		s.live[i] = s.live[len(s.live)-1]
		s.live = s.live[:len(s.live)-1]
	}
	// Unlike the history, what happens now is new whenever it is played.
	return next.encode(fmt.Sprintf("demo-%016x%016x", rand.Uint64(), rand.Uint64()), now)
}

func (s *Stage) within(d time.Duration) time.Duration { return time.Duration(s.rng.Int64N(int64(d))) }

// step is one event of a visit.
type step struct {
	after time.Duration
	event message
}

// message is an event in Segment's form.
type message struct {
	Type        string         `json:"type"`
	MessageID   string         `json:"messageId"`
	Timestamp   string         `json:"timestamp"`
	AnonymousID string         `json:"anonymousId"`
	UserID      string         `json:"userId,omitempty"`
	Event       string         `json:"event,omitempty"`
	Name        string         `json:"name,omitempty"`
	Properties  map[string]any `json:"properties,omitempty"`
	Traits      map[string]any `json:"traits,omitempty"`
	Context     map[string]any `json:"context"`
}

func (st step) encode(id string, at time.Time) []byte {
	st.event.MessageID = id
	st.event.Timestamp = at.UTC().Format("2006-01-02T15:04:05.000Z")
	body, err := json.Marshal(st.event)
	if err != nil {
		panic(err) // only texts and numbers made here
	}
	return body
}

// pick returns an element at random, by weight.
func pick[T any](rng *rand.Rand, from []T, weight func(T) int) T {
	total := 0
	for _, e := range from {
		total += weight(e)
	}
	n := rng.IntN(total)
	for _, e := range from {
		if n -= weight(e); n < 0 {
			return e
		}
	}
	panic("unreachable: n < total")
}
