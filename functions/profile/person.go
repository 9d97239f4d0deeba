package profile

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"net/http"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/hitolayer/hito/shared/event"
	"github.com/hitolayer/hito/shared/profile"
	"github.com/hitolayer/hito/shared/project"
	"github.com/hitolayer/hito/shared/rules"
	"github.com/hitolayer/hito/shared/telemetry"
)

// defaultWait is ?timeout= when only ?after= is given.
const defaultWait = time.Second

// Profile is the JSON form of a person. Every key is always there: what is
// unknown is null, or an empty list or object.
type Profile struct {
	UserID       *string                    `json:"user_id"`
	AnonymousIDs []string                   `json:"anonymous_ids"`
	GroupID      *string                    `json:"group_id"`
	Traits       map[string]json.RawMessage `json:"traits"`
	Events       Events                     `json:"events"`
	Metrics      map[string]any             `json:"metrics"`
	Scores       map[string]any             `json:"scores"`
	Segments     []string                   `json:"segments"`
	Sessions     Sessions                   `json:"sessions"`
	FirstSeen    Time                       `json:"first_seen"`
	LastSeen     Time                       `json:"last_seen"`
	Device       *Device                    `json:"device"`
	Geo          *Geo                       `json:"geo"`
	Bot          bool                       `json:"bot"`
	FirstTouch   *Touch                     `json:"first_touch"`
	LastTouch    *Touch                     `json:"last_touch"`
	Recent       []Recent                   `json:"recent"`
}

// Time is written in RFC 3339, UTC, with milliseconds.
type Time struct{ time.Time }

// MarshalJSON writes the time.
func (t Time) MarshalJSON() ([]byte, error) {
	return t.UTC().AppendFormat(nil, `"2006-01-02T15:04:05.000Z"`), nil
}

// Events counts a person's events: track events by their name, the others by their type.
type Events struct {
	Total  int64            `json:"total"`
	ByName map[string]int64 `json:"by_name"`
}

// Sessions counts a person's sessions. Current is the one whose last event is
// less than 30 minutes old.
type Sessions struct {
	Count   int      `json:"count"`
	Current *Session `json:"current"`
}

// Session is one session so far.
type Session struct {
	Start  Time `json:"start"`
	Last   Time `json:"last"`
	Events int  `json:"events"`
}

// Device is the latest user agent, in uap-core's names.
type Device struct {
	Kind           string `json:"kind,omitempty"`
	Browser        string `json:"browser,omitempty"`
	BrowserVersion string `json:"browser_version,omitempty"`
	OS             string `json:"os,omitempty"`
	OSVersion      string `json:"os_version,omitempty"`
	Device         string `json:"device,omitempty"`
	Brand          string `json:"brand,omitempty"`
	Model          string `json:"model,omitempty"`
	BotName        string `json:"bot_name,omitempty"`
}

// Geo is the latest place.
type Geo struct {
	Country string `json:"country,omitempty"`
	Region  string `json:"region,omitempty"`
	City    string `json:"city,omitempty"`
	ASN     uint32 `json:"asn,omitempty"`
	ASOrg   string `json:"as_org,omitempty"`
}

// Touch is how a person came: by a referrer, a campaign or both.
type Touch struct {
	Referrer *Referrer `json:"referrer"`
	Campaign *Campaign `json:"campaign"`
}

// Referrer is the site a person came from.
type Referrer struct {
	Medium string `json:"medium,omitempty"`
	Source string `json:"source,omitempty"`
	Term   string `json:"term,omitempty"`
	Host   string `json:"host,omitempty"`
}

// Campaign is what the landing page's query said.
type Campaign struct {
	Source    string `json:"source,omitempty"`
	Medium    string `json:"medium,omitempty"`
	Name      string `json:"name,omitempty"`
	Term      string `json:"term,omitempty"`
	Content   string `json:"content,omitempty"`
	ID        string `json:"id,omitempty"`
	ClickType string `json:"click_type,omitempty"`
	ClickID   string `json:"click_id,omitempty"`
}

// Recent is one of the latest events.
type Recent struct {
	Type string `json:"type"`
	Name string `json:"name,omitempty"`
	Path string `json:"path,omitempty"`
	Time Time   `json:"time"`
}

// getPerson answers the profile. With ?after= a 200 promises that the event is
// in it: when it is not by the timeout the answer is 504, never a profile that
// a client could take for the new one.
func (h *Handler) getPerson(w http.ResponseWriter, r *http.Request, p *project.Project) {
	visitor, err := parseSelector(r.URL.EscapedPath())
	if err != nil {
		Refuse(w, http.StatusBadRequest, "invalid_id", err.Error())
		return
	}
	query := r.URL.Query()
	timeout, err := parseTimeout(query.Get("timeout"), defaultWait)
	if err != nil {
		Refuse(w, http.StatusBadRequest, "invalid_timeout", err.Error())
		return
	}
	key := profile.Key{Project: p.Name, Visitor: visitor}
	var person *profile.Person
	if after := query.Get("after"); after == "" {
		person, err = profile.LoadPerson(r.Context(), h.Store, key)
	} else {
		var reflected bool
		reflected, err = h.poll(r.Context(), timeout, func() (bool, error) {
			person, err = profile.LoadPerson(r.Context(), h.Store, key)
			return person != nil && person.Reflects(after), err
		})
		if err == nil && !reflected {
			if h.Telemetry != nil {
				h.Telemetry.Emit(r.Context(), "profile", telemetry.Value{Name: "unreflected", Unit: telemetry.Count, V: 1})
			}
			w.Header().Set("Retry-After", "1")
			Refuse(w, http.StatusGatewayTimeout, "not_reflected",
				fmt.Sprintf("the profile did not reflect that event within %v; ask again, or without after for the profile as it is; GET /v1/quarantine tells whether the event was refused", timeout))
			return
		}
	}
	switch {
	case err != nil:
		h.unavailable(w, r, fmt.Errorf("get profile: %w", err))
	case person == nil:
		refuseUnknown(w)
	default:
		var inService *rules.Rules
		if h.Rules != nil {
			inService = h.Rules(p.Name)
		}
		Answer(w, http.StatusOK, Render(person, inService, h.now()))
	}
}

// refuseUnknown answers for persons that never were, that were erased and that
// are another project's: nothing in it tells which.
func refuseUnknown(w http.ResponseWriter) {
	Refuse(w, http.StatusNotFound, "unknown_person", "nobody is known by this id")
}

// Render returns a person's JSON form as of now. Without rules it has no
// metrics, scores and segments.
func Render(p *profile.Person, r *rules.Rules, now time.Time) *Profile {
	out := &Profile{
		AnonymousIDs: append([]string{}, p.AnonymousIDs()...),
		Traits:       map[string]json.RawMessage{},
		Events:       Events{Total: p.Events(), ByName: maps.Collect(p.Names())},
		Metrics:      map[string]any{},
		Scores:       map[string]any{},
		Segments:     []string{},
		FirstSeen:    Time{p.FirstSeen()},
		LastSeen:     Time{p.LastSeen()},
		Device:       NewDevice(p.Agent()),
		Geo:          NewGeo(p.Geo()),
		Bot:          p.Bot(),
		FirstTouch:   NewTouch(p.FirstTouch()),
		LastTouch:    NewTouch(p.LastTouch()),
		Recent:       []Recent{},
	}
	if id := p.UserID(); id != "" {
		out.UserID = &id
	}
	if id := p.Group(); id != "" {
		out.GroupID = &id
	}
	for key, value := range p.Traits() {
		// One trait that cannot be written must not take the others along.
		if json.Valid(value) && utf8.Valid(value) {
			out.Traits[key] = value
		}
	}
	if r != nil {
		evaluation := r.Evaluate(p, now)
		for name, v := range evaluation.Metrics {
			out.Metrics[name] = finite(v)
		}
		for name, v := range evaluation.Scores {
			out.Scores[name] = finite(v)
		}
		out.Segments = append(out.Segments, evaluation.Segments...)
		slices.Sort(out.Segments)
	}
	sessions := p.Sessions()
	out.Sessions.Count = len(sessions)
	if n := len(sessions); n > 0 && now.Sub(sessions[n-1].End) < profile.SessionGap {
		s := sessions[n-1]
		out.Sessions.Current = &Session{Start: Time{s.Start}, Last: Time{s.End}, Events: s.Events}
	}
	for _, r := range p.Recent() {
		out.Recent = append(out.Recent, Recent{
			Type: r.Type.Word(), Name: r.Name, Path: r.Path,
			Time: Time{time.UnixMilli(r.Time)},
		})
	}
	return out
}

// finite returns v, nil when it is a number that JSON cannot write.
func finite(v any) any {
	if f, ok := v.(float64); ok && (math.IsNaN(f) || math.IsInf(f, 0)) {
		return nil
	}
	return v
}

// NewDevice returns a user agent's JSON form, nil for nil.
func NewDevice(a *event.Agent) *Device {
	if a == nil {
		return nil
	}
	return &Device{
		Kind: a.Kind, Browser: a.Browser, BrowserVersion: a.BrowserVersion, OS: a.Os, OSVersion: a.OsVersion,
		Device: a.Device, Brand: a.Brand, Model: a.Model, BotName: a.BotName,
	}
}

// NewGeo returns a place's JSON form, nil for nil.
func NewGeo(g *event.Geo) *Geo {
	if g == nil {
		return nil
	}
	return &Geo{Country: g.Country, Region: g.Region, City: g.City, ASN: g.Asn, ASOrg: g.AsOrg}
}

// NewTouch returns a referrer's and a campaign's JSON form, nil without either.
func NewTouch(r *event.Referrer, c *event.Campaign) *Touch {
	if r == nil && c == nil {
		return nil
	}
	t := new(Touch)
	if r != nil {
		t.Referrer = &Referrer{Medium: r.Medium, Source: r.Source, Term: r.Term, Host: r.Host}
	}
	if c != nil {
		t.Campaign = &Campaign{
			Source: c.Source, Medium: c.Medium, Name: c.Name, Term: c.Term, Content: c.Content,
			ID: c.Id, ClickType: c.ClickType, ClickID: c.ClickId,
		}
	}
	return t
}
