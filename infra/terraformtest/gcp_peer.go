package terraformtest

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// roleARN matches the ARN of an AWS role; assumedRole returns what it is called by
// while somebody runs as it.
var roleARN = regexp.MustCompile(`^arn:(aws[a-z-]*):iam::([0-9]{12}):role/([A-Za-z0-9_-]+)$`)

func assumedRole(arn string) string {
	return roleARN.ReplaceAllString(arn, "arn:$1:sts::$2:assumed-role/$3")
}

// awsRole is how the name of a role is made of what AWS says, as Google does by
// default. https://cloud.google.com/iam/docs/workload-identity-federation-with-other-clouds#mappings-and-conditions
const awsRole = "assertion.arn.contains('assumed-role') ? assertion.arn.extract('{account_arn}assumed-role/') + 'assumed-role/' + assertion.arn.extract('assumed-role/{role_name}/') : assertion.arn"

// federated finds pools of identities that let in more than the two functions of
// the other cloud, and what these may do besides publishing on their one topic.
func federated(p *Plan) []Finding {
	var found []Finding
	var roles []string
	byFunction := map[string]string{}
	for f := range peers {
		arn, _ := follow(p.Variables["peer"], "callers."+f).(string)
		if roleARN.MatchString(arn) {
			roles = append(roles, assumedRole(arn))
			byFunction[f] = assumedRole(arn)
		}
	}
	slices.Sort(roles)
	pool := ""
	for _, r := range p.Of("google_iam_workload_identity_pool") {
		pool = fmt.Sprintf("//iam.googleapis.com/projects/%s/locations/global/workloadIdentityPools/%s", p.Variables["project_number"], r.text("workload_identity_pool_id"))
		if len(p.beside(r, "google_iam_workload_identity_pool_provider")) != 1 {
			found = append(found, finding(r, "more than one provider, or none, says who is in it"))
		}
	}
	condition := "attribute.aws_role in ['" + strings.Join(roles, "', '") + "']"
	for _, r := range p.Of("google_iam_workload_identity_pool_provider") {
		account := r.text("aws.0.account_id")
		switch {
		case account == "" || r.at("oidc.0") != nil || r.at("saml.0") != nil || r.at("x509.0") != nil:
			found = append(found, finding(r, "somebody else's word than that of an AWS account lets others in"))
		case len(roles) != len(peers) || !strings.Contains(roles[0], "::"+account+":"):
			found = append(found, finding(r, "%s is not the account of the other cloud's functions", account))
		case r.text("attribute_condition") != condition:
			found = append(found, finding(r, "others of the account are let in: the condition is %q, not %q", r.text("attribute_condition"), condition))
		case mapped(r, "attribute.aws_role") != awsRole:
			found = append(found, finding(r, "what is compared is not what AWS says"))
		}
	}
	// Who can be which account, and what these may.
	let := map[string]bool{}
	for _, g := range p.grants() {
		outside := strings.HasPrefix(g.member, "principal") || g.role == "roles/iam.workloadIdentityUser"
		if outside {
			f, ok := peerOf(p, g.on)
			want := "principalSet:" + pool + "/attribute.aws_role/" + byFunction[f]
			switch {
			case !ok || g.kind != "service_account" || g.role != "roles/iam.workloadIdentityUser":
				found = append(found, finding(g.of, "somebody from outside has %s on %s %s", g.role, g.kind, g.on))
			case pool == "" || byFunction[f] == "" || g.member != want:
				found = append(found, finding(g.of, "%s can be the other cloud's %s, and only %s should", g.member, f, want))
			default:
				let[f] = true
			}
			continue
		}
		if f, ok := peerOf(p, strings.TrimPrefix(g.member, "serviceAccount:")); ok {
			if topic := fmt.Sprintf("%s-%s", p.Variables["name"], peers[f]); g.kind != "pubsub_topic" || g.on != topic || g.role != "roles/pubsub.publisher" {
				found = append(found, finding(g.of, "the other cloud's %s has %s on %s %s: only to publish on %s", f, g.role, g.kind, g.on, topic))
			}
		}
	}
	if len(found) == 0 && p.Variables["peer"] != nil && len(let) != len(peers) {
		found = append(found, Finding{"module.peer[0]", fmt.Sprintf("of the other cloud's functions only %v are let in", slices.Sorted(maps.Keys(let)))})
	}
	return found
}

// mapped returns an attribute that has dots in its name.
func mapped(r *Resource, name string) string {
	all, _ := r.at("attribute_mapping").(map[string]any)
	s, _ := all[name].(string)
	return s
}

// peerOf returns whose of the other cloud's functions a service account is.
func peerOf(p *Plan, email string) (function string, ok bool) {
	for f := range peers {
		if email == fmt.Sprintf("%s-peer-%s@%s.iam.gserviceaccount.com", p.Variables["name"], f, p.Variables["account"]) {
			return f, true
		}
	}
	return "", false
}
