// Command function is the function that the tests of package awslambda deploy.
// What an event says, it does.
package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
)

// started counts this process's invocations.
var started int

type event struct {
	Do      string `json:"do"`
	Records []struct {
		MessageID string `json:"messageId"`
		Body      string `json:"body"`
		Kinesis   *struct {
			PartitionKey   string `json:"partitionKey"`
			SequenceNumber string `json:"sequenceNumber"`
			Data           []byte `json:"data"`
		} `json:"kinesis"`
	} `json:"Records"`
	RawPath         string `json:"rawPath"`
	Body            string `json:"body"`
	IsBase64Encoded bool   `json:"isBase64Encoded"`
}

type handler struct{}

func (handler) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	started++
	var e event
	if err := json.Unmarshal(payload, &e); err != nil {
		return nil, err
	}
	switch {
	case e.RawPath != "":
		return serve(&e, payload)
	case e.Records != nil:
		return records(ctx, &e)
	}
	return do(ctx, e.Do, payload)
}

// do fails in the way it is told, or answers.
func do(ctx context.Context, what string, payload []byte) ([]byte, error) {
	switch what {
	case "error":
		return nil, errors.New("as told")
	case "panic":
		panic("as told")
	case "exit":
		os.Exit(3)
	case "hang":
		select {}
	case "wait":
		time.Sleep(100 * time.Millisecond)
	case "large":
		return []byte(`"` + strings.Repeat("x", 6<<20+200) + `"`), nil
	case "context":
		lc, _ := lambdacontext.FromContext(ctx)
		deadline, _ := ctx.Deadline()
		return json.Marshal(map[string]any{
			"id": lc.AwsRequestID, "arn": lc.InvokedFunctionArn, "left": time.Until(deadline).Milliseconds(),
			"env": os.Environ(), "pid": os.Getpid(), "started": started, "trace": os.Getenv("_X_AMZN_TRACE_ID"),
		})
	case "log":
		fmt.Println("on standard output")
		fmt.Fprint(os.Stderr, "on standard error\n")
	}
	return payload, nil
}

// records handles a batch in order. A record's text may tell it what to do:
// "poison" fails as the variable POISON says.
func records(ctx context.Context, e *event) ([]byte, error) {
	type failure struct {
		ID string `json:"itemIdentifier"`
	}
	failures := []failure{}
	for _, r := range e.Records {
		id, key, text := r.MessageID, "", r.Body
		if r.Kinesis != nil {
			id, key, text = r.Kinesis.SequenceNumber, r.Kinesis.PartitionKey, string(r.Kinesis.Data)
		}
		fmt.Println("got", key, text)
		if strings.HasPrefix(text, "poison") {
			switch how := os.Getenv("POISON"); how {
			case "partial":
				failures = append(failures, failure{id})
			case "unknown":
				failures = append(failures, failure{"49999999999999999999999999999999999999999999999999999999"})
			case "malformed":
				return []byte(`{"batchItemFailures":[{"ItemIdentifier":"` + id + `"}]}`), nil
			default:
				return do(ctx, how, nil)
			}
			continue
		}
		fmt.Println("done", key, text)
	}
	return json.Marshal(map[string]any{"batchItemFailures": failures})
}

// serve answers HTTP: the event itself, or what the path says.
func serve(e *event, payload []byte) ([]byte, error) {
	switch e.RawPath {
	case "/plain":
		return []byte(`"no status code"`), nil
	case "/binary":
		body := []byte(e.Body)
		if e.IsBase64Encoded {
			var err error
			if body, err = base64.StdEncoding.DecodeString(e.Body); err != nil {
				return nil, err
			}
		}
		return json.Marshal(map[string]any{
			"statusCode": 201, "isBase64Encoded": true, "body": base64.StdEncoding.EncodeToString(body),
			"headers": map[string]string{"Content-Type": "image/png", "X-Two": "a, b"}, "cookies": []string{"a=1; Path=/", "b=2"},
			"multiValueHeaders": map[string][]string{"X-Ignored": {"1"}},
		})
	case "/empty":
		return []byte(`{"statusCode":204}`), nil
	case "/error":
		return nil, errors.New("as told")
	case "/bad":
		return []byte(`{"statusCode":"many","body":7}`), nil
	case "/wait":
		time.Sleep(200 * time.Millisecond)
	}
	return payload, nil
}

func main() {
	switch os.Getenv("INIT") {
	case "exit":
		os.Exit(4)
	case "hang":
		time.Sleep(time.Hour)
	}
	lambda.Start(handler{})
}
