package functions

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"
)

// Push serves what Pub/Sub and Cloud Scheduler post:
//
//	POST /             a subscription's messages, wrapped or unwrapped with metadata
//	POST /dead-letter  those that its dead-letter topic got, wrapped
//	POST /sweep        the schedule
//
// 204 acknowledges. Whatever else it answers has the message come again: 400 to
// what is no message, 401 without a token that Token takes, 503 when time ran
// out or the token's keys cannot be had, 500 to what failed.
type Push struct {
	Settler *Settler
	// Token says who may call; nil lets nobody in.
	Token Verifier
	// Scheduled is what the schedule has done; nil has none.
	Scheduled *Scheduled
	// Before, if set, is called as every request begins.
	Before func(context.Context)
	// Timeout is how long Cloud Run lets a request take, 60 s when 0.
	Timeout time.Duration
	// Project is Google's, which traces belong to.
	Project string
	// Log is told what failed; nil is slog.Default().
	Log *slog.Logger
}

// Verifier decides by the header Authorization whether a request is let in.
type Verifier interface {
	// Verify returns nil for a request that is let in. Its error wraps ErrKeys when it
	// could not decide.
	Verify(ctx context.Context, authorization string) error
}

// Scheduled is what a schedule of Cloud Scheduler has done.
type Scheduled struct {
	// Do does what is due at the time that was scheduled. After an error the
	// schedule tries again, as often as it is configured to.
	Do func(ctx context.Context, at time.Time) error
}

// ServeHTTP implements http.Handler.
func (p *Push) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	r, cancel := traced(r, p.Project, p.Timeout, answerMargin)
	defer cancel()
	a := &answer{ResponseWriter: w}
	defer recovered(a, r, p.Log)
	status, err := p.serve(r)
	if err != nil {
		logger(p.Log).ErrorContext(r.Context(), "a push failed", "path", r.URL.Path, "status", status, "error", err)
	}
	a.WriteHeader(status)
}

var (
	errMethod    = errors.New("only POST is served")
	errPath      = errors.New("nothing is served at this path")
	errNobody    = errors.New("nobody is let in: no token is configured")
	errTwoTokens = errors.New("a token in X-Serverless-Authorization is not looked at: send it as Authorization only")
)

// serve does what a request asks for, and returns its status.
func (p *Push) serve(r *http.Request) (status int, err error) {
	ctx := r.Context()
	switch {
	case r.Method != http.MethodPost:
		return http.StatusMethodNotAllowed, errMethod
	case p.Token == nil:
		return http.StatusUnauthorized, errNobody
	case r.Header.Get("X-Serverless-Authorization") != "":
		// Cloud Run would check that token and not the one below, which anybody could
		// then have made. https://cloud.google.com/run/docs/authenticating/service-to-service
		return http.StatusUnauthorized, errTwoTokens
	}
	if err := p.Token.Verify(ctx, r.Header.Get("Authorization")); errors.Is(err, ErrKeys) {
		return http.StatusServiceUnavailable, err
	} else if err != nil {
		return http.StatusUnauthorized, err
	}
	if p.Before != nil {
		p.Before(ctx)
	}
	switch path := r.URL.Path; {
	case path == "/sweep" && p.Scheduled != nil:
		err = p.scheduled(ctx, r)
	case path == "/" || path == "/dead-letter":
		err = p.message(ctx, r, path == "/dead-letter")
	default:
		return http.StatusNotFound, errPath
	}
	switch {
	case err == nil:
		return http.StatusNoContent, nil
	case errors.Is(err, errNoMessage) || errors.Is(err, errNoTime):
		return http.StatusBadRequest, err
	case errors.Is(err, errTooLarge):
		return http.StatusRequestEntityTooLarge, err
	case ctx.Err() != nil || errors.Is(err, context.DeadlineExceeded):
		return http.StatusServiceUnavailable, err
	}
	return http.StatusInternalServerError, err
}

func (p *Push) message(ctx context.Context, r *http.Request, final bool) error {
	m, err := read(r)
	if err != nil {
		return err
	}
	m.Final = final
	return p.Settler.Deliver(ctx, m)
}

var errNoTime = errors.New("no time in the header X-CloudScheduler-ScheduleTime")

// scheduled does what is due. https://cloud.google.com/scheduler/docs/reference/rpc/google.cloud.scheduler.v1#httptarget
func (p *Push) scheduled(ctx context.Context, r *http.Request) error {
	at, err := time.Parse(time.RFC3339, r.Header.Get("X-Cloudscheduler-Scheduletime"))
	if err != nil {
		return fmt.Errorf("%w: %w", errNoTime, err)
	}
	ctx, cancel := early(ctx, time.Second)
	defer cancel()
	if err := p.Scheduled.Do(ctx, at); err != nil {
		return fmt.Errorf("what is due at %s: %w", at.Format(time.RFC3339), err)
	}
	return nil
}

// margin returns the time kept for settling, 2 s when it is not given.
func margin(d time.Duration) time.Duration { return cmp.Or(d, 2*time.Second) }
