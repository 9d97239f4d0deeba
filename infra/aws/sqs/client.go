package sqs

import (
	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
)

// NewClient returns a client for a Publisher.
func NewClient(cfg sdk.Config) *sqs.Client { return sqs.NewFromConfig(cfg) }
