// Package awslambda stands in for AWS Lambda where there is none: it runs a
// function's real bootstrap binary behind the Lambda Runtime API, feeds it from
// Kinesis and SQS as event source mappings do, and puts HTTP before it as a
// function URL does. Acceptance tests start it; nothing deployed links it.
//
// What it keeps to is AWS' documentation, named where a rule comes from it.
// What it leaves out: memory limits, IAM, extensions, response streaming,
// enhanced fan-out, asynchronous invocation.
package awslambda

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
)

// An Invoker takes an event and gives the function's answer. *Function is one.
type Invoker interface {
	// Invoke runs the function once. The error is a *FunctionError when the
	// function itself failed, ErrThrottled or ErrTooLarge when it was not run.
	Invoke(ctx context.Context, payload []byte) ([]byte, error)
}

// MaxPayload is how many bytes an event of a synchronous invocation may have,
// and an answer (docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html).
const MaxPayload = 6 << 20

var (
	// ErrThrottled is Lambda's TooManyRequestsException: as many invocations
	// as the function may have are running.
	ErrThrottled = errors.New("awslambda: too many requests")
	// ErrTooLarge is Lambda's RequestTooLargeException.
	ErrTooLarge = errors.New("awslambda: request must be smaller than 6291456 bytes")
	// ErrClosed is returned by a function that was closed.
	ErrClosed = errors.New("awslambda: function is closed")
)

// The types of error that Lambda gives itself, in a FunctionError.
const (
	ExitError   = "Runtime.ExitError"             // the process ended
	TimedOut    = "Sandbox.Timedout"              // killed at the function's timeout
	TooLarge    = "Function.ResponseSizeTooLarge" // more than MaxPayload was answered
	BadBinary   = "Runtime.InvalidEntrypoint"     // the bootstrap cannot be executed
	InitTimeout = "Sandbox.InitTimedout"          // killed before it asked for an event
)

// A FunctionError says that the function was run and failed: what Lambda
// answers with the header X-Amz-Function-Error: Unhandled.
type FunctionError struct {
	Type      string // the errorType in Payload
	RequestID string
	Payload   json.RawMessage // {"errorType":…,"errorMessage":…,…}
}

func (e *FunctionError) Error() string {
	return fmt.Sprintf("function failed in request %s: %s: %s", e.RequestID, e.Type, e.Payload)
}

// newFunctionError is an error that Lambda itself gives.
func newFunctionError(requestID, kind, format string, args ...any) *FunctionError {
	payload, err := json.Marshal(struct {
		Type    string `json:"errorType"`
		Message string `json:"errorMessage"`
	}{kind, "RequestId: " + requestID + " Error: " + fmt.Sprintf(format, args...)})
	if err != nil {
		panic(err) // strings always encode
	}
	return &FunctionError{Type: kind, RequestID: requestID, Payload: payload}
}

// reportedError is an error that the runtime posted.
func reportedError(requestID string, body []byte) *FunctionError {
	var e struct {
		Type string `json:"errorType"`
	}
	if err := json.Unmarshal(body, &e); err != nil {
		body, _ = json.Marshal(map[string]string{"errorType": "Unknown", "errorMessage": string(body)})
	}
	if e.Type == "" {
		e.Type = "Unknown"
	}
	return &FunctionError{Type: e.Type, RequestID: requestID, Payload: body}
}
