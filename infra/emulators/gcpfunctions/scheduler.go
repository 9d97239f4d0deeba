package gcpfunctions

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"time"
)

// A Scheduler is a Cloud Scheduler job with an HTTP target, which runs when it is
// told to (cloud.google.com/scheduler/docs/reference/rest/v1/projects.locations.jobs#HttpTarget).
type Scheduler struct {
	Job      string // its name
	URI      string
	Method   string // "" is POST
	Headers  map[string]string
	Body     []byte
	Account  string // whose token it sends; "" sends none
	Audience string // "" is URI
	Issuer   *Issuer
	// Deadline is how long an attempt may take; 0 is 3 minutes, as at Google.
	Deadline time.Duration
	// Client sends the request, mostly by Hosts.
	Client *http.Client
}

// Run makes one attempt, for a time that the job was due, and returns the answer's
// status. Cloud Scheduler takes any of 200 to 299 for success.
func (s *Scheduler) Run(ctx context.Context, due time.Time) (status int, err error) {
	ctx, cancel := context.WithTimeout(from(ctx, google), or(s.Deadline, 3*time.Minute))
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, or(s.Method, http.MethodPost), s.URI, bytes.NewReader(s.Body))
	if err != nil {
		return 0, fmt.Errorf("job %s: %w", s.Job, err)
	}
	if len(s.Body) > 0 {
		r.Header.Set("Content-Type", "application/octet-stream")
	}
	for name, value := range s.Headers {
		r.Header.Set(name, value)
	}
	r.Header.Set("User-Agent", "Google-Cloud-Scheduler")
	r.Header.Set("X-Cloudscheduler", "true")
	r.Header.Set("X-Cloudscheduler-Jobname", s.Job)
	r.Header.Set("X-Cloudscheduler-Scheduletime", due.UTC().Format(time.RFC3339))
	if s.Account != "" {
		r.Header.Set("Authorization", "Bearer "+s.Issuer.Token(s.Account, or(s.Audience, s.URI)))
	}
	resp, err := s.Client.Do(r)
	if err != nil {
		return 0, fmt.Errorf("job %s: %w", s.Job, err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return 0, fmt.Errorf("job %s: %w", s.Job, err)
	}
	return resp.StatusCode, nil
}
