package deployed

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// A builder gathers resources, and what refers to them.
type builder struct {
	deployment *Deployment
	owners     map[string][]string // names by kind and module
	late       []func() error      // what needs all resources
	groups     map[string]string   // function names by the network endpoint group's name
	backends   map[string]string   // network endpoint groups by the backend service's name
	mapped     []mapped
}

// A mapped is a backend service that a URL map names, and where its function goes.
type mapped struct {
	service  string
	function *string
}

// add reads one resource. Kinds that emulators do not need are passed over.
func (b *builder) add(r *resource) error {
	read := map[string]func(*resource) error{
		"google_cloud_run_v2_service":                  b.function,
		"google_cloud_run_v2_service_iam_member":       b.invoker,
		"google_pubsub_topic":                          b.topic,
		"google_pubsub_subscription":                   b.subscription,
		"google_bigtable_table":                        b.table,
		"google_bigtable_gc_policy":                    b.policy,
		"google_bigtable_app_profile":                  b.profile,
		"google_storage_bucket":                        b.bucket,
		"google_storage_bucket_object":                 b.object,
		"google_secret_manager_secret":                 b.secret,
		"google_secret_manager_secret_version":         b.version,
		"google_cloud_scheduler_job":                   b.job,
		"google_compute_region_network_endpoint_group": b.group,
		"google_compute_backend_service":               b.backend,
		"google_compute_url_map":                       b.urlMap,
		"google_cloud_run_v2_service_iam_binding":      unread,
		"google_cloud_run_v2_service_iam_policy":       unread,
	}[r.Type]
	if read == nil {
		return nil
	}
	return read(r)
}

// unread refuses a resource that would change what is read of others.
func unread(r *resource) error { return fmt.Errorf("a %s is not read here", r.Type) }

// owns notes that a module has a thing of a kind.
func (b *builder) owns(kind, module, name string) {
	if b.owners == nil {
		b.owners = make(map[string][]string)
	}
	b.owners[kind+" "+module] = append(b.owners[kind+" "+module], name)
}

// or returns name, or where a plan does not know it that of the only thing of the
// kind that the module has.
func (b *builder) or(name, kind, module string) string {
	if owned := b.owners[kind+" "+module]; name == "" && len(owned) == 1 {
		return owned[0]
	}
	return name
}

// after runs f when all resources have been read.
func (b *builder) after(f func()) { b.late = append(b.late, func() error { f(); return nil }) }

// link runs what needs all resources.
func (b *builder) link() error {
	for _, f := range b.late {
		if err := f(); err != nil {
			return err
		}
	}
	for _, m := range b.mapped {
		*m.function = b.groups[b.backends[last(m.service)]]
	}
	return nil
}

// duration reads a duration such as 3.5s or 960h, "" as otherwise.
func duration(text string, otherwise time.Duration) (time.Duration, error) {
	if text == "" {
		return otherwise, nil
	}
	return time.ParseDuration(text)
}

// full is a resource's whole name: projects/project/kind/name.
func full(project, kind, name string) (string, error) {
	switch {
	case name == "" || strings.HasPrefix(name, "projects/"):
		return name, nil
	case project == "":
		return "", fmt.Errorf("the project of %s is not known", name)
	}
	return "projects/" + project + "/" + kind + "/" + name, nil
}

// first is the only one of a list of at most one, as Terraform has blocks; or nil.
func first[T any](list []T) *T {
	if len(list) == 0 {
		return nil
	}
	return &list[0]
}

func (b *builder) function(r *resource) error {
	type scaling struct {
		Min int `json:"min_instance_count"`
		Max int `json:"max_instance_count"`
	}
	var v struct {
		Name      string    `json:"name"`
		Project   string    `json:"project"`
		Location  string    `json:"location"`
		URI       string    `json:"uri"`
		Ingress   string    `json:"ingress"`
		Audiences []string  `json:"custom_audiences"`
		Open      bool      `json:"invoker_iam_disabled"`
		Scaling   []scaling `json:"scaling"`
		Build     []struct {
			Target string `json:"function_target"`
			Source string `json:"source_location"`
		} `json:"build_config"`
		Template []struct {
			Account     string    `json:"service_account"`
			Timeout     string    `json:"timeout"`
			Concurrency int       `json:"max_instance_request_concurrency"`
			Scaling     []scaling `json:"scaling"`
			Containers  []struct {
				Image     string `json:"image"`
				Resources []struct {
					Limits map[string]string `json:"limits"`
				} `json:"resources"`
				Env []struct {
					Name   string  `json:"name"`
					Value  *string `json:"value"`
					Source []struct {
						Secret []struct {
							Secret  string `json:"secret"`
							Version string `json:"version"`
						} `json:"secret_key_ref"`
					} `json:"value_source"`
				} `json:"env"`
			} `json:"containers"`
		} `json:"template"`
		Traffic []struct {
			Revision string `json:"revision"`
			Percent  int    `json:"percent"`
			Tag      string `json:"tag"`
		} `json:"traffic"`
	}
	if err := json.Unmarshal(r.Values, &v); err != nil {
		return err
	}
	f := Function{
		Address: r.Address, Name: v.Name, Project: v.Project, Location: v.Location, URL: strings.TrimSuffix(v.URI, "/"), Audiences: v.Audiences,
		Ingress: v.Ingress, Environment: make(map[string]string), Secrets: make(map[string]string), Timeout: 5 * time.Minute, Concurrency: 80,
		MaxInstances: 100, CPU: "1", Memory: "512Mi",
	}
	if f.Ingress == "" {
		f.Ingress = "INGRESS_TRAFFIC_ALL"
	}
	if v.Open {
		f.Invokers = []string{"allUsers"}
	}
	if build := first(v.Build); build != nil {
		f.Target, f.Source = build.Target, build.Source
	}
	scale := func(s []scaling) {
		if s := first(s); s != nil {
			f.MinInstances = max(f.MinInstances, s.Min)
			if s.Max > 0 {
				f.MaxInstances = s.Max
			}
		}
	}
	scale(v.Scaling)
	if t := first(v.Template); t != nil {
		scale(t.Scaling)
		f.Account = t.Account
		if t.Concurrency > 0 {
			f.Concurrency = t.Concurrency
		}
		var err error
		if f.Timeout, err = duration(t.Timeout, f.Timeout); err != nil {
			return err
		}
		if len(t.Containers) > 1 {
			return errors.New("it has several containers")
		}
		if c := first(t.Containers); c != nil {
			f.Image = c.Image
			if limits := first(c.Resources); limits != nil {
				f.CPU, f.Memory = orText(limits.Limits["cpu"], f.CPU), orText(limits.Limits["memory"], f.Memory)
			}
			for _, e := range c.Env {
				switch {
				case e.Value != nil && len(e.Source) == 0:
					f.Environment[e.Name] = *e.Value
				case len(e.Source) > 0 && len(e.Source[0].Secret) > 0 && e.Source[0].Secret[0].Secret != "":
					secret := e.Source[0].Secret[0]
					name, err := full(v.Project, "secrets", secret.Secret)
					if err != nil {
						return err
					}
					f.Secrets[e.Name] = name + "/versions/" + orText(secret.Version, "latest")
				default:
					f.Unknown = append(f.Unknown, e.Name)
				}
			}
		}
	}
	slices.Sort(f.Unknown)
	f.Target = orText(f.Target, f.Environment["FUNCTION_TARGET"])
	for _, t := range v.Traffic {
		f.Traffic = append(f.Traffic, Traffic{t.Revision, t.Percent, t.Tag})
	}
	b.deployment.Functions = append(b.deployment.Functions, f)
	b.owns("function", r.module, f.Name)
	return nil
}

func orText(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

func (b *builder) invoker(r *resource) error {
	var v struct {
		Name      string     `json:"name"`
		Role      string     `json:"role"`
		Member    string     `json:"member"`
		Condition []struct{} `json:"condition"`
	}
	if err := json.Unmarshal(r.Values, &v); err != nil {
		return err
	}
	if v.Role != "roles/run.invoker" {
		return nil
	}
	if len(v.Condition) > 0 {
		return errors.New("its condition is not read here")
	}
	b.late = append(b.late, func() error {
		f, ok := b.deployment.Function(b.or(last(v.Name), "function", r.module))
		if !ok {
			return fmt.Errorf("read %s: there is no function %q", r.Address, v.Name)
		}
		f.Invokers = append(f.Invokers, v.Member)
		return nil
	})
	return nil
}

func (b *builder) topic(r *resource) error {
	var v struct {
		Name      string `json:"name"`
		Project   string `json:"project"`
		Retention string `json:"message_retention_duration"`
	}
	if err := json.Unmarshal(r.Values, &v); err != nil {
		return err
	}
	t := Topic{Address: r.Address}
	var err error
	if t.Name, err = full(v.Project, "topics", v.Name); err != nil {
		return err
	}
	if t.Retention, err = duration(v.Retention, 0); err != nil {
		return err
	}
	b.deployment.Topics = append(b.deployment.Topics, t)
	b.owns("topic", r.module, t.Name)
	return nil
}

func (b *builder) subscription(r *resource) error {
	var v struct {
		Name        string `json:"name"`
		Project     string `json:"project"`
		Topic       string `json:"topic"`
		AckDeadline int    `json:"ack_deadline_seconds"`
		Retention   string `json:"message_retention_duration"`
		Filter      string `json:"filter"`
		Ordered     bool   `json:"enable_message_ordering"`
		Expiration  []struct {
			TTL string `json:"ttl"`
		} `json:"expiration_policy"`
		Retry []struct {
			Min string `json:"minimum_backoff"`
			Max string `json:"maximum_backoff"`
		} `json:"retry_policy"`
		DeadLetter []struct {
			Topic    string `json:"dead_letter_topic"`
			Attempts int    `json:"max_delivery_attempts"`
		} `json:"dead_letter_policy"`
		Push []struct {
			Endpoint  string `json:"push_endpoint"`
			NoWrapper []struct {
				WriteMetadata bool `json:"write_metadata"`
			} `json:"no_wrapper"`
			Token []struct {
				Account  string `json:"service_account_email"`
				Audience string `json:"audience"`
			} `json:"oidc_token"`
		} `json:"push_config"`
		BigQuery []struct {
			Table          string `json:"table"`
			UseTableSchema bool   `json:"use_table_schema"`
			DropUnknown    bool   `json:"drop_unknown_fields"`
			WriteMetadata  bool   `json:"write_metadata"`
		} `json:"bigquery_config"`
	}
	if err := json.Unmarshal(r.Values, &v); err != nil {
		return err
	}
	s := Subscription{Address: r.Address, AckDeadline: 10 * time.Second, Expires: true, Filter: v.Filter, Ordered: v.Ordered}
	var err error
	if s.Name, err = full(v.Project, "subscriptions", v.Name); err != nil {
		return err
	}
	if s.Topic, err = full(v.Project, "topics", v.Topic); err != nil {
		return err
	}
	if v.AckDeadline > 0 {
		s.AckDeadline = time.Duration(v.AckDeadline) * time.Second
	}
	if s.Retention, err = duration(v.Retention, 7*24*time.Hour); err != nil {
		return err
	}
	if e := first(v.Expiration); e != nil && e.TTL == "" {
		s.Expires = false
	}
	if p := first(v.Retry); p != nil { // cloud.google.com/pubsub/docs/reference/rest/v1/projects.subscriptions#RetryPolicy
		var minErr, maxErr error
		s.MinBackoff, minErr = duration(p.Min, 10*time.Second)
		s.MaxBackoff, maxErr = duration(p.Max, 10*time.Minute)
		if err := errors.Join(minErr, maxErr); err != nil {
			return err
		}
	}
	if d := first(v.DeadLetter); d != nil {
		s.DeadLetter = &DeadLetter{Attempts: d.Attempts}
		if s.DeadLetter.Attempts == 0 {
			s.DeadLetter.Attempts = 5
		}
		if s.DeadLetter.Topic, err = full(v.Project, "topics", d.Topic); err != nil {
			return err
		}
	}
	if p := first(v.Push); p != nil {
		s.Push = &Push{Endpoint: p.Endpoint}
		if n := first(p.NoWrapper); n != nil {
			s.Push.NoWrapper, s.Push.WriteMetadata = true, n.WriteMetadata
		}
		if t := first(p.Token); t != nil {
			s.Push.Account, s.Push.Audience = t.Account, orText(t.Audience, p.Endpoint)
		}
	}
	if q := first(v.BigQuery); q != nil {
		s.BigQuery = &BigQuery{Table: q.Table, UseTableSchema: q.UseTableSchema, DropUnknownFields: q.DropUnknown, WithHeader: q.WriteMetadata}
	}
	at := len(b.deployment.Subscriptions)
	b.deployment.Subscriptions = append(b.deployment.Subscriptions, s)
	b.after(func() {
		s := &b.deployment.Subscriptions[at]
		s.Topic = b.or(s.Topic, "topic", r.module)
		if s.Push != nil {
			s.Push.Function = b.serving(s.Push.Endpoint, r.module)
		}
	})
	return nil
}

// serving is the name of the function that serves a URL.
func (b *builder) serving(url, module string) string {
	if f, ok := b.deployment.Serving(url); ok {
		return f.Name
	}
	if url == "" {
		return b.or("", "function", module)
	}
	return ""
}

func (b *builder) table(r *resource) error {
	var v struct {
		Project  string `json:"project"`
		Instance string `json:"instance_name"`
		Name     string `json:"name"`
		Families []struct {
			Name string `json:"family"`
			Type string `json:"type"`
		} `json:"column_family"`
	}
	if err := json.Unmarshal(r.Values, &v); err != nil {
		return err
	}
	t := Table{Address: r.Address, Project: v.Project, Instance: last(v.Instance), Name: v.Name, Families: make(map[string]Family, len(v.Families))}
	for _, f := range v.Families {
		t.Families[f.Name] = Family{Type: f.Type}
	}
	b.deployment.Tables = append(b.deployment.Tables, t)
	b.owns("table", r.module, t.Name)
	return nil
}

func (b *builder) policy(r *resource) error {
	var v struct {
		Instance string `json:"instance_name"`
		Table    string `json:"table"`
		Family   string `json:"column_family"`
		Mode     string `json:"mode"`
		Rules    string `json:"gc_rules"`
		Age      []struct {
			Days     int    `json:"days"`
			Duration string `json:"duration"`
		} `json:"max_age"`
		Versions []struct {
			Number int `json:"number"`
		} `json:"max_version"`
	}
	if err := json.Unmarshal(r.Values, &v); err != nil {
		return err
	}
	if v.Rules != "" {
		return errors.New("gc_rules are not read here")
	}
	age, versions := time.Duration(0), 0
	if a := first(v.Age); a != nil {
		var err error
		if age, err = duration(a.Duration, time.Duration(a.Days)*24*time.Hour); err != nil {
			return err
		}
	}
	if n := first(v.Versions); n != nil {
		versions = n.Number
	}
	b.late = append(b.late, func() error {
		name := b.or(v.Table, "table", r.module)
		for _, t := range b.deployment.Tables {
			if f, ok := t.Families[v.Family]; ok && t.Name == name && (v.Instance == "" || t.Instance == last(v.Instance)) {
				f.Age, f.Versions, f.Intersection = age, versions, v.Mode == "INTERSECTION"
				t.Families[v.Family] = f
				return nil
			}
		}
		return fmt.Errorf("read %s: table %q has no family %q", r.Address, name, v.Family)
	})
	return nil
}

func (b *builder) profile(r *resource) error {
	var v struct {
		Project  string `json:"project"`
		Instance string `json:"instance"`
		Name     string `json:"app_profile_id"`
		Single   []struct {
			Cluster       string `json:"cluster_id"`
			Transactional bool   `json:"allow_transactional_writes"`
		} `json:"single_cluster_routing"`
	}
	if err := json.Unmarshal(r.Values, &v); err != nil {
		return err
	}
	p := Profile{Address: r.Address, Project: v.Project, Instance: last(v.Instance), Name: v.Name}
	if s := first(v.Single); s != nil {
		p.Cluster, p.TransactionalWritesAllowed = s.Cluster, s.Transactional
	}
	b.deployment.Profiles = append(b.deployment.Profiles, p)
	return nil
}

func (b *builder) bucket(r *resource) error {
	var v struct {
		Name string `json:"name"`
	}
	if err := json.Unmarshal(r.Values, &v); err != nil {
		return err
	}
	b.deployment.Buckets = append(b.deployment.Buckets, Bucket{Address: r.Address, Name: v.Name})
	b.owns("bucket", r.module, v.Name)
	return nil
}

func (b *builder) object(r *resource) error {
	var v struct {
		Bucket      string `json:"bucket"`
		Name        string `json:"name"`
		Content     string `json:"content"`
		Source      string `json:"source"`
		ContentType string `json:"content_type"`
	}
	if err := json.Unmarshal(r.Values, &v); err != nil {
		return err
	}
	b.late = append(b.late, func() error {
		name := b.or(v.Bucket, "bucket", r.module)
		for i := range b.deployment.Buckets {
			if bucket := &b.deployment.Buckets[i]; bucket.Name == name {
				bucket.Objects = append(bucket.Objects, Object{Address: r.Address, Name: v.Name, Content: v.Content, Source: v.Source, ContentType: v.ContentType})
				return nil
			}
		}
		return fmt.Errorf("read %s: there is no bucket %q", r.Address, name)
	})
	return nil
}

func (b *builder) secret(r *resource) error {
	var v struct {
		Project string `json:"project"`
		ID      string `json:"secret_id"`
	}
	if err := json.Unmarshal(r.Values, &v); err != nil {
		return err
	}
	name, err := full(v.Project, "secrets", v.ID)
	if err != nil {
		return err
	}
	b.deployment.Secrets = append(b.deployment.Secrets, Secret{Address: r.Address, Name: name})
	b.owns("secret", r.module, name)
	return nil
}

func (b *builder) version(r *resource) error {
	var v struct {
		Secret  string `json:"secret"`
		Data    string `json:"secret_data"`
		Written string `json:"secret_data_wo"`
	}
	if err := json.Unmarshal(r.Values, &v); err != nil {
		return err
	}
	b.after(func() {
		name := b.or(v.Secret, "secret", r.module)
		for i := range b.deployment.Secrets {
			if s := &b.deployment.Secrets[i]; s.Name == name {
				s.Data = orText(v.Data, v.Written)
			}
		}
	})
	return nil
}

func (b *builder) job(r *resource) error {
	var v struct {
		Name     string `json:"name"`
		Schedule string `json:"schedule"`
		Deadline string `json:"attempt_deadline"`
		Paused   bool   `json:"paused"`
		HTTP     []struct {
			URI     string            `json:"uri"`
			Method  string            `json:"http_method"`
			Headers map[string]string `json:"headers"`
			Body    string            `json:"body"`
			Token   []struct {
				Account  string `json:"service_account_email"`
				Audience string `json:"audience"`
			} `json:"oidc_token"`
		} `json:"http_target"`
	}
	if err := json.Unmarshal(r.Values, &v); err != nil {
		return err
	}
	target := first(v.HTTP)
	if target == nil {
		return nil
	}
	j := Job{
		Address: r.Address, Name: v.Name, Schedule: v.Schedule, URI: target.URI, Method: orText(target.Method, "POST"), Headers: target.Headers, Paused: v.Paused,
	}
	var err error
	if j.Deadline, err = duration(v.Deadline, 3*time.Minute); err != nil {
		return err
	}
	if j.Body, err = base64.StdEncoding.DecodeString(target.Body); err != nil {
		return fmt.Errorf("the body: %w", err)
	}
	if t := first(target.Token); t != nil {
		j.Account, j.Audience = t.Account, orText(t.Audience, target.URI)
	}
	at := len(b.deployment.Jobs)
	b.deployment.Jobs = append(b.deployment.Jobs, j)
	b.after(func() { b.deployment.Jobs[at].Function = b.serving(j.URI, r.module) })
	return nil
}

func (b *builder) group(r *resource) error {
	var v struct {
		Name string `json:"name"`
		Run  []struct {
			Service string `json:"service"`
		} `json:"cloud_run"`
	}
	if err := json.Unmarshal(r.Values, &v); err != nil {
		return err
	}
	if run := first(v.Run); run != nil {
		if b.groups == nil {
			b.groups = make(map[string]string)
		}
		b.groups[v.Name] = last(run.Service)
		b.owns(indexed("group", r), r.module, v.Name)
	}
	return nil
}

func (b *builder) backend(r *resource) error {
	var v struct {
		Name     string `json:"name"`
		Backends []struct {
			Group string `json:"group"`
		} `json:"backend"`
	}
	if err := json.Unmarshal(r.Values, &v); err != nil {
		return err
	}
	if len(v.Backends) != 1 {
		return nil // no one function
	}
	b.after(func() {
		if b.backends == nil {
			b.backends = make(map[string]string)
		}
		b.backends[v.Name] = b.or(last(v.Backends[0].Group), indexed("group", r), r.module)
	})
	return nil
}

// indexed tells kinds apart by the key that for_each made them with: what a plan
// does not know refers mostly to what has the same one.
func indexed(kind string, r *resource) string { return fmt.Sprint(kind, r.Index) }

func (b *builder) urlMap(r *resource) error {
	var v struct {
		Name    string `json:"name"`
		Default string `json:"default_service"`
		Hosts   []struct {
			Hosts   []string `json:"hosts"`
			Matcher string   `json:"path_matcher"`
		} `json:"host_rule"`
		Matchers []struct {
			Name    string `json:"name"`
			Default string `json:"default_service"`
			Rules   []struct {
				Paths   []string `json:"paths"`
				Service string   `json:"service"`
			} `json:"path_rule"`
			Routes []struct{} `json:"route_rules"`
		} `json:"path_matcher"`
	}
	if err := json.Unmarshal(r.Values, &v); err != nil {
		return err
	}
	m := URLMap{Address: r.Address, Name: v.Name, Matchers: make([]Matcher, len(v.Matchers))}
	for i, from := range v.Matchers {
		if len(from.Routes) > 0 {
			return errors.New("route_rules are not read here")
		}
		to := &m.Matchers[i]
		for _, h := range v.Hosts {
			if h.Matcher == from.Name {
				to.Hosts = append(to.Hosts, h.Hosts...)
			}
		}
		b.mapped = append(b.mapped, mapped{from.Default, &to.Default})
		to.Rules = make([]Rule, len(from.Rules))
		for j, rule := range from.Rules {
			to.Rules[j].Paths = rule.Paths
			b.mapped = append(b.mapped, mapped{rule.Service, &to.Rules[j].Function})
		}
	}
	at := len(b.deployment.URLMaps)
	b.deployment.URLMaps = append(b.deployment.URLMaps, m)
	b.after(func() { b.mapped = append(b.mapped, mapped{v.Default, &b.deployment.URLMaps[at].Default}) })
	return nil
}
