package awslambda

import (
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
)

// A URL puts HTTP before a function as a Lambda function URL does, without
// authentication and with buffered answers
// (docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html).
type URL struct {
	Function Invoker
	// Domain is the function URL's host name; "": id.lambda-url.us-east-1.on.aws.
	// Requests are taken as if they had been sent there.
	Domain string
	// Log is told why a request was not answered by the function; nil is slog.Default().
	Log *slog.Logger
}

func (u *URL) domain() string {
	if u.Domain != "" {
		return u.Domain
	}
	return "id.lambda-url.us-east-1.on.aws"
}

func (u *URL) log() *slog.Logger {
	if u.Log != nil {
		return u.Log
	}
	return slog.Default()
}

// ServeHTTP invokes the function. What Lambda answers itself: 413 to what is
// too large for an event, 429 when the function is throttled, 502 when it
// fails or answers something that is no response.
func (u *URL) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxPayload))
	if tooLarge := new(http.MaxBytesError); errors.As(err, &tooLarge) {
		answerError(w, http.StatusRequestEntityTooLarge, "RequestEntityTooLargeException", "Request Entity Too Large")
		return
	} else if err != nil {
		answerError(w, http.StatusBadRequest, "BadRequestException", "Bad Request")
		return
	}
	payload, err := json.Marshal(u.event(r, body))
	if err != nil {
		answerError(w, http.StatusBadRequest, "BadRequestException", "Bad Request")
		return
	}
	answer, err := u.Function.Invoke(r.Context(), payload)
	switch {
	case errors.Is(err, ErrThrottled):
		answerError(w, http.StatusTooManyRequests, "TooManyRequestsException", "Rate Exceeded.")
		return
	case errors.Is(err, ErrTooLarge):
		answerError(w, http.StatusRequestEntityTooLarge, "RequestEntityTooLargeException", "Request Entity Too Large")
		return
	case err != nil:
		if r.Context().Err() == nil {
			u.log().Warn("invoke", "path", r.URL.Path, "error", err)
		}
		answerError(w, http.StatusBadGateway, "InternalServerErrorException", "Internal Server Error")
		return
	}
	response, err := readAnswer(answer)
	if err != nil {
		u.log().Warn("answer", "path", r.URL.Path, "error", err)
		answerError(w, http.StatusBadGateway, "InternalServerErrorException", "Internal Server Error")
		return
	}
	response.write(w)
}

func answerError(w http.ResponseWriter, status int, kind, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Amzn-Errortype", kind)
	w.WriteHeader(status)
	_, _ = io.WriteString(w, `{"Message":"`+message+`"}`) // the client may be gone
}

// hop are the headers that concern one connection, or that Lambda writes itself.
var hop = map[string]bool{
	"connection": true, "keep-alive": true, "proxy-connection": true, "te": true, "trailer": true, "transfer-encoding": true,
	"upgrade": true, "content-length": true, "date": true,
}

// isHop tells whether a header of the function's answer is not passed on.
func isHop(name string) bool { return hop[strings.ToLower(name)] }
