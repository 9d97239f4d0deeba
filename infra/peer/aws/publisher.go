// Package aws is AWS as a function on Google Cloud sees it: a Kinesis stream there
// that it publishes on, and the credentials it does so with. No key is stored:
// Google's metadata server says in a token who the function is, and AWS's Security
// Token Service takes that for the right to act as a role, for an hour.
//
// The role's trust policy needs no identity provider beside it: Google is one that
// AWS knows. It lets in the federated principal accounts.google.com to
// sts:AssumeRoleWithWebIdentity, when all of these are equal (StringEquals):
//
//   - accounts.google.com:sub, the token's sub: the unique ID, a number, of the
//     function's service account. Its email is not enough, since an account that was
//     deleted can be made anew under it.
//   - accounts.google.com:aud, which is not the token's aud but, since it has one, its
//     azp: for a service account the unique ID again.
//   - accounts.google.com:oaud, the token's aud: whom it was made for, here the role's
//     own ARN, so that nobody who is shown a token for something else, or for another
//     role, can use it here.
//
// The role may kinesis:PutRecords on the stream, and kms:GenerateDataKey with the key
// of one that is encrypted with a key of its own.
//
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_iam-condition-keys.html#condition-keys-wif
// https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_providers_create_oidc.html
// https://cloud.google.com/compute/docs/instances/verifying-instance-identity#payload
package aws

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskinesis "github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"github.com/hitolayer/hito/infra/aws/environment"
	"github.com/hitolayer/hito/infra/aws/kinesis"
	"github.com/hitolayer/hito/shared/stream"
)

// Publisher is the publisher that functions on AWS use, and the credentials it acts
// with. It must not be copied.
type Publisher struct {
	kinesis.Publisher
	Credentials *Credentials
}

var _ stream.Publisher = (*Publisher)(nil)

// roles are ARNs of roles, of any partition.
var roles = regexp.MustCompile(`^arn:aws[a-z-]*:iam::\d{12}:role/[\w+=,.@/-]+$`)

// NewPublisher returns a publisher on a Kinesis stream in a region, by its name or
// ARN, acting as a role by its ARN; calls nothing. AWS_ENDPOINT_URL_KINESIS and
// AWS_ENDPOINT_URL_STS put other services in place of AWS's, GCE_METADATA_HOST
// another in place of Google's metadata server. Sessions are named after K_SERVICE,
// which Cloud Run sets to the service's name: AWS's logs tell it.
func NewPublisher(lookup environment.Lookup, role, region, name string) (*Publisher, error) {
	switch parts := strings.Split(name, ":"); {
	case !roles.MatchString(role):
		return nil, fmt.Errorf("%q is not a role: it must be arn:aws:iam::ACCOUNT:role/ROLE", role)
	case region == "":
		return nil, errors.New("the stream's AWS region must be given")
	case name == "":
		return nil, errors.New("the stream must be given")
	case parts[0] == "arn" && (len(parts) != 6 || parts[2] != "kinesis" || parts[3] != region):
		return nil, fmt.Errorf("%q is not a stream in %s: it must be arn:aws:kinesis:%s:ACCOUNT:stream/STREAM, or a name", name, region, region)
	}
	cfg := environment.In(region, lookup)
	session, _ := lookup("K_SERVICE")
	p := &Publisher{Credentials: &Credentials{Role: role, Session: session, STS: sts.NewFromConfig(cfg)}}
	p.Client, p.Stream = client{awskinesis.NewFromConfig(cfg), p.Credentials}, name
	return p, nil
}

// Fresh sees to it that there are credentials when some are needed, and does not
// wait for them.
func (p *Publisher) Fresh(ctx context.Context) { p.Credentials.Fresh(ctx) }

// client puts records with the credentials.
type client struct {
	kinesis     kinesis.API
	credentials *Credentials
}

// PutRecords makes one call. After one whose credentials were not taken it makes
// another, with others.
func (c client) PutRecords(ctx context.Context, in *awskinesis.PutRecordsInput, options ...func(*awskinesis.Options)) (*awskinesis.PutRecordsOutput, error) {
	used, err := c.credentials.Retrieve(ctx)
	if err != nil {
		return nil, err
	}
	out, err := c.put(ctx, used, in, options)
	if !untaken(err) {
		return out, err
	}
	c.credentials.Refused(used)
	others, failed := c.credentials.Retrieve(ctx)
	if failed != nil {
		return nil, failed
	}
	if others.AccessKeyID != used.AccessKeyID {
		return c.put(ctx, others, in, options)
	}
	return out, err
}

func (c client) put(ctx context.Context, with aws.Credentials, in *awskinesis.PutRecordsInput, options []func(*awskinesis.Options)) (*awskinesis.PutRecordsOutput, error) {
	return c.kinesis.PutRecords(ctx, in, append(options[:len(options):len(options)], func(o *awskinesis.Options) {
		o.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return with, nil })
	})...)
}

// untaken says of an error that other credentials may be taken: these have expired,
// or AWS does not know them any more.
//
// https://docs.aws.amazon.com/kinesis/latest/APIReference/CommonErrors.html
func untaken(err error) bool {
	refusal, ok := errors.AsType[smithy.APIError](err)
	if !ok {
		return false
	}
	switch refusal.ErrorCode() {
	case "ExpiredTokenException", "ExpiredToken", "UnrecognizedClientException", "InvalidClientTokenId":
		return true
	}
	return false
}
