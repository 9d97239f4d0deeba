// Package projects keeps in service what a function's bucket has of projects,
// whatever cloud the bucket is in.
package projects

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

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

// Projects is the registry of a bucket's projects. Where rules are needed, OnFile
// is to be set, and where secret keys are, Keys.
type Projects struct {
	project.Registry
	// Bucket is its name.
	Bucket string

	outage outage
}

// In lays projects out over a bucket, of which object returns the document with a
// key. It fetches nothing.
func In(bucket string, object func(key string) project.Source) *Projects {
	p := &Projects{Bucket: bucket}
	watched := func(key string) project.Source { return watched{object(key), &p.outage} }
	p.Keys = watched("projects/" + project.KeysName + ".yaml")
	p.File = func(name string) project.Source { return watched("projects/" + name + ".yaml") }
	return p
}

// Serve puts the projects in service. Without one there is nothing to serve. And
// one that could not be looked for must not be taken for one that is not there:
// a beacon turned away for its unknown key is not sent again.
func (p *Projects) Serve(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	err := p.Refresh(ctx)
	switch {
	case p.outage.err() != nil:
		return fmt.Errorf("look for the projects: %w", p.outage.err())
	case len(p.Names()) == 0:
		return fmt.Errorf("no project to serve in the bucket %s: %w", p.Bucket, err)
	case err != nil:
		p.Log.ErrorContext(ctx, "what is wrong is not in service", "error", err)
	}
	return nil
}

// Fresh looks for new files when those in service are older than Interval. What
// it finds wrong it logs, and the files in service stay.
func (p *Projects) Fresh(ctx context.Context) {
	looking, cancel := context.WithTimeout(ctx, freshPatience)
	defer cancel()
	p.Registry.Fresh(looking)
	if looking.Err() != nil && ctx.Err() == nil {
		p.Log.ErrorContext(ctx, "the bucket of the projects does not answer: what was in service stays", "bucket", p.Bucket, "after", freshPatience.String())
	}
}

// Tripped tells operators that a rule was stopped.
func (p *Projects) Tripped(name string, problem project.Problem) {
	p.Log.Error("a rule was stopped; the others go on", "project", name, "problem", problem.String())
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

// watched is a source of which the outage remembers the errors, those aside that
// say that the document is missing.
type watched struct {
	project.Source
	outage *outage
}

func (w watched) Fetch(ctx context.Context, tag string) ([]byte, string, error) {
	data, newTag, err := w.Source.Fetch(ctx, tag)
	if err != nil && !errors.Is(err, project.ErrMissing) {
		w.outage.mu.Lock()
		w.outage.last = err
		w.outage.mu.Unlock()
	}
	return data, newTag, err
}
