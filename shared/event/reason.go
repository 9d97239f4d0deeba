package event

// Reason is the typed reason why an event, or a whole request, was not accepted.
type Reason string

// The reasons of events: the event is kept in quarantine, its neighbours go on.
const (
	// NotAnObject says that a batch's element is no JSON object.
	NotAnObject Reason = "not_an_object"
	// UnknownType says that the type is missing or none of Segment's six.
	UnknownType Reason = "unknown_type"
	// BadType says that a field has a JSON type it cannot have; the detail names it.
	BadType Reason = "bad_type"
	// MissingID says that the event has neither a userId nor an anonymousId; an
	// alias or a group, that it lacks an id its type needs.
	MissingID Reason = "missing_id"
	// JunkID says that the only ids are junk, such as "undefined".
	JunkID Reason = "junk_id"
	// InvalidID says that an id is longer than MaxID bytes, or holds control
	// characters or broken UTF-8.
	InvalidID Reason = "invalid_id"
	// InvalidName says that an event's name or category is longer than MaxName bytes.
	InvalidName Reason = "invalid_name"
	// MissingEventName says that a track event has no event name.
	MissingEventName Reason = "missing_event_name"
	// TooLarge says that an event is larger than MaxSize, or a request larger
	// than the beacon takes.
	TooLarge Reason = "too_large"
	// TooDeep says that an event is nested deeper than MaxDepth.
	TooDeep Reason = "too_deep"
)

// The reasons of requests: nothing of the request was accepted.
const (
	// BadJSON says that the body is not JSON.
	BadJSON Reason = "bad_json"
	// BadShape says that the body is JSON but not what the path takes.
	BadShape Reason = "bad_shape"
	// TooManyEvents says that a batch holds more than MaxEvents.
	TooManyEvents Reason = "too_many_events"
)

// Error says why a whole request cannot be read.
type Error struct {
	Reason Reason
	// Detail says it in a sentence.
	Detail string
}

func (e *Error) Error() string { return e.Detail }

// The bounds of what is taken in, Segment's where it documents one
// (https://segment.com/docs/connections/sources/catalog/libraries/server/http-api/#max-request-size).
const (
	// MaxSize bounds one event's JSON, in bytes.
	MaxSize = 32 << 10
	// MaxBatchSize bounds one request's body after inflation, in bytes.
	MaxBatchSize = 500 << 10
	// MaxEvents bounds one request's events.
	MaxEvents = 2500
	// MaxDepth bounds the nesting of one event, itself counted.
	MaxDepth = 64
	// MaxID bounds an id, in bytes.
	MaxID = 256
	// MaxName bounds an event's name and category, in bytes.
	MaxName = 1024
	// MaxUserAgent bounds a user agent, in bytes; a longer one is cut.
	MaxUserAgent = 1024
)
