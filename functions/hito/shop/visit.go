package shop

import (
	"fmt"
	"strings"
	"time"
)

// visit plays one shopper's visit.
func (s *Stage) visit(p *shopper) []step {
	v := &visiting{stage: s, shopper: p, arrival: pick(s.rng, arrivals, func(a arrival) int { return a.weight })}
	if p.bot {
		v.arrival = arrival{}
	}
	v.open("/", "Home", 0)
	var cart []product
	for range 1 + s.rng.IntN(5) {
		if s.rng.IntN(3) == 0 {
			v.open("/"+p.category, p.category, 30*time.Second)
			v.track("Product List Viewed", map[string]any{"category": p.category}, time.Second)
		}
		seen := s.product(p)
		if s.rng.IntN(8) == 0 {
			v.open("/search?q="+seen.category, "Search", 20*time.Second)
			v.track("Products Searched", map[string]any{"query": seen.category}, time.Second)
		}
		v.open("/products/"+seen.id, seen.name, 40*time.Second)
		v.track("Product Viewed", v.about(seen), time.Second)
		if s.rng.Float64() < p.keen/2 {
			cart = append(cart, seen)
			v.track("Product Added", v.about(seen), 20*time.Second)
		}
	}
	if len(cart) == 0 || s.rng.Float64() > p.keen+0.2 {
		return v.steps // gone, perhaps with a full cart left behind
	}
	if len(cart) > 1 && s.rng.IntN(5) == 0 {
		v.track("Product Removed", v.about(cart[0]), 10*time.Second)
		cart = cart[1:]
	}
	v.track("Cart Viewed", map[string]any{"value": total(cart), "currency": "USD"}, 15*time.Second)
	v.login()
	v.track("Checkout Started", v.order(cart), 30*time.Second)
	if p.userID == "" || s.rng.Float64() > p.keen+0.1 {
		return v.steps
	}
	v.track("Order Completed", v.order(cart), 90*time.Second)
	v.open("/thanks", "Thank you", time.Second)
	p.orders++
	return v.steps
}

func (s *Stage) product(p *shopper) product {
	for {
		if c := products[s.rng.IntN(len(products))]; c.category == p.category || s.rng.IntN(3) == 0 {
			return c
		}
	}
}

func total(cart []product) float64 {
	cents := 0
	for _, c := range cart {
		cents += int(c.price*100 + 0.5)
	}
	return float64(cents) / 100
}

// visiting gathers a visit's steps.
type visiting struct {
	stage   *Stage
	shopper *shopper
	arrival arrival
	page    map[string]any
	steps   []step
}

// add takes an event up to about twice the pause after the one before.
func (v *visiting) add(m message, pause time.Duration) {
	p := v.shopper
	m.AnonymousID = p.anonymousID
	if p.known {
		m.UserID = p.userID
	}
	m.Context = map[string]any{"ip": p.address, "userAgent": p.agent, "locale": p.locale, "page": v.page}
	if pause > 0 {
		pause = pause/4 + v.stage.within(2*pause)
	}
	v.steps = append(v.steps, step{pause, m})
}

func (v *visiting) open(path, title string, pause time.Duration) {
	referrer, search := v.arrival.referrer, v.arrival.search
	if v.page != nil {
		referrer, search = v.page["url"].(string), ""
	}
	path, query, ok := strings.Cut(path, "?")
	if ok {
		search = "?" + query
	}
	v.page = map[string]any{"url": site + path + search, "path": path, "title": title}
	if search != "" {
		v.page["search"] = search
	}
	if referrer != "" {
		v.page["referrer"] = referrer
	}
	v.add(message{Type: "page", Name: title, Properties: v.page}, pause)
}

func (v *visiting) track(name string, properties map[string]any, pause time.Duration) {
	v.add(message{Type: "track", Event: name, Properties: properties}, pause)
}

// login says who an account's owner is, at the first time on this device.
func (v *visiting) login() {
	p := v.shopper
	if p.userID == "" || p.known {
		return
	}
	p.known = true
	v.add(message{Type: "identify", Traits: map[string]any{
		"email": p.email, "firstName": p.firstName, "plan": []string{"free", "member"}[v.stage.rng.IntN(2)],
	}}, 20*time.Second)
}

func (v *visiting) about(c product) map[string]any {
	return map[string]any{
		"product_id": c.id, "name": c.name, "category": c.category, "price": c.price, "quantity": 1, "currency": "USD",
	}
}

func (v *visiting) order(cart []product) map[string]any {
	lines := make([]any, len(cart))
	for i, c := range cart {
		lines[i] = v.about(c)
	}
	sum := total(cart)
	order := map[string]any{
		"order_id": fmt.Sprintf("o-%s-%d", v.shopper.anonymousID, v.shopper.orders+1),
		"total":    sum, "revenue": sum, "value": sum, "currency": "USD", "products": lines,
	}
	if v.arrival.search != "" {
		order["coupon"] = "WELCOME"
	}
	return order
}
