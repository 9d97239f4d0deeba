package score

import "github.com/hitolayer/hito/shared/rules"

// In returns what a Handler calls Rules: a lookup in the set of the rules in service.
func In(set *rules.Set) func(project string) Rules {
	return func(project string) Rules {
		if r := set.Get(project); r != nil {
			return r
		}
		return nil // and not a Rules that holds a nil
	}
}
