package terraformtest

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// grant is a role that somebody has on something.
type grant struct {
	of *Resource
	// kind of what it is on, such as pubsub_topic; project, for all in it.
	kind string
	// on is its name, without what it is in: hito-raw.
	on           string
	role, member string
	condition    string
}

var grantType = regexp.MustCompile(`^google_(.+)_iam_(member|binding|policy)$`)

// otherGrant matches what gives rights without saying so by its type.
var otherGrant = regexp.MustCompile(`^google_.+_(access|access_control|acl|acl_rule)$`)

// grants returns all in the plan, however they are written.
func (p *Plan) grants() []grant {
	var all []grant
	for _, r := range p.Resources {
		kind := grantType.FindStringSubmatch(r.Type)
		if kind == nil {
			continue
		}
		g := grant{of: r, kind: kind[1], on: r.granted(), role: r.text("role"), condition: r.text("condition.0.expression")}
		switch kind[2] {
		case "member":
			g.member = r.text("member")
			all = append(all, g)
		case "binding":
			all = append(all, g.each(r.at("members"))...)
		case "policy":
			var policy struct {
				Bindings []struct {
					Role    string
					Members []any
				}
			}
			_ = json.Unmarshal([]byte(r.text("policy_data")), &policy)
			if len(policy.Bindings) == 0 { // or unreadable
				all = append(all, g)
			}
			for _, b := range policy.Bindings {
				g.role = b.Role
				all = append(all, g.each(b.Members)...)
			}
		}
	}
	return all
}

func (g grant) each(members any) []grant {
	list := texts(members)
	if len(list) == 0 {
		return []grant{g}
	}
	var all []grant
	for _, g.member = range list {
		all = append(all, g)
	}
	return all
}

// granted returns what of a grant's attributes names the thing that it is on.
func (r *Resource) granted() string {
	var names []string
	for _, attribute := range slices.Sorted(maps.Keys(r.Values)) {
		switch attribute {
		case "project", "location", "region", "role", "member", "members", "condition", "policy_data", "etag", "id", "timeouts":
		default:
			if name := r.text(attribute); name != "" {
				names = append(names, last(name))
			}
		}
	}
	return strings.Join(names, "/")
}

// last returns what is behind the last slash.
func last(name string) string { return name[strings.LastIndexByte(name, '/')+1:] }

// has reports whether somebody has a role on something.
func (p *Plan) has(kind, on, role, member string) bool {
	return slices.ContainsFunc(p.grants(), func(g grant) bool {
		return g.kind == kind && g.on == on && g.role == role && g.member == member && g.condition == ""
	})
}

// unknownGrants finds rights that the plan does not show, or that no policy here
// would see.
func unknownGrants(p *Plan) []Finding {
	var found []Finding
	for _, r := range p.Resources {
		if otherGrant.MatchString(r.Type) {
			found = append(found, finding(r, "it gives rights in a way that no check knows: use an iam_member"))
		}
	}
	for _, g := range p.grants() {
		if g.role == "" || g.member == "" || g.on == "" && g.kind != "project" {
			found = append(found, finding(g.of, "who has which role on what is not known in the plan, so nobody can look at it: make it of names, not of what exists later"))
		}
	}
	return found
}

// broadRole matches the roles that have nothing to do with one service, or with
// using it. https://cloud.google.com/iam/docs/roles-overview#basic
var broadRole = regexp.MustCompile(`^roles/(owner|editor|viewer|browser|writer|reader|admin)$|(?i:admin)$`)

func broadRoles(p *Plan) []Finding {
	var found []Finding
	for _, g := range p.grants() {
		if broadRole.MatchString(g.role) {
			found = append(found, finding(g.of, "%s may do more than is needed as %s", g.member, g.role))
		}
	}
	return found
}

// anybody matches principals that nobody named.
// https://cloud.google.com/iam/docs/principal-identifiers
var anybody = regexp.MustCompile(`^all(Authenticated)?Users$|^principalSet:.*/\*$|^domain:|^project(Owner|Editor|Viewer):`)

// everybody finds what everybody may, besides calling a public function.
func everybody(p *Plan) []Finding {
	var found []Finding
	for _, g := range p.grants() {
		call := g.kind == "cloud_run_v2_service" && g.role == "roles/run.invoker" && g.member == "allUsers"
		if anybody.MatchString(g.member) && !(call && slices.Contains(PublicFunctions, g.of.Module)) {
			found = append(found, finding(g.of, "%s has %s", g.member, g.role))
		}
	}
	for _, r := range p.Of("google_cloud_run_v2_service") {
		if r.yes("invoker_iam_disabled") {
			found = append(found, finding(r, "nobody is asked who calls: say by an invoker that everybody may"))
		}
	}
	return found
}

// projectRoles are those that may be on the whole project, and why.
var projectRoles = map[string]string{
	"roles/logging.logWriter": "a log is nothing that exists before it is written",
}

// oneDatabase matches the condition of a right to one of Firestore's databases,
// which have none of their own.
// https://cloud.google.com/firestore/docs/manage-databases#per_database_access
var oneDatabase = regexp.MustCompile(`^resource\.name == "projects/[^/"]+/databases/[^/"]+"$`)

// narrowGrants finds rights on more than one thing, and those that replace
// whatever others have.
func narrowGrants(p *Plan) []Finding {
	var found []Finding
	for _, g := range p.grants() {
		switch {
		case strings.HasSuffix(g.of.Type, "_binding") || strings.HasSuffix(g.of.Type, "_policy"):
			found = append(found, finding(g.of, "it takes rights away that it does not know of: use a member"))
		case strings.HasPrefix(g.role, "roles/datastore.") && oneDatabase.MatchString(g.condition):
		case g.kind == "project" && projectRoles[g.role] == "", g.kind == "folder", g.kind == "organization", g.kind == "billing_account":
			found = append(found, finding(g.of, "%s has %s on everything: say on what", g.member, g.role))
		}
	}
	return found
}

// ownDataset finds datasets that somebody reads by a role on the project, as
// every viewer does where it is not said who may.
// https://cloud.google.com/bigquery/docs/access-control-basic-roles#dataset-basic-roles
func ownDataset(p *Plan) []Finding {
	var found []Finding
	for _, r := range p.Of("google_bigquery_dataset") {
		access, _ := r.at("access").([]any)
		if len(access) != 1 || follow(access[0], "role") != "OWNER" || follow(access[0], "special_group") != "projectOwners" {
			found = append(found, finding(r, "others than the project's owners may read it, or nobody may manage it: %v", access))
		}
	}
	return found
}

// ownPermissions are all that the install's own roles may have.
var ownPermissions = []string{"bigtable.instances.ping"}

// customRoles finds permissions that nobody looked at.
func customRoles(p *Plan) []Finding {
	var found []Finding
	for _, r := range p.Of("google_project_iam_custom_role", "google_organization_iam_custom_role") {
		permissions := texts(r.at("permissions"))
		for _, permission := range permissions {
			if !slices.Contains(ownPermissions, permission) {
				found = append(found, finding(r, "it may %s: is it needed?", permission))
			}
		}
		if len(permissions) == 0 || r.Type != "google_project_iam_custom_role" {
			found = append(found, finding(r, "what it may, and where, is not known"))
		}
	}
	return found
}

// openTables finds rights on a table that do not help: Bigtable's client pings
// the instance first, and gives up when it may not.
func openTables(p *Plan) []Finding {
	opening := map[string]bool{}
	for _, r := range p.Of("google_project_iam_custom_role") {
		if slices.Contains(texts(r.at("permissions")), "bigtable.instances.ping") {
			opening["projects/"+r.text("project")+"/roles/"+r.text("role_id")] = true
		}
	}
	grants := p.grants()
	var found []Finding
	for _, g := range grants {
		instance := g.of.text("instance_name")
		if g.kind == "bigtable_table" && !slices.ContainsFunc(grants, func(o grant) bool {
			return o.kind == "bigtable_instance" && o.on == instance && o.member == g.member && opening[o.role]
		}) {
			found = append(found, finding(g.of, "%s may not ping %s, so that no client of it opens", g.member, instance))
		}
	}
	return found
}

// accountKeys finds what could be copied, and used from anywhere.
func accountKeys(p *Plan) []Finding {
	var found []Finding
	for _, r := range p.Of("google_service_account_key", "google_storage_hmac_key", "google_apikeys_key") {
		found = append(found, finding(r, "a key can be copied: an account is whom Google says that one is"))
	}
	return found
}

// running says where the service account of what runs code stands.
var running = map[string]string{
	"google_cloud_run_v2_service":     "template.0.service_account",
	"google_cloud_run_v2_worker_pool": "template.0.service_account",
	"google_cloud_run_v2_job":         "template.0.template.0.service_account",
	"google_cloudfunctions2_function": "service_config.0.service_account_email",
}

// ownAccounts finds functions that run as somebody else, or whose account
// somebody else may use. What is in one instance of a module is one function.
func ownAccounts(p *Plan) []Finding {
	var found []Finding
	for _, r := range p.Resources {
		path, runs := running[r.Type]
		if !runs {
			continue
		}
		account, own := r.text(path), false
		for _, a := range p.beside(r, "google_service_account") {
			own = own || account == a.text("account_id")+"@"+a.text("project")+".iam.gserviceaccount.com"
		}
		if !own || r.Module == "" {
			found = append(found, finding(r, "it runs as %q, which is not its own", account))
		}
		for _, g := range p.grants() {
			if g.kind == "service_account" && g.on == account {
				found = append(found, finding(g.of, "%s can be %s", g.member, account))
			}
		}
	}
	return found
}

// defaultAccount matches those that come with a project, and may do much.
// https://cloud.google.com/iam/docs/service-account-types#default
var defaultAccount = regexp.MustCompile(`-compute@developer\.gserviceaccount\.com|@(appspot|cloudbuild|cloudservices)\.gserviceaccount\.com`)

// defaultAccounts finds them, and what gets one since it names none.
func defaultAccounts(p *Plan) []Finding {
	var found []Finding
	for _, r := range p.Resources {
		for _, text := range texts(r.Values) {
			if account := defaultAccount.FindString(text); account != "" {
				found = append(found, finding(r, "it has to do with …%s", account))
			}
		}
	}
	for _, r := range p.Of("google_cloud_run_v2_service") {
		if follow(r.Values, "build_config.0") != nil && r.text("build_config.0.service_account") == "" {
			found = append(found, finding(r, "it is built by the default account"))
		}
	}
	return found
}
