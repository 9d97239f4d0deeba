package terraformtest

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/ext/typeexpr"
	"github.com/hashicorp/hcl/v2/hclparse"
	"github.com/zclconf/go-cty/cty"
)

// difference is one between the clouds that has a reason. There are no others.
type difference struct {
	where string // module; live for the installs; * for every module that has it
	cloud string // which has it; both when each has it in its own way
	what  string // names, as signature has them
	why   string
}

var differences = []difference{
	{"*", "gcp", "variable project_number", "Google's service agents are called by the project's number"},
	{"*", "gcp", "variable account", "Google's resources are told where they are"},
	{"*", "aws", "variable log_retention_days", "Cloud Logging keeps all logs of a project for as long as the project says"},

	{"archive", "aws", "variable bucket, variable buffer, variable prefix, variable stream_key", "Firehose writes files to a bucket, where Pub/Sub writes rows to a table"},
	{"archive", "aws", "output id", "Firehose's delivery has an ARN; Pub/Sub's subscription has a name"},
	{"archive", "gcp", "variable deletion_protection, variable expire_days, output table", "the table is the archive's own, where the bucket is not"},
	{"archive", "gcp", "output stream_id, output dead_letter_name", "rows are a stream of their own, which the archive makes, and whose dead letters it keeps"},

	{"bucket", "aws", "output id", "a bucket of Google's is known by its name"},

	{"certificate", "aws", "variable zone", "Route 53 is AWS', so that the record that proves whose the hostname is can be made with the certificate"},
	{"certificate", "gcp", "variable name, output proof", "Google's resources are called by names, and the record is to be made elsewhere"},

	{"edge", "aws", "variable functions.beacon.arn, variable functions.profile.arn", "the API Gateway invokes a function, where a load balancer sends it requests by its name"},
	{"edge", "aws", "variable price_class, variable settings_ttl", "a load balancer keeps nothing, and is everywhere"},
	{"edge", "aws", "variable throttle, variable encryption_key, output api", "Google's API Gateway takes no hostname of yours, so that it is none to choose"},
	{"edge", "gcp", "variable region", "Google's resources are told where they are"},
	{"edge", "gcp", "variable log_sample", "CloudFront's logs are files, which nobody asked for; a load balancer's are Cloud Logging's"},
	{"edge", "both", "variable domain.certificate", "Google makes a certificate by itself, AWS once somebody has proved whose the hostname is"},
	{"edge", "gcp", "variable domain.ssl_policy", "CloudFront names its TLS policies, where a load balancer's is a resource"},

	{"firewall", "aws", "variable only_count", "AWS' common rules are one set, of which some have to be left out; of Google's, sets are chosen"},

	{"function", "aws", "variable tracing", "Cloud Run traces a sample of the calls by itself"},
	{"function", "aws", "variable queue_triggers", "Pub/Sub has the dead letters of a stream come again by a subscription, which belongs to the stream's trigger"},
	{"function", "aws", "output id, output alias_id", "Lambda's permissions name functions and versions by ARN; Cloud Run has one address"},
	{"function", "aws", "output log_group_name", "Cloud Logging has no groups"},
	{"function", "aws", "output role_name, output role_id", "a role is taken on by name or by ARN"},
	{"function", "gcp", "output service_account_subject", "AWS knows a service account by its number"},
	{"function", "gcp", "output service_account", "a service account is known by its email"},
	{"function", "both", "variable package", "Cloud Run takes an image instead"},
	{"function", "gcp", "variable image, variable build, variable built, variable target, output build", "what Cloud Run runs is an image, of one's own or built of the package, and is told which function it is"},
	{"function", "gcp", "variable cpu, variable requests_per_instance, variable billing", "Lambda gives processors with memory, and an instance one call at a time"},
	{"function", "gcp", "variable workers", "Lambda's poller pulls at no extra price; of Cloud Run it needs instances that do"},
	{"function", "aws", "variable permissions.*.actions, variable permissions.*.resources, variable permissions.*.conditions", "AWS grants actions on resources"},
	{"function", "gcp", "variable permissions.*.role, variable permissions.*.kind, variable permissions.*.id, variable permissions.*.prefix", "Google grants a role on one resource, whose kind says by which API"},
	{"function", "gcp", "variable push_account", "Cloud Run is called over HTTP, also by Google's own services, and asks who calls"},
	{"function", "gcp", "variable url.load_balancer", "what is behind a load balancer is closed to the internet, which a function URL cannot be"},
	{
		"function", "aws", "variable stream_triggers.*.batch_size, variable stream_triggers.*.consumer, variable stream_triggers.*.failure_queue, variable stream_triggers.*.parallelism, " +
			"variable stream_triggers.*.retries, variable stream_triggers.*.retry_seconds, variable stream_triggers.*.start, variable stream_triggers.*.window_seconds",
		"Lambda reads a stream's shards in batches, and gives up after tries or time",
	},
	{"function", "gcp", "variable stream_triggers.*.subscription, variable stream_triggers.*.retention_hours, variable stream_triggers.*.max_deliveries", "a subscription pushes one message at a time, keeps what was not handled, and counts"},
	{"function", "gcp", "output subscriptions, output dead_letter_name, output parked_name", "a stream trigger makes its own subscription and dead letters"},

	{"budget", "gcp", "variable billing_account", "who pays for an account of AWS is known by it"},

	{"observability", "aws", "variable region, variable encryption_key, output topic_id", "Google's alarms tell channels by themselves, where AWS' tell a topic of the install's own"},
	{"observability", "gcp", "output channels", "Google's alarms tell channels by themselves, where AWS' tell a topic of the install's own"},
	{"observability", "aws", "variable namespace", "AWS tells installs apart by the function's name, Google's metrics by their own"},
	{"observability", "aws", "variable functions.*.log_group_name", "Cloud Logging has no groups"},
	{"observability", "gcp", "variable functions.*.subscription, variable functions.*.instances", "a subscription has the age, and Cloud Run's limit is instances"},
	{"observability", "aws", "variable tables.*.indexes", "Bigtable has rows by one key"},
	{"observability", "gcp", "variable tables.*.instance", "nodes are an instance's"},
	{"observability", "gcp", "variable thresholds.table_cpu_percent, variable thresholds.table_latency_milliseconds, variable thresholds.table_storage_percent", "a table of nodes gets full and slow, where DynamoDB refuses"},
	{"observability", "aws", "variable health_checks", "Route 53 asks both clouds' beacons"},
	{"observability", "aws", "variable api", "what stands in front tells of its answers, by another name"},
	{"observability", "gcp", "variable notify.*.severities", "a topic carries all alarms to all of its subscribers, which can tell by their text"},
	{"observability", "gcp", "variable check", "Route 53's checks are watched from us-east-1 only, by alarms and a topic of their own"},
	{"observability", "gcp", "variable sweep", "Cloud Scheduler gives a call up without a word, where EventBridge tries again and Lambda counts what fails"},
	{"observability", "gcp", "variable load_balancer", "what stands in front tells of its answers, by another name"},

	{"peer", "aws", "variable region, variable encryption_key", "streams are a region's, and who publishes on one with a key of its own must be able to use it"},
	{"peer", "aws", "variable labels", "pools of identities have none"},

	{"queue", "aws", "output url", "SQS takes and gives messages by a URL"},
	{"queue", "gcp", "output subscription_id", "Pub/Sub takes messages by a topic, and gives them by a subscription"},

	{"secret", "aws", "output id_pattern", "AWS adds six characters to the ARN that nobody knows before"},
	{"secret", "gcp", "output id", "AWS adds six characters to the ARN that nobody knows before"},

	{"secret", "both", "variable value", "AWS' is ephemeral; a provider that has only Google's schema, which tests plan with, knows of no write-only arguments"},

	{"stream", "aws", "variable shards, variable consumers, output consumer_ids", "a topic scales by itself, and pushes to every subscription"},

	{"table", "aws", "variable key, variable indexes, variable expiry, output index_ids", "DynamoDB has keys, indexes and an attribute for expiry"},
	{"table", "gcp", "variable families", "Bigtable has rows by one key, and families of columns that expire"},
	{"table", "aws", "variable limits", "on-demand capacity, which Bigtable does not have"},
	{"table", "both", "variable capacity", "null is DynamoDB's on-demand capacity, which Bigtable does not have"},
	{"table", "aws", "variable capacity.read_min, variable capacity.read_max, variable capacity.write_min, variable capacity.write_max", "DynamoDB has units of reads and of writes"},
	{"table", "gcp", "variable capacity.min_nodes, variable capacity.max_nodes", "Bigtable has nodes"},
	{"table", "gcp", "variable zone, output instance, output app_profile, output open", "Bigtable's nodes are in a zone, in an instance with app profiles, to which connections are opened"},

	{"live", "aws", "variable fan_out, variable shards", "a topic scales by itself, and pushes to every subscription"},
	{"live", "aws", "variable retry_hours", "Kinesis' triggers give up by age, Pub/Sub's by the number of deliveries"},
	{"live", "gcp", "variable max_deliveries", "Kinesis' triggers give up by age, Pub/Sub's by the number of deliveries"},
	{"live", "aws", "variable table_limits", "on-demand capacity, which Bigtable does not have"},
	{"live", "both", "variable table_capacity", "null is DynamoDB's on-demand capacity, which Bigtable does not have"},
	{"live", "aws", "variable table_capacity.read_min, variable table_capacity.read_max, variable table_capacity.write_min, variable table_capacity.write_max", "DynamoDB has units of reads and of writes"},
	{"live", "gcp", "variable table_capacity.min_nodes, variable table_capacity.max_nodes", "Bigtable has nodes"},
	{"live", "gcp", "variable store", "DynamoDB costs by what happens, as Firestore does, and bears what Bigtable does"},
	{"live", "gcp", "variable zone", "Bigtable's nodes are in a zone"},
	{"live", "aws", "variable tracing", "Cloud Run traces a sample of the calls by itself"},
	{"live", "aws", "variable generate_secret_keys", "Secrets Manager makes up keys; nothing of Google's does"},
	{"live", "both", "variable secret_keys", "see module secret"},
	{"live", "gcp", "variable functions.*.image, variable functions.*.cpu, variable functions.*.requests_per_instance, variable functions.*.billing, variable functions.*.workers", "see module function"},
	{"live", "aws", "variable edge.price_class, variable edge.requests_per_second, variable edge.burst", "see module edge"},
	{"live", "gcp", "variable edge.log_sample, variable edge.domain.ssl_policy", "see module edge"},
	{"live", "gcp", "variable edge.close", "AWS' certificate stands before the edge does, where Google makes its own for as long as a day"},
	{"live", "both", "variable edge.domain.certificate", "see module edge"},
	{"live", "aws", "variable archive.archive_days, output archive_bucket", "files of a bucket move to a cheaper class, where a table's old parts get cheaper by themselves"},
	{"live", "gcp", "output archive_table", "the archive is a table of BigQuery"},
	{"live", "aws", "output actions_url", "see module queue"},
	{"live", "gcp", "output actions_subscription", "see module queue"},
	{"live", "aws", "output alerts_topic", "see module observability"},
	{"live", "gcp", "variable notify.*.severities", "see module observability"},
	{"live", "gcp", "variable budget.billing_account", "see module budget"},
}

// unpaired are the modules of one cloud only.
var unpaired = map[string]string{
	"aws/dns":      "one zone weighs both clouds",
	"gcp/database": "Firestore is for little load, which DynamoDB on demand bears as well",
}

// TestSameInterface: who knows a module of one cloud knows the other cloud's.
func TestSameInterface(t *testing.T) {
	root := filepath.Join(repository(t), "terraform")
	pairs := map[string][2]string{"live": {filepath.Join(root, "live", "aws"), filepath.Join(root, "live", "gcp")}}
	for _, cloud := range []string{"aws", "gcp"} {
		modules, err := os.ReadDir(filepath.Join(root, "modules", cloud))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range modules {
			pairs[m.Name()] = [2]string{filepath.Join(root, "modules", "aws", m.Name()), filepath.Join(root, "modules", "gcp", m.Name())}
		}
	}
	excused, alone := map[string]bool{}, map[string]bool{}
	for _, where := range slices.Sorted(maps.Keys(pairs)) {
		var sides [2]map[string]string
		for i, cloud := range []string{"aws", "gcp"} {
			var err error
			if sides[i], err = signature(pairs[where][i]); err != nil {
				t.Fatal(err)
			}
			if other := []string{"gcp", "aws"}[i] + "/" + where; len(sides[i]) == 0 {
				alone[other] = true
				if unpaired[other] == "" {
					t.Errorf("there is modules/%s, and no modules/%s/%s", other, cloud, where)
				}
			}
		}
		if len(sides[0]) == 0 || len(sides[1]) == 0 {
			continue
		}
		for _, d := range compare(sides[0], sides[1]) {
			if !excuse(excused, where, d.cloud, d.what) {
				t.Errorf("%s: %s", where, d)
			}
		}
	}
	for module := range unpaired {
		if !alone[module] {
			t.Errorf("%s is on both clouds: take it from the list of those that are not", module)
		}
	}
	for _, d := range differences {
		for what := range strings.SplitSeq(d.what, ", ") {
			if !excused[d.where+" "+d.cloud+" "+what] {
				t.Errorf("%s: %s does not differ any more: take it from the list of differences", d.where, what)
			}
		}
	}
}

// excuse reports whether a difference has a reason, and remembers which.
func excuse(excused map[string]bool, where, cloud, what string) bool {
	for _, d := range differences {
		if (d.where == where || d.where == "*") && d.cloud == cloud && slices.Contains(strings.Split(d.what, ", "), what) {
			excused[d.where+" "+cloud+" "+what] = true
			return true
		}
	}
	return false
}

// found is a difference between signatures.
type found struct{ cloud, what, aws, gcp string }

func (f found) String() string {
	return fmt.Sprintf("%s is on AWS %q and on Google Cloud %q: make them the same, or say why they differ", f.what, f.aws, f.gcp)
}

// compare returns the differences, of a variable that only one has without
// what is in it.
func compare(aws, gcp map[string]string) []found {
	var all []found
	names := maps.Clone(aws)
	maps.Copy(names, gcp)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		a, g := aws[name], gcp[name]
		f := found{"both", name, a, g}
		switch {
		case a == g:
			continue
		case a == "":
			f.cloud = "gcp"
		case g == "":
			f.cloud = "aws"
		}
		within := func(o found) bool {
			return o.cloud == f.cloud && f.cloud != "both" && strings.HasPrefix(name, o.what+".")
		}
		if !slices.ContainsFunc(all, within) {
			all = append(all, f)
		}
	}
	return all
}

// signature returns what a module's folder takes and gives: of variables, and
// of all that is in them, the type and whether it can be left out, by a path
// such as variable functions.*.memory_mb; and outputs. What AWS calls an ARN
// is an id. Nothing if there is no such folder.
func signature(folder string) (map[string]string, error) {
	files, err := filepath.Glob(filepath.Join(folder, "*.tf"))
	if err != nil {
		return nil, err
	}
	all := map[string]string{}
	for _, file := range files {
		code, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		if err := sign(all, file, code); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func sign(all map[string]string, name string, code []byte) error {
	file, diags := hclparse.NewParser().ParseHCL(code, name)
	if diags.HasErrors() {
		return diags
	}
	blocks, _, diags := file.Body.PartialContent(&hcl.BodySchema{Blocks: []hcl.BlockHeaderSchema{
		{Type: "variable", LabelNames: []string{"name"}}, {Type: "output", LabelNames: []string{"name"}},
	}})
	if diags.HasErrors() {
		return diags
	}
	for _, block := range blocks.Blocks {
		name := block.Type + " " + block.Labels[0]
		if block.Type == "output" {
			all[arn.Replace(name)] = "output"
			continue
		}
		content, _, diags := block.Body.PartialContent(&hcl.BodySchema{Attributes: []hcl.AttributeSchema{
			{Name: "type", Required: true}, {Name: "default"}, {Name: "nullable"}, {Name: "sensitive"}, {Name: "ephemeral"},
		}})
		if diags.HasErrors() {
			return diags
		}
		kind, _, diags := typeexpr.TypeConstraintWithDefaults(content.Attributes["type"].Expr)
		if diags.HasErrors() {
			return diags
		}
		var how strings.Builder
		if content.Attributes["default"] != nil {
			how.WriteString("optional ")
		}
		for _, flag := range []struct {
			name  string
			usual bool
		}{{"nullable", true}, {"sensitive", false}, {"ephemeral", false}} {
			a := content.Attributes[flag.name]
			if a == nil {
				continue
			}
			v, diags := a.Expr.Value(nil)
			if diags.HasErrors() {
				return diags
			}
			if v.True() != flag.usual {
				how.WriteString(fmt.Sprintf("%s=%t ", flag.name, v.True()))
			}
		}
		signType(all, name, how.String(), kind)
	}
	return nil
}

var arn = strings.NewReplacer(" arn", " id", "_arn", "_id")

// signType enters a type, and the types within.
func signType(all map[string]string, path, how string, kind cty.Type) {
	switch {
	case kind.IsObjectType():
		all[path] = how + "object"
		for name, attribute := range kind.AttributeTypes() {
			how := ""
			if kind.AttributeOptional(name) {
				how = "optional "
			}
			signType(all, path+"."+name, how, attribute)
		}
	case kind.IsCollectionType():
		all[path] = how + strings.SplitN(kind.FriendlyNameForConstraint(), " ", 2)[0]
		signType(all, path+".*", "", kind.ElementType())
	default:
		all[path] = how + kind.FriendlyNameForConstraint()
	}
}

// TestInterfaceDiffers: what two modules do not have in common is found.
func TestInterfaceDiffers(t *testing.T) {
	const same = `
		variable "a" {
		  type = map(object({
		    b = optional(list(string), [])
		    c = number
		  }))
		  default  = {}
		  nullable = false
		}
		output "id" { value = 1 }
	`
	for name, c := range map[string]struct{ from, to, want string }{
		"nothing":      {"", "", ""},
		"an ARN":       {`"id"`, `"arn"`, ""},
		"a variable":   {`variable "a"`, `variable "b"`, "aws variable a, gcp variable b"},
		"an output":    {`output "id"`, `output "name"`, "aws output id, gcp output name"},
		"a type":       {"number", "string", "both variable a.*.c"},
		"an element":   {"list(string)", "list(number)", "both variable a.*.b.*"},
		"a collection": {"list(string)", "set(string)", "both variable a.*.b"},
		"an attribute": {"c = number", "d = number", "aws variable a.*.c, gcp variable a.*.d"},
		"more":         {"c = number", "c = number\nd = map(object({ e = string }))", "gcp variable a.*.d"},
		"an optional":  {"c = number", "c = optional(number)", "both variable a.*.c"},
		"required":     {"default", "description", "both variable a"},
		"null":         {"nullable = false", "nullable = true", "both variable a"},
		"secret":       {"nullable = false", "nullable = false\nsensitive = true", "both variable a"},
	} {
		t.Run(name, func(t *testing.T) {
			aws, gcp := map[string]string{}, map[string]string{}
			changed := strings.Replace(same, c.from, c.to, 1)
			if name != "nothing" && changed == same {
				t.Fatalf("there is no %s to change", c.from)
			}
			for side, code := range map[*map[string]string]string{&aws: same, &gcp: changed} {
				if err := sign(*side, "main.tf", []byte(code)); err != nil {
					t.Fatal(err)
				}
			}
			var got []string
			for _, f := range compare(aws, gcp) {
				got = append(got, f.cloud+" "+f.what)
			}
			if text := strings.Join(got, ", "); text != c.want {
				t.Errorf("found is %q, want %q", text, c.want)
			}
		})
	}
	if excuse(map[string]bool{}, "bucket", "gcp", "output id") || excuse(map[string]bool{}, "stream", "aws", "output url") {
		t.Error("a reason for something else is taken")
	}
}
