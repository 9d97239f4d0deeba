package terraformtest

import (
	"encoding/json"
	"slices"
	"strings"
)

// statement is one of an IAM policy document, wherever in the plan it stands.
type statement struct {
	of    *Resource
	isKey bool // in a key's own policy, where "*" is that key

	Sid          string
	Effect       string
	Action       oneOrMore
	NotAction    oneOrMore
	Resource     oneOrMore
	NotResource  any
	Principal    any
	NotPrincipal any
	Condition    map[string]map[string]any
}

// oneOrMore is a string or a list of them.
type oneOrMore []string

// UnmarshalJSON takes both forms.
func (o *oneOrMore) UnmarshalJSON(data []byte) error {
	var one string
	if json.Unmarshal(data, &one) == nil {
		*o = oneOrMore{one}
		return nil
	}
	return json.Unmarshal(data, (*[]string)(o))
}

// mustBeKnown are the attributes that hold a policy in every case: one that
// is known only after apply could not be looked at.
var mustBeKnown = map[string][]string{
	"aws_cloudformation_stack":           {"template_body"},
	"aws_cloudwatch_log_resource_policy": {"policy_document"},
	"aws_dynamodb_resource_policy":       {"policy"},
	"aws_iam_group_policy":               {"policy"},
	"aws_iam_policy":                     {"policy"},
	"aws_iam_role":                       {"assume_role_policy"},
	"aws_iam_role_policy":                {"policy"},
	"aws_iam_user_policy":                {"policy"},
	"aws_kinesis_resource_policy":        {"policy"},
	"aws_kms_key":                        {"policy"},
	"aws_kms_key_policy":                 {"policy"},
	"aws_s3_bucket_policy":               {"policy"},
	"aws_secretsmanager_secret_policy":   {"policy"},
	"aws_sns_topic_policy":               {"policy"},
	"aws_sqs_queue_policy":               {"policy"},
}

// unknownPolicies returns where a policy stands that the plan does not show.
func (p *Plan) unknownPolicies() []Finding {
	var found []Finding
	for _, r := range p.Resources {
		for _, attribute := range mustBeKnown[r.Type] {
			if r.text(attribute) == "" {
				found = append(found, Finding{r.Address, attribute + " is not known in the plan, so nobody can look at it: make it of names, not of what exists later"})
			}
		}
	}
	return found
}

// statements returns every statement of every policy in the plan, and the
// permissions that stand for one: Lambda's, also within CloudFormation.
func (p *Plan) statements() []statement {
	var all []statement
	for _, r := range p.Resources {
		for _, value := range r.Values {
			if text, ok := value.(string); ok && strings.HasPrefix(strings.TrimSpace(text), "{") {
				all = append(all, documents(r, []byte(text))...)
			}
		}
		if r.Type == "aws_lambda_permission" {
			all = append(all, permission(r, r.text("action"), r.text("principal"), false))
		}
	}
	return all
}

// documents returns the statements of a JSON text that is a policy, or a
// CloudFormation template.
func documents(r *Resource, text []byte) []statement {
	var form struct {
		Statement json.RawMessage
		Resources map[string]struct {
			Type       string
			Properties map[string]any
		}
	}
	if json.Unmarshal(text, &form) != nil {
		return nil
	}
	var all []statement
	if len(form.Statement) > 0 {
		if json.Unmarshal(form.Statement, &all) != nil {
			var one statement
			if json.Unmarshal(form.Statement, &one) != nil {
				return []statement{{of: r, Sid: "unreadable", Effect: "Allow", Action: oneOrMore{"*"}}}
			}
			all = []statement{one}
		}
		for i := range all {
			all[i].of = r
			all[i].isKey = strings.HasPrefix(r.Type, "aws_kms_key")
		}
	}
	for _, res := range form.Resources {
		if res.Type == "AWS::Lambda::Permission" {
			action, _ := res.Properties["Action"].(string)
			principal, _ := res.Properties["Principal"].(string)
			byURL, _ := res.Properties["InvokedViaFunctionUrl"].(bool)
			all = append(all, permission(r, action, principal, byURL))
		}
	}
	return all
}

// permission returns the statement that Lambda makes of a permission.
func permission(r *Resource, action, principal string, byURL bool) statement {
	s := statement{of: r, Sid: "permission", Effect: "Allow", Action: oneOrMore{action}, Principal: principal}
	if byURL {
		s.Condition = map[string]map[string]any{"Bool": {invokedByURL: "true"}}
	}
	return s
}

// invokedByURL is what binds a permission to calls by a function's URL.
const invokedByURL = "lambda:InvokedViaFunctionUrl"

// principals returns who is granted something, without the kinds.
func (s statement) principals() []string {
	var all []string
	var add func(v any)
	add = func(v any) {
		switch x := v.(type) {
		case string:
			all = append(all, x)
		case []any:
			for _, e := range x {
				add(e)
			}
		case map[string]any:
			for _, e := range x {
				add(e)
			}
		}
	}
	add(s.Principal)
	slices.Sort(all)
	return all
}
