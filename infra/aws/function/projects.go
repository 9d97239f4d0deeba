package function

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hitolayer/hito/infra/aws/s3"
	"github.com/hitolayer/hito/shared/project"
)

const (
	// startPatience bounds what a start waits for the projects' files: Lambda gives
	// it 10 s.
	startPatience = 8 * time.Second
	// freshPatience bounds what an invocation waits for them: what is in service
	// is good for a while more.
	freshPatience = 2 * time.Second
)

// openProjects lays Projects out over the bucket. It fetches nothing.
func (b *Base) openProjects(client s3.API) {
	object := func(key string) project.Source {
		return b.outage.watch(s3.Object{Client: client, Bucket: b.ProjectsBucket, Key: key})
	}
	b.LastGood = &s3.LastGood{Client: client, Bucket: b.ProjectsBucket, Prefix: "lastgood/", ReadOnly: true}
	b.Projects = &project.Registry{
		Keys:     object("projects/" + project.KeysName + ".yaml"),
		File:     func(name string) project.Source { return object("projects/" + name + ".yaml") },
		LastGood: b.LastGood, Interval: b.Refresh, Log: b.Log,
	}
}

// serve puts the projects in service. Without one there is nothing to serve. And
// one that could not be looked for must not be taken for one that is not there:
// a beacon turned away for its unknown key is not sent again.
func (b *Base) serve(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	err := b.Projects.Refresh(ctx)
	switch {
	case b.outage.err() != nil:
		return fmt.Errorf("look for the projects: %w", b.outage.err())
	case len(b.Projects.Names()) == 0:
		return fmt.Errorf("no project to serve in the bucket %s: %w", b.ProjectsBucket, err)
	case err != nil:
		b.Log.ErrorContext(ctx, "what is wrong is not in service", "error", err)
	}
	return nil
}

// Fresh looks for new files when those in service are older than Refresh. What
// it finds wrong it logs, and the files in service stay.
func (b *Base) Fresh(ctx context.Context) {
	looking, cancel := context.WithTimeout(ctx, freshPatience)
	defer cancel()
	b.Projects.Fresh(looking)
	if looking.Err() != nil && ctx.Err() == nil {
		b.Log.ErrorContext(ctx, "the bucket of the projects does not answer: what was in service stays", "bucket", b.ProjectsBucket, "after", freshPatience.String())
	}
}

// outage remembers that a document could not be looked for.
type outage struct {
	mu   sync.Mutex
	last error
}

func (o *outage) err() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.last
}

// watch returns a source of which the outage remembers the errors, those aside
// that say that the document is missing.
func (o *outage) watch(s project.Source) project.Source { return watched{s, o} }

type watched struct {
	project.Source
	outage *outage
}

func (w watched) Fetch(ctx context.Context, tag string) ([]byte, string, error) {
	data, newTag, err := w.Source.Fetch(ctx, tag)
	if err != nil && !errors.Is(err, s3.ErrMissing) {
		w.outage.mu.Lock()
		w.outage.last = err
		w.outage.mu.Unlock()
	}
	return data, newTag, err
}
