package beacon

import (
	"net/http"
	"strings"

	"github.com/hitolayer/hito/shared/event"
)

// allowOrigin lets pages of any site read the answer: write keys are public,
// and there are no cookies to protect.
func allowOrigin(header http.Header, r *http.Request) {
	if origin := r.Header["Origin"]; len(origin) == 1 {
		header["Access-Control-Allow-Origin"] = origin
		header["Access-Control-Allow-Credentials"] = []string{"true"}
		header["Access-Control-Expose-Headers"] = []string{"Hito-Reason, Retry-After"}
		header["Vary"] = []string{"Origin"}
	}
}

// allowedHeaders are what a page may send when its browser does not ask.
const allowedHeaders = "authorization, content-type, content-encoding, x-write-key, hito-receipts, x-retry-count"

// preflight answers a browser that asks before it sends. SDKs add headers of
// their own, so whatever is asked for is allowed. A day is the most that
// browsers keep the answer.
func preflight(w http.ResponseWriter, r *http.Request, methods string) {
	drain(w, r)
	header := w.Header()
	header.Set("Allow", methods)
	if r.Header.Get("Origin") != "" {
		wanted := r.Header.Get("Access-Control-Request-Headers")
		if wanted == "" || len(wanted) > 1024 {
			wanted = allowedHeaders
		}
		header.Set("Access-Control-Allow-Methods", methods)
		header.Set("Access-Control-Allow-Headers", wanted)
		header.Set("Access-Control-Max-Age", "86400")
		header.Set("Vary", "Origin, Access-Control-Request-Headers")
	}
	w.WriteHeader(http.StatusNoContent)
}

// settings serves what @segment/analytics-next loads before anything else: only
// its own integration, sending to this host.
func (h *Handler) settings(w http.ResponseWriter, r *http.Request, _ event.Type) {
	path := strings.TrimSuffix(strings.TrimSuffix(r.URL.Path, "/"), "/settings")
	key := strings.TrimPrefix(path, "/v1/projects/")
	if _, known := h.Projects.ByWriteKey(key); !known {
		h.refuse(w, r, errKey)
		return
	}
	drain(w, r)
	protocol := "http"
	if r.TLS != nil || h.TrustedProxies > 0 && r.Header.Get("X-Forwarded-Proto") == "https" {
		protocol = "https"
	}
	host := r.Host
	if forwarded := r.Header.Get("X-Forwarded-Host"); h.TrustedProxies > 0 && forwarded != "" {
		host = forwarded // a proxy may have to send another Host
	}
	const plan = `{"__default":{"enabled":true,"integrations":{}}}`
	b := append([]byte(nil), `{"integrations":{"Segment.io":{"apiKey":`...)
	b = appendString(b, strings.ToValidUTF8(key, ""))
	b = append(b, `,"apiHost":`...)
	b = appendString(b, strings.ToValidUTF8(host, "")+"/v1")
	b = append(b, `,"protocol":"`+protocol+`","unbundledIntegrations":[],"addBundledMetadata":false,"maybeBundledConfigIds":{},`...)
	b = append(b, `"versionSettings":{"componentTypes":["browser"]}}},`...)
	b = append(b, `"plan":{"track":`+plan+`,"identify":`+plan+`,"group":`+plan+`},"edgeFunction":{},"analyticsNextEnabled":true,`...)
	b = append(b, `"middlewareSettings":{},"enabledMiddleware":{},"metrics":{"sampleRate":0},"legacyVideoPluginsEnabled":false,"remotePlugins":[]}`...)
	w.Header().Set("Cache-Control", "public, max-age=300")
	w.Header()["Vary"] = []string{"Origin"}
	writeJSON(w, http.StatusOK, b)
}

// gif is a transparent pixel.
const gif = "GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff!\xf9\x04\x01\x00\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"

// pixel takes in the event in the query's data parameter. It always answers
// with an image, since a broken one would be seen; the status and Hito-Reason
// say what became of the event.
func (h *Handler) pixel(w http.ResponseWriter, r *http.Request, t event.Type) {
	rq := h.request()
	defer h.release(rq)
	rq.wireBytes = len(r.URL.RawQuery)
	p, err := h.known(r)
	if err == nil && rq.wireBytes > event.MaxBatchSize {
		err = errTooLarge
	}
	if err == nil {
		var data []byte
		if data, err = event.PixelData(r.URL.Query().Get("data")); err == nil {
			err = h.accept(r, rq, p, data, t)
		}
	}
	h.measure(r.Context(), rq, err)
	drain(w, r)
	status := http.StatusOK
	if err != nil {
		why := asRefusal(err)
		head(w, why)
		status = why.status
	} else if reasons := rq.reasons(); reasons != "" {
		w.Header().Set("Hito-Reason", reasons)
	}
	w.Header().Set("Content-Type", "image/gif")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(gif))
}
