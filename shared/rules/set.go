package rules

import "sync"

// Set is the rules in service, by project. Its zero value is empty and ready;
// it serves any number of goroutines.
type Set struct {
	// OnTrip, when set, is called once for each rule that is stopped at run time.
	OnTrip func(project string, p Problem)

	rules sync.Map // project name to *Rules
}

// Get returns the project's rules, nil when none were loaded for it: its events
// must wait, for without rules they would be lost to its metrics. Take them once for a
// batch: the next call may return newer ones.
func (s *Set) Get(project string) *Rules {
	r, ok := s.rules.Load(project)
	if !ok {
		return nil
	}
	return r.(*Rules)
}

// Load compiles a project's file; serve puts it in service. Until then, and after
// an error, the project keeps the rules it had. It is what a project.Registry calls OnFile.
func (s *Set) Load(project string, data []byte) (serve func(), err error) {
	r, err := Parse(project+".yaml", data)
	if err != nil {
		return nil, err
	}
	if s.OnTrip != nil {
		r.OnTrip = func(p Problem) { s.OnTrip(project, p) }
	}
	return func() { s.rules.Store(project, r) }, nil
}
