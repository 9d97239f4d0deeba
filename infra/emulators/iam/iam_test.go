package iam

import (
	"encoding/json"
	"fmt"
	"testing"
)

// TestAuditFindsWhatIsPlanted: a right too many, one too few, one for another's items.
func TestAuditFindsWhatIsPlanted(t *testing.T) {
	var statements []Statement
	if err := json.Unmarshal([]byte(`[
		{"Sid":"Raw","Effect":"Allow","Action":"kinesis:PutRecords","Resource":["arn:aws:kinesis:eu-west-1:1:stream/raw"]},
		{"Sid":"Table","Effect":"Allow","Action":["dynamodb:PutItem","dynamodb:Scan"],"Resource":"arn:aws:dynamodb:eu-west-1:1:table/hito*",
		 "Condition":{"ForAllValues:StringLike":{"dynamodb:LeadingKeys":["q/*","l/*"]}}}]`), &statements); err != nil {
		t.Fatal(err)
	}
	table := "arn:aws:dynamodb:eu-west-1:1:table/hito"
	forbidden, unused := Audit(statements, []Call{
		{Action: "kinesis:PutRecords", Resource: "arn:aws:kinesis:eu-west-1:1:stream/raw"},
		{Action: "kinesis:PutRecords", Resource: "arn:aws:kinesis:eu-west-1:1:stream/enriched"},
		{Action: "kinesis:PutRecord", Resource: "arn:aws:kinesis:eu-west-1:1:stream/raw"},
		{Action: "dynamodb:PutItem", Resource: table, Leading: []string{"q/shop/1", "l/shop/0"}},
		{Action: "dynamodb:PutItem", Resource: table + "2", Leading: []string{"q/shop/1", "f/shop/u:1"}},
	})
	want := "[kinesis:PutRecords on arn:aws:kinesis:eu-west-1:1:stream/enriched kinesis:PutRecord on arn:aws:kinesis:eu-west-1:1:stream/raw " +
		"dynamodb:PutItem on " + table + "2]"
	if fmt.Sprint(forbidden) != want {
		t.Errorf("forbidden %v, want %s", forbidden, want)
	}
	if fmt.Sprint(unused) != "[dynamodb:Scan on [arn:aws:dynamodb:eu-west-1:1:table/hito*] (statement Table)]" {
		t.Errorf("unused %v", unused)
	}
}

func TestLike(t *testing.T) {
	for _, c := range []struct {
		pattern, text string
		want          bool
	}{
		{"a", "a", true}, {"a", "ab", false}, {"a*", "ab", true}, {"*b", "ab", true}, {"a*c", "abc", true},
		{"a*c", "abd", false}, {"*", "", true}, {"a*b*c", "a--b--c", true}, {"a*b*c", "a--c", false}, {"aa*a", "aa", false},
		{"s-??", "s-ab", true}, {"s-??", "s-a", false}, {"s-??", "s-abc", false}, {"*-?", "a-b-c", true},
	} {
		if got := like(c.pattern, c.text); got != c.want {
			t.Errorf("like(%q, %q) = %t", c.pattern, c.text, got)
		}
	}
}
