package deployed

import (
	"encoding/json"
	"slices"
	"strings"
)

func (b *builder) role(r *resource) error {
	var v struct {
		Name   string `json:"name"`
		ARN    string `json:"arn"`
		Trust  string `json:"assume_role_policy"`
		Inline []struct {
			Name   string `json:"name"`
			Policy string `json:"policy"`
		} `json:"inline_policy"`
		Managed []string `json:"managed_policy_arns"`
	}
	if err := json.Unmarshal(r.Values, &v); err != nil {
		return err
	}
	b.deployment.Roles = append(b.deployment.Roles, Role{Address: r.Address, Name: v.Name, ARN: v.ARN, Trust: v.Trust})
	if b.roles == nil {
		b.roles = make(map[string][]string)
	}
	b.roles[r.module] = append(b.roles[r.module], v.Name)
	for _, p := range v.Inline { // also what aws_iam_role_policy made, once it is applied
		if p.Policy != "" {
			b.inline = append(b.inline, rolePolicy{module: r.module, role: v.Name, policy: Policy{p.Name, p.Policy}})
		}
	}
	for _, arn := range v.Managed {
		b.attached = append(b.attached, rolePolicy{module: r.module, role: v.Name, arn: arn})
	}
	return nil
}

func (b *builder) rolePolicy(r *resource) error {
	var v struct {
		Name   string `json:"name"`
		Role   string `json:"role"`
		Policy string `json:"policy"`
	}
	if err := json.Unmarshal(r.Values, &v); err != nil {
		return err
	}
	b.inline = append(b.inline, rolePolicy{module: r.module, role: v.Role, policy: Policy{v.Name, v.Policy}})
	return nil
}

func (b *builder) policy(r *resource) error {
	var v struct {
		Name   string `json:"name"`
		ARN    string `json:"arn"`
		Policy string `json:"policy"`
	}
	if err := json.Unmarshal(r.Values, &v); err != nil {
		return err
	}
	if b.policies == nil {
		b.policies = make(map[string]Policy)
	}
	b.policies[v.ARN] = Policy{v.Name, v.Policy}
	return nil
}

func (b *builder) attachment(r *resource) error {
	var v struct {
		Role string `json:"role"`
		ARN  string `json:"policy_arn"`
	}
	if err := json.Unmarshal(r.Values, &v); err != nil {
		return err
	}
	b.attached = append(b.attached, rolePolicy{module: r.module, role: v.Role, arn: v.ARN})
	return nil
}

// distribution reads the routes of a CloudFront distribution.
func (b *builder) distribution(r *resource) error {
	type behavior struct {
		Pattern      string   `json:"path_pattern"`
		Methods      []string `json:"allowed_methods"`
		Target       string   `json:"target_origin_id"`
		Policy       string   `json:"origin_request_policy_id"`
		Associations []struct {
			Event string `json:"event_type"`
			ARN   string `json:"function_arn"`
		} `json:"function_association"`
	}
	var v struct {
		Origins []struct {
			ID      string `json:"origin_id"`
			Domain  string `json:"domain_name"`
			Headers []struct {
				Name  string `json:"name"`
				Value string `json:"value"`
			} `json:"custom_header"`
		} `json:"origin"`
		Default []behavior `json:"default_cache_behavior"`
		Ordered []behavior `json:"ordered_cache_behavior"`
	}
	if err := json.Unmarshal(r.Values, &v); err != nil {
		return err
	}
	for _, bh := range append(v.Ordered, v.Default...) {
		route := Route{Pattern: bh.Pattern, Methods: bh.Methods, OriginRequest: bh.Policy, Headers: map[string]string{}}
		for _, o := range v.Origins {
			if o.ID != bh.Target {
				continue
			}
			route.Domain = o.Domain
			for _, h := range o.Headers {
				route.Headers[h.Name] = h.Value
			}
		}
		for _, a := range bh.Associations {
			if a.Event == "viewer-request" {
				route.ViewerRequest = a.ARN
			}
		}
		b.deployment.Routes = append(b.deployment.Routes, route)
	}
	return nil
}

// only is the one name of a module, "" if there are none or several.
func only(names map[string][]string, module string) string {
	if names := names[module]; len(names) == 1 {
		return names[0]
	}
	return ""
}

// link connects what refers to each other.
func (b *builder) link() {
	d := b.deployment
	for i := range d.Functions {
		if d.Functions[i].Role == "" {
			d.Functions[i].Role = only(b.roles, b.functions[i])
		}
	}
	for i := range d.Mappings {
		if d.Mappings[i].Function == "" {
			d.Mappings[i].Function = only(b.modules, b.mappings[i])
		}
	}
	domains := make(map[string]string) // of URLs, to function names
	for _, u := range b.urls {
		name := u.function
		if name == "" {
			name = only(b.modules, u.module)
		}
		if f, ok := d.Function(name); ok && u.url != "" {
			f.URL = u.url
			domains[strings.TrimPrefix(u.url, "https://")] = name
		}
	}
	for i := range d.Routes {
		d.Routes[i].Function = domains[d.Routes[i].Domain]
	}
	for i := range d.Roles {
		b.linkRole(&d.Roles[i])
	}
}

// linkRole adds a role's policies: of an inline one the last, since a role that
// was applied also lists those that are resources of their own.
func (b *builder) linkRole(role *Role) {
	belongs := func(p rolePolicy) bool {
		if p.role == "" {
			p.role = only(b.roles, p.module)
		}
		return p.role == role.Name
	}
	for _, p := range b.inline {
		if !belongs(p) {
			continue
		}
		if i := slices.IndexFunc(role.Policies, func(q Policy) bool { return q.Name == p.policy.Name }); i >= 0 {
			role.Policies[i] = p.policy
		} else {
			role.Policies = append(role.Policies, p.policy)
		}
	}
	for _, a := range b.attached {
		if !belongs(a) {
			continue
		}
		if p, ok := b.policies[a.arn]; ok {
			role.Policies = append(role.Policies, p)
		} else {
			role.Unread = append(role.Unread, a.arn)
		}
	}
}
