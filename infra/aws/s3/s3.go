// Package s3 reads the projects' files from a bucket, and keeps there what was
// last put in service.
package s3

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"

	"github.com/hitolayer/hito/infra/aws/retry"
	"github.com/hitolayer/hito/shared/project"
)

// API is what this package asks of *s3.Client: see NewClient.
type API interface {
	GetObject(context.Context, *s3.GetObjectInput, ...func(*s3.Options)) (*s3.GetObjectOutput, error)
	PutObject(context.Context, *s3.PutObjectInput, ...func(*s3.Options)) (*s3.PutObjectOutput, error)
}

// NewClient returns a client which leaves it to this package to try again, since
// what breaks off in the middle of an object must be too. A custom endpoint is
// asked by path, for its host has no name for every bucket.
func NewClient(cfg aws.Config) *s3.Client {
	return s3.NewFromConfig(cfg, func(o *s3.Options) {
		o.Retryer = aws.NopRetryer{}
		o.UsePathStyle = o.UsePathStyle || o.BaseEndpoint != nil
	})
}

const (
	// defaultPatience bounds a call with its attempts, when its caller does not.
	defaultPatience = 5 * time.Second
	attemptTimeout  = 2 * time.Second
)

// attempts is how a call is tried until it succeeds.
var attempts = retry.Call{Timeout: attemptTimeout, Backoff: retry.Backoff{Base: 50 * time.Millisecond, Most: 500 * time.Millisecond}}

// Object is a document in a bucket.
type Object struct {
	Client      API
	Bucket, Key string
	// Patience bounds a Fetch with all its attempts, 5 s when 0.
	Patience time.Duration
}

var _ project.Source = Object{}

// Fetch implements project.Source. The tag is the object's ETag. Of a large object
// only so much is read that it is told from the largest one allowed, project.MaxFile.
func (o Object) Fetch(ctx context.Context, tag string) (data []byte, newTag string, err error) {
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(o.Patience, defaultPatience))
	defer cancel()
	err = attempts.Do(ctx, func(ctx context.Context) (err error) {
		data, newTag, err = o.get(ctx, tag)
		return err
	})
	switch {
	case err == nil:
		return data, newTag, nil
	case status(err) == http.StatusNotModified:
		return nil, tag, nil
	}
	return nil, "", o.explain(err)
}

func (o Object) get(ctx context.Context, tag string) ([]byte, string, error) {
	in := &s3.GetObjectInput{Bucket: &o.Bucket, Key: &o.Key}
	if tag != "" {
		in.IfNoneMatch = &tag
	}
	out, err := o.Client.GetObject(ctx, in)
	if err != nil {
		return nil, "", err
	}
	defer out.Body.Close()
	data, err := io.ReadAll(io.LimitReader(out.Body, project.MaxFile+1))
	if err != nil {
		return nil, "", &brokenOff{err}
	}
	return data, aws.ToString(out.ETag), nil
}

// brokenOff is an object that ended early, whatever the connection says of it:
// it can be asked for again.
type brokenOff struct{ error }

func (e *brokenOff) Unwrap() error        { return e.error }
func (e *brokenOff) RetryableError() bool { return true }

// explain names the object, and what to do about one that is not there. S3 tells
// only who may list the bucket whether it is not there or may not be read.
func (o Object) explain(err error) error {
	name := "s3://" + o.Bucket + "/" + o.Key
	switch code := code(err); {
	case code == "NoSuchKey":
		return fmt.Errorf("get %s: %w: upload it to the bucket: %w", name, project.ErrMissing, err)
	case code == "NoSuchBucket":
		return fmt.Errorf("get %s: %w: there is no such bucket in this account and region: %w", name, project.ErrMissing, err)
	case code == "AccessDenied":
		return fmt.Errorf("get %s: %w: upload it to the bucket, and allow s3:GetObject on it: %w", name, project.ErrMissing, err)
	}
	return fmt.Errorf("get %s: %w", name, err)
}

func code(err error) string {
	if e, ok := errors.AsType[smithy.APIError](err); ok {
		return e.ErrorCode()
	}
	return ""
}

// status returns the status of the answer that an error tells of, 0 when there was none.
func status(err error) int {
	if e, ok := errors.AsType[interface {
		error
		HTTPStatusCode() int
	}](err); ok {
		return e.HTTPStatusCode()
	}
	return 0
}
