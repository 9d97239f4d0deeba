package terraformtest

import (
	"fmt"
	"regexp"
)

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

// PublicFunctions are those that everybody may call: a beacon is sent by
// anybody's browser, and the profile asks for a secret key itself. CloudFront
// cannot sign for them: see terraform/modules/aws/edge; and a load balancer of
// Google's does not.
var PublicFunctions = []string{"module.beacon", "module.profile"}

// PatientFunctions are those that hold their place in a stream whatever happens:
// what the relay gave up would be missing in the other cloud.
var PatientFunctions = []string{"module.relay[0]"}

// runbookLink is where a runbook is, at the end of a text.
var runbookLink = regexp.MustCompile(`https://[^ ]+/docs/runbooks/([a-z0-9-]+)\.md\s*$`)

// runbookOf finds an alarm whose text does not end in the address of a runbook.
func runbookOf(r *Resource, text string, runbooks func(name string) bool) []Finding {
	link := runbookLink.FindStringSubmatch(text)
	switch {
	case link == nil:
		return []Finding{finding(r, "what it says does not end in a runbook's address: %q", text)}
	case !runbooks(link[1]):
		return []Finding{finding(r, "there is no runbook %s", link[1])}
	}
	return nil
}

func finding(r *Resource, format string, args ...any) Finding {
	return Finding{r.Address, fmt.Sprintf(format, args...)}
}
