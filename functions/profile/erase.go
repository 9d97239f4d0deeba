package profile

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/hitolayer/hito/shared/event"
	"github.com/hitolayer/hito/shared/profile"
	"github.com/hitolayer/hito/shared/project"
	"github.com/hitolayer/hito/shared/stream"
)

// defaultEraseWait is how long an erasure is waited for without ?timeout=.
const defaultEraseWait = 5 * time.Second

// erasePerson forgets everything accepted of a person up to now: of the key
// named, and when that is an anonymous id that a user owns, of the user. The
// record that erases a user also erases every anonymous id the user owns, where
// it is scored. The records travel like events and are published whether or not
// anybody is known yet: what was acknowledged before and is still under way
// must not make the person appear again.
//
// 200 says that it is done, 202 that it is sure to be done, 404 only that
// nothing was known at the time. Erasing again changes nothing.
func (h *Handler) erasePerson(w http.ResponseWriter, r *http.Request, p *project.Project) {
	visitor, err := parseSelector(r.URL.EscapedPath())
	if err != nil {
		Refuse(w, http.StatusBadRequest, "invalid_id", err.Error())
		return
	}
	timeout, err := parseTimeout(r.URL.Query().Get("timeout"), defaultEraseWait)
	if err != nil {
		Refuse(w, http.StatusBadRequest, "invalid_timeout", err.Error())
		return
	}
	keys := []profile.Key{{Project: p.Name, Visitor: visitor}}
	person, err := profile.LoadPerson(r.Context(), h.Store, keys[0])
	if err == nil {
		keys, err = h.withOwner(r.Context(), keys)
	}
	if err != nil {
		h.unavailable(w, r, fmt.Errorf("erase: %w", err))
		return
	}
	at := h.now().UnixMilli()
	records, err := eraseRecords(keys, at, h.Origin)
	if err == nil {
		err = h.Raw.Publish(r.Context(), records)
	}
	if err != nil {
		h.unavailable(w, r, fmt.Errorf("erase: %w", err))
		return
	}
	// From here on it will happen whatever becomes of this request.
	if person == nil {
		refuseUnknown(w)
		return
	}
	erased, err := h.poll(r.Context(), timeout, func() (bool, error) { return h.erased(r.Context(), keys, at) })
	switch {
	case err != nil:
		h.unavailable(w, r, fmt.Errorf("see whether erased: %w", err))
	case erased:
		Answer(w, http.StatusOK, erasure{Erased: true})
	default:
		Answer(w, http.StatusAccepted, erasure{Message: "the erasure is recorded and under way"})
	}
}

// withOwner returns an anonymous key together with the key of the user who owns it, if any.
func (h *Handler) withOwner(ctx context.Context, keys []profile.Key) ([]profile.Key, error) {
	fragments, err := h.Store.Load(ctx, keys)
	if err != nil {
		return nil, err
	}
	if user := fragments[0].Claimant(); user != "" {
		keys = append(keys, profile.Key{Project: keys[0].Project, Visitor: event.UserPrefix + user})
	}
	return keys, nil
}

type erasure struct {
	Erased  bool   `json:"erased"`
	Message string `json:"message,omitempty"`
}

func eraseRecords(keys []profile.Key, at int64, origin string) ([]stream.Record, error) {
	records := make([]stream.Record, len(keys))
	for i, key := range keys {
		data, err := event.Encode(&event.Record{
			Project: key.Project, Key: key.Visitor, ReceivedAt: at, Origin: origin, Erase: true,
		})
		if err != nil {
			return nil, err
		}
		records[i] = stream.Record{Project: key.Project, Key: key.Visitor, Time: at, Data: data}
	}
	return records, nil
}

// erased reports whether every fragment has forgotten what was received up to at.
func (h *Handler) erased(ctx context.Context, keys []profile.Key, at int64) (bool, error) {
	fragments, err := h.Store.Load(ctx, keys)
	if err != nil {
		return false, err
	}
	for _, f := range fragments {
		if f.State.ErasedAt < at {
			return false, nil
		}
	}
	return true, nil
}
