package terraformtest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/hitolayer/hito/infra/emulators"
	"github.com/hitolayer/hito/infra/gcp/cloudlogging"
	"github.com/hitolayer/hito/shared/telemetry"
)

var (
	emitted = regexp.MustCompile(`telemetry\.Value\{Name: "([a-z_]+)", Unit: telemetry\.(\w+)|\.emit\([\w.]+, "([a-z_]+)"`)
	extract = regexp.MustCompile(`^EXTRACT\(jsonPayload\.([a-z_.]+)\)$`)
)

// measured compares a plan's metrics of logs with what the functions tell, and
// reads a line of theirs as Cloud Logging does.
// https://cloud.google.com/logging/docs/logs-based-metrics/distribution-metrics
func measured(t *testing.T, p *Plan) {
	name, _ := p.Variables["name"].(string)
	units := map[string]string{} // of what the functions tell
	folders := []string{"functions/beacon", "functions/enrich", "functions/score", "functions/profile", "shared/stream/failover", "infra/gcp"}
	if p.Variables["peer"] != nil {
		folders = append(folders, "functions/relay")
	}
	for _, folder := range folders {
		err := filepath.WalkDir(filepath.Join(repository(t), folder), func(path string, _ os.DirEntry, err error) error {
			if err != nil || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
				return err
			}
			code, err := os.ReadFile(path)
			for _, m := range emitted.FindAllSubmatch(code, -1) {
				units[string(m[1])+string(m[3])] = map[string]string{"Milliseconds": "ms", "Bytes": "By"}[string(m[2])]
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(units) < 15 {
		t.Fatalf("only %v are found in the code", slices.Sorted(maps.Keys(units)))
	}
	var values []telemetry.Value
	for metric := range units {
		values = append(values, telemetry.Value{Name: metric, Unit: telemetry.Count, V: 7})
	}
	var line bytes.Buffer
	(&cloudlogging.Sink{Function: name + "-score", W: &line}).Emit(t.Context(), "score", values...)
	var payload map[string]any
	if err := json.Unmarshal(line.Bytes(), &payload); err != nil {
		t.Fatal(err)
	}
	at := func(extractor string) any {
		path := extract.FindStringSubmatch(extractor)
		if path == nil {
			return nil
		}
		return follow(payload, path[1])
	}
	there := map[string]bool{}
	for _, r := range p.Of("google_logging_metric") {
		if r.text("value_extractor") == "" {
			continue // it counts lines
		}
		metric := strings.TrimPrefix(r.text("name"), name+"/")
		there[metric] = true
		unit, told := units[metric]
		if !told {
			t.Errorf("%s: no function tells %s", r.Address, metric)
			continue
		}
		if want := max(unit, "1"); r.text("metric_descriptor.0.unit") != want {
			t.Errorf("%s: its unit is %s, the functions' %s", r.Address, r.text("metric_descriptor.0.unit"), want)
		}
		if got := at(r.text("value_extractor")); got != 7.0 {
			t.Errorf("%s: of a line it reads %v", r.Address, got)
		}
		if got := at(r.text("label_extractors.function")); got != name+"-score" {
			t.Errorf("%s: of a line it reads the function %v", r.Address, got)
		}
		if !strings.HasSuffix(r.text("filter"), " AND jsonPayload.hito."+metric+":*") {
			t.Errorf("%s: it takes other lines: %s", r.Address, r.text("filter"))
		}
	}
	for metric := range units {
		if !there[metric] {
			t.Errorf("nothing is made of %s, which functions tell", metric)
		}
	}
}

// series is what Cloud Monitoring has of a metric: a value a minute, in
// promtool's notation. HITO stands for the install's name.
type series map[string]string

func selector(metric, kind string, labels ...string) string {
	return metric + `{monitored_resource="` + kind + `",` + strings.Join(labels, ",") + `}`
}

func own(metric, function string, labels ...string) string {
	return selector("logging_googleapis_com:user_HITO_"+metric, "cloud_run_revision", append(labels, `function="HITO-`+function+`"`)...)
}

func cloudRun(metric, function string, labels ...string) string {
	return selector("run_googleapis_com:"+metric, "cloud_run_revision", append(labels, `service_name="HITO-`+function+`"`)...)
}

func balanced(function, class string) string {
	return selector("loadbalancing_googleapis_com:https_request_count", "https_lb_rule", `url_map_name="HITO"`, `backend_target_name="HITO-`+function+`"`, `response_code_class="`+class+`"`)
}

func topic(metric, name string, labels ...string) string {
	return selector("pubsub_googleapis_com:topic_"+metric, "pubsub_topic", append(labels, `topic_id="HITO-`+name+`"`)...)
}

func subscription(metric, name string) string {
	return selector("pubsub_googleapis_com:subscription_"+metric, "pubsub_subscription", `subscription_id="HITO-`+name+`"`)
}

func table(metric string, labels ...string) string {
	return selector("bigtable_googleapis_com:"+metric, "bigtable_table", append(labels, `cluster="HITO-table"`, `table="HITO"`)...)
}

func database(metric string, labels ...string) string {
	return selector("firestore_googleapis_com:"+metric, "firestore.googleapis.com/Database", append(labels, `database_id="HITO-table"`)...)
}

func cluster(metric string) string {
	return selector("bigtable_googleapis_com:"+metric, "bigtable_cluster", `cluster="HITO-table"`)
}

// outside returns the series of the check, from three places.
func outside(passed ...string) series {
	s := series{}
	for i, values := range passed {
		s[selector("monitoring_googleapis_com:uptime_check_check_passed", "uptime_url", `host="HOST"`, fmt.Sprintf(`checker_location="place-%d"`, i))] = values
	}
	return s
}

// histogram returns the series of a distribution, of which so many a minute are
// within 100, 1,000 and 60,000, and all.
func histogram(metric func(metric string, labels ...string) string, name string, within ...int) series {
	s := series{metric(name + "_count"): fmt.Sprintf("0+%dx400", within[len(within)-1])}
	for i, le := range []string{"100", "1000", "60000", "+Inf"} {
		s[metric(name+"_bucket", `le="`+le+`"`)] = fmt.Sprintf("0+%dx400", within[min(i, len(within)-1)])
	}
	return s
}

func latency(metric string, labels ...string) string  { return own(metric, "score", labels...) }
func duration(metric string, labels ...string) string { return cloudRun(metric, "score", labels...) }
func writes(metric string, labels ...string) string {
	return table(metric, append(labels, `method="Bigtable.CheckAndMutateRow"`)...)
}
func commits(metric string, labels ...string) string {
	return database(metric, append(labels, `api_method="google.firestore.v1.Firestore.Commit"`)...)
}
func reads(metric string, labels ...string) string {
	return table(metric, append(labels, `method="Bigtable.ReadRows"`)...)
}

// scenarios say what rings when, and that nothing else does.
var scenarios = []struct {
	name   string
	series series
	at     string
	rings  []string
	only   string // in this install, those with bigtable, or those without a load balancer (own address); empty: in all
}{
	{name: "all is well", at: "60m", series: series{
		cloudRun("request_count", "beacon", `response_code_class="2xx"`): "0+1000x60", own("requests_sum", "beacon"): "0+1000x60", own("requests_refused_sum", "beacon"): "0+10x60",
		own("events_received_sum", "beacon"): "0+3000x60", own("events_quarantined_sum", "beacon"): "0+1x60", balanced("beacon", "200"): "0+1000x60",
		topic("message_sizes_count", "enriched"): "0+1000x60", subscription("ack_message_count", "enriched-score"): "0+1000x60",
		subscription("oldest_unacked_message_age", "enriched-score"): "1x60", subscription("num_undelivered_messages", "enriched-score"): "20x60",
		topic("send_request_count", "raw", `response_class="success"`): "0+1000x60", table("server_request_count"): "0+1000x60", cluster("cluster_cpu_load"): "0.6x60",
	}},
	{name: "nothing happens", at: "30m", series: series{
		subscription("oldest_unacked_message_age", "enriched-score"): "0x60", subscription("num_undelivered_messages", "enriched-score"): "0x60", topic("message_sizes_count", "enriched"): "0x60",
	}},
	{name: "no beacon reaches an instance", at: "20m", only: "own address", series: series{own("calls_failed", "beacon"): "0+100x60"}, rings: []string{"beacon-5xx"}},
	{name: "a beacon in fifty fails", at: "20m", only: "own address", series: series{
		own("calls_failed", "beacon"): "0+20x60", cloudRun("request_count", "beacon", `response_code_class="5xx"`): "0+20x60", cloudRun("request_count", "beacon", `response_code_class="2xx"`): "0+980x60",
	}, rings: []string{"beacon-5xx"}},
	{name: "a beacon in two hundred fails", at: "20m", only: "own address", series: series{own("calls_failed", "beacon"): "0+5x60", cloudRun("request_count", "beacon", `response_code_class="2xx"`): "0+995x60"}},
	{name: "three beacons of a quiet night fail", at: "12m", only: "own address", series: series{own("calls_failed", "beacon"): "0x10 3x50", cloudRun("request_count", "beacon", `response_code_class="2xx"`): "0+2x60"}},
	{name: "the load balancer fails", at: "20m", only: "everything", series: series{balanced("beacon", "500"): "0+20x60", balanced("beacon", "200"): "0+980x60", balanced("profile", "200"): "0+10x60"}, rings: []string{"beacon-5xx"}},
	{name: "reads fail", at: "20m", only: "everything", series: series{balanced("profile", "500"): "0+20x60", balanced("beacon", "200"): "0+980x60"}, rings: []string{"profile-5xx"}},
	{name: "a key was taken away", at: "25m", series: series{own("requests_sum", "beacon"): "0+100x60", own("requests_refused_sum", "beacon"): "0+30x60"}, rings: []string{"beacon-refused"}},
	{name: "a key was taken away for ten minutes", at: "20m", series: series{own("requests_sum", "beacon"): "0+100x60", own("requests_refused_sum", "beacon"): "0+30x10 300x50"}},
	{name: "events are nonsense", at: "25m", series: series{own("events_received_sum", "beacon"): "0+90x60", own("events_quarantined_sum", "beacon"): "0+10x60"}, rings: []string{"quarantine"}},

	{name: "pushes fail", at: "20m", series: series{cloudRun("request_count", "score", `response_code_class="5xx"`): "0+20x60", cloudRun("request_count", "score", `response_code_class="2xx"`): "0+980x60"}, rings: []string{"score-errors"}},
	{name: "an error, once", at: "14m", series: series{own("errors_logged", "score"): "0x10 5x50"}},
	{name: "an error, once, minutes later", at: "17m", series: series{own("errors_logged", "score"): "0x10 5x50"}},
	{name: "errors", at: "20m", series: series{own("errors_logged", "score"): "0+1x60"}, rings: []string{"score-errors-logged"}},
	{name: "errors of a worker", at: "20m", series: series{own("errors_logged", "score-worker"): "0+1x60"}, rings: []string{"score-errors-logged"}},
	{name: "no instance for a beacon in a thousand", at: "20m", only: "own address", series: series{
		own("calls_throttled", "beacon"): "0+1x60", cloudRun("request_count", "beacon", `response_code_class="2xx"`): "0+999x60",
	}, rings: []string{"beacon-throttles"}},
	{name: "no instance for a beacon in fifty", at: "20m", only: "own address", series: series{
		own("calls_throttled", "beacon"): "0+20x60", cloudRun("request_count", "beacon", `response_code_class="2xx"`): "0+980x60",
	}, rings: []string{"beacon-5xx", "beacon-throttles"}},
	{name: "no instance for any beacon", at: "20m", only: "own address", series: series{own("calls_throttled", "beacon"): "0+20x60"}, rings: []string{"beacon-5xx", "beacon-throttles"}},
	{name: "no instance for a beacon in fifty, behind the load balancer", at: "20m", only: "everything", series: series{
		own("calls_throttled", "beacon"): "0+20x60", balanced("beacon", "400"): "0+20x60", balanced("beacon", "200"): "0+980x60",
	}, rings: []string{"beacon-5xx", "beacon-throttles"}},
	{name: "the hostname leads nowhere", at: "20m", series: outside("0x60", "0x60", "1x60"), rings: []string{"beacon-unreachable"}},
	{name: "a part of the world does not get through", at: "20m", series: outside("0x60", "1x60", "1x60")},
	{name: "the hostname led nowhere for a minute", at: "20m", series: outside("1x9 0 1x50", "1x9 0 1x50", "1x60")},
	{name: "all instances at work", at: "20m", series: series{cloudRun("container_instance_count", "score", `state="active"`, `revision_name="a"`): "100x60"}, rings: []string{"score-instances"}},
	{name: "all instances there, of two versions, or idle", at: "20m", series: series{
		cloudRun("container_instance_count", "score", `state="active"`, `revision_name="a"`): "60x60", cloudRun("container_instance_count", "score", `state="active"`, `revision_name="b"`): "40x60",
		cloudRun("container_instance_count", "score", `state="idle"`, `revision_name="a"`): "40x60",
	}},
	{name: "calls near their timeout", at: "20m", series: histogram(duration, "request_latencies", 0, 90, 100), rings: []string{"score-duration"}},
	{name: "calls well within it", at: "20m", series: histogram(duration, "request_latencies", 0, 100)},

	{name: "one message fails again and again", at: "40m", series: series{
		subscription("oldest_unacked_message_age", "enriched-score"): "0+60x60", subscription("num_undelivered_messages", "enriched-score"): "1x60",
		topic("message_sizes_count", "enriched"): "0+1000x60", subscription("ack_message_count", "enriched-score"): "0+1000x60",
	}, rings: []string{"score-age"}},
	{name: "the only message of a quiet night fails again and again", at: "40m", series: series{
		subscription("oldest_unacked_message_age", "enriched-score"): "0+60x60", subscription("num_undelivered_messages", "enriched-score"): "1x60", topic("message_sizes_count", "enriched"): "1x60",
	}, rings: []string{"score-age"}},
	{name: "score is behind", at: "14m", series: series{
		subscription("oldest_unacked_message_age", "enriched-score"): "0+60x60", subscription("num_undelivered_messages", "enriched-score"): "0+900x60",
		topic("message_sizes_count", "enriched"): "0+1000x60", subscription("ack_message_count", "enriched-score"): "0+100x60",
	}, rings: []string{"score-iterator-age"}},
	{name: "score is behind, and nothing comes any more", at: "14m", series: series{
		subscription("oldest_unacked_message_age", "enriched-score"): "0+60x60", subscription("num_undelivered_messages", "enriched-score"): "900x60",
	}, rings: []string{"score-iterator-age"}},
	{name: "score stands still", at: "14m", series: series{
		subscription("oldest_unacked_message_age", "enriched-score"): "0+60x60", subscription("num_undelivered_messages", "enriched-score"): "0+1000x60",
		topic("message_sizes_count", "enriched"): "0+1000x60", subscription("ack_message_count", "enriched-score"): "0x60",
	}, rings: []string{"score-iterator-age", "score-stalled"}},
	{name: "score never did anything", at: "14m", series: series{topic("message_sizes_count", "enriched"): "0+10x60"}, rings: []string{"score-stalled"}},
	{name: "a message now and then", at: "30m", series: series{topic("message_sizes_count", "enriched"): "0x9 1x9 2x9 3x9", subscription("ack_message_count", "enriched-score"): "0x9 1x9 2x9 3x9"}},
	{name: "the other cloud is away for half an hour", at: "30m", only: "everything", series: series{
		subscription("oldest_unacked_message_age", "enriched-relay"): "0+60x60", subscription("num_undelivered_messages", "enriched-relay"): "0+1000x60",
		topic("message_sizes_count", "enriched"): "0+1000x60", subscription("ack_message_count", "enriched-score"): "0+1000x60", subscription("ack_message_count", "enriched-relay"): "0x60",
	}},
	{name: "the other cloud is away", at: "70m", only: "everything", series: series{
		subscription("oldest_unacked_message_age", "enriched-relay"): "0+60x80", subscription("num_undelivered_messages", "enriched-relay"): "0+1000x80",
	}, rings: []string{"relay-lag"}},
	{name: "relay ships what is old", at: "20m", only: "everything", series: series{
		own("relay_lag_bucket", "relay", `le="3600000"`): "0x60", own("relay_lag_bucket", "relay", `le="14400000"`): "0+10x60", own("relay_lag_bucket", "relay", `le="+Inf"`): "0+10x60",
	}, rings: []string{"relay-lag"}},
	{name: "relay ships what is new", at: "20m", only: "everything", series: series{
		own("relay_lag_bucket", "relay", `le="1000"`): "0+10x60", own("relay_lag_bucket", "relay", `le="3600000"`): "0+10x60", own("relay_lag_bucket", "relay", `le="+Inf"`): "0+10x60",
	}},
	{name: "relay fails", at: "20m", only: "everything", series: series{cloudRun("request_count", "relay", `response_code_class="5xx"`): "0+20x60"}, rings: []string{"relay-errors"}},
	{name: "the raw stream refuses", at: "20m", only: "everything", series: series{own("events_failed_over_sum", "beacon"): "0+1x60"}, rings: []string{"beacon-failing-over"}},
	{name: "a dead letter", at: "12m", series: series{subscription("dead_letter_message_count", "enriched-score"): "0x10 1x50"}, rings: []string{"score-given-up"}},
	{name: "a parked message", at: "12m", series: series{subscription("num_undelivered_messages", "score-parked"): "0x5 1x50"}, rings: []string{"score-redrive-dead-letters"}},
	{name: "a row that does not fit", at: "12m", only: "everything", series: series{subscription("num_undelivered_messages", "archive-dead"): "0x5 1x50"}, rings: []string{"archive-dead-letters"}},
	{name: "the archive is not written", at: "60m", only: "everything", series: series{subscription("oldest_unacked_message_age", "archive"): "0+60x60"}, rings: []string{"enriched-archive-age"}},
	{name: "actions nobody takes", at: "60m", series: series{subscription("oldest_unacked_message_age", "actions"): "0+60x60"}},
	{name: "publishing fails", at: "20m", series: series{
		topic("send_request_count", "raw", `response_class="internal"`): "0+20x60", topic("send_request_count", "raw", `response_class="success"`): "0+980x60",
	}, rings: []string{"raw-write-throttles"}},

	{name: "all in time", at: "400m", series: histogram(latency, "latency", 50, 100)},
	{name: "one in ten too late", at: "400m", series: histogram(latency, "latency", 50, 90, 100), rings: []string{"latency-burn-slow"}},
	{name: "one in five too late", at: "400m", series: histogram(latency, "latency", 50, 80, 100), rings: []string{"latency-burn-fast", "latency-burn-slow"}},
	{name: "a few, all too late", at: "61m", series: series{
		latency("latency_bucket", `le="1000"`): "0x400", latency("latency_bucket", `le="+Inf"`): "0x50 10x350", latency("latency_count"): "0x50 10x350",
	}},
	{name: "no sweep comes through", at: "40m", series: series{own("fragments_swept_count", "score"): "0+1x10 10x50"}, rings: []string{"score-sweep"}},
	{name: "there never was a sweep", at: "20m", series: series{own("fragments_swept_count", "score"): "_x60"}, rings: []string{"score-sweep"}},
	{name: "sweeps stop for a moment", at: "22m", series: series{own("fragments_swept_count", "score"): "0+1x10 10x10 11+1x40"}},
	{name: "ids leave the window", at: "30m", series: series{own("window_evictions_sum", "score"): "0+1x60"}, rings: []string{"score-window-evictions"}},

	{name: "nodes are busy", at: "20m", only: "bigtable", series: series{cluster("cluster_cpu_load"): "0.9x60"}, rings: []string{"table-cpu"}},
	{name: "a node is", at: "20m", only: "bigtable", series: series{cluster("cluster_cpu_load_hottest_node"): "0.96x60"}, rings: []string{"table-hottest-node"}},
	{name: "nodes are full", at: "20m", only: "bigtable", series: series{cluster("cluster_storage_utilization"): "0.75x60"}, rings: []string{"table-storage"}},
	{name: "writes are slow", at: "20m", only: "bigtable", series: histogram(writes, "server_latencies", 90, 100), rings: []string{"table-latency"}},
	{name: "scans take their time", at: "20m", only: "bigtable", series: histogram(reads, "server_latencies", 90, 100)},
	{name: "the database fails", at: "20m", only: "documents", series: series{database("api_request_count", `response_code="UNAVAILABLE"`): "0+20x60", database("api_request_count", `response_code="OK"`): "0+980x60"}, rings: []string{"table-system-errors"}},
	{name: "writers of a document meet", at: "20m", only: "documents", series: series{database("api_request_count", `response_code="ABORTED"`): "0+200x60", database("api_request_count", `response_code="OK"`): "0+800x60"}},
	{name: "commits are slow", at: "20m", only: "documents", series: series{
		commits("api_request_latencies_bucket", `le="0.1"`): "0+90x60", commits("api_request_latencies_bucket", `le="1"`): "0+100x60", commits("api_request_latencies_bucket", `le="+Inf"`): "0+100x60",
	}, rings: []string{"table-latency"}},
	{name: "the table fails", at: "20m", only: "bigtable", series: series{table("server_error_count"): "0+20x60", table("server_request_count"): "0+980x60"}, rings: []string{"table-system-errors"}},
}

// alarmsRing has Prometheus evaluate a plan's alarms: in each scenario those
// ring that should, and no others. Cloud Monitoring has PromQL as Prometheus 2.44
// has it: https://cloud.google.com/stackdriver/docs/managed-prometheus/promql-differences
func alarmsRing(t *testing.T, p *Plan, install string) {
	program, err := exec.LookPath("promtool")
	if err != nil {
		emulators.Missing(t, "no promtool in PATH: whether alarms ring is not checked. It comes with Prometheus (https://prometheus.io/download)")
	}
	name, _ := p.Variables["name"].(string)
	host := strings.TrimPrefix(p.Outputs["beacon_url"].(string), "https://")
	type rule struct {
		Alert string `json:"alert"`
		Expr  string `json:"expr"`
		For   string `json:"for"`
	}
	var rules []rule
	rang := map[string]bool{}
	for _, r := range p.Of("google_monitoring_alert_policy") {
		alarm := strings.TrimPrefix(r.text("display_name"), name+"-")
		rang[alarm] = false
		rules = append(rules, rule{alarm, r.text("conditions.0.condition_prometheus_query_language.0.query"), r.text("conditions.0.condition_prometheus_query_language.0.duration")})
	}
	type input struct {
		Series string `json:"series"`
		Values string `json:"values"`
	}
	type expected struct {
		At     string           `json:"eval_time"`
		Alert  string           `json:"alertname"`
		Alerts []map[string]any `json:"exp_alerts"`
	}
	type test struct {
		Name     string     `json:"name"`
		Interval string     `json:"interval"`
		Input    []input    `json:"input_series"`
		Expected []expected `json:"alert_rule_test"`
	}
	var tests []test
	for _, s := range scenarios {
		switch {
		case s.only == "", s.only == install:
		case s.only == "bigtable" && install != "documents", s.only == "own address" && install != "everything":
		default:
			continue
		}
		c := test{Name: s.name, Interval: "1m"}
		if sweeps := own("fragments_swept_count", "score"); s.series[sweeps] == "" {
			c.Input = append(c.Input, input{strings.ReplaceAll(sweeps, "HITO", name), "0+1x400"}) // as ever
		}
		for _, key := range slices.Sorted(maps.Keys(s.series)) {
			c.Input = append(c.Input, input{strings.NewReplacer("HITO", name, "HOST", host).Replace(key), s.series[key]})
		}
		for _, alarm := range s.rings {
			if _, ok := rang[alarm]; !ok {
				t.Errorf("%s: there is no alarm %s", s.name, alarm)
			}
			rang[alarm] = true
		}
		for alarm := range rang {
			e := expected{At: s.at, Alert: alarm}
			if slices.Contains(s.rings, alarm) {
				e.Alerts = []map[string]any{{}}
			}
			c.Expected = append(c.Expected, e)
		}
		tests = append(tests, c)
	}
	dir := t.TempDir()
	write := func(file string, content any) {
		data, err := json.Marshal(content) // which is YAML too
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, file), data, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	write("rules.yaml", map[string]any{"groups": []any{map[string]any{"name": "alarms", "interval": "1m", "rules": rules}}})
	write("tests.yaml", map[string]any{"rule_files": []string{"rules.yaml"}, "evaluation_interval": "1m", "tests": tests})
	cmd := exec.CommandContext(t.Context(), program, "test", "rules", "tests.yaml")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("promtool: %v\n%s", err, out)
	}
	// Those of the other functions, streams and queues ask the same.
	kinds := map[string]bool{}
	for alarm, did := range rang {
		kind := regexp.MustCompile(`^(beacon|enrich|score|profile|relay|raw|enriched|actions|archive|table)-(redrive-)?`).ReplaceAllString(alarm, "")
		kinds[kind] = kinds[kind] || did
	}
	for kind, did := range kinds {
		if !did {
			t.Errorf("no scenario rings an alarm …-%s", kind)
		}
	}
}

var named = regexp.MustCompile(`\$HITO-[a-z0-9-]*[a-z0-9]`)

// namesThere finds what runbooks name in an install on Google Cloud and is not there.
func namesThere(t *testing.T, p *Plan) {
	there := map[string]bool{}
	for _, r := range p.Resources {
		for _, attribute := range []string{"name", "account_id", "secret_id", "display_name"} {
			there[r.text(attribute)] = true
		}
	}
	pages, err := filepath.Glob(filepath.Join(repository(t), "docs", "runbooks", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		part := string(text)
		if !strings.Contains(part, "(Google Cloud only") {
			_, part, _ = strings.Cut(part, "\n## On Google Cloud\n")
		}
		for _, n := range named.FindAllString(part, -1) {
			found++
			name := strings.TrimSuffix(strings.Replace(n, "$HITO", "hito", 1), "-worker") // which there may be
			if !there[name] && name != "hito-projects" {                                  // whose name goes on
				t.Errorf("%s names %s, which is not there", filepath.Base(page), n)
			}
		}
	}
	if found < 20 {
		t.Errorf("only %d names are found in the runbooks", found)
	}
}
