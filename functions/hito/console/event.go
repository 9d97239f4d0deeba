package console

import (
	"encoding/json"
	"time"

	"github.com/hitolayer/hito/functions/profile"
	"github.com/hitolayer/hito/shared/event"
)

// Event is the JSON form of an enriched event: Segment's names for what came
// in, so that it can be sent again, and beside it what hito found out.
type Event struct {
	MessageID   string          `json:"messageId"`
	Type        string          `json:"type"`
	UserID      string          `json:"userId,omitempty"`
	AnonymousID string          `json:"anonymousId,omitempty"`
	PreviousID  string          `json:"previousId,omitempty"`
	GroupID     string          `json:"groupId,omitempty"`
	Event       string          `json:"event,omitempty"`
	Name        string          `json:"name,omitempty"`
	Category    string          `json:"category,omitempty"`
	Timestamp   profile.Time    `json:"timestamp"`
	ReceivedAt  profile.Time    `json:"receivedAt"`
	Properties  json.RawMessage `json:"properties,omitempty"`
	Traits      json.RawMessage `json:"traits,omitempty"`
	Context     json.RawMessage `json:"context,omitempty"`
	IP          string          `json:"ip,omitempty"`
	UserAgent   string          `json:"userAgent,omitempty"`
	Enriched    *Enriched       `json:"enriched,omitempty"`
}

// Enriched is what the pipeline learnt about an event.
type Enriched struct {
	Device   *profile.Device   `json:"device,omitempty"`
	Bot      bool              `json:"bot"`
	Geo      *profile.Geo      `json:"geo,omitempty"`
	Referrer *profile.Referrer `json:"referrer,omitempty"`
	Campaign *profile.Campaign `json:"campaign,omitempty"`
	Page     *EventPage        `json:"page,omitempty"`
}

// EventPage is the page an event happened on.
type EventPage struct {
	Host  string `json:"host,omitempty"`
	Path  string `json:"path,omitempty"`
	Query string `json:"query,omitempty"`
	Title string `json:"title,omitempty"`
}

// render returns an event's JSON form.
func render(e *event.Event, receivedAt int64) *Event {
	out := &Event{
		MessageID: e.MessageId, Type: e.Type.Word(), UserID: e.UserId, AnonymousID: e.AnonymousId,
		PreviousID: e.PreviousId, GroupID: e.GroupId, Name: e.Name, Category: e.Category,
		Timestamp: profile.Time{Time: e.Time()}, ReceivedAt: profile.Time{Time: time.UnixMilli(receivedAt)},
		Properties: e.Properties, Traits: e.Traits, Context: e.Context, IP: e.Ip, UserAgent: e.UserAgent,
	}
	if e.Type == event.Type_TYPE_TRACK {
		out.Event, out.Name = e.Name, ""
	}
	if x := e.Enriched; x != nil {
		t := profile.NewTouch(x.Referrer, x.Campaign)
		out.Enriched = &Enriched{
			Device: profile.NewDevice(x.Agent), Bot: x.Agent.GetBot(), Geo: profile.NewGeo(x.Geo),
		}
		if t != nil {
			out.Enriched.Referrer, out.Enriched.Campaign = t.Referrer, t.Campaign
		}
		if p := x.Page; p != nil {
			out.Enriched.Page = &EventPage{Host: p.Host, Path: p.Path, Query: p.Query, Title: p.Title}
		}
	}
	return out
}
