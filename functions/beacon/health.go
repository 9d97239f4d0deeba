package beacon

import (
	"net/http"

	"github.com/hitolayer/hito/shared/event"
)

// ill is for how long a failure speaks against the beacon, in milliseconds: whoever
// sends no clients here because of it would else never learn that it is over.
const ill = 60_000

// health tells a load balancer, or DNS, whether to send clients here. It looks at
// what the last request came to that had events: whether the stream took them, the
// other cloud's as well, or the store what is unfit. It asks nobody, so that
// everybody may ask it.
func (h *Handler) health(w http.ResponseWriter, r *http.Request, _ event.Type) {
	w.Header().Set("Cache-Control", "no-store")
	if at := h.failed.Load(); at > 0 && h.Now().UnixMilli()-at < ill {
		h.refuse(w, r, errBusy)
		return
	}
	writeJSON(w, http.StatusOK, []byte(success))
}
