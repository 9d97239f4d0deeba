package aws

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"cloud.google.com/go/compute/metadata"
)

var errNoToken = errors.New("its answer is not a token")

// metadataIdentity asks Google's metadata server for a token that says who the
// function is. Its errors have nothing of the token.
//
// https://cloud.google.com/run/docs/securing/service-identity#identity_tokens
func metadataIdentity(ctx context.Context, audience string) (string, error) {
	token, err := metadata.GetWithContext(ctx, "instance/service-accounts/default/identity?format=full&audience="+url.QueryEscape(audience))
	if token = strings.TrimSpace(token); err == nil && strings.Count(token, ".") != 2 {
		err = errNoToken
	}
	if err == nil {
		return token, nil
	}
	asked := fmt.Errorf("ask Google's metadata server who this function is: %w", err)
	answer, refused := errors.AsType[*metadata.Error](err)
	if _, absent := errors.AsType[metadata.NotDefinedError](err); absent || refused && answer.Code < http.StatusInternalServerError && answer.Code != http.StatusTooManyRequests {
		return "", fmt.Errorf("%w: the function must run as a service account", asked)
	}
	return "", passing{asked}
}
