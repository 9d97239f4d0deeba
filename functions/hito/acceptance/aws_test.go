//go:build acceptance

package acceptance

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/hitolayer/hito/functions/hito/e2e"
	"github.com/hitolayer/hito/functions/score"
	store "github.com/hitolayer/hito/infra/aws/dynamodb"
	"github.com/hitolayer/hito/infra/emulators/fault"
	"github.com/hitolayer/hito/infra/emulators/iam"
	"github.com/hitolayer/hito/shared/ledger"
	"github.com/hitolayer/hito/shared/quarantine"
	"github.com/hitolayer/hito/shared/stream"
	"github.com/hitolayer/hito/shared/stream/pack"
)

// TestAWS deploys everything and drives it as its users do, while everything
// that can go wrong does.
func TestAWS(t *testing.T) {
	x := install(t)
	inOrder(t, x.explain, []step{
		{"PlansNoChanges", x.stack.unchanged},
		{"AccessLog", x.accessLog},
		{"SDKs", x.sdks},
		{"BatchesComeAgain", x.batchesComeAgain},
		{"FunctionsAreKilled", x.functionsAreKilled},
		{"AWSFails", x.awsFails},
		{"PoisonRecords", x.poisonRecords},
		{"BadEvents", x.badEvents},
		{"Erasure", x.erasure},
		{"Sweep", x.sweep},
		{"Permissions", x.permissions},
		{"Destroy", x.stack.destroy},
	})
}

// accessLog: the real log gives the profiles that it gives in one process, byte by byte.
func (x *installation) accessLog(t *testing.T) {
	x.set(0.1, nil)
	defer x.set(0, nil)
	e2e.Same(t, e2e.AccessLog(t, x.target), e2e.AccessLog(t, x.local(t)))
}

func (x *installation) batchesComeAgain(t *testing.T) {
	before := x.streams["enrich"].Stats().Redelivered + x.streams["score"].Stats().Redelivered
	x.set(0.7, nil)
	defer x.set(0, nil)
	x.load(t, 3000)
	again := x.streams["enrich"].Stats().Redelivered + x.streams["score"].Stats().Redelivered - before
	if again < 5 {
		t.Errorf("only %d batches came again: this shows too little", again)
	}
	t.Logf("%d batches came again", again)
}

func (x *installation) functionsAreKilled(t *testing.T) {
	killed := func() int { return x.functions["enrich"].Stats().Killed + x.functions["score"].Stats().Killed }
	before := killed()
	x.set(0.2, func() (time.Duration, bool) {
		// Within what a batch takes here: in the middle of loading, saving, booking.
		return time.Duration(rand.IntN(60)) * time.Millisecond, rand.IntN(3) == 0
	})
	defer x.set(0, nil)
	x.load(t, 3000)
	if n := killed() - before; n < 3 {
		t.Errorf("only %d were killed: this shows too little", n)
	} else {
		t.Logf("%d killed", n)
	}
}

// awsFails: throttling, partial failures, lost answers and slow ones, all at once.
func (x *installation) awsFails(t *testing.T) {
	x.kinesis.SetRules(
		fault.Rule{Kind: fault.Partial, Action: "kinesis:PutRecords", Probability: 0.1},
		fault.Rule{Kind: fault.Throttle, Action: "kinesis:*", Probability: 0.05},
		fault.Rule{Kind: fault.DropAfter, Action: "kinesis:PutRecords", Probability: 0.05},
		fault.Rule{Kind: fault.Unavailable, Action: "kinesis:PutRecords", Probability: 0.03},
	)
	x.dynamodb.SetRules(
		fault.Rule{Kind: fault.Partial, Action: "dynamodb:BatchGetItem", Probability: 0.1},
		fault.Rule{Kind: fault.Throttle, Action: "dynamodb:*", Probability: 0.05},
		fault.Rule{Kind: fault.Conflict, Action: "dynamodb:TransactWriteItems", Probability: 0.1},
		fault.Rule{Kind: fault.DropAfter, Action: "dynamodb:*", Probability: 0.03},
		fault.Rule{Kind: fault.Internal, Action: "dynamodb:*", Probability: 0.02},
		fault.Rule{Kind: fault.Slow, Action: "dynamodb:PutItem", Probability: 0.02, Delay: 200 * time.Millisecond},
	)
	x.others.SetRules(fault.Rule{Kind: fault.Throttle, Action: "sqs:SendMessageBatch", Probability: 0.2},
		fault.Rule{Kind: fault.DropAfter, Action: "sqs:SendMessageBatch", Probability: 0.1})
	before := x.faults()
	x.load(t, 3000)
	x.kinesis.SetRules()
	x.dynamodb.SetRules()
	x.others.SetRules()
	if n := x.faults() - before; n < 20 {
		t.Errorf("only %d calls failed: this shows too little", n)
	} else {
		t.Logf("%d calls failed", n)
	}
}

func (x *installation) faults() (n int) {
	for _, p := range []*fault.Proxy{x.kinesis, x.dynamodb, x.others} {
		for _, c := range p.Calls() {
			if c.Fault != "" {
				n++
			}
		}
	}
	return n
}

// poisonRecords: what no function can take ends in quarantine, once, and its
// neighbours do not notice.
func (x *installation) poisonRecords(t *testing.T) {
	before := x.balanced(t)
	put := func(streamName, partition string, data []byte) {
		t.Helper()
		out, err := x.kinesisClient(harness).PutRecords(t.Context(), &kinesis.PutRecordsInput{StreamName: &streamName, Records: []types.PutRecordsRequestEntry{{
			PartitionKey: &partition, Data: data,
		}}})
		if err != nil || aws.ToInt32(out.FailedRecordCount) > 0 {
			t.Fatal(out, err)
		}
	}
	packed := func(records ...stream.Record) []byte {
		t.Helper()
		data, err := pack.Append(nil, records)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	now := time.Now().UnixMilli()
	raw := x.functions["beacon"].Env["HITO_RAW_STREAM"]
	// One that nobody can open; one of a pack that nobody can read, among good
	// ones; one that is never taken, since nobody knows its project's rules.
	put(raw, "007", []byte("no pack at all"))
	put(raw, "007", packed(page(t, "shop", "before"), stream.Record{Project: "shop", Key: "a:bad", Events: 2, Time: now, Data: []byte{0xff}}, page(t, "shop", "after")))
	put(raw, "007", packed(page(t, "shop", "beside"), page(t, "ghost", "ghost")))

	kept := &store.Quarantine{Client: x.dynamodbClient(harness), Table: x.table.Name}
	list := func(project string) []quarantine.Entry {
		t.Helper()
		entries, _, err := kept.List(t.Context(), project, "", 1000)
		if err != nil {
			t.Fatal(err)
		}
		return entries
	}
	x.eventually(t, "three entries in quarantine", func() bool {
		return len(list("")) == 1 && len(list("ghost")) == 1 && slices.ContainsFunc(list("shop"), func(e quarantine.Entry) bool { return e.Body[0] == 0xff })
	})
	if e := list("")[0]; string(e.Body) != "no pack at all" || e.Reason != string(quarantine.Unprocessable) || e.Stage != quarantine.Enrich {
		t.Errorf("what nobody can open is %+v", e)
	}
	if e := list("ghost")[0]; e.Reason != string(quarantine.AttemptsExhausted) || e.Stage != quarantine.Score || e.Events != 1 {
		t.Errorf("what nobody takes is %+v", e)
	}
	totals, err := x.target.Settle(int(before.Accepted) + 5)
	if err != nil {
		t.Fatal(err)
	}
	if totals.Scored != before.Scored+3 || totals.Quarantined != before.Quarantined+2 || totals.Accepted != before.Accepted+5 {
		t.Errorf("the ledger went from %+v to %+v", before, totals)
	}
	for _, key := range []string{"before", "after", "beside"} {
		var p struct{ Events struct{ Total int } }
		if err := x.target.Get("/v1/profiles/anonymous_id:"+key, &p); err != nil || p.Events.Total != 1 {
			t.Errorf("the neighbour %s has %d events, %v", key, p.Events.Total, err)
		}
	}
	books := &store.Ledger{Client: x.dynamodbClient(harness), Table: x.table.Name}
	ghost, err := books.Totals(t.Context(), "ghost")
	if want := (ledger.Counts{Accepted: 1, Quarantined: 1}); err != nil || ghost.Counts != want {
		t.Errorf("the ghost's ledger is %+v, %v, want %+v", ghost, err, want)
	}
}

// sweep: every part of the table, as the schedule has them swept within an hour.
func (x *installation) sweep(t *testing.T) {
	for minute := range score.Sweeps {
		at := time.Unix(int64(minute)*60, 0).UTC().Format(time.RFC3339)
		if _, err := x.functions["score"].Invoke(t.Context(), fmt.Appendf(nil, `{"version":"0","id":"1","detail-type":"Scheduled Event","source":"aws.events","account":%q,"time":%q,"region":%q,"resources":[],"detail":{}}`,
			account, at, region)); err != nil {
			t.Fatal(err)
		}
	}
	people := x.balanced(t).People
	x.eventually(t, "everybody to be swept", func() bool {
		x.mu.Lock()
		defer x.mu.Unlock()
		return x.swept >= float64(people)
	})
}

// platform are what Lambda itself does with a function's role, as AWS
// documents it for event source mappings, logs and traces, and the emulators do
// otherwise or not at all.
var platform = []string{
	"kinesis:DescribeStream", "kinesis:DescribeStreamSummary", "kinesis:ListShards", "kinesis:ListStreams", "kinesis:SubscribeToShard",
	"kinesis:GetRecords", "kinesis:GetShardIterator", "kinesis:DescribeStreamConsumer",
	"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ChangeMessageVisibility",
	"logs:CreateLogStream", "logs:PutLogEvents", "xray:PutTraceSegments", "xray:PutTelemetryRecords",
}

// permissions: by what was done up to here, no role lacks a right nor has one too many.
func (x *installation) permissions(t *testing.T) {
	for _, name := range names {
		f, _ := x.deployment.Function(x.functions[name].Name)
		role, ok := x.deployment.Role(f.Role)
		if !ok || len(role.Unread) > 0 {
			t.Errorf("%s has the role %q, of which these policies cannot be read: %v", name, f.Role, role.Unread)
			continue
		}
		var statements []iam.Statement
		for _, p := range role.Policies {
			var doc struct{ Statement []iam.Statement }
			if err := json.Unmarshal([]byte(p.JSON), &doc); err != nil {
				t.Fatalf("%s: policy %s: %v", name, p.Name, err)
			}
			statements = append(statements, doc.Statement...)
		}
		forbidden, unused := iam.Audit(statements, x.calls(name))
		unused = slices.DeleteFunc(unused, func(text string) bool {
			action, _, _ := strings.Cut(text, " ")
			// A mapping that gives up does so for Lambda. And no visitor here has a
			// fragment too large for one item, whose parts are deleted when replaced.
			return slices.Contains(platform, action) || strings.HasSuffix(text, "(statement GiveUp)") ||
				name == "score" && action == "dynamodb:DeleteItem"
		})
		if len(forbidden) > 0 {
			t.Errorf("%s did what its role does not allow:\n%s", name, strings.Join(forbidden, "\n"))
		}
		if len(unused) > 0 {
			t.Errorf("%s may do what it never does:\n%s", name, strings.Join(unused, "\n"))
		}
	}
}

// calls are what a function did to AWS, as IAM sees it.
func (x *installation) calls(name string) []iam.Call {
	seen := map[string]bool{}
	var calls []iam.Call
	for _, p := range []*fault.Proxy{x.kinesis, x.dynamodb, x.others} {
		for _, c := range p.Calls() {
			if c.Identity != name {
				continue
			}
			for _, need := range c.Needs {
				call := iam.Call{Action: need.Action, Resource: arn(c.Service, need.Resource)}
				if text := call.String(); !seen[text] {
					seen[text] = true
					calls = append(calls, call)
				}
			}
		}
	}
	return calls
}

// arn is the ARN of what a call is about.
func arn(service, resource string) string {
	in := ":" + region + ":" + account + ":"
	switch service {
	case "kinesis":
		return "arn:aws:kinesis" + in + "stream/" + resource
	case "dynamodb":
		return "arn:aws:dynamodb" + in + "table/" + resource
	case "secretsmanager":
		return "arn:aws:secretsmanager" + in + "secret:" + resource + "-AbCdEf"
	case "sqs":
		return "arn:aws:sqs" + in + resource
	case "s3":
		return "arn:aws:s3:::" + resource
	}
	return service + ":" + resource
}
