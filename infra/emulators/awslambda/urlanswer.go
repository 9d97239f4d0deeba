package awslambda

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
)

// A response is what a function answers to a request.
type response struct {
	status  int
	headers map[string]string
	cookies []string
	body    []byte
}

// readAnswer reads a function's answer: an object with a statusCode in payload
// format 2.0, or any other JSON value, which is the body of a 200.
// multiValueHeaders belong to another format and are ignored.
func readAnswer(answer []byte) (*response, error) {
	if !json.Valid(answer) {
		return nil, errors.New("the answer is no JSON")
	}
	var members map[string]json.RawMessage
	if json.Unmarshal(answer, &members) != nil || members["statusCode"] == nil {
		return &response{status: http.StatusOK, body: bytes.TrimSpace(answer)}, nil
	}
	var in struct {
		StatusCode      int            `json:"statusCode"`
		Headers         map[string]any `json:"headers"`
		Cookies         []string       `json:"cookies"`
		Body            string         `json:"body"`
		IsBase64Encoded bool           `json:"isBase64Encoded"`
	}
	if err := json.Unmarshal(answer, &in); err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	if in.StatusCode < 200 || in.StatusCode > 599 {
		return nil, fmt.Errorf("the answer has the status %d", in.StatusCode)
	}
	out := &response{status: in.StatusCode, cookies: in.Cookies, body: []byte(in.Body), headers: make(map[string]string, len(in.Headers))}
	for name, value := range in.Headers {
		switch value.(type) {
		case string, float64, bool:
			out.headers[name] = fmt.Sprint(value)
		default:
			return nil, fmt.Errorf("the answer's header %s is %v", name, value)
		}
	}
	if in.IsBase64Encoded {
		var err error
		if out.body, err = base64.StdEncoding.DecodeString(in.Body); err != nil {
			return nil, fmt.Errorf("read the answer's body: %w", err)
		}
	}
	return out, nil
}

// write sends the response.
func (r *response) write(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Content-Type", "application/json") // unless the function says otherwise
	for name, value := range r.headers {
		if !isHop(name) {
			h.Set(name, value)
		}
	}
	for _, c := range r.cookies {
		h.Add("Set-Cookie", c)
	}
	h.Set("X-Amzn-Requestid", newID())
	w.WriteHeader(r.status)
	_, _ = w.Write(r.body) // the client may be gone, or the status have no body
}
