package gcp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// emptySHA256 is the SHA-256 of no bytes.
const emptySHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// targetResource is the signed header that binds a request to one provider, so that
// nobody it is shown to can show it to another.
const targetResource = "x-goog-cloud-target-resource"

// signed is a request as Google takes it.
type signed struct {
	URL     string   `json:"url"`
	Method  string   `json:"method"`
	Headers []header `json:"headers"`
}

type header struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// subject returns the token that tells Google who calls: a request for
// GetCallerIdentity that is signed and not sent, which Google sends. It is a
// secret. It also returns what of it is one by itself.
//
// https://cloud.google.com/iam/docs/workload-identity-federation-with-other-clouds#rest
func subject(ctx context.Context, credentials aws.CredentialsProvider, region, provider string, now time.Time) (token string, secrets []string, err error) {
	c, err := credentials.Retrieve(ctx)
	if err != nil {
		return "", nil, fmt.Errorf("get AWS credentials: %w", err)
	}
	if c.CanExpire && !now.Before(c.Expires) {
		return "", nil, errors.New("the AWS credentials have expired")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://sts."+region+".amazonaws.com?Action=GetCallerIdentity&Version=2011-06-15", http.NoBody)
	if err != nil {
		return "", nil, err
	}
	req.Header.Set(targetResource, provider)
	if err := v4.NewSigner().SignHTTP(ctx, c, req, emptySHA256, "sts", region, now); err != nil {
		return "", nil, fmt.Errorf("sign the request for Google: %w", err)
	}
	s := signed{URL: req.URL.String(), Method: req.Method, Headers: []header{{"host", req.URL.Host}}}
	for _, key := range []string{targetResource, "x-amz-date", "x-amz-security-token", "Authorization"} {
		if value := req.Header.Get(key); value != "" {
			s.Headers = append(s.Headers, header{key, value})
		}
	}
	text, err := json.Marshal(s)
	if err != nil {
		return "", nil, err
	}
	_, signature, _ := strings.Cut(req.Header.Get("Authorization"), "Signature=")
	secrets = []string{c.SecretAccessKey, c.SessionToken, signature}
	return strings.ReplaceAll(url.QueryEscape(string(text)), "+", "%20"), secrets, nil
}
