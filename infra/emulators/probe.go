package emulators

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// probe asks an emulator for something over its protocol that needs no state.
func (p Program) probe(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	switch p {
	case ProgramDynamoDB:
		return call(ctx, url, "dynamodb", "DynamoDB_20120810.ListTables", "application/x-amz-json-1.0")
	case ProgramMoto:
		return call(ctx, url, "sqs", "AmazonSQS.ListQueues", "application/x-amz-json-1.0")
	case ProgramPubSub, ProgramBigtable, ProgramFirestore:
		return p.probeGoogle(ctx, url)
	default:
		return call(ctx, url, "kinesis", "Kinesis_20131202.ListStreams", "application/x-amz-json-1.1")
	}
}

// call makes an empty request. Emulators want a signature of the right form, and
// do not check it.
func call(ctx context.Context, url, service, target, contentType string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader("{}"))
	if err != nil {
		return err
	}
	const date = "20260101"
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("X-Amz-Target", target)
	req.Header.Set("X-Amz-Date", date+"T000000Z")
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=test/"+date+"/us-east-1/"+service+
		"/aws4_request, SignedHeaders=host, Signature="+strings.Repeat("0", 64))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s: %s", target, resp.Status, body)
	}
	return nil
}
