package terraformtest

import (
	"math"
	"slices"
	"strings"
)

// ingress finds functions that the internet reaches and should not.
func ingress(p *Plan) []Finding {
	var found []Finding
	for _, r := range p.Of("google_cloud_run_v2_service") {
		if r.text("ingress") != "INGRESS_TRAFFIC_INTERNAL_ONLY" && !slices.Contains(PublicFunctions, r.Module) {
			found = append(found, finding(r, "the internet reaches it; public are only %s", strings.Join(PublicFunctions, " and ")))
		}
	}
	return found
}

// onlyTLS finds what would answer, or call, in the clear. Cloud Run itself does not.
func onlyTLS(p *Plan) []Finding {
	var found []Finding
	for _, r := range p.Of("google_compute_target_http_proxy", "google_compute_region_target_http_proxy", "google_compute_target_tcp_proxy") {
		found = append(found, finding(r, "it may be reached without TLS"))
	}
	for _, r := range p.Of("google_compute_global_forwarding_rule", "google_compute_forwarding_rule") {
		if r.text("port_range") != "443" {
			found = append(found, finding(r, "port %s may be reached without TLS", r.text("port_range")))
		}
	}
	for _, r := range p.Of("google_compute_backend_service") {
		if how := r.text("protocol"); how != "HTTPS" && how != "HTTP2" {
			found = append(found, finding(r, "functions are reached without TLS"))
		}
	}
	for _, r := range p.Of("google_compute_ssl_policy") {
		if v := r.text("min_tls_version"); v != "TLS_1_2" && v != "TLS_1_3" {
			found = append(found, finding(r, "an old TLS is spoken: %s", v))
		}
	}
	for kind, url := range map[string]string{"google_pubsub_subscription": "push_config.0.push_endpoint", "google_cloud_scheduler_job": "http_target.0.uri"} {
		for _, r := range p.Of(kind) {
			if called := r.text(url); r.at(url[:strings.LastIndexByte(url, '.')]) != nil && !strings.HasPrefix(called, "https://") {
				found = append(found, finding(r, "%q is called without TLS", called))
			}
		}
	}
	return found
}

// firewalls finds functions behind a load balancer without one, and ways around
// it, unless the install wants none, or has not closed the way before it yet.
func firewalls(p *Plan) []Finding {
	backends := p.Of("google_compute_backend_service")
	if follow(p.Variables["edge"], "firewall") == false || len(backends) == 0 {
		return nil
	}
	var found []Finding
	policies := map[string]bool{}
	for _, r := range p.Of("google_compute_security_policy") {
		policies[r.text("name")] = true
		// Of the rules that count for everybody, in their order, the first that lets
		// a request through: it must count them.
		rules, _ := r.at("rule").([]any)
		first, limited := math.Inf(1), false
		for _, rule := range rules {
			how, _ := follow(rule, "action").(string)
			if priority, _ := follow(rule, "priority").(float64); priority < first && follow(rule, "preview") != true && !strings.HasPrefix(how, "deny") &&
				(how == "allow" || slices.Contains(texts(follow(rule, "match.0.config.0.src_ip_ranges")), "*")) {
				first, limited = priority, how == "throttle" || how == "rate_based_ban"
			}
		}
		if !limited {
			found = append(found, finding(r, "one address may send as much as it likes"))
		}
	}
	for _, r := range backends {
		if !policies[last(r.text("security_policy"))] {
			found = append(found, finding(r, "no firewall of the install is before it"))
		}
	}
	for _, r := range p.Of("google_cloud_run_v2_service") {
		if r.text("ingress") == "INGRESS_TRAFFIC_ALL" && follow(p.Variables["edge"], "close") != false {
			found = append(found, finding(r, "there is a way around the firewall"))
		}
	}
	return found
}
