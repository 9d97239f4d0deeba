package terraformtest

import (
	"encoding/json"
	"strings"
)

// encrypted finds what would lie somewhere in the clear, or under a key that
// never changes.
func encrypted(p *Plan) []Finding {
	var found []Finding
	for _, r := range p.Of("aws_kinesis_stream") {
		if r.text("encryption_type") != "KMS" || !r.given("kms_key_id") {
			found = append(found, finding(r, "the stream is not encrypted"))
		}
	}
	for _, r := range p.Of("aws_dynamodb_table") {
		if !r.yes("server_side_encryption.0.enabled") {
			found = append(found, finding(r, "the table is encrypted with a key that no audit sees"))
		}
	}
	for _, r := range p.Of("aws_sqs_queue") {
		if !r.yes("sqs_managed_sse_enabled") && !r.given("kms_master_key_id") {
			found = append(found, finding(r, "the queue is not encrypted"))
		}
	}
	for _, r := range p.Of("aws_sns_topic") {
		if !r.given("kms_master_key_id") {
			found = append(found, finding(r, "the topic is not encrypted"))
		}
	}
	for _, r := range p.Of("aws_s3_bucket") {
		ok := false
		for _, c := range p.beside(r, "aws_s3_bucket_server_side_encryption_configuration") {
			ok = ok || follow(c.Values, "rule.0.apply_server_side_encryption_by_default.0.sse_algorithm") != nil
		}
		if !ok {
			found = append(found, finding(r, "nobody says how the bucket is encrypted"))
		}
	}
	// CloudWatch encrypts every log: only an install with a key of its own has more to ask.
	if p.Variables["encryption_key"] != nil {
		for _, r := range p.Of("aws_cloudwatch_log_group") {
			if !r.given("kms_key_id") {
				found = append(found, finding(r, "the log is not encrypted with the install's own key"))
			}
		}
	}
	for _, r := range p.Of("aws_kms_key") {
		if !r.yes("enable_key_rotation") {
			found = append(found, finding(r, "the key is never renewed"))
		}
	}
	return found
}

// restorable finds tables without point-in-time recovery.
func restorable(p *Plan) []Finding {
	var found []Finding
	for _, r := range p.Of("aws_dynamodb_table") {
		if !r.yes("point_in_time_recovery.0.enabled") {
			found = append(found, finding(r, "the table has no point-in-time recovery"))
		}
	}
	return found
}

// privateBuckets finds buckets that are public, or could be made so.
func privateBuckets(p *Plan) []Finding {
	var found []Finding
	for _, r := range p.Of("aws_s3_bucket") {
		blocks := p.beside(r, "aws_s3_bucket_public_access_block")
		if len(blocks) != 1 {
			found = append(found, finding(r, "nobody blocks public access to the bucket"))
			continue
		}
		for _, what := range []string{"block_public_acls", "block_public_policy", "ignore_public_acls", "restrict_public_buckets"} {
			if !blocks[0].yes(what) {
				found = append(found, finding(blocks[0], "%s is not set", what))
			}
		}
	}
	for _, r := range p.Of("aws_s3_bucket_acl") {
		found = append(found, finding(r, "a bucket has no ACLs: its owner owns what is in it"))
	}
	for _, r := range p.Of("aws_s3_bucket_website_configuration") {
		found = append(found, finding(r, "a bucket is no web site"))
	}
	return found
}

// logRetention finds logs that would be kept, and paid for, for ever.
func logRetention(p *Plan) []Finding {
	var found []Finding
	for _, r := range p.Of("aws_cloudwatch_log_group") {
		if r.number("retention_in_days") <= 0 {
			found = append(found, finding(r, "the log is kept for ever"))
		}
	}
	// Without a group of its own, Lambda makes one that is kept for ever.
	for _, r := range p.Of("aws_lambda_function") {
		group := r.text("logging_config.0.log_group")
		ok := false
		for _, g := range p.Of("aws_cloudwatch_log_group") {
			ok = ok || group != "" && g.text("name") == group
		}
		if !ok {
			found = append(found, finding(r, "its log group %q is not part of the install", group))
		}
	}
	return found
}

// deadLetters finds queues from which a message that nobody can handle would
// vanish. A queue that says whose dead letters it takes needs none.
func deadLetters(p *Plan) []Finding {
	type redrive struct {
		Target string  `json:"deadLetterTargetArn"`
		Max    float64 `json:"maxReceiveCount"`
	}
	var found []Finding
	targets := map[string]*Resource{}
	queues := p.Of("aws_sqs_queue")
	for _, r := range queues {
		var to redrive
		_, has := p.expressions[instanceKey.ReplaceAllString(r.Address, "")]["redrive_policy"]
		text := r.text("redrive_policy")
		switch {
		case text != "" && json.Unmarshal([]byte(text), &to) == nil && to.Target != "":
			if to.Max < 1 || to.Max > 100 {
				found = append(found, finding(r, "a message may come %v times before it is given up", to.Max))
			}
			targets[to.Target[strings.LastIndex(to.Target, ":")+1:]] = r
		case has && r.Unknown["redrive_policy"] == true:
			found = append(found, finding(r, "redrive_policy is not known in the plan: make it of names"))
		}
	}
	for _, r := range queues {
		if from, dead := targets[r.text("name")]; dead {
			if r.number("message_retention_seconds") < from.number("message_retention_seconds") {
				found = append(found, finding(r, "dead letters are kept shorter than letters, whose age they take over"))
			}
		} else if r.text("redrive_policy") == "" && !strings.Contains(r.text("redrive_allow_policy"), `"byQueue"`) {
			found = append(found, finding(r, "the queue has no dead-letter queue, and is none"))
		}
	}
	for name, from := range targets {
		ok := false
		for _, r := range queues {
			ok = ok || r.text("name") == name
		}
		if !ok {
			found = append(found, finding(from, "its dead-letter queue %s is not part of the install", name))
		}
	}
	return found
}
