package terraformtest

// AWS returns what an install on AWS keeps to. runbooks says whether there is a
// runbook of a name, without .md.
func AWS(runbooks func(name string) bool) []Check {
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
		{"only the other cloud's functions are let in, each to one stream", federation},
		{"every queue has a dead letter", deadLetters},
		{"every alarm leads to a runbook, and somewhere", func(p *Plan) []Finding { return alarms(p, runbooks) }},
		{"every log is kept for so long", logRetention},
		{"every trigger is bounded", boundedTriggers},
		{"every table can be restored", restorable},
	}
}
