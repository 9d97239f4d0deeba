package project

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Registry is a live Directory: it fetches the keys and every project's file
// again and again, and puts what is good in service. What is bad is reported
// once and never put in service: what was there before stays, after a restart
// too when LastGood is set.
type Registry struct {
	// Keys is the document that names the projects and their keys:
	//
	//	shop:
	//	  write: [demo]
	//	  secret: [demo-secret]
	//
	// JSON of the same shape is YAML too.
	Keys Source
	// File returns where a project's file is. It is called once per project.
	File func(project string) Source
	// OnFile, when set, checks every new file besides its settings, and its error
	// rejects the file. What it returns puts the rest of the file, its rules, in service.
	OnFile func(project string, data []byte) (serve func(), err error)
	// LastGood, when set, keeps what was last put in service. It serves after a
	// restart as long as the document itself cannot be had, or is bad.
	LastGood LastGood
	// Interval is the pause between two rounds of Run, 2 seconds when zero.
	Interval time.Duration
	// Log takes what Run finds wrong; nil means slog.Default().
	Log *slog.Logger

	mu       sync.Mutex // one round at a time
	keys     fetched
	files    map[string]*fetched
	projects map[string]*Project
	parsed   map[string]Keys

	current atomic.Pointer[directory]

	due   sync.Mutex
	fresh time.Time // when the last round began
}

// LastGood keeps documents durably by name: a project's, or KeysName.
type LastGood interface {
	// Load returns the document kept, nil when there is none.
	Load(ctx context.Context, name string) ([]byte, error)
	// Store keeps the document in place of the one before, at once or not at all.
	// One that is kept already costs no write.
	Store(ctx context.Context, name string, data []byte) error
}

// KeysName is the name of the keys document. No project is called so.
const KeysName = "keys"

// fetched is what is remembered of a document between rounds.
type fetched struct {
	source Source
	tag    string
	// failure is the fetch error told last, so that an outage is told once.
	failure string
	// serves is set once a version of it is in service.
	serves bool
}

// next returns the document when it is new, else nil. An error is returned
// once, until it changes or the document comes again.
func (f *fetched) next(ctx context.Context) ([]byte, error) {
	data, tag, err := f.source.Fetch(ctx, f.tag)
	if err != nil {
		if err.Error() == f.failure {
			return nil, nil
		}
		f.failure = err.Error()
		return nil, fmt.Errorf("fetch: %w", err)
	}
	if data == nil || tag == f.tag && tag != "" {
		f.failure = ""
		return nil, nil
	}
	f.tag = tag
	return data, nil
}

// take puts a new document in service, when check finds it good, and keeps it
// before. As long as none serves, the last good one does.
func (r *Registry) take(ctx context.Context, name string, f *fetched, check func(data []byte) (serve func(), err error)) (changed bool, err error) {
	data, err := f.next(ctx)
	if data != nil {
		var serve func()
		if serve, err = check(data); err == nil {
			if err = r.keep(ctx, name, data); err == nil {
				serve()
				f.serves, f.failure = true, ""
				return true, nil
			}
			f.tag = "" // good, so tried again
			if err.Error() == f.failure {
				return false, nil
			}
			f.failure = err.Error()
		}
	}
	if err == nil || f.serves || r.LastGood == nil {
		return false, err
	}
	last, failed := r.LastGood.Load(ctx, name)
	if last == nil {
		return false, errors.Join(err, failed)
	}
	serve, failed := check(last)
	if failed != nil {
		return false, errors.Join(err, fmt.Errorf("the last good one: %w", failed))
	}
	serve()
	f.serves = true
	return true, fmt.Errorf("the last good one serves instead: %w", err)
}

// keep stores a document.
func (r *Registry) keep(ctx context.Context, name string, data []byte) error {
	if r.LastGood == nil {
		return nil
	}
	if err := r.LastGood.Store(ctx, name, data); err != nil {
		return fmt.Errorf("not put in service, since it could not be kept: %w", err)
	}
	return nil
}

// directory is one state of the registry; it does not change.
type directory struct {
	write, secret map[digest]credential
	names         map[string]*Project
}

type digest = [sha256.Size]byte

type credential struct {
	digest  digest
	project *Project
}

// ByWriteKey returns the project with the write key.
func (r *Registry) ByWriteKey(key string) (*Project, bool) {
	d := r.current.Load()
	if d == nil {
		return nil, false
	}
	return find(d.write, key)
}

// BySecretKey returns the project with the secret key.
func (r *Registry) BySecretKey(key string) (*Project, bool) {
	d := r.current.Load()
	if d == nil {
		return nil, false
	}
	return find(d.secret, key)
}

// ByName returns the project of that name.
func (r *Registry) ByName(name string) (*Project, bool) {
	d := r.current.Load()
	if d == nil {
		return nil, false
	}
	p, ok := d.names[name]
	return p, ok
}

// Names returns the names of the projects in service, sorted.
func (r *Registry) Names() []string {
	d := r.current.Load()
	if d == nil {
		return nil
	}
	return slices.Sorted(maps.Keys(d.names))
}

// find takes a time that says nothing about the keys: what is compared byte by
// byte are digests, of which a caller cannot choose the bytes.
func find(keys map[digest]credential, key string) (*Project, bool) {
	sum := sha256.Sum256([]byte(key))
	c, ok := keys[sum]
	if !ok || subtle.ConstantTimeCompare(c.digest[:], sum[:]) != 1 {
		return nil, false
	}
	return c.project, true
}

// Run refreshes until ctx ends, and logs what is wrong.
func (r *Registry) Run(ctx context.Context) {
	ticker := time.NewTicker(r.interval())
	defer ticker.Stop()
	for {
		r.refresh(ctx)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// Fresh makes a round when the last one began longer than Interval ago, and logs
// what is wrong: for where nothing runs between requests.
func (r *Registry) Fresh(ctx context.Context) {
	r.due.Lock()
	now := time.Now().Round(0) // by the wall: a frozen process's other clock may stand still
	due := now.Sub(r.fresh) >= r.interval() || now.Before(r.fresh)
	if due {
		r.fresh = now // nobody else needs to, nor waits
	}
	r.due.Unlock()
	if due {
		r.refresh(ctx)
	}
}

func (r *Registry) interval() time.Duration {
	if r.Interval <= 0 {
		return 2 * time.Second
	}
	return r.Interval
}

func (r *Registry) refresh(ctx context.Context) {
	if err := r.Refresh(ctx); err != nil && ctx.Err() == nil {
		log := r.Log
		if log == nil {
			log = slog.Default()
		}
		log.ErrorContext(ctx, "the previous rules and keys stay in service", "error", err)
	}
}

// Refresh makes one round. Its error tells what was found wrong in this round
// and not told before; everything else is in service when it returns.
func (r *Registry) Refresh(ctx context.Context) error {
	r.due.Lock()
	r.fresh = time.Now().Round(0)
	r.due.Unlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.files == nil {
		r.keys.source = r.Keys
		r.files = map[string]*fetched{}
		r.projects = map[string]*Project{}
	}
	var errs []error
	changed, err := r.take(ctx, KeysName, &r.keys, r.parseKeys)
	if err != nil {
		errs = append(errs, fmt.Errorf("keys: %w", err))
	}
	for _, name := range slices.Sorted(maps.Keys(r.parsed)) {
		f := r.files[name]
		if f == nil {
			f = &fetched{source: r.File(name)}
			r.files[name] = f
		}
		taken, err := r.take(ctx, name, f, func(data []byte) (func(), error) { return r.file(name, data) })
		if err != nil {
			errs = append(errs, fmt.Errorf("project %s: %w", name, err))
		}
		changed = changed || taken
	}
	if changed {
		r.current.Store(r.build())
	}
	return errors.Join(errs...)
}

// parseKeys checks the keys document.
func (r *Registry) parseKeys(data []byte) (serve func(), err error) {
	parsed, err := ParseKeys(KeysName, data)
	return func() {
		for name := range r.files {
			if _, ok := parsed[name]; !ok { // gone; fetched anew should it come back
				delete(r.files, name)
				delete(r.projects, name)
			}
		}
		r.parsed = parsed
	}, err
}

// file checks a project's file.
func (r *Registry) file(name string, data []byte) (serve func(), err error) {
	settings, err := ParseSettings(name+".yaml", data)
	if err != nil {
		return nil, err
	}
	rules := func() {}
	if r.OnFile != nil {
		if rules, err = r.OnFile(name, data); err != nil {
			return nil, err
		}
	}
	return func() {
		rules()
		r.projects[name] = &Project{Name: name, Settings: settings}
	}, nil
}

// build makes the directory of the projects whose file is in service.
func (r *Registry) build() *directory {
	d := &directory{write: map[digest]credential{}, secret: map[digest]credential{}, names: map[string]*Project{}}
	for name, p := range r.projects {
		d.names[name] = p
		for _, key := range r.parsed[name].Write {
			sum := sha256.Sum256([]byte(key))
			d.write[sum] = credential{sum, p}
		}
		for _, key := range r.parsed[name].Secret {
			sum := sha256.Sum256([]byte(key))
			d.secret[sum] = credential{sum, p}
		}
	}
	return d
}

// ValidName reports whether a project, which is part of file names and store
// keys, may be called so.
func ValidName(name string) bool {
	for i, c := range []byte(name) {
		if !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || i > 0 && (c == '-' || c == '_')) {
			return false
		}
	}
	return name != "" && len(name) <= 63 && name != KeysName // whose file is the keys document
}
