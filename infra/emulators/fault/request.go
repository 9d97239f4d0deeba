package fault

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// request is a call with what came over the wire.
type request struct {
	Call
	http *http.Request
	body []byte
}

// body of the JSON protocols, as far as the proxy looks into it. Names that two
// services share mean the same in both.
type jsonBody struct {
	StreamName, StreamARN string // Kinesis
	ShardIterator         string
	Records               []json.RawMessage
	TableName, IndexName  string          // DynamoDB
	RequestItems          json.RawMessage // BatchGetItem, BatchWriteItem: table → what
	TransactItems         []map[string]struct{ TableName string }
	QueueUrl, QueueName   string // SQS
	Entries               []json.RawMessage
	SecretId              string // Secrets Manager
	Name                  string
}

// parse finds out what a request calls. It never fails: what it does not know it
// leaves empty, and the request goes through.
func parse(r *http.Request, body []byte, streams streamOf) *request {
	c := &request{http: r, body: body}
	c.Identity, c.Service = credential(r)
	target, action, hasTarget := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	if c.Service == "" && hasTarget {
		c.Service = serviceOfTarget(target)
	}
	switch {
	case hasTarget:
		c.Action = action
		var b jsonBody
		_ = json.Unmarshal(body, &b) // CBOR, or nothing that the service will take
		c.json(&b, streams)
	case c.Service == "s3":
		c.s3()
	case strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded"):
		form, _ := url.ParseQuery(string(body)) // what parses of it
		c.Action = form.Get("Action")
		c.need(c.Action, "")
	default:
		c.Action = r.Method + " " + r.URL.Path
		c.need(c.Action, "")
	}
	return c
}

// credential returns the access key and the service out of a request's SigV4
// credential: <access key>/<date>/<region>/<service>/aws4_request, where SigV4A
// has no region. It stands in the Authorization header, or in the query of a
// presigned URL.
func credential(r *http.Request) (identity, service string) {
	_, scope, ok := strings.Cut(r.Header.Get("Authorization"), "Credential=")
	if !ok {
		scope = r.URL.Query().Get("X-Amz-Credential")
	}
	scope, _, _ = strings.Cut(scope, ",")
	parts := strings.Split(strings.TrimSpace(scope), "/")
	if len(parts) < 4 || parts[len(parts)-1] != "aws4_request" {
		return "", ""
	}
	return parts[0], parts[len(parts)-2]
}

// serviceOfTarget is for requests that nobody signed.
func serviceOfTarget(target string) string {
	service, _, _ := strings.Cut(target, "_")
	return strings.TrimPrefix(strings.ToLower(service), "amazon")
}

// json reads resources and permissions out of a JSON body.
func (c *request) json(b *jsonBody, streams streamOf) {
	switch c.Service {
	case "kinesis":
		stream := b.StreamName
		if stream == "" {
			stream = last(b.StreamARN, "/")
		}
		if stream == "" {
			stream = streams.get(b.ShardIterator)
		}
		c.Entries = len(b.Records)
		c.need(c.Action, stream)
	case "dynamodb":
		c.dynamoDB(b)
	case "sqs":
		queue := b.QueueName
		if queue == "" {
			queue = last(b.QueueUrl, "/")
		}
		c.Entries = len(b.Entries)
		c.need(strings.TrimSuffix(c.Action, "Batch"), queue) // a batch asks for the permission of one
	case "secretsmanager":
		secret := b.SecretId
		if secret == "" {
			secret = b.Name
		}
		if strings.HasPrefix(secret, "arn:") {
			secret = last(secret, ":")
			if i := strings.LastIndexByte(secret, '-'); len(secret)-i == 7 { // AWS appends six letters
				secret = secret[:i]
			}
		}
		c.need(c.Action, secret)
	default:
		c.need(c.Action, "")
	}
}

// dynamoDB: a transaction asks for the permissions of its parts.
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis-iam.html
func (c *request) dynamoDB(b *jsonBody) {
	switch c.Action {
	case "TransactWriteItems", "TransactGetItems":
		c.Entries = len(b.TransactItems)
		for _, item := range b.TransactItems {
			for action, on := range item {
				c.need(action+"Item", last(on.TableName, "/")) // Put: PutItem; ConditionCheck: ConditionCheckItem
			}
		}
	case "BatchGetItem":
		var tables map[string]struct{ Keys []json.RawMessage }
		_ = json.Unmarshal(b.RequestItems, &tables)
		for table, of := range tables {
			c.Entries += len(of.Keys)
			c.need(c.Action, last(table, "/"))
		}
	case "BatchWriteItem":
		var tables map[string][]json.RawMessage
		_ = json.Unmarshal(b.RequestItems, &tables)
		for table, of := range tables {
			c.Entries += len(of)
			c.need(c.Action, last(table, "/"))
		}
	default:
		table := last(b.TableName, "/")
		if b.IndexName != "" {
			table += "/index/" + b.IndexName
		}
		c.need(c.Action, table)
	}
	slices.SortFunc(c.Needs, func(a, b Permission) int {
		return strings.Compare(a.Action+" "+a.Resource, b.Action+" "+b.Resource)
	})
}

// s3 reads a path-style request.
func (c *request) s3() {
	bucket, key, _ := strings.Cut(strings.TrimPrefix(c.http.URL.Path, "/"), "/")
	query := c.http.URL.Query()
	object := bucket + "/" + key
	switch method := c.http.Method; {
	case bucket == "":
		c.Action = "ListBuckets"
		c.need("ListAllMyBuckets", "")
	case key == "" && method == http.MethodGet && (query.Has("list-type") || len(query) == 0):
		c.Action = "ListObjectsV2"
		c.need("ListBucket", bucket)
	case key == "" && method == http.MethodHead:
		c.Action = "HeadBucket"
		c.need("ListBucket", bucket)
	case key == "" && method == http.MethodPut && len(query) == 0:
		c.Action = "CreateBucket"
		c.need(c.Action, bucket)
	case key != "" && method == http.MethodGet:
		c.Action = "GetObject"
		c.need(c.Action, object)
	case key != "" && method == http.MethodHead:
		c.Action = "HeadObject"
		c.need("GetObject", object)
	case key != "" && method == http.MethodPut:
		c.Action = "PutObject"
		c.need(c.Action, object)
	case key != "" && method == http.MethodDelete:
		c.Action = "DeleteObject"
		c.need(c.Action, object)
	default:
		c.Action = method + " " + c.http.URL.RequestURI()
		c.need(c.Action, bucket)
	}
}

// last returns what follows the last separator: names out of ARNs and URLs.
func last(s, separator string) string { return s[strings.LastIndex(s, separator)+1:] }
