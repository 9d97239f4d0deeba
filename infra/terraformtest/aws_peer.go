package terraformtest

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// peers are the functions of the other cloud that are let in, and the stream,
// without the install's name, that each may publish on.
var peers = map[string]string{"beacon": "raw", "relay": "enriched"}

// subjectNumber matches the number of one of Google's service accounts.
var subjectNumber = regexp.MustCompile(`^[0-9]{15,30}$`)

// federation finds roles that more than one service account of the other cloud
// may take on, or whose token was made for something else, and what such a role
// may do besides publishing on its one stream.
func federation(p *Plan) []Finding {
	var found []Finding
	owner := map[string]string{} // of a subject
	federated := map[string]bool{}
	for _, s := range p.statements() {
		web := slices.ContainsFunc(s.Action, func(a string) bool { return strings.HasPrefix(a, "sts:AssumeRoleWith") })
		who, _ := s.Principal.(map[string]any)
		if who["Federated"] == nil && !web || s.Effect != "Allow" {
			continue
		}
		if s.of.Type != "aws_iam_role" || s.of.Module != "module.peer[0]" {
			found = append(found, finding(s.of, "somebody else's word lets others in"))
			continue
		}
		f, _ := strings.CutSuffix(s.of.Address[strings.LastIndex(s.of.Address, "[")+1:], "]")
		f = strings.Trim(f, `"`)
		federated[f] = true
		if len(who) != 1 || who["Federated"] != "accounts.google.com" || !slices.Equal(s.Action, oneOrMore{"sts:AssumeRoleWithWebIdentity"}) {
			found = append(found, finding(s.of, "%v may %v: only Google's word is taken, for service accounts", who, s.Action))
		}
		says := s.Condition["StringEquals"]
		subject, _ := says["accounts.google.com:sub"].(string)
		want := map[string]any{
			"accounts.google.com:sub":  subject,
			"accounts.google.com:aud":  subject,
			"accounts.google.com:oaud": fmt.Sprintf("arn:aws:iam::%s:role/%s", p.Variables["account"], s.of.text("name")),
		}
		switch {
		case !subjectNumber.MatchString(subject) || subject != follow(p.Variables["peer"], "callers."+f):
			found = append(found, finding(s.of, "it is not for the service account of the other cloud's %s alone: sub is %q", f, subject))
		case len(s.Condition) != 1 || !maps.Equal(says, want):
			found = append(found, finding(s.of, "a token made for something else is taken: the condition is %v, not %v", s.Condition, want))
		case owner[subject] != "":
			found = append(found, finding(s.of, "%s is let in by %s too", subject, owner[subject]))
		}
		owner[subject] = s.of.Address
	}
	for _, r := range p.Resources {
		if r.Module != "module.peer[0]" {
			continue
		}
		switch r.Type {
		case "aws_iam_role":
		case "aws_iam_role_policy":
			found = append(found, publishesOnly(p, r)...)
		default:
			found = append(found, finding(r, "a role of the other cloud gets more than a policy of its own"))
		}
	}
	if len(found) == 0 && p.Variables["peer"] != nil && len(federated) != len(peers) {
		found = append(found, Finding{"module.peer[0]", fmt.Sprintf("of the other cloud's functions only %v are let in", slices.Sorted(maps.Keys(federated)))})
	}
	return found
}

// publishesOnly finds what a policy of the other cloud's allows besides.
func publishesOnly(p *Plan, r *Resource) []Finding {
	var found []Finding
	_, f, _ := strings.Cut(r.Address, `["`)
	f = strings.TrimSuffix(f, `"]`)
	key, _ := p.Variables["encryption_key"].(string)
	for _, s := range documents(r, []byte(r.text("policy"))) {
		stream := fmt.Sprintf("arn:aws:kinesis:%s:%s:stream/%s-%s", p.Variables["region"], p.Variables["account"], p.Variables["name"], peers[f])
		publish := slices.Equal(s.Action, oneOrMore{"kinesis:PutRecords"}) && slices.Equal(s.Resource, oneOrMore{stream})
		useKey := key != "" && slices.Equal(s.Action, oneOrMore{"kms:GenerateDataKey"}) && slices.Equal(s.Resource, oneOrMore{key})
		if s.Effect == "Allow" && !publish && !useKey {
			found = append(found, finding(r, "the other cloud's %s may %v on %v: only publish on %s", f, s.Action, s.Resource, stream))
		}
	}
	return found
}
