// Package storage reads the projects' files from a bucket of Cloud Storage, and
// keeps there what was last put in service.
package storage

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/hitolayer/hito/infra/gcp/rest"
	"github.com/hitolayer/hito/shared/project"
)

// NewClient returns a client of Cloud Storage, or of the emulator that
// STORAGE_EMULATOR_HOST names.
func NewClient(lookup func(variable string) (value string, ok bool)) (*rest.Client, error) {
	return rest.NewClient(lookup, "STORAGE_EMULATOR_HOST", "https://storage.googleapis.com")
}

// defaultPatience bounds a call with its attempts, when its caller does not.
const defaultPatience = 5 * time.Second

// Object is a document that is an object in a bucket.
type Object struct {
	Client *rest.Client
	// Bucket is its name, without gs://.
	Bucket, Key string
	// Patience bounds a Fetch with all its attempts, 5 s when 0.
	Patience time.Duration
}

var _ project.Source = Object{}

// Fetch implements project.Source. The tag is the object's generation. Of a large
// object only so much is read that it is told from the largest one allowed,
// project.MaxFile.
//
// https://cloud.google.com/storage/docs/json_api/v1/objects/get
func (o Object) Fetch(ctx context.Context, tag string) (data []byte, newTag string, err error) {
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(o.Patience, defaultPatience))
	defer cancel()
	path := "/storage/v1/b/" + url.PathEscape(o.Bucket) + "/o/" + url.PathEscape(o.Key) + "?alt=media"
	if tag != "" {
		path += "&ifGenerationNotMatch=" + url.QueryEscape(tag)
	}
	answer, err := o.Client.Do(ctx, http.MethodGet, path, nil, project.MaxFile)
	switch {
	case err == nil:
		return answer.Body, answer.Header.Get("X-Goog-Generation"), nil
	case rest.StatusOf(err) == http.StatusNotModified:
		return nil, tag, nil
	}
	return nil, "", o.explain(err)
}

// explain names the object, and what to do about one that is not there. Cloud
// Storage tells only who may list the bucket whether it is not there or may not
// be read. What else is forbidden, such as by a closed account, says nothing of it.
func (o Object) explain(err error) error {
	name := "gs://" + o.Bucket + "/" + o.Key
	switch status := rest.StatusOf(err); {
	case status == http.StatusNotFound:
		return fmt.Errorf("get %s: %w: upload it to the bucket: %w", name, project.ErrMissing, err)
	case status == http.StatusForbidden && strings.Contains(err.Error(), "storage.objects.get"):
		return fmt.Errorf("get %s: %w: upload it to the bucket, and grant roles/storage.objectViewer on it: %w", name, project.ErrMissing, err)
	}
	return fmt.Errorf("get %s: %w", name, err)
}

// LastGood keeps documents as objects <Prefix><name>.yaml.
type LastGood struct {
	Client *rest.Client
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
// none, since Cloud Storage tells no difference.
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
//
// https://cloud.google.com/storage/docs/json_api/v1/objects/insert
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
	path := "/upload/storage/v1/b/" + url.PathEscape(o.Bucket) + "/o?uploadType=media&contentType=application%2Fyaml&name=" + url.QueryEscape(o.Key)
	if _, err := o.Client.Do(ctx, http.MethodPost, path, data, 1<<20); err != nil {
		return fmt.Errorf("keep the last good %s as gs://%s/%s: %w", name, o.Bucket, o.Key, err)
	}
	return nil
}
