// Package dynamodb keeps fragments, the ledger and the quarantine in one
// DynamoDB table.
//
// The table has a hash key pk (S) and no sort key. Its index "quarantine" has
// the hash key q (S) and the range key at (S), which only quarantine entries
// carry, and projects everything. Its time-to-live attribute is ttl.
//
//	f/<project>/<visitor>                   a fragment
//	f/<project>/<visitor>~<generation>/<n>  a part of a fragment that is too large for one item
//	l/a/<project>/<log>                     what a log adds to a project's totals, and up to where
//	l/a/<project>/<log>/<hour>              to an hour's counts by minute
//	l/l/<project>                           which logs there are
//	l/t/<project>/<slot>                    a share of what comes from no log in a project's totals
//	l/h/<project>/<hour>/<slot>             in an hour's counts
//	l/o/<id>                                something booked once, for a while
//	q/<project>/<id>                        a quarantine entry
//	q/<project>/<id>~<generation>/<n>       a part of a large entry
//
// Requests are repeated in this package only: see NewClient.
package dynamodb

import (
	"context"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/hitolayer/hito/infra/aws/retry"
)

// Index is the name of the table's index over quarantine entries.
const Index = "quarantine"

// The attributes. What every fragment has is short, since bytes cost.
const (
	pkAttr       = "pk"
	versionAttr  = "v"
	valueAttr    = "s"   // a packed state or entry, or a part of one
	partsAttr    = "g"   // instead of a value: the parts that make it up
	replacedAttr = "o"   // the parts that the value before was made of
	looseAttr    = "u"   // on a part: no head is known to refer to it yet
	nameAttr     = "k"   // what the key names, where the key holds but its hash
	ttlAttr      = "ttl" // epoch seconds
	queueAttr    = "q"
	orderAttr    = "at"
)

// Reads is what reads the table.
type Reads interface {
	BatchGetItem(context.Context, *dynamodb.BatchGetItemInput, ...func(*dynamodb.Options)) (*dynamodb.BatchGetItemOutput, error)
	Query(context.Context, *dynamodb.QueryInput, ...func(*dynamodb.Options)) (*dynamodb.QueryOutput, error)
	Scan(context.Context, *dynamodb.ScanInput, ...func(*dynamodb.Options)) (*dynamodb.ScanOutput, error)
}

// Writes is what writes one item.
type Writes interface {
	PutItem(context.Context, *dynamodb.PutItemInput, ...func(*dynamodb.Options)) (*dynamodb.PutItemOutput, error)
	UpdateItem(context.Context, *dynamodb.UpdateItemInput, ...func(*dynamodb.Options)) (*dynamodb.UpdateItemOutput, error)
	DeleteItem(context.Context, *dynamodb.DeleteItemInput, ...func(*dynamodb.Options)) (*dynamodb.DeleteItemOutput, error)
}

// Transactions is what writes several items, all or none.
type Transactions interface {
	TransactWriteItems(context.Context, *dynamodb.TransactWriteItemsInput, ...func(*dynamodb.Options)) (*dynamodb.TransactWriteItemsOutput, error)
}

// API is what this package asks of a client: see NewClient.
type API interface {
	Reads
	Writes
	Transactions
}

// NewClient returns the client this package is made for. It does not repeat
// requests: whoever repeats must know what a lost answer means for the request
// (a fragment's own write looks like a conflict, a transaction needs its token
// again), must repeat a transaction's conflicts and a batch's left-overs too,
// which the SDK does not, and two layers of attempts would multiply under
// throttling. A client that does repeat is right as well, only slower to give up.
// The transport keeps as many connections as Save has workers: the SDK keeps 10.
func NewClient(cfg aws.Config, options ...func(*dynamodb.Options)) *dynamodb.Client {
	return dynamodb.NewFromConfig(cfg, append([]func(*dynamodb.Options){func(o *dynamodb.Options) {
		o.Retryer = aws.NopRetryer{}
		if client, ok := o.HTTPClient.(*awshttp.BuildableClient); ok || o.HTTPClient == nil {
			if client == nil {
				client = awshttp.NewBuildableClient()
			}
			o.HTTPClient = client.WithTransportOptions(func(t *http.Transport) {
				t.MaxIdleConns, t.MaxIdleConnsPerHost = 4*defaultWorkers, 4*defaultWorkers
			})
		}
	}}, options...)...)
}

// item is one item's attributes.
type item = map[string]types.AttributeValue

// table is one table, as one call sees it.
type table struct {
	api     API
	name    string
	workers int
	retry   retry.Call
	now     func() time.Time
}

// defaultWorkers is how many requests of one call are under way at a time.
const defaultWorkers = 32

func newTable(api API, name string, workers int, retries retry.Call, now func() time.Time) *table {
	if workers <= 0 {
		workers = defaultWorkers
	}
	if now == nil {
		now = time.Now
	}
	return &table{api: api, name: name, workers: workers, retry: withDefaults(retries), now: now}
}
