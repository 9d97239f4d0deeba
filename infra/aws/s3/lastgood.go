package s3

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/hitolayer/hito/shared/project"
)

// LastGood keeps documents as objects <Prefix><name>.yaml.
type LastGood struct {
	Client API
	Bucket string
	// Prefix begins the objects' keys, such as "lastgood/".
	Prefix string
	// ReadOnly is for those who may not write: Store then does nothing.
	ReadOnly bool
	// NoKeys is for those whose keys document is another than the one kept here,
	// since it is secret: that one neither serves nor is stored.
	NoKeys bool
	// Patience bounds a call with all its attempts, 5 s when 0.
	Patience time.Duration
}

var _ project.LastGood = LastGood{}

func (l LastGood) object(name string) Object {
	return Object{Client: l.Client, Bucket: l.Bucket, Key: l.Prefix + name + ".yaml", Patience: l.Patience}
}

// Load implements project.LastGood. An object that may not be read counts as
// none, since S3 tells no difference.
func (l LastGood) Load(ctx context.Context, name string) ([]byte, error) {
	if l.NoKeys && name == project.KeysName {
		return nil, nil
	}
	data, _, err := l.object(name).Fetch(ctx, "")
	if errors.Is(err, project.ErrMissing) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("load the last good %s: %w", name, err)
	}
	return data, nil
}

// Store implements project.LastGood.
func (l LastGood) Store(ctx context.Context, name string, data []byte) error {
	if l.ReadOnly || l.NoKeys && name == project.KeysName {
		return nil
	}
	if kept, err := l.Load(ctx, name); err == nil && bytes.Equal(kept, data) {
		return nil
	}
	o := l.object(name)
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(l.Patience, defaultPatience))
	defer cancel()
	if err := attempts.Do(ctx, func(ctx context.Context) error {
		_, err := l.Client.PutObject(ctx, &s3.PutObjectInput{
			Bucket: &o.Bucket, Key: &o.Key, Body: bytes.NewReader(data), ContentType: aws.String("application/yaml"),
		})
		return err
	}); err != nil {
		return fmt.Errorf("keep the last good %s as s3://%s/%s: %w", name, o.Bucket, o.Key, err)
	}
	return nil
}
