// Package iam evaluates policies as far as hito's go, so that a test can compare
// what a role may do with what was done by it.
package iam

import (
	"encoding/json"
	"fmt"
	"slices"
)

// Statement is one statement of an IAM policy, as far as hito's policies go:
// no NotAction, no principals, of conditions dynamodb:LeadingKeys only.
type Statement struct {
	Sid      string
	Effect   string
	Action   List
	Resource List
	// Condition is by operator and key.
	Condition map[string]map[string]List
}

// List is one text or several, as IAM allows.
type List []string

// UnmarshalJSON reads a text or a list of texts.
func (l *List) UnmarshalJSON(data []byte) error {
	var one string
	if json.Unmarshal(data, &one) == nil {
		*l = List{one}
		return nil
	}
	return json.Unmarshal(data, (*[]string)(l))
}

// Call is something that was done to AWS.
type Call struct {
	Action   string // such as kinesis:PutRecords
	Resource string // ARN
	// Leading are the hash keys of the DynamoDB items asked for.
	Leading []string
}

func (c Call) String() string { return c.Action + " on " + c.Resource }

// Allows reports whether the statement allows the call. It panics on a
// condition that it cannot evaluate.
func (s Statement) Allows(c Call) bool {
	if s.Effect != "Allow" || !slices.Contains(s.Action, c.Action) || !slices.ContainsFunc(s.Resource, func(r string) bool { return like(r, c.Resource) }) {
		return false
	}
	for operator, keys := range s.Condition {
		for key, values := range keys {
			if key != "dynamodb:LeadingKeys" || operator != "ForAllValues:StringLike" {
				panic(fmt.Sprintf("iam: cannot evaluate the condition %s %s", operator, key))
			}
			for _, k := range c.Leading {
				if !slices.ContainsFunc(values, func(v string) bool { return like(v, k) }) {
					return false
				}
			}
		}
	}
	return true
}

// like reports whether a text matches a pattern in which * stands for any text
// and ? for any character.
func like(pattern, text string) bool {
	for i := range len(pattern) {
		switch {
		case pattern[i] == '*':
			for j := i; j <= len(text); j++ {
				if like(pattern[i+1:], text[j:]) {
					return true
				}
			}
			return false
		case i >= len(text) || pattern[i] != '?' && pattern[i] != text[i]:
			return false
		}
	}
	return len(pattern) == len(text)
}

// Audit compares what a role may do with what was done by it: what was not
// allowed, and which actions of which statements were not used by anything.
func Audit(statements []Statement, calls []Call) (forbidden, unused []string) {
	used := make(map[string]bool)
	for _, c := range calls {
		allowed := false
		for i, s := range statements {
			if s.Allows(c) {
				allowed = true
				used[fmt.Sprint(i, c.Action)] = true
			}
		}
		if text := c.String(); !allowed && !slices.Contains(forbidden, text) {
			forbidden = append(forbidden, text)
		}
	}
	for i, s := range statements {
		for _, a := range s.Action {
			if !used[fmt.Sprint(i, a)] {
				unused = append(unused, fmt.Sprintf("%s on %v (statement %s)", a, s.Resource, s.Sid))
			}
		}
	}
	return forbidden, unused
}
