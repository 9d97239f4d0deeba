package rules

import "sync"

// Set is the rules in service, by project. Its zero value is empty and ready;
// it serves any number of goroutines.
type Set struct {
	// OnTrip, when set, is called once for each rule that is stopped at run time.
	OnTrip func(project string, p Problem)

	rules sync.Map // project name to *Rules
}

// none is what a project without a file has.
var none = &Rules{}

// Get returns the project's rules; never nil. Take them once for a batch: the
// next call may return newer ones.
func (s *Set) Get(project string) *Rules {
	if r, ok := s.rules.Load(project); ok {
		return r.(*Rules)
	}
	return none
}

// Load compiles a project's file and puts it in service. After an error the
// project keeps the rules it had. It is what a project.Registry calls OnFile.
func (s *Set) Load(project string, data []byte) error {
	r, err := Parse(project+".yaml", data)
	if err != nil {
		return err
	}
	if s.OnTrip != nil {
		r.OnTrip = func(p Problem) { s.OnTrip(project, p) }
	}
	s.rules.Store(project, r)
	return nil
}
