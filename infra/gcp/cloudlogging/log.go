package cloudlogging

import (
	"context"
	"io"
	"log/slog"
	"slices"
	"strings"
)

type traceKey struct{}

// WithTrace returns a context whose log lines belong to the trace that a
// request's header traceparent names, in Google's project; ctx itself without one.
//
// https://www.w3.org/TR/trace-context/#traceparent-header
func WithTrace(ctx context.Context, project, traceparent string) context.Context {
	parts := strings.Split(traceparent, "-") // version, trace, span, flags
	if project == "" || len(parts) < 4 || len(parts[1]) != 32 || strings.Trim(parts[1], "0123456789abcdef") != "" || strings.Trim(parts[1], "0") == "" {
		return ctx
	}
	return context.WithValue(ctx, traceKey{}, "projects/"+project+"/traces/"+parts[1])
}

// Logger returns a logger that writes JSON lines with the members that Cloud
// Logging takes out of them: severity, message, time and, of a context WithTrace,
// the trace.
//
// https://cloud.google.com/logging/docs/structured-logging
func Logger(w io.Writer, level slog.Leveler) *slog.Logger {
	return slog.New(handler{Handler: slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level, ReplaceAttr: rename})})
}

// rename gives slog's own attributes Cloud Logging's names.
func rename(groups []string, a slog.Attr) slog.Attr {
	if len(groups) > 0 {
		return a
	}
	switch level, isLevel := a.Value.Any().(slog.Level); {
	case a.Key == slog.LevelKey && isLevel: // not somebody's attribute of that name
		return slog.String("severity", severity(level))
	case a.Key == slog.MessageKey:
		a.Key = "message"
	}
	return a
}

func severity(level slog.Level) string {
	switch {
	case level >= slog.LevelError:
		return "ERROR"
	case level >= slog.LevelWarn:
		return "WARNING"
	case level >= slog.LevelInfo:
		return "INFO"
	}
	return "DEBUG"
}

// handler adds the trace, to the line itself whatever groups are open: Cloud
// Logging looks for it nowhere else.
type handler struct {
	slog.Handler
	outside slog.Handler                      // as it was before the first group
	then    []func(slog.Handler) slog.Handler // opened the first group, and what came after
}

func (h handler) Handle(ctx context.Context, r slog.Record) error {
	trace, ok := ctx.Value(traceKey{}).(string)
	if !ok {
		return h.Handler.Handle(ctx, r)
	}
	attr := slog.String("logging.googleapis.com/trace", trace)
	if h.outside == nil {
		r.AddAttrs(attr)
		return h.Handler.Handle(ctx, r)
	}
	to := h.outside.WithAttrs([]slog.Attr{attr})
	for _, f := range h.then {
		to = f(to)
	}
	return to.Handle(ctx, r)
}

func (h handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	if h.outside == nil {
		return handler{Handler: h.Handler.WithAttrs(attrs)}
	}
	return h.and(func(to slog.Handler) slog.Handler { return to.WithAttrs(attrs) })
}

func (h handler) WithGroup(name string) slog.Handler {
	if h.outside == nil {
		h.outside = h.Handler
	}
	return h.and(func(to slog.Handler) slog.Handler { return to.WithGroup(name) })
}

func (h handler) and(f func(slog.Handler) slog.Handler) slog.Handler {
	return handler{f(h.Handler), h.outside, append(slices.Clip(h.then), f)}
}
