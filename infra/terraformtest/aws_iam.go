package terraformtest

import (
	"regexp"
	"slices"
	"strings"
)

// wildcardActions finds statements that allow more actions than they name.
func wildcardActions(p *Plan) []Finding {
	var found []Finding
	for _, s := range p.statements() {
		if s.Effect != "Allow" {
			continue
		}
		for _, action := range s.Action {
			if strings.ContainsAny(action, "*?") {
				found = append(found, finding(s.of, "statement %q allows %s: name the actions", s.Sid, action))
			}
		}
		if len(s.NotAction) > 0 {
			found = append(found, finding(s.of, "statement %q allows everything but %v: name the actions", s.Sid, s.NotAction))
		}
	}
	// A policy that AWS wrote is not in the plan, and grants more than one function needs.
	for _, r := range p.Of("aws_iam_role_policy_attachment", "aws_iam_policy_attachment", "aws_iam_user_policy_attachment", "aws_iam_group_policy_attachment") {
		if strings.Contains(r.text("policy_arn"), ":iam::aws:policy/") {
			found = append(found, finding(r, "%s is AWS' own policy, which nobody here reads: say what is needed", r.text("policy_arn")))
		}
	}
	return found
}

// wildcardPrincipals finds statements that allow everybody something, a
// public function's address aside. Lambda's permission must in that case be
// bound to calls that come by that address.
func wildcardPrincipals(p *Plan) []Finding {
	var found []Finding
	for _, s := range p.statements() {
		if s.Effect != "Allow" {
			continue
		}
		if s.NotPrincipal != nil {
			found = append(found, finding(s.of, "statement %q allows everybody but some", s.Sid))
		}
		for _, who := range s.principals() {
			if who != "*" && !strings.HasSuffix(who, ":*") {
				continue
			}
			byAddress := len(s.Action) == 1 && (s.Action[0] == "lambda:InvokeFunctionUrl" || s.Action[0] == "lambda:InvokeFunction" && s.Condition["Bool"][invokedByURL] == "true")
			if !byAddress || !slices.Contains(PublicFunctions, s.of.Module) {
				found = append(found, finding(s.of, "statement %q lets everybody %s", s.Sid, strings.Join(s.Action, ", ")))
			}
		}
	}
	return found
}

// lentOut finds permissions of a service that anybody could use through that
// service: for which of its resources is not said.
func lentOut(p *Plan) []Finding {
	var found []Finding
	for _, r := range p.Of("aws_lambda_permission") {
		if strings.HasSuffix(r.text("principal"), ".amazonaws.com") && !r.given("source_arn") {
			found = append(found, finding(r, "%s may call it for anybody: say for which source_arn", r.text("principal")))
		}
	}
	return found
}

// everything matches a resource that names none: *, arn:aws:s3:::*, or all of
// a type, such as …:function:* or …:table/*.
var everything = regexp.MustCompile(`^\*$|^arn:[^:]*:[^:]*:[^:]*:[^:]*:\*$|^arn:[^:]*:[^:]*:[^:]*:[0-9]+:[a-z-]+[:/]\*$`)

// unnamed are the statements that may be about every resource, and why.
var unnamed = []struct {
	sid, action, why string
}{
	{"Trace", "xray:PutTraceSegments", "X-Ray has no resources"},
	{"Trace", "xray:PutTelemetryRecords", "X-Ray has no resources"},
}

// wildcardResources finds statements that allow something on everything.
func wildcardResources(p *Plan) []Finding {
	var found []Finding
	for _, s := range p.statements() {
		if s.Effect != "Allow" {
			continue
		}
		if s.NotResource != nil {
			found = append(found, finding(s.of, "statement %q is about everything but some: name the resources", s.Sid))
		}
		for _, resource := range s.Resource {
			if !everything.MatchString(resource) || s.isKey {
				continue
			}
			for _, action := range s.Action {
				if !slices.ContainsFunc(unnamed, func(u struct{ sid, action, why string }) bool { return u.sid == s.Sid && u.action == action }) {
					found = append(found, finding(s.of, "statement %q allows %s on %s: name the resources", s.Sid, action, resource))
				}
			}
		}
	}
	return found
}

// publicAddresses finds functions that everybody can call and should not.
func publicAddresses(p *Plan) []Finding {
	var found []Finding
	for _, r := range p.Of("aws_lambda_function_url") {
		if r.text("authorization_type") != "AWS_IAM" && !slices.Contains(PublicFunctions, r.Module) {
			found = append(found, finding(r, "everybody may call it; public are only %s", strings.Join(PublicFunctions, " and ")))
		}
	}
	return found
}

// ownRoles finds functions that share a role with another, or whose role
// somebody else may take on.
func ownRoles(p *Plan) []Finding {
	var found []Finding
	owner := map[string]string{}
	for _, f := range p.Of("aws_lambda_function", "aws_kinesis_firehose_delivery_stream") {
		attribute, service := "role", "lambda.amazonaws.com"
		if f.Type != "aws_lambda_function" {
			attribute, service = "kinesis_source_configuration", "firehose.amazonaws.com"
		}
		role := p.roleOf(f, attribute)
		if role == nil {
			found = append(found, finding(f, "its role is not one that its own module makes"))
			continue
		}
		if other, taken := owner[role.Address]; taken {
			found = append(found, finding(f, "shares %s with %s", role.Address, other))
		}
		owner[role.Address] = f.Address
		for _, s := range documents(role, []byte(role.text("assume_role_policy"))) {
			if who := s.principals(); s.Effect == "Allow" && !slices.Equal(who, []string{service}) {
				found = append(found, finding(role, "%v may take it on, where only %s should", who, service))
			}
		}
	}
	return found
}

// roleOf returns the role beside a resource that its attribute, or a block of
// that name, refers to.
func (p *Plan) roleOf(r *Resource, attribute string) *Resource {
	refs := p.references(r, attribute)
	if len(refs) == 0 {
		refs = p.blockReferences(r, attribute)
	}
	for _, role := range p.beside(r, "aws_iam_role") {
		local := strings.TrimPrefix(strings.TrimPrefix(role.Address, role.Module), ".")
		if slices.Contains(refs, local) || slices.Contains(refs, instanceKey.ReplaceAllString(local, "")) {
			return role
		}
	}
	return nil
}

// blockReferences returns what a nested block's role_arn is made of.
func (p *Plan) blockReferences(r *Resource, block string) []string {
	blocks, _ := p.expressions[instanceKey.ReplaceAllString(r.Address, "")][block].([]any)
	var refs []string
	for _, b := range blocks {
		list, _ := follow(b, "role_arn.references").([]any)
		for _, ref := range list {
			if s, ok := ref.(string); ok {
				refs = append(refs, s)
			}
		}
	}
	return refs
}
