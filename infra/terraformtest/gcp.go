package terraformtest

// GCP returns what an install on Google Cloud keeps to. schemas are those of
// the provider; runbooks says whether there is a runbook of a name, without .md.
func GCP(schemas Schemas, runbooks func(name string) bool) []Check {
	return []Check{
		{"every service that is used is on, and no other", services},
		{"grants are known", unknownGrants},
		{"no role is basic, or an administrator's", broadRoles},
		{"no principal is everybody", everybody},
		{"every right is on one thing, and takes away nobody else's", narrowGrants},
		{"roles of its own are as narrow", customRoles},
		{"who may use a table may open it", openTables},
		{"no account has a key", accountKeys},
		{"every function has an account of its own", ownAccounts},
		{"no account is Google's default", defaultAccounts},
		{"only the other cloud's functions are let in, each to one topic", federated},
		{"only public functions have public addresses", ingress},
		{"everything is encrypted with the install's own key", func(p *Plan) []Finding { return ownKeys(p, schemas) }},
		{"everything is encrypted on its way", onlyTLS},
		{"no bucket is public", closedBuckets},
		{"no secret is shown", shownSecrets},
		{"nothing is deleted by mistake", deletable},
		{"every table can be restored", backedUp},
		{"nobody reads the archive by being in the project", ownDataset},
		{"everything has the install's labels", func(p *Plan) []Finding { return labelled(p, schemas) }},
		{"every call is signed, and let in", signedCalls},
		{"every subscription gives up, to somewhere", givenUp},
		{"no subscription expires", expiring},
		{"a firewall is before every load balancer", firewalls},
		{"every alarm leads to a runbook, and somewhere", func(p *Plan) []Finding { return alertPolicies(p, runbooks) }},
	}
}
