package fault

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"hash/crc32"
	"maps"
	"net/http"
	"strconv"
	"strings"
)

// answer is what goes back to the caller.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func (a *answer) write(w http.ResponseWriter, method string) {
	header := w.Header()
	maps.Copy(header, a.header)
	header.Del("Connection")
	if method != http.MethodHead {
		header.Set("Content-Length", strconv.Itoa(len(a.body)))
	}
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body) // the caller may be gone
}

// setBody replaces the body, and the checksum that DynamoDB sends of it.
func (a *answer) setBody(body []byte) {
	a.body = body
	if a.header.Get("X-Amz-Crc32") != "" {
		a.header.Set("X-Amz-Crc32", strconv.FormatUint(uint64(crc32.ChecksumIEEE(body)), 10))
	}
}

// failure is the proxy's own.
func failure(status int, err error) *answer {
	return &answer{status, http.Header{"Content-Type": {"text/plain"}}, []byte("fault: " + err.Error())}
}

// refusal is an error in the form of the call's service: XML for S3, else JSON.
func refusal(c *request, status int, code, message string, more ...any) *answer {
	header := http.Header{"X-Amzn-Requestid": {"00000000-0000-0000-0000-000000000000"}}
	if c.Service == "s3" {
		header.Set("Content-Type", "application/xml")
		body, err := xml.Marshal(struct {
			XMLName       xml.Name `xml:"Error"`
			Code, Message string
		}{Code: code, Message: message})
		if err != nil {
			return failure(http.StatusBadGateway, err)
		}
		return &answer{status, header, body}
	}
	header.Set("Content-Type", "application/x-amz-json-1.1")
	header.Set("X-Amzn-Errortype", code)
	named := code
	switch c.Service {
	case "dynamodb":
		header.Set("Content-Type", "application/x-amz-json-1.0")
		named = "com.amazonaws.dynamodb.v20120810#" + code
		switch code {
		case "ThrottlingException", "InternalFailure", "ServiceUnavailable":
			named = "com.amazon.coral.availability#" + code
		}
	case "sqs":
		header.Set("Content-Type", "application/x-amz-json-1.0")
		named = "com.amazonaws.sqs#" + code
	}
	fields := map[string]any{"__type": named, "message": message}
	for i := 0; i+1 < len(more); i += 2 {
		fields[more[i].(string)] = more[i+1]
	}
	body, err := json.Marshal(fields)
	if err != nil {
		return failure(http.StatusBadGateway, err)
	}
	a := &answer{status, header, body}
	if c.Service == "dynamodb" {
		header.Set("X-Amz-Crc32", "0")
		a.setBody(body)
	}
	return a
}

func throttled(c *request, code string) *answer {
	status := http.StatusBadRequest
	message := "Rate exceeded"
	if code == "" {
		switch c.Service {
		case "kinesis":
			code = "ProvisionedThroughputExceededException"
			message = fmt.Sprintf("Rate exceeded for stream %s.", strings.Join(c.Resources, ","))
		case "dynamodb":
			code = "ProvisionedThroughputExceededException"
			message = "The level of configured provisioned throughput for the table was exceeded. Consider increasing your provisioning level with the UpdateTable API."
		case "sqs":
			code = "RequestThrottled"
		case "s3":
			code, status = "SlowDown", http.StatusServiceUnavailable
			message = "Please reduce your request rate."
		default:
			code = "ThrottlingException"
		}
	}
	return refusal(c, status, code, message)
}

func internal(c *request) *answer {
	code := "InternalFailure"
	switch c.Service {
	case "dynamodb":
		code = "InternalServerError"
	case "s3", "sqs":
		code = "InternalError"
	case "secretsmanager":
		code = "InternalServiceError"
	}
	return refusal(c, http.StatusInternalServerError, code, "We encountered an internal error. Please try again.")
}

func unavailable(c *request) *answer {
	return refusal(c, http.StatusServiceUnavailable, "ServiceUnavailable", "The service is unavailable. Please try again later.")
}

// conflicts returns whether another transaction could be in the way.
func (c *request) conflicts() bool {
	if c.Service != "dynamodb" {
		return false
	}
	switch c.Action {
	case "TransactWriteItems", "TransactGetItems":
		return c.Entries > 0
	case "PutItem", "UpdateItem", "DeleteItem":
		return true
	}
	return false
}

// conflict: a transaction is told which of its items was taken, the write of an
// item that it was.
// https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html
func conflict(c *request) *answer {
	const message = "Transaction is ongoing for the item"
	if c.Entries == 0 {
		return refusal(c, http.StatusBadRequest, "TransactionConflictException", message)
	}
	type reason struct {
		Code    string
		Message string `json:",omitempty"`
	}
	reasons := make([]reason, c.Entries)
	codes := make([]string, c.Entries)
	for i := range reasons {
		reasons[i].Code, codes[i] = "None", "None"
	}
	taken := c.Entries - 1
	reasons[taken], codes[taken] = reason{"TransactionConflict", message}, "TransactionConflict"
	return refusal(c, http.StatusBadRequest, "TransactionCanceledException",
		"Transaction cancelled, please refer cancellation reasons for specific reasons ["+strings.Join(codes, ", ")+"]",
		"CancellationReasons", reasons)
}
