package deployed

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// A builder gathers resources, and what refers to them.
type builder struct {
	deployment *Deployment
	modules    map[string][]string // function names by module
	roles      map[string][]string // role names by module
	functions  []string            // the modules of Deployment.Functions
	mappings   []string            // the modules of Deployment.Mappings
	urls       []functionURL
	policies   map[string]Policy // attachable ones, by ARN
	inline     []rolePolicy
	attached   []rolePolicy
}

type functionURL struct{ module, function, url string }

type rolePolicy struct {
	module string
	role   string // name; "" in a plan
	policy Policy
	arn    string // of an attached one
}

// add reads one resource. Kinds that emulators do not need are passed over.
func (b *builder) add(r *resource) error {
	read := map[string]func(*resource) error{
		"aws_lambda_function":             b.function,
		"aws_lambda_event_source_mapping": b.mapping,
		"aws_lambda_function_url":         b.url,
		"aws_kinesis_stream":              b.stream,
		"aws_dynamodb_table":              b.table,
		"aws_sqs_queue":                   b.queue,
		"aws_sqs_queue_redrive_policy":    b.redrive,
		"aws_iam_role":                    b.role,
		"aws_iam_role_policy":             b.rolePolicy,
		"aws_iam_policy":                  b.policy,
		"aws_iam_role_policy_attachment":  b.attachment,
		"aws_cloudfront_distribution":     b.distribution,
	}[r.Type]
	if read == nil {
		return nil
	}
	return read(r)
}

// seconds are what Terraform has durations in.
func seconds(n int) time.Duration { return time.Duration(n) * time.Second }

func (b *builder) function(r *resource) error {
	var v struct {
		Name          string   `json:"function_name"`
		ARN           string   `json:"arn"`
		Filename      string   `json:"filename"`
		Bucket        string   `json:"s3_bucket"`
		Key           string   `json:"s3_key"`
		Runtime       string   `json:"runtime"`
		Handler       string   `json:"handler"`
		Architectures []string `json:"architectures"`
		Memory        int      `json:"memory_size"`
		Timeout       int      `json:"timeout"`
		Environment   []struct {
			Variables map[string]string `json:"variables"`
		} `json:"environment"`
		Role        string `json:"role"`
		Concurrency *int   `json:"reserved_concurrent_executions"`
	}
	if err := json.Unmarshal(r.Values, &v); err != nil {
		return err
	}
	f := Function{
		Address: r.Address, Name: v.Name, ARN: v.ARN, Zip: v.Filename, Bucket: v.Bucket, Key: v.Key, Runtime: v.Runtime, Handler: v.Handler,
		Architecture: "x86_64", MemoryMB: v.Memory, Timeout: seconds(v.Timeout), Role: roleName(v.Role), Concurrency: -1, Environment: map[string]string{},
	}
	if len(v.Architectures) > 0 {
		f.Architecture = v.Architectures[0]
	}
	if len(v.Environment) > 0 && v.Environment[0].Variables != nil {
		f.Environment = v.Environment[0].Variables
	}
	if v.Concurrency != nil {
		f.Concurrency = *v.Concurrency
	}
	b.deployment.Functions = append(b.deployment.Functions, f)
	if b.modules == nil {
		b.modules = make(map[string][]string)
	}
	b.modules[r.module] = append(b.modules[r.module], f.Name)
	b.functions = append(b.functions, r.module)
	return nil
}

func (b *builder) mapping(r *resource) error {
	var v struct {
		Function      string   `json:"function_name"`
		Source        string   `json:"event_source_arn"`
		Enabled       *bool    `json:"enabled"`
		BatchSize     int      `json:"batch_size"`
		Window        int      `json:"maximum_batching_window_in_seconds"`
		Lanes         int      `json:"parallelization_factor"`
		Start         string   `json:"starting_position"`
		Retries       *int     `json:"maximum_retry_attempts"`
		RecordAge     int      `json:"maximum_record_age_in_seconds"`
		Bisect        bool     `json:"bisect_batch_on_function_error"`
		ResponseTypes []string `json:"function_response_types"`
		Tumbling      int      `json:"tumbling_window_in_seconds"`
		Destination   []struct {
			OnFailure []struct {
				ARN string `json:"destination_arn"`
			} `json:"on_failure"`
		} `json:"destination_config"`
		Scaling []struct {
			MaximumConcurrency int `json:"maximum_concurrency"`
		} `json:"scaling_config"`
		Criteria []struct {
			Filters []struct {
				Pattern string `json:"pattern"`
			} `json:"filter"`
		} `json:"filter_criteria"`
	}
	if err := json.Unmarshal(r.Values, &v); err != nil {
		return err
	}
	m := Mapping{
		Address: r.Address, Function: functionName(v.Function), Source: v.Source, Enabled: v.Enabled == nil || *v.Enabled, BatchSize: v.BatchSize,
		Window: seconds(v.Window), Lanes: v.Lanes, Start: v.Start, RecordAge: max(0, seconds(v.RecordAge)), Bisect: v.Bisect,
		ReportsItemFailures: slices.Contains(v.ResponseTypes, "ReportBatchItemFailures"), TumblingWindowSeconds: v.Tumbling,
	}
	if v.Retries != nil && *v.Retries >= 0 {
		m.Retries = v.Retries
	}
	for _, d := range v.Destination {
		for _, o := range d.OnFailure {
			m.OnFailure = o.ARN
		}
	}
	for _, s := range v.Scaling {
		m.MaximumConcurrency = s.MaximumConcurrency
	}
	for _, c := range v.Criteria {
		for _, f := range c.Filters {
			m.FilterPatterns = append(m.FilterPatterns, f.Pattern)
		}
	}
	b.deployment.Mappings = append(b.deployment.Mappings, m)
	b.mappings = append(b.mappings, r.module)
	return nil
}

func (b *builder) url(r *resource) error {
	var v struct {
		Function string `json:"function_name"`
		URL      string `json:"function_url"`
	}
	if err := json.Unmarshal(r.Values, &v); err != nil {
		return err
	}
	b.urls = append(b.urls, functionURL{r.module, functionName(v.Function), strings.TrimSuffix(v.URL, "/")})
	return nil
}

func (b *builder) stream(r *resource) error {
	var v struct {
		Name      string `json:"name"`
		ARN       string `json:"arn"`
		Shards    int    `json:"shard_count"`
		Retention int    `json:"retention_period"` // hours
		Mode      []struct {
			Mode string `json:"stream_mode"`
		} `json:"stream_mode_details"`
	}
	if err := json.Unmarshal(r.Values, &v); err != nil {
		return err
	}
	s := Stream{Address: r.Address, Name: v.Name, ARN: v.ARN, Shards: v.Shards, Retention: time.Duration(v.Retention) * time.Hour}
	if len(v.Mode) > 0 && v.Mode[0].Mode == "ON_DEMAND" {
		s.Shards = 0
	}
	b.deployment.Streams = append(b.deployment.Streams, s)
	return nil
}

func (b *builder) table(r *resource) error {
	var v struct {
		Name       string `json:"name"`
		ARN        string `json:"arn"`
		Hash       string `json:"hash_key"`
		Range      string `json:"range_key"`
		Attributes []struct {
			Name string `json:"name"`
			Type string `json:"type"`
		} `json:"attribute"`
		Indexes []struct {
			Name       string   `json:"name"`
			Hash       string   `json:"hash_key"`
			Range      string   `json:"range_key"`
			Projection string   `json:"projection_type"`
			Include    []string `json:"non_key_attributes"`
		} `json:"global_secondary_index"`
		TTL []struct {
			Attribute string `json:"attribute_name"`
			Enabled   bool   `json:"enabled"`
		} `json:"ttl"`
	}
	if err := json.Unmarshal(r.Values, &v); err != nil {
		return err
	}
	t := Table{Address: r.Address, Name: v.Name, ARN: v.ARN, Key: Key{v.Hash, v.Range}, Attributes: make(map[string]string, len(v.Attributes))}
	for _, a := range v.Attributes {
		t.Attributes[a.Name] = a.Type
	}
	for _, i := range v.Indexes {
		t.Indexes = append(t.Indexes, Index{Name: i.Name, Key: Key{i.Hash, i.Range}, Projection: i.Projection, Include: i.Include})
	}
	for _, ttl := range v.TTL {
		if ttl.Enabled {
			t.TTL = ttl.Attribute
		}
	}
	b.deployment.Tables = append(b.deployment.Tables, t)
	return nil
}

func (b *builder) queue(r *resource) error {
	var v struct {
		Name       string `json:"name"`
		ARN        string `json:"arn"`
		URL        string `json:"url"`
		Visibility int    `json:"visibility_timeout_seconds"`
		Retention  int    `json:"message_retention_seconds"`
		Redrive    string `json:"redrive_policy"`
	}
	if err := json.Unmarshal(r.Values, &v); err != nil {
		return err
	}
	q := Queue{
		Address: r.Address, Name: v.Name, ARN: v.ARN, URL: v.URL, VisibilityTimeout: seconds(v.Visibility), Retention: seconds(v.Retention),
	}
	if err := q.redrive(v.Redrive); err != nil {
		return err
	}
	b.deployment.Queues = append(b.deployment.Queues, q)
	return nil
}

// redrive reads a redrive policy's JSON.
func (q *Queue) redrive(policy string) error {
	if policy == "" {
		return nil
	}
	var v struct {
		Target string `json:"deadLetterTargetArn"`
		// A number, which older policies have as a text.
		MaxReceives json.Number `json:"maxReceiveCount"`
	}
	if err := json.Unmarshal([]byte(policy), &v); err != nil {
		return fmt.Errorf("redrive policy: %w", err)
	}
	n, err := v.MaxReceives.Int64()
	if err != nil {
		return fmt.Errorf("redrive policy: %w", err)
	}
	q.DeadLetter, q.MaxReceives = v.Target, int(n)
	return nil
}

// redrive is a redrive policy as a resource of its own.
func (b *builder) redrive(r *resource) error {
	var v struct {
		URL     string `json:"queue_url"`
		Redrive string `json:"redrive_policy"`
	}
	if err := json.Unmarshal(r.Values, &v); err != nil {
		return err
	}
	for i := range b.deployment.Queues {
		if q := &b.deployment.Queues[i]; q.URL == v.URL {
			return q.redrive(v.Redrive)
		}
	}
	return fmt.Errorf("no queue has the URL %q", v.URL)
}
