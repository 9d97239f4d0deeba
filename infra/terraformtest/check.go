package terraformtest

import "fmt"

// Finding is something in a plan that must not be.
type Finding struct {
	// Address of the resource.
	Address string
	// Problem says what is wrong with it.
	Problem string
}

// String returns both.
func (f Finding) String() string { return f.Address + ": " + f.Problem }

// Check is one thing that an install keeps to.
type Check struct {
	// Name of the check, in words.
	Name string
	// Run returns what does not keep to it.
	Run func(*Plan) []Finding
}

// Checks returns all of them. runbooks says whether there is a runbook of a
// name, without .md.
func Checks(runbooks func(name string) bool) []Check {
	return []Check{
		{"policies are known", (*Plan).unknownPolicies},
		{"no action is a wildcard", wildcardActions},
		{"no principal is everybody", wildcardPrincipals},
		{"no service calls for somebody else", lentOut},
		{"no resource is everything", wildcardResources},
		{"only public functions have public addresses", publicAddresses},
		{"everything is encrypted at rest", encrypted},
		{"everything is encrypted on its way", encryptedOnTheWay},
		{"no bucket is public", privateBuckets},
		{"every function has a role of its own", ownRoles},
		{"every queue has a dead letter", deadLetters},
		{"every alarm leads to a runbook, and somewhere", func(p *Plan) []Finding { return alarms(p, runbooks) }},
		{"every log is kept for so long", logRetention},
		{"every trigger is bounded", boundedTriggers},
		{"every table can be restored", restorable},
	}
}

func finding(r *Resource, format string, args ...any) Finding {
	return Finding{r.Address, fmt.Sprintf(format, args...)}
}
